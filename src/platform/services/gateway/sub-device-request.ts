// What a gateway sends for a sub-device: its names, and the proof that the gateway knows its secret [GW-3]. SDKs write the
// fields in more than one way; this file reads all of them and checks the signature, and does nothing else.
import { parseSignMethod, sign } from "../../sign-in/signature.ts";
import { type DeviceId, isDeviceName, isProductKey } from "../../names/user-name.ts";
import { timingSafeEqual } from "node:crypto";
import { isObject, type JsonObject, own } from "../../shared/json.ts";

/** Not part of what is signed. */
const UNSIGNED = new Set(["sign", "signmethod", "cleansession", "devicesecret"]);
const MAX_FIELD = 256;

/** undefined: a name is missing or malformed. */
export function subDeviceOf(item: unknown): DeviceId | undefined {
  if (!isObject(item)) return undefined;
  const productKey = own(item, "productKey");
  const deviceName = own(item, "deviceName");
  if (typeof productKey !== "string" || typeof deviceName !== "string") return undefined;
  return isProductKey(productKey) && isDeviceName(deviceName) ? { productKey, deviceName } : undefined;
}

/** "true" and true; left out means true. */
export function wantsCleanSession(item: JsonObject): boolean {
  const value = own(item, "cleanSession");
  return !(value === "false" || value === false);
}

/**
 * True where `sign` is the HMAC over every parameter but itself, the method and cleanSession, sorted by name, names and
 * values joined. `shared` are parameters that stand beside a list of devices (`signMethod` of a batch).
 */
export function isSignedWith(secret: string, item: JsonObject, shared: JsonObject = {}): boolean {
  const named = new Map<string, string>();
  for (const [name, value] of Object.entries(item)) {
    if (typeof value !== "string" && typeof value !== "number") continue;
    const text = String(value);
    if (text.length > MAX_FIELD) return false;
    named.set(name, text);
  }
  const methodText = field(item, "signmethod") ?? field(shared, "signmethod");
  const method = parseSignMethod(methodText);
  const given = field(item, "sign");
  if (method === undefined || given === undefined) return false;
  const content = [...named]
    .filter(([name]) => !UNSIGNED.has(name.toLowerCase()))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}${value}`)
    .join("");
  const expected = Buffer.from(sign(method, secret, content));
  const actual = Buffer.from(given.toUpperCase());
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

/** A text by name in any case: `signMethod` and `signmethod` are both in use. */
function field(object: JsonObject, lowerName: string): string | undefined {
  for (const [name, value] of Object.entries(object)) {
    if (name.toLowerCase() === lowerName && typeof value === "string") return value;
  }
  return undefined;
}
