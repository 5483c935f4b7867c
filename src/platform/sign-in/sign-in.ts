// Decides CONNECT: what its fields say, in the order of the checks below, the dear one (signature) last. A stranger learns
// nothing of a device from the answer, nor from the work that is done for it [AUTH-13].
import type { ConnectDecision, ConnectRequest } from "../../access/policy.ts";
import type { DeviceRegistry, KnownDevice } from "../registry/index.ts";
import type { PlatformSettings } from "../settings/settings.ts";
import { type DeviceId, NamedDevice, parseUserName } from "../names/user-name.ts";
import { accept, type Claim, refuse } from "./answer.ts";
import { Attempts } from "./attempts.ts";
import { type ClientIdField, parseClientId } from "../names/client-id.ts";
import { PreAuth } from "./pre-auth.ts";
import { connectToRegister, Registrar, type RegistrationParts } from "./registration.ts";
import { parseSignMethod, type SignMethod, verifySignature } from "./signature.ts";
import { termsOf } from "./terms.ts";
import { tokenSessionKey, verifyToken } from "./token.ts";

/** What the server alone says [TOPIC-8]. */
const IDENTITY_TOPIC = "/ext/auth/identity/response";
const NAMELESS: ClientIdField = { clientId: "", extensions: new Map() };

export interface SignInOptions {
  readonly registry: DeviceRegistry;
  readonly settings: PlatformSettings;
  readonly mqtt5: boolean;
  /** Told of what is accepted though it looks wrong [AUTH-9]. */
  readonly logger?: {
    info(fields: object, message: string): void;
    warn?(fields: object, message: string): void;
  };
}

export class SignIn {
  readonly registry: DeviceRegistry;
  readonly registrar: Registrar;
  readonly attempts: Attempts;
  /** Names and passwords given over HTTPS [AUTH-15]. */
  readonly preAuth: PreAuth;
  #warned = false;
  readonly #parts: SignInOptions & RegistrationParts;

