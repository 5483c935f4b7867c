// TLS with a pre-shared key, as the C SDK does it [AUTH-12]: the identity names the device, the key is made of its secret.
// It secures the connection and proves no more: MQTT credentials are asked for as always.
import type { DeviceRegistry } from "../registry/index.ts";
import { parseUserName } from "../names/user-name.ts";
import { sign } from "./signature.ts";
import { randomBytes } from "node:crypto";

const MAX_IDENTITY = 256;
/** Stands in for the secret of a device that does not exist: its handshake fails like one with a wrong key. */
const NOBODYS_SECRET = randomBytes(16).toString("hex");

/** `devicename|hmacsha256|PK&DN|TIMESTAMP`, the key being the upper-case hex text of the HMAC. */
export function pskOfDevices(registry: DeviceRegistry): (identity: string) => Uint8Array | undefined {
  return (identity) => {
    const [kind, method, id, timestamp, ...more] = identity.length > MAX_IDENTITY ? [] : identity.split("|");
    if (kind !== "devicename" || method?.toLowerCase() !== "hmacsha256" || !timestamp || more.length > 0)
      return undefined;
    // ProductKey first, other than in a user name.
    const ampersand = id.indexOf("&");
    const device = parseUserName(`${id.slice(ampersand + 1)}&${id.slice(0, ampersand)}`);
    if (ampersand < 0 || device === undefined) return undefined;
    const found = registry.findDevice(device.productKey, device.deviceName);
    // A handshake cannot wait for devices kept elsewhere.
    const secret = found instanceof Promise ? undefined : found?.deviceSecret;
    return Buffer.from(sign("hmacsha256", secret ?? NOBODYS_SECRET, `id${id}timestamp${timestamp}`));
  };
}
