// The standard profile: MQTT as the standards have it, access by password file and access list.
// Anonymous clients are let in where the listener is bound to loopback, elsewhere only if the operator says so.
// Only a proved user name (password, certificate, AUTH exchange) reaches the access list.
import { randomBytes } from "node:crypto";
import { ConfigError } from "../errors.ts";
import type { Limits } from "../limits.ts";
import type { StreamInfo } from "../transport/streams/stream.ts";
import type { AccessList } from "./access-list.ts";
import type { PasswordCheck } from "./password-checker.ts";
import type { PasswordFile } from "./password-file.ts";
import type {
  AuthExchange,
  Capabilities,
  ConnectDecision,
  ConnectRefusal,
  ConnectRequest,
  Identity,
  Policy,
} from "./policy.ts";

export interface StandardPolicyOptions {
  readonly passwords?: PasswordFile;
  readonly acl?: AccessList;
  /** Clients without user name may connect. Default: where the listener is bound to loopback. */
  readonly anonymous?: boolean | ((stream: StreamInfo) => boolean);
  /** The common name of a verified client certificate is the user name where none is sent. Default true. */
  readonly certificateUserName?: boolean;
  /** Enhanced authentication: Authentication Method -> exchange. */
  readonly authMethods?: { readonly [method: string]: (request: ConnectRequest) => AuthExchange };
  /** Prefix of Response Information; the client id and a slash follow. Default "response/". */
  readonly responsePrefix?: string;
  readonly capabilities?: Partial<Capabilities>;
  readonly limits: Limits;
}

export interface StandardPolicy extends Policy {
  /** Takes re-read files; grants change at once, connections stay. Files can be replaced, not added or taken away. */
  replace(files: { readonly passwords?: PasswordFile; readonly acl?: AccessList }): void;
}

const REFUSED_IDENTIFIER = refusal(2, 0x85, "Client Identifier is empty");
const REFUSED_CREDENTIALS = refusal(4, 0x86, "Bad user name or password");
const REFUSED_ANONYMOUS = refusal(5, 0x87, "User name required");
const REFUSED_BUSY = refusal(3, 0x89, "Too many sign-ins at once");
const NOT_AUTHORIZED = 0x87;
const DENIED = { allow: false, reason: NOT_AUTHORIZED } as const;
const ALLOWED = { allow: true } as const;
const NO_PASSWORD = new Uint8Array(0);

