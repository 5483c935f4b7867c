// The password of a platform device: hex(HMAC(deviceSecret, content)) [AUTH-5], content the sorted names and values of
// what was submitted [AUTH-6]. Signs (for printed credentials) and verifies, in a time that does not tell a wrong
// signature from an unknown device.
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { hmacSha256 } from "./hmac-sha256.ts";

export type SignMethod = "hmacmd5" | "hmacsha1" | "hmacsha256";

export interface SignInput {
  /** undefined: not signed. Empty is signed as an empty value [AUTH-8]. */
  readonly clientId?: string;
  readonly deviceName: string;
  readonly productKey: string;
  /** An opaque text, never compared with a clock [AUTH-7]. */
  readonly timestamp?: string;
}

/** `sent`: where what was sent is decoded to, and compared at once. */
const HASHES: { readonly [method in SignMethod]: { readonly name: string; readonly sent: Uint8Array } } = {
  hmacmd5: { name: "md5", sent: new Uint8Array(16) },
  hmacsha1: { name: "sha1", sent: new Uint8Array(20) },
  hmacsha256: { name: "sha256", sent: new Uint8Array(32) },
};

/** Stands in for the secret of a device that does not exist: the same work, an answer nobody can give. */
const NOBODYS_SECRET = randomBytes(16).toString("hex");

/** Any case; absent means hmacmd5 [AUTH-5]. undefined: not known. */
export function parseSignMethod(text: string | undefined): SignMethod | undefined {
  const name = text === undefined ? "hmacmd5" : text.toLowerCase();
  return Object.hasOwn(HASHES, name) ? (name as SignMethod) : undefined;
}

export function signContent({ clientId, deviceName, productKey, timestamp }: SignInput): string {
  const front = clientId === undefined ? "" : `clientId${clientId}`;
  const back = timestamp === undefined ? "" : `timestamp${timestamp}`;
  return `${front}deviceName${deviceName}productKey${productKey}${back}`;
}

/** Upper-case hex, as the C SDK sends it. */
export function sign(method: SignMethod, secret: string, content: string): string {
  return digest(method, secret, content).toString("hex").toUpperCase();
}

/**
 * Verifies a password. `optional`: client id and timestamp may have been left out of the signature, so up to four texts are
 * tried [AUTH-6]; otherwise only the one with everything the field carries. `secret` undefined: no such device.
 */
export function verifySignature(
  method: SignMethod,
  secret: string | undefined,
  input: SignInput,
  password: Uint8Array | undefined,
  optional = true,
): boolean {
  const valid = decodeHex(password, HASHES[method].sent);
  // Only who holds the secret is let in before the last: whoever is refused has had all of them tried, whether the
  // signature is wrong or the device does not exist, and the field he sent alone says how many they are.
  if (isSigned(method, secret, signContent(input), valid)) return true;
  return (
    optional && otherCandidates(input).some((text) => isSigned(method, secret, signContent(text), valid))
  );
}

/** Is the password the signature of this one text? The same work without a secret. */
export function verifyContent(
  method: SignMethod,
  secret: string | undefined,
  content: string,
  password: Uint8Array | undefined,
): boolean {
  return isSigned(method, secret, content, decodeHex(password, HASHES[method].sent));
}

/** Was this text signed with what was decoded last? `valid`: that was a signature at all. */
function isSigned(method: SignMethod, secret: string | undefined, content: string, valid: boolean): boolean {
  const expected = digest(method, secret ?? NOBODYS_SECRET, content);
  return timingSafeEqual(expected, HASHES[method].sent) && valid && secret !== undefined;
}

/** What may have been signed besides everything there is, none twice. */
function otherCandidates(input: SignInput): readonly SignInput[] {
  const { deviceName, productKey, timestamp } = input;
  const named = input.clientId !== undefined;
  const texts: SignInput[] = [];
  if (named && timestamp !== undefined)
    texts.push({ clientId: input.clientId, deviceName, productKey }, { deviceName, productKey, timestamp });
  if (named || timestamp !== undefined) texts.push({ deviceName, productKey });
  return texts;
}

function digest(method: SignMethod, secret: string, content: string): Buffer {
  const quick = method === "hmacsha256" ? hmacSha256(secret, content) : undefined;
  return quick ?? createHmac(HASHES[method].name, secret).update(content, "utf8").digest();
}

/** Hex in either case. False: it is no hex of this length, and counts for nothing whatever the bytes become. */
function decodeHex(password: Uint8Array | undefined, bytes: Uint8Array): boolean {
  if (password?.length !== bytes.length * 2) return false;
  let sign = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = (HEX[password[2 * i]] << 4) | HEX[password[2 * i + 1]];
    sign |= byte;
    bytes[i] = byte;
  }
  return sign >= 0;
}

/** Values of hexadecimal digits by character; -1: it is none. */
const HEX = new Int8Array(256).fill(-1);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  HEX[digit.charCodeAt(0)] = value;
  HEX[digit.toUpperCase().charCodeAt(0)] = value;
}
