// Decides CONNECT: what its fields say, in the order of the checks below, the dear one (signature) last. A stranger learns
// nothing of a device from the answer, nor from the work that is done for it [AUTH-13].
import type { ConnectDecision, ConnectRequest } from "../../access/policy.ts";
import type { DeviceRegistry, KnownDevice } from "../registry.ts";
import type { PlatformSettings } from "../settings.ts";
import { parseUserName } from "../user-name.ts";
import { accept, type Claim, refuse } from "./answer.ts";
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

  constructor(options: SignInOptions) {
    this.#options = options;
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
    const { codes, auth } = settings;
    const { request, device, clientId, extensions } = claim;
    const decide = (found: KnownDevice | undefined): ConnectDecision => {
      const input = { clientId, ...device, timestamp: extensions.get("timestamp") };
      const { deviceSecret } = found ?? {};
      if (!verifySignature(method, deviceSecret, input, request.password, auth.optionalSignatureFields)) {
        // One answer for a wrong signature and for an unknown device [AUTH-13].
        return refuse(codes.credentials, "Bad user name or password");
      }
      // Only after a right signature: a stranger learns nothing about names [AUTH-13].
      if (found?.enabled !== true) return refuse(codes.disabled, "The device is disabled");
      return accept(claim, settings);
    };
    const found = registry.findDevice(device.productKey, device.deviceName);
    return found instanceof Promise ? found.then(decide) : decide(found);
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