export function createStandardPolicy(options: StandardPolicyOptions): StandardPolicy {
  let { passwords, acl } = options;
  let generation = 1;
  const capabilities = standardCapabilities(options.limits, options.capabilities);
  const { anonymous = (stream: StreamInfo) => stream.loopback, certificateUserName = true } = options;
  const authMethods = new Map(Object.entries(options.authMethods ?? {}));
  const responsePrefix = options.responsePrefix ?? "response/";

  function maySubscribe(identity: Identity, filter: string): boolean {
    return acl === undefined || acl.maySubscribe(identity, filter);
  }

  function connect(
    request: ConnectRequest,
    authenticatedAs?: string,
  ): ConnectDecision | Promise<ConnectDecision> {
    if (request.clientId === "") {
      // 3.1 knows no empty identifier; 3.1.1 only with Clean Session [MQTT-3.1.3-7], [MQTT-3.1.3-8].
      if (request.level === 3 || (request.level === 4 && !request.cleanStart)) return REFUSED_IDENTIFIER;
    }
    if (authenticatedAs !== undefined) return accept(request, authenticatedAs);
    if (request.username === undefined) {
      const certified = certificateUserName ? request.stream.certificate?.commonName : undefined;
      if (certified) return accept(request, certified);
      return isAnonymousAllowed(request.stream) ? accept(request, undefined) : REFUSED_ANONYMOUS;
    }
    if (passwords === undefined) {
      // Nothing to check the name against: it proves nothing, so it is worth as much as no name.
      return isAnonymousAllowed(request.stream) ? accept(request, undefined) : REFUSED_CREDENTIALS;
    }
    const { username } = request;
    const check = passwords.verify(username, request.password ?? NO_PASSWORD);
    const decide = (result: PasswordCheck): ConnectDecision => {
      if (result === "busy") return REFUSED_BUSY;
      return result === "right" ? accept(request, username) : REFUSED_CREDENTIALS;
    };
    return typeof check === "string" ? decide(check) : check.then(decide);
  }

  function isAnonymousAllowed(stream: StreamInfo): boolean {
    return typeof anonymous === "function" ? anonymous(stream) : anonymous;
  }

  function accept(request: ConnectRequest, username: string | undefined): ConnectDecision {
    const assigned = request.clientId === "" ? newClientId() : undefined;
    const clientId = assigned ?? request.clientId;
    return {
      ok: true,
      identity: { clientId, username, sessionKey: clientId },
      assignedClientId: assigned,
      allowAllPublish: acl === undefined,
    };
  }

  return {
    name: "standard",
    namespace: "standard",
    capabilities,
    connect,
    authorizePublish(identity, topic) {
      // $SYS is the broker's own [MQTT-4.7.2-1, the note on server implementations].
      if (topic.startsWith("$SYS/")) return DENIED;
      return acl === undefined || acl.mayPublish(identity, topic) ? ALLOWED : DENIED;
    },
    authorizeSubscribe(identity, request) {
      return maySubscribe(identity, request.filter)
        ? Math.min(request.qos, capabilities.maximumQos)
        : NOT_AUTHORIZED;
    },
    authorizeDelivery(identity, topic) {
      return acl === undefined || acl.mayReceive(identity, topic);
    },
    get deliversAll() {
      return acl === undefined;
    },
    authenticate(method, request) {
      return authMethods.get(method)?.(request);
    },
    responseInformation(identity) {
      // Offered only where it is this client's alone and the access list lets its owner subscribe there.
      if (/[+#/]/.test(identity.clientId)) return undefined;
      const prefix = `${responsePrefix}${identity.clientId}/`;
      return maySubscribe(identity, `${prefix}#`) ? prefix : undefined;
    },
    get generation() {
      return generation;
    },
    replace(files) {
      if (files.passwords !== undefined && passwords === undefined) throw addedFile("passwordFile");
      if (files.acl !== undefined && acl === undefined) throw addedFile("aclFile");
      passwords = files.passwords ?? passwords;
      acl = files.acl ?? acl;
      generation++;
    },
  };
}

function standardCapabilities(limits: Limits, overrides: Partial<Capabilities> | undefined): Capabilities {
  return {
    maximumQos: 2,
    retain3: true,
    retain5: true,
    wildcardSubscriptions: true,
    subscriptionIdentifiers: true,
    sharedSubscriptions3: true,
    sharedSubscriptions5: true,
    publisherQos3: false,
    publisherQos5: false,
    dedupeQos1: false,
    receiveMaximum: Math.min(limits.receiveMaximum, 65_535),
    topicAliasMaximum: Math.min(limits.topicAliasMaximum, 65_535),
    maximumPacketSize: limits.maxPacketSize,
    announceAll: false,
    discardOversize3: false,
    mqtt5: true,
    queueOverflow: "newest",
    maxQueueAge: undefined,
    validatePayloadFormat: false,
    ...overrides,
  };
}

// 128 random bits: nobody guesses his way into somebody's session. No "/", "+" or "#" [MQTT-3.1.3-6].
function newClientId(): string {
  return `auto-${randomBytes(16).toString("base64url")}`;
}

function refusal(code3: ConnectRefusal["code3"], reason: number, reasonString: string): ConnectRefusal {
  return { ok: false, code3, reason, reasonString };
}

function addedFile(path: string): ConfigError {
  return new ConfigError(
    "NEEDS_RESTART",
    path,
    `${path}: was not configured at start; restart to begin using it`,
  );
}