  constructor(options: SignInOptions) {
    const { registry, settings } = options;
    const attempts = new Attempts(settings);
    this.registry = registry;
    this.attempts = attempts;
    this.registrar = new Registrar(registry);
    this.preAuth = new PreAuth({ registry, settings, attempts });
    this.#parts = {
      ...options,
      attempts,
      registrar: this.registrar,
      terms: termsOf(settings),
    };
  }

  connect(request: ConnectRequest): ConnectDecision | Promise<ConnectDecision> {
    const { settings, logger } = this.#parts;
    const { codes, auth } = settings;
    if (request.level === 5 && !this.#parts.mqtt5) {
      return refuse(codes.mqtt5Disabled, "MQTT 5.0 is switched off"); // [NET-2]
    }
    const plain = this.#plainDefect(request);
    if (plain !== undefined) return refuse(codes.plain, plain); // [NET-6]
    if (isNameless(request)) return this.#byCertificateAlone(request);
    const field = parseClientId(request.clientId, auth.maxClientIdFieldBytes);
    if (typeof field === "string") return refuse(codes.clientId, `ClientID: ${field}`); // [AUTH-1] [AUTH-3]
    const { clientId, extensions } = field;
    if (clientId === "" && request.level !== 5)
      return refuse(codes.clientId, "ClientID: empty before the bar"); // [AUTH-8]
    const method = parseSignMethod(extensions.get("signmethod"));
    if (method === undefined) return refuse(codes.clientId, "ClientID: unknown signmethod"); // [AUTH-5]
    const { username = "", password } = request;
    const given = username.includes("&") ? undefined : this.preAuth.find(username); // [AUTH-15]
    const device = given?.device ?? parseUserName(request.username);
    if (device === undefined) return refuse(codes.credentials, "user name is not deviceName&productKey"); // [AUTH-4]
    const claim: Claim = { request, device, clientId, extensions };
    const authType = extensions.get("authType");
    if (authType === "register" || authType === "regnwl")
      return connectToRegister(claim, authType, method, this.#parts);
    const mismatch = secureModeMismatch(request, extensions.get("securemode"));
    if (mismatch !== undefined) {
      if (auth.strictSecureMode) return refuse(codes.secureMode, mismatch); // [AUTH-9]
      logger?.info({ ...device, remoteAddress: request.stream.remoteAddress }, mismatch);
    }
    const keepAlive = keepAliveDefect(request.keepAlive, settings);
    if (keepAlive !== undefined) return refuse(codes.keepAlive, keepAlive); // [CONN-5]
    // Before the dear part: a stranger who tries again and again is refused cheaply [CONN-3].
    const tired = this.#parts.attempts.beforeProof(claim);
    if (tired !== undefined) return tired;
    const found = this.#parts.registry.findDevice(device.productKey, device.deviceName);
    const decide = (known: KnownDevice | undefined): ConnectDecision => {
      // Before what was given out by another proof: a product may have gone over to certificates since [AUTH-11].
      if (this.#usesCertificates(device)) return this.#byCertificate(claim, known);
      if (given)
        return this.preAuth.isProved(given, known, password)
          ? this.#admit(claim, known as KnownDevice)
          : this.#parts.attempts.failed(claim);
      if (authType === "connwl") return this.#byToken(claim, known);
      return this.#bySignature(claim, method, known);
    };
    return found instanceof Promise ? found.then(decide) : decide(found);
  }

  /** Without TLS everybody on the way reads along; the password is a signature, what follows is not. */
  #plainDefect({ stream }: ConnectRequest): string | undefined {
    if (stream.transport !== "tcp" && stream.transport !== "ws") return undefined;
    const { settings, logger } = this.#parts;
    if (!settings.tcp.plain) return "TLS is required";
    if (!this.#warned && !stream.loopback) {
      this.#warned = true;
      logger?.warn?.(
        { remoteAddress: stream.remoteAddress },
        "devices sign in without TLS; platform.tcp.plain: false refuses them",
      );
    }
    return undefined;
  }

  #usesCertificates({ productKey }: DeviceId): boolean {
    return this.#parts.registry.findProduct(productKey)?.authType === "x509";
  }

  /** The certificate of this very handshake is bound to exactly this device, and there is no password [AUTH-11]. */
  #byCertificate(claim: Claim, found: KnownDevice | undefined): ConnectDecision {
    const { request } = claim;
    const presented = fingerprintOf(request.stream);
    if (
      found !== undefined &&
      presented !== undefined &&
      presented === found.certificate &&
      !request.password?.length
    )
      return this.#admit(claim, found);
    this.#parts.attempts.noteFailure(claim.device, request.stream.remoteAddress);
    return refuse(this.#parts.settings.codes.certificate, "Not the certificate of this device");
  }

  /** First connection of a device that does not know its names: it is told them [AUTH-11]. */
  #byCertificateAlone(request: ConnectRequest): ConnectDecision | Promise<ConnectDecision> {
    const { registry, settings } = this.#parts;
    const fingerprint = fingerprintOf(request.stream);
    const decide = (found: KnownDevice | undefined): ConnectDecision => {
      if (found === undefined || !this.#usesCertificates(found))
        return refuse(settings.codes.certificate, "No device has this certificate");
      const keepAlive = keepAliveDefect(request.keepAlive, settings);
      if (keepAlive !== undefined) return refuse(settings.codes.keepAlive, keepAlive); // [CONN-5]
      const { productKey, deviceName } = found;
      const claim: Claim = { request, device: new NamedDevice(productKey, deviceName), ...NAMELESS };
      const greeting = { topic: IDENTITY_TOPIC, payload: JSON.stringify({ productKey, deviceName }) };
      return this.#admit(claim, found, undefined, { greeting });
    };
    const found = fingerprint === undefined ? undefined : registry.findByCertificate?.(fingerprint);
    return found instanceof Promise ? found.then(decide) : decide(found);
  }

  #bySignature(claim: Claim, method: SignMethod, found: KnownDevice | undefined): ConnectDecision {
    const { settings, attempts } = this.#parts;
    const { request, device, clientId, extensions } = claim;
    const { productKey, deviceName } = device;
    const input = { clientId, deviceName, productKey, timestamp: extensions.get("timestamp") };
    const { optionalSignatureFields: optional } = settings.auth;
    if (!verifySignature(method, found?.deviceSecret, input, request.password, optional))
      return attempts.failed(claim);
    return this.#admit(claim, found as KnownDevice);
  }

  /** [AUTH-10] */
  #byToken(claim: Claim, found: KnownDevice | undefined): ConnectDecision {
    const { attempts } = this.#parts;
    const { clientId, request, device } = claim;
    const token = found?.tokens?.find((pair) => pair.clientId === clientId);
    if (!verifyToken(token?.deviceToken, request.password)) return attempts.failed(claim);
    const key = tokenSessionKey(device, clientId);
    return this.#admit(claim, found as KnownDevice, key, { tokenClientId: clientId });
  }

  /** It is the device. Only now is anything told of it: a stranger learns nothing about names [AUTH-13]. */
  #admit(
    claim: Claim,
    device: KnownDevice,
    key?: string,
    more?: Parameters<typeof accept>[4],
  ): ConnectDecision {
    const { settings, attempts, terms } = this.#parts;
    const { codes, mqtt5 } = settings;
    if (!device.enabled) return refuse(codes.disabled, "The device is disabled");
    // The family is one of the triple; a token is an identity of its own.
    if (mqtt5.oneFamily && key === undefined && device.protocolFamily === "5" && claim.request.level !== 5)
      return refuse(codes.protocolFamily, "The device uses MQTT 5.0"); // [NET-3]
    return attempts.afterProof(claim, key) ?? accept(claim, settings, terms, key, more);
  }
}

/** No names at all: whoever it is, a certificate must say so. */
function isNameless({ clientId, username, stream }: ConnectRequest): boolean {
  return !username && !clientId.includes("|") && stream.certificate !== undefined;
}

/** Lower-case hex without colons, as the registry has it. */
function fingerprintOf({ certificate }: ConnectRequest["stream"]): string | undefined {
  return certificate?.fingerprint256.replaceAll(":", "").toLowerCase();
}

/** 2 says TLS, 3 says TCP; other values say nothing about the transport [AUTH-9]. */
function secureModeMismatch({ stream }: ConnectRequest, securemode: string | undefined): string | undefined {
  const wrong = (securemode === "2" && !stream.secure) || (securemode === "3" && stream.secure);
  return wrong ? `securemode=${securemode} over ${stream.transport}` : undefined;
}

function keepAliveDefect(seconds: number, { connection }: PlatformSettings): string | undefined {
  const { minKeepAliveSeconds: least, maxKeepAliveSeconds: most } = connection;
  return seconds < least || seconds > most ? `Keep Alive must be ${least} to ${most} seconds` : undefined;
}
