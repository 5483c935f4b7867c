// What devices ask over HTTP before they speak MQTT: their secret [DYN-6], or a name and password made for them [AUTH-15].
// Every answer of these paths is HTTP 200 with the platform's code in the body, which the SDKs read.
import type { Attempts } from "../platform/sign-in/attempts.ts";
import type { DeviceSignIn } from "../platform/sign-in/pre-auth.ts";
import {
  REGISTRATION_ERRORS,
  type Registrar,
  type RegistrationError,
} from "../platform/sign-in/registration.ts";
import { parseSignMethod } from "../platform/sign-in/signature.ts";
import { isDeviceName, isProductKey } from "../platform/names/user-name.ts";
import { type ApiAnswer, type ApiRequest, formFields, type Router } from "./router.ts";

/** Fields of a form; the SDKs send eight at most. */
const MAX_FIELDS = 32;

export interface DeviceAuthParts {
  readonly registrar: Registrar;
  readonly signIn: DeviceSignIn;
  readonly attempts: Attempts;
  /** Told of an address that is not heard, since it has failed too often. */
  readonly barred: (remoteAddress: string) => void;
  /** Where devices speak MQTT. */
  readonly mqttPort: () => number | undefined;
}

export function deviceAuthRoutes(router: Router, parts: DeviceAuthParts): void {
  router.on("POST", "/auth/register/device", (request) => registerDevice(request, parts));
  router.on("POST", "/auth/devicename", (request) => preAuthenticate(request, parts));
}

/** Says nothing of who was named: another address is still heard. */
function tooOften(remoteAddress: string, { barred }: DeviceAuthParts): ApiAnswer {
  barred(remoteAddress);
  return { json: { code: 429, message: "too many failed attempts" } };
}

/** [DYN-6] */
async function registerDevice(request: ApiRequest, parts: DeviceAuthParts): Promise<ApiAnswer> {
  const { registrar, attempts } = parts;
  const { remoteAddress } = request;
  const fields = formFields(request, MAX_FIELDS);
  if (fields === undefined) return registrationError(460);
  const [productKey, deviceName, random, sign, signMethod] = [
    "productKey",
    "deviceName",
    "random",
    "sign",
    "signMethod",
  ].map((name) => fields.get(name) ?? "");
  if (
    !isProductKey(productKey) ||
    !isDeviceName(deviceName) ||
    random === "" ||
    sign === "" ||
    signMethod === ""
  )
    return registrationError(460);
  const method = parseSignMethod(signMethod);
  if (method === undefined) return registrationError(6292);
  const device = { productKey, deviceName };
  if (attempts.isBarredOverHttp(remoteAddress) || attempts.isProductBarred(device, remoteAddress))
    return tooOften(remoteAddress, parts);
  const content = [...fields]
    .filter(([name]) => name !== "sign" && name !== "signMethod")
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => name + value)
    .join("");
  const error = registrar.judge({ device, method, content, sign: Buffer.from(sign) });
  if (error === 6250 || error === 6600) {
    attempts.noteOverHttp(remoteAddress);
    attempts.noteRegistration(device, remoteAddress);
  }
  if (error !== undefined) return registrationError(error);
  const found = await registrar.register(device);
  if (typeof found === "number") return registrationError(found);
  const { deviceSecret } = found;
  // C SDKs take an answer of 192 bytes.
  return { json: { code: 200, data: { productKey, deviceName, deviceSecret }, message: "success" } };
}

function registrationError(code: RegistrationError): ApiAnswer {
  return { json: { code, message: REGISTRATION_ERRORS[code] } };
}

/** [AUTH-15] A wrong triple, or a form that is none, is 400. */
async function preAuthenticate(request: ApiRequest, parts: DeviceAuthParts): Promise<ApiAnswer> {
  const { signIn, attempts, mqttPort } = parts;
  const { remoteAddress } = request;
  const refused: ApiAnswer = { json: { code: 400, message: "authentication failed" } };
  const fields = formFields(request, MAX_FIELDS);
  const productKey = fields?.get("productKey") ?? "";
  const deviceName = fields?.get("deviceName") ?? "";
  if (fields === undefined || !isProductKey(productKey) || !isDeviceName(deviceName)) return refused;
  const method = parseSignMethod(fields.get("signmethod") ?? fields.get("signMethod"));
  const port = mqttPort();
  if (method === undefined || port === undefined) return refused;
  if (attempts.isBarredOverHttp(remoteAddress)) return tooOften(remoteAddress, parts);
  const given = await signIn.preAuthenticate({
    device: { productKey, deviceName },
    method,
    clientId: fields.get("clientId"),
    timestamp: fields.get("timestamp"),
    sign: Buffer.from(fields.get("sign") ?? ""),
    remoteAddress,
  });
  if (given === "barred") return tooOften(remoteAddress, parts);
  if (given === undefined) {
    attempts.noteOverHttp(remoteAddress);
    return refused;
  }
  const { iotId, iotToken } = given;
  const mqtt = { host: hostOf(request), port };
  return { json: { code: 200, data: { iotId, iotToken, resources: { mqtt } }, message: "success" } };
}

/** The name the client knows this machine by. */
function hostOf({ headers }: ApiRequest): string {
  const host = typeof headers.host === "string" ? headers.host : "";
  const name = /^(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::\d{1,5})?$/.exec(host)?.[1];
  return name?.replace(/^\[|\]$/g, "") ?? "localhost";
}
