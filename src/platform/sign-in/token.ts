// Sign-in with one of the pairs of client id and token that dynamic registration gives out [AUTH-10], [DYN-4]. Each pair is
// an identity with a session of its own [SESS-0].
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { DeviceId } from "../names/user-name.ts";

/** Stands in for the token of a pair that does not exist. */
const NOBODYS_TOKEN = randomBytes(16).toString("hex");

/** In a time that tells neither how much of it was right nor whether there is such a pair. */
export function verifyToken(token: string | undefined, password: Uint8Array | undefined): boolean {
  const right = digest(token ?? NOBODYS_TOKEN);
  return timingSafeEqual(right, digest(password ?? "")) && token !== undefined && password !== undefined;
}

/** No client id given out holds a slash. */
export function tokenSessionKey({ productKey, deviceName }: DeviceId, clientId: string): string {
  return `${productKey}/${deviceName}/${clientId}`;
}

function digest(text: string | Uint8Array): Buffer {
  return createHash("sha256").update(text).digest();
}
