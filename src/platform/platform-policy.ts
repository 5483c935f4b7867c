// The platform profile: devices sign in, publish and subscribe as on the Alibaba Cloud IoT Platform. Composes the rules
// of this folder into a policy; decides CONNECT in the order of the checks below, the dear one (signature) last.
import type {
  Capabilities,
  ConnectDecision,
  ConnectRefusal,
  ConnectRequest,
  Identity,
  Policy,
} from "../access/policy.ts";
import type { Limits } from "../limits.ts";
import { parseClientId } from "./client-id.ts";
import { compileGrants, mayPublish, maySubscribe, type ProductGrants } from "./grants.ts";
import type { UserProperty } from "../protocol/properties.ts";
import type { DeviceRegistry, KnownDevice, KnownProduct } from "./registry.ts";
import {
  type ConnectCodes,
  type PlatformOverrides,
  type PlatformSettings,
  resolveSettings,
} from "./settings.ts";
import { parseSignMethod, verifySignature } from "./sign-in.ts";
import { type DeviceId, parseUserName } from "./user-name.ts";

/** `Identity.data` of a device. What is optional is missing of one that has not connected since the broker started. */
export interface DeviceData extends DeviceId {
  readonly level?: 3 | 4 | 5;
  readonly remoteAddress?: string;
  /** Of its ClientID field [AUTH-1]. */
  readonly extensions?: ReadonlyMap<string, string>;
  /** Of its CONNECT [LOG-2]. */
  readonly userProperties?: readonly UserProperty[];
}

/** What the policy leaves to the services of the platform. */
export interface ServiceDesk {
  /** `host`: a service takes the message. `tap`: somebody wants a copy. undefined: nobody cares. */
  interestIn(topic: string): "host" | "tap" | undefined;
  /** The sub-device whose names stand in the topic and which this session speaks for [GW-4], or the session's own device. */
  speakerIn(topic: string, own: DeviceId, sessionKey: string): DeviceId;
  /** A PUBLISH without permission. True: the next one wants to be told too [GW-4]. */
  refused(identity: Identity, topic: string): boolean;
  serve: NonNullable<Policy["serve"]>;
  tapped: NonNullable<Policy["tapped"]>;
  connected(identity: Identity): void;
  disconnected(identity: Identity, reason: number, lastSeen?: number): void;
  /** Less than 1, and another number when speakerIn() has changed for the session. */
  linkVersion(sessionKey: string): number;
}

export interface PlatformPolicyOptions {
  readonly registry: DeviceRegistry;
  readonly limits: Limits;
  readonly settings?: PlatformOverrides | PlatformSettings;
  /** Default: no services. */
  readonly desk?: ServiceDesk;
  readonly capabilities?: Partial<Capabilities>;
  /** Told of what is accepted though it looks wrong [AUTH-9]. */
  readonly logger?: { info(fields: object, message: string): void };
}

const NOT_AUTHORIZED = 0x87;
const FILTER_INVALID = 0x8f;
const DENIED = { allow: false, reason: NOT_AUTHORIZED } as const;
const DENIED_ONCE = { ...DENIED, cacheable: false } as const;
const ALLOWED = { allow: true } as const;
const TAPPED = { allow: true, tap: true } as const;
const SERVED = { allow: true, host: true } as const;

/** What the server alone says, on topics nobody subscribes [TOPIC-8]. */
const PUSH_ONLY = new Set(["/ext/register", "/ext/regnwl", "/ext/auth/identity/response"]);

