// Decides CONNECT: what its fields say, in the order of the checks below, the dear one (signature) last. A stranger learns
// nothing of a device from the answer, nor from the work that is done for it [AUTH-13].
import type { ConnectDecision, ConnectRequest } from "../../access/policy.ts";
import type { DeviceRegistry, KnownDevice } from "../registry.ts";
import type { PlatformSettings } from "../settings.ts";
import { parseUserName } from "../user-name.ts";
import { accept, type Claim, refuse } from "./answer.ts";
import { Attempts } from "./attempts.ts";
import { parseClientId } from "./client-id.ts";
import { parseSignMethod, type SignMethod, verifySignature } from "./signature.ts";

export interface SignInOptions {
  readonly registry: DeviceRegistry;
  readonly settings: PlatformSettings;
  readonly mqtt5: boolean;
  /** Told of what is accepted though it looks wrong [AUTH-9]. */
  readonly logger?: { info(fields: object, message: string): void };
}

export class SignIn {
  readonly #options: SignInOptions;
  readonly #attempts: Attempts;

  constructor(options: SignInOptions) {
    this.#options = options;
    this.#attempts = new Attempts(options.settings);
  }

  connect(request: ConnectRequest): ConnectDecision | Promise<ConnectDecision> {
    const { settings, logger } = this.#options;
    const { codes, auth } = settings;
    if (request.level === 5 && !this.#options.mqtt5) {
      return refuse(codes.mqtt5Disabled, "MQTT 5.0 is switched off"); // [NET-2]
    }
    const field = parseClientId(request.clientId, auth.maxClientIdFieldBytes);
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
      if (auth.strictSecureMode) return refuse(codes.secureMode, mismatch); // [AUTH-9]
      logger?.info({ ...device, remoteAddress: request.stream.remoteAddress }, mismatch);
    }
    const keepAlive = keepAliveDefect(request.keepAlive, settings);
    if (keepAlive !== undefined) return refuse(codes.keepAlive, keepAlive); // [CONN-5]
    return this.#bySignature({ request, device, clientId, extensions }, method);
  }

  #bySignature(claim: Claim, method: SignMethod): ConnectDecision | Promise<ConnectDecision> {
    const { settings, registry } = this.#options;
    const { auth } = settings;
    const { request, device, clientId, extensions } = claim;
    // Before the dear part: a stranger who tries again and again is refused cheaply [CONN-3].
    const tired = this.#attempts.beforeProof(claim);
    if (tired !== undefined) return tired;
    const decide = (found: KnownDevice | undefined): ConnectDecision => {
      const input = { clientId, ...device, timestamp: extensions.get("timestamp") };
      const { deviceSecret } = found ?? {};
      const proved = verifySignature(
        method,
        deviceSecret,
        input,
        request.password,
        auth.optionalSignatureFields,
      );
      return proved && found !== undefined ? this.#admit(claim, found) : this.#attempts.failed(claim);
    };
    const found = registry.findDevice(device.productKey, device.deviceName);
    return found instanceof Promise ? found.then(decide) : decide(found);
  }

  /** It is the device. Only now is anything told of it: a stranger learns nothing about names [AUTH-13]. */
  #admit(claim: Claim, device: KnownDevice): ConnectDecision {
    const { settings } = this.#options;
    const { codes, mqtt5 } = settings;
    if (!device.enabled) return refuse(codes.disabled, "The device is disabled");
    if (mqtt5.oneFamily && device.protocolFamily === "5" && claim.request.level !== 5)
      return refuse(codes.protocolFamily, "The device uses MQTT 5.0"); // [NET-3]
    return this.#attempts.afterProof(claim) ?? accept(claim, settings);
  }
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
