// Dynamic registration: a device that knows only its product's secret is given its own [DYN-3], or a token [DYN-4]. The same
// judgement for MQTT, where each "no" is one CONNACK, and for HTTPS, which tells them apart by number [DYN-6].
import type { ConnectDecision, ConnectRefusal } from "../../access/policy.ts";
import type { DeviceRegistry, KnownDevice } from "../registry/index.ts";
import type { DeviceToken } from "../registry/devices/device.ts";
import type { PushMessage } from "../contract/service.ts";
import type { ConnectCodes, PlatformSettings } from "../settings/settings.ts";
import type { DeviceId } from "../names/user-name.ts";
import { accept, type Claim, refuse } from "./answer.ts";
import type { Attempts } from "./attempts.ts";
import { type SignMethod, verifyContent } from "./signature.ts";
import type { Terms } from "./terms.ts";

/** Reasons by the platform's numbers. 6293 is ours: the platform has no number for a sixth pair. */
export const REGISTRATION_ERRORS = {
  460: "bad parameter",
  6100: "no such device",
  6204: "the device is disabled",
  6250: "no such product",
  6288: "dynamic registration is switched off",
  6289: "the device is activated already",
  6292: "unknown signmethod",
  6293: "the device has all the tokens it may have",
  6600: "wrong signature",
} as const;
export type RegistrationError = keyof typeof REGISTRATION_ERRORS;

export interface RegistrationRequest {
  readonly device: DeviceId;
  readonly method: SignMethod;
  /** What was signed with the product's secret. */
  readonly content: string;
  readonly sign: Uint8Array | undefined;
}

export class Registrar {
  readonly #registry: DeviceRegistry;

  constructor(registry: DeviceRegistry) {
    this.#registry = registry;
  }

  /** May this product's devices register, and was it one of them that asks? undefined: yes. */
  judge({ device, method, content, sign }: RegistrationRequest): RegistrationError | undefined {
    const product = this.#registry.findProduct(device.productKey);
    const proved = verifyContent(method, product?.productSecret, content, sign);
    if (product === undefined) return 6250;
    if (!proved) return 6600;
    // One with certificates has no use for secrets, and they would sign nobody in [AUTH-11].
    return product.dynamicRegistration === true && product.authType !== "x509" ? undefined : 6288; // [DYN-1]
  }

  /** The device, whose secret may be told [DYN-3]. Only after judge(). */
  async register({ productKey, deviceName }: DeviceId): Promise<KnownDevice | RegistrationError> {
    const device = await this.#registry.findDevice(productKey, deviceName);
    if (device === undefined) return 6100;
    if (!device.enabled) return 6204; // [AUTH-13]
    return device.activatedAt === undefined ? device : 6289;
  }

  /** A pair of the device's own [DYN-4]. Only after judge(). */
  async issueToken(device: DeviceId): Promise<DeviceToken | RegistrationError> {
    const found = await this.#registry.findDevice(device.productKey, device.deviceName);
    if (found?.enabled === false) return 6204; // [AUTH-13]
    if (this.#registry.issueToken === undefined) return 6288;
    return (await this.#registry.issueToken(device)) ?? 6293;
  }
}

export interface RegistrationParts {
  readonly settings: PlatformSettings;
  readonly attempts: Attempts;
  readonly registrar: Registrar;
  readonly terms: Terms;
}

let errands = 0;

/** CONNECT with authType register or regnwl [DYN-2]. Keep Alive is not checked [DYN-5]. */
export function connectToRegister(
  claim: Claim,
  authType: "register" | "regnwl",
  method: SignMethod,
  parts: RegistrationParts,
): ConnectDecision | Promise<ConnectDecision> {
  const { request, device, extensions } = claim;
  const { codes, dynreg } = parts.settings;
  const { productKey, deviceName } = device;
  const random = extensions.get("random");
  if (!random) return refuse(codes.registrationForm, "random is missing");
  if (dynreg.requireTls && !request.stream.secure)
    return refuse(codes.registrationForm, "Dynamic registration needs TLS");
  const tired = parts.attempts.beforeProof(claim) ?? parts.attempts.beforeRegistration(claim);
  if (tired !== undefined) return tired;
  const content = `deviceName${deviceName}productKey${productKey}random${random}`;
  const error = parts.registrar.judge({ device, method, content, sign: request.password });
  if (error === 6250 || error === 6600) {
    parts.attempts.noteRegistration(device, request.stream.remoteAddress);
    return parts.attempts.failed(claim);
  }
  if (error !== undefined) return refuseRegistration(codes.registration, error);
  const tooOften = parts.attempts.afterProof(claim);
  if (tooOften !== undefined) return tooOften;
  return result(authType, device, parts.registrar).then((greeting) => {
    if (greeting === 6204) return refuse(codes.disabled, REGISTRATION_ERRORS[greeting]);
    if (typeof greeting === "number") return refuseRegistration(codes.registration, greeting);
    // A session of its own: the device's connection is not disturbed [DYN-5].
    const key = `${productKey}/${deviceName}//${++errands}`;
    return accept(claim, parts.settings, parts.terms, key, { greeting, errand: true });
  });
}

function refuseRegistration(codes: ConnectCodes, error: RegistrationError): ConnectRefusal {
  return { ...refuse(codes, REGISTRATION_ERRORS[error]), logCode: error };
}

async function result(
  authType: "register" | "regnwl",
  device: DeviceId,
  registrar: Registrar,
): Promise<PushMessage | RegistrationError> {
  const names = { productKey: device.productKey, deviceName: device.deviceName };
  const found =
    authType === "register" ? await registrar.register(device) : await registrar.issueToken(device);
  if (typeof found === "number") return found;
  const given =
    "deviceSecret" in found
      ? { deviceSecret: found.deviceSecret }
      : { clientId: found.clientId, deviceToken: found.deviceToken };
  return { topic: `/ext/${authType}`, payload: JSON.stringify({ ...names, ...given }) };
}