export function createPlatformPolicy(options: PlatformPolicyOptions): Policy {
  const { registry, logger, desk } = options;
  const settings = resolveSettings(options.settings);
  const capabilities = platformCapabilities(options.limits, settings, options.capabilities);
  const { codes } = settings;
  const compiled = new WeakMap<KnownProduct, ProductGrants>();

  function grantsOf({ productKey }: DeviceId): ProductGrants | undefined {
    const product = registry.findProduct(productKey);
    if (product === undefined) return undefined;
    let grants = compiled.get(product);
    if (grants === undefined) {
      grants = compileGrants(productKey, product.topicClasses, {
        broadcastPublish: settings.broadcast.devicePublish,
      });
      compiled.set(product, grants);
    }
    return grants;
  }

  function connect(request: ConnectRequest): ConnectDecision | Promise<ConnectDecision> {
    if (request.level === 5 && !capabilities.mqtt5) {
      return refuse(codes.mqtt5Disabled, "MQTT 5.0 is switched off"); // [NET-2]
    }
    const field = parseClientId(request.clientId, settings.auth.maxClientIdFieldBytes);
    if (typeof field === "string") return refuse(codes.clientId, `ClientID: ${field}`); // [AUTH-1] [AUTH-3]
    const { clientId, extensions } = field;
    if (clientId === "" && request.level !== 5)
      return refuse(codes.clientId, "ClientID: empty before the bar"); // [AUTH-8]
    const method = parseSignMethod(extensions.get("signmethod"));
    if (method === undefined) return refuse(codes.clientId, "ClientID: unknown signmethod"); // [AUTH-5]
    const device = parseUserName(request.username);
    if (device === undefined) return refuse(codes.credentials, "user name is not deviceName&productKey"); // [AUTH-4]
    const mismatch = secureModeMismatch(request, extensions.get("securemode"));
    if (mismatch !== undefined) {
      if (settings.auth.strictSecureMode) return refuse(codes.secureMode, mismatch); // [AUTH-9]
      logger?.info({ ...device, remoteAddress: request.stream.remoteAddress }, mismatch);
    }
    if (!isKeepAliveInRange(request.keepAlive)) return refuse(codes.keepAlive, keepAliveText()); // [CONN-5]

    const decide = (found: KnownDevice | undefined): ConnectDecision => {
      const input = { clientId, ...device, timestamp: extensions.get("timestamp") };
      const { optionalSignatureFields } = settings.auth;
      if (!verifySignature(method, found?.deviceSecret, input, request.password, optionalSignatureFields)) {
        // One answer for a wrong signature and for an unknown device [AUTH-13].
        return refuse(codes.credentials, "Bad user name or password");
      }
      // Only after a right signature: a stranger learns nothing about names [AUTH-13].
      if (found?.enabled !== true) return refuse(codes.disabled, "The device is disabled");
      return accept(request, device, clientId, extensions);
    };
    const found = registry.findDevice(device.productKey, device.deviceName);
    return found instanceof Promise ? found.then(decide) : decide(found);
  }

  function accept(
    request: ConnectRequest,
    device: DeviceId,
    clientId: string,
    extensions: ReadonlyMap<string, string>,
  ): ConnectDecision {
    const { productKey, deviceName } = device;
    const assigned = clientId === "" ? fillIn(settings.auth.assignedClientId, device) : undefined; // [AUTH-8]
    return {
      ok: true,
      identity: {
        clientId: assigned ?? clientId,
        username: request.username,
        // The device, not the client id, owns the session [SESS-0] and the one connection [CONN-1].
        sessionKey: `${productKey}/${deviceName}`,
        data: {
          productKey,
          deviceName,
          level: request.level,
          remoteAddress: request.stream.remoteAddress,
          extensions,
          userProperties: request.properties.userProperties ?? [],
        } satisfies DeviceData,
      },
      assignedClientId: assigned,
      serverKeepAlive: request.level === 5 ? request.keepAlive : undefined, // [V5-1]
      allowAllPublish: false,
      keepWill: request.level === 5, // [SESS-5]
    };
  }

  /** Whose rights count for a topic: the device's own, or those of a sub-device it speaks for [GW-4]. */
  function speakerOf(identity: Identity, topic: string): DeviceId {
    const own = deviceOf(identity);
    return desk?.speakerIn(topic, own, identity.sessionKey) ?? own;
  }

  function isKeepAliveInRange(seconds: number): boolean {
    return (
      seconds >= settings.connection.minKeepAliveSeconds && seconds <= settings.connection.maxKeepAliveSeconds
    );
  }

  function keepAliveText(): string {
    const { minKeepAliveSeconds, maxKeepAliveSeconds } = settings.connection;
    return `Keep Alive must be ${minKeepAliveSeconds} to ${maxKeepAliveSeconds} seconds`;
  }

  return {
    name: "platform",
    namespace: "platform",
    capabilities,
    connect,
    authorizePublish(identity, topic) {
      const device = speakerOf(identity, topic);
      const grants = grantsOf(device);
      if (grants === undefined || !mayPublish(grants, device.deviceName, topic))
        return desk?.refused(identity, topic) ? DENIED_ONCE : DENIED; // [PERM-1]
      const interest = desk?.interestIn(topic);
      return interest === undefined ? ALLOWED : interest === "host" ? SERVED : TAPPED;
    },
    authorizeSubscribe(identity, { filter, shareName, qos, level }) {
      if (shareName !== undefined) {
        if (level !== 5) return NOT_AUTHORIZED; // [V5-10]
        if (!/^[A-Za-z0-9_]+$/.test(shareName) || filter === "") return FILTER_INVALID;
      }
      const device = speakerOf(identity, filter);
      const grants = grantsOf(device);
      if (grants === undefined || !maySubscribe(grants, device.deviceName, filter)) return NOT_AUTHORIZED; // [PERM-2]
      return Math.min(qos, capabilities.maximumQos); // [QOS-1] [QOS-2]
    },
    authorizeDelivery(identity, topic) {
      const device = speakerOf(identity, topic);
      const grants = grantsOf(device);
      return PUSH_ONLY.has(topic) || (grants !== undefined && maySubscribe(grants, device.deviceName, topic));
    },
    ...(desk && { serve: desk.serve.bind(desk), tapped: desk.tapped.bind(desk) }),
    connected(identity) {
      const { level, remoteAddress, productKey, deviceName } = deviceOf(identity);
      registry.connected?.({ productKey, deviceName }, level === 5 ? "5" : "3.x", remoteAddress); // [AUTH-14]
      desk?.connected(identity);
    },
    disconnected(identity, reason, lastSeen) {
      desk?.disconnected(identity, reason, lastSeen);
      const { productKey, deviceName } = deviceOf(identity);
      registry.disconnected?.({ productKey, deviceName });
    },
    get generation() {
      return registry.generation;
    },
    grantsVersion({ sessionKey }) {
      return registry.generation + (desk?.linkVersion(sessionKey) ?? 0);
    },
  };
}

function platformCapabilities(
  limits: Limits,
  settings: PlatformSettings,
  overrides: Partial<Capabilities> | undefined,
): Capabilities {
  return {
    maximumQos: 1, // [QOS-1]
    retain3: false, // [SESS-5]
    retain5: true,
    wildcardSubscriptions: true,
    subscriptionIdentifiers: false, // [V5-11]
    sharedSubscriptions3: false,
    sharedSubscriptions5: true, // [V5-10]
    publisherQos3: true, // [QOS-2]
    publisherQos5: settings.qos.publisherDecides5, // [QOS-3]
    dedupeQos1: true, // [QOS-4]
    receiveMaximum: Math.min(100, limits.receiveMaximum), // [LIMIT-5]
    topicAliasMaximum: Math.min(20, limits.topicAliasMaximum), // [V5-9]
    maximumPacketSize: Math.min(262_144, limits.maxPacketSize), // [LIMIT-1]
    announceAll: true, // [V5-1]
    discardOversize3: true, // [LIMIT-1]
    mqtt5: settings.mqtt5.enabled, // [NET-2]
    queueOverflow: "oldest", // [SESS-2]
    maxQueueAge: 604_800, // [SESS-2]
    validatePayloadFormat: false, // [V5-12]
    ...overrides,
  };
}

/** 2 says TLS, 3 says TCP; other values say nothing about the transport [AUTH-9]. */
function secureModeMismatch({ stream }: ConnectRequest, securemode: string | undefined): string | undefined {
  const wrong = (securemode === "2" && !stream.secure) || (securemode === "3" && stream.secure);
  return wrong ? `securemode=${securemode} over ${stream.transport}` : undefined;
}

export function deviceOf({ data, sessionKey }: Identity): DeviceData {
  if (data !== undefined) return data as DeviceData;
  // A session restored from the store: its key is the identity [SESS-0].
  const slash = sessionKey.indexOf("/");
  return { productKey: sessionKey.slice(0, slash), deviceName: sessionKey.slice(slash + 1) };
}

function fillIn(template: string, { productKey, deviceName }: DeviceId): string {
  return template.replaceAll("{pk}", productKey).replaceAll("{dn}", deviceName);
}

function refuse({ code3, reason }: ConnectCodes, reasonString: string): ConnectRefusal {
  return { ok: false, code3, reason, reasonString };
}
