// SCRAM-SHA-256 for enhanced authentication (AUTH), server side: RFC 5802 with the hash of RFC 7677. An example that
// works: hand it to a policy's `authMethods`. Keeps salted keys, never passwords. No channel binding, no authzid.
//
//   client  n,,n=user,r=CNONCE                        (CONNECT)
//   server  r=CNONCE+SNONCE,s=SALT,i=ITERATIONS       (AUTH 0x18)
//   client  c=biws,r=CNONCE+SNONCE,p=PROOF            (AUTH 0x18)
//   server  v=SERVER SIGNATURE                        (CONNACK)
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import type { AuthExchange, AuthStep } from "./policy.ts";

export const SCRAM_SHA_256 = "SCRAM-SHA-256";

/** What the server keeps of a password. It cannot be used to sign in. */
export interface ScramCredentials {
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

export interface ScramOptions {
  lookup(username: string): ScramCredentials | undefined | Promise<ScramCredentials | undefined>;
  /** Iterations shown for unknown users; use the same for the known ones. Default 15,000. */
  readonly iterations?: number;
  /** The server's part of the nonce, printable ASCII without comma. Default: 18 random bytes, Base64. */
  readonly nonce?: () => string;
}

const DEFAULT_ITERATIONS = 15_000;
const MAX_MESSAGE_BYTES = 4_096;
const NOT_AUTHORIZED: AuthStep = { state: "refused", reason: 0x87 };
// Unknown users get a salt of their own that stays the same while the process lives, as a real one would.
const DECOY_KEY = randomBytes(32);
const derive = promisify(pbkdf2);

/** The password is normalised with NFKC, which is SASLprep for everything but forbidden characters. */
export async function createScramCredentials(
  password: string,
  salt: Uint8Array = randomBytes(16),
  iterations = DEFAULT_ITERATIONS,
): Promise<ScramCredentials> {
  const salted = await derive(password.normalize("NFKC"), salt, iterations, 32, "sha256");
  return {
    salt,
    iterations,
    storedKey: sha256(hmac(salted, "Client Key")),
    serverKey: hmac(salted, "Server Key"),
  };
}

/** One exchange: one connection's sign-in, or one re-authentication. */
export function createScramExchange(options: ScramOptions): AuthExchange {
  let first: ClientFirst | undefined;
  let serverFirst = "";
  let credentials: ScramCredentials | undefined;
  let shown: ScramCredentials;
  let nonce = "";

  async function answerFirst(text: string): Promise<AuthStep> {
    first = parseClientFirst(text);
    if (first === undefined)
      return malformed("client-first-message is malformed or asks for channel binding");
    credentials = await options.lookup(first.username);
    shown = credentials ?? decoy(first.username, options.iterations ?? DEFAULT_ITERATIONS);
    nonce = first.nonce + (options.nonce?.() ?? randomBytes(18).toString("base64"));
    serverFirst = `r=${nonce},s=${base64(shown.salt)},i=${shown.iterations}`;
    return { state: "continue", data: Buffer.from(serverFirst) };
  }

  function answerFinal(text: string, { header, bare, username }: ClientFirst): AuthStep {
    const match = /^(c=([^,]*),r=([^,]*)(?:,[A-Za-z]=[^,]*)*),p=([^,]+)$/.exec(text);
    if (match === null) return malformed("client-final-message is malformed");
    const [, withoutProof, binding, echoed, proofText] = match;
    const authMessage = `${bare},${serverFirst},${withoutProof}`;
    const signature = hmac(shown.storedKey, authMessage);
    const proof = Buffer.from(proofText, "base64");
    const clientKey = Buffer.alloc(32);
    for (let i = 0; i < 32; i++) clientKey[i] = (proof[i] ?? 0) ^ signature[i];
    const proved = timingSafeEqual(sha256(clientKey), shown.storedKey);
    const sameExchange = echoed === nonce && binding === base64(Buffer.from(header));
    if (!proved || !sameExchange || proof.length !== 32 || credentials === undefined) return NOT_AUTHORIZED;
    return {
      state: "success",
      username,
      data: Buffer.from(`v=${base64(hmac(shown.serverKey, authMessage))}`),
    };
  }

  let step = 0;
  return {
    step(data) {
      const text =
        data === undefined || data.length > MAX_MESSAGE_BYTES ? "" : Buffer.from(data).toString("utf8");
      step++;
      if (step === 1) return answerFirst(text);
      if (step === 2 && first !== undefined) return answerFinal(text, first);
      return malformed("the exchange has ended");
    },
  };
}

interface ClientFirst {
  readonly header: string;
  readonly bare: string;
  readonly username: string;
  readonly nonce: string;
}

function parseClientFirst(text: string): ClientFirst | undefined {
  // "n": no channel binding; "y": the client could, and believes that we cannot, which is true.
  const match = /^([ny],(?:a=([^,]*))?,)(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]*)*)$/.exec(
    text,
  );
  if (match === null) return undefined;
  const [, header, authzid, bare, name, nonce] = match;
  if (/=(?!2C|3D)/.test(name)) return undefined;
  if (authzid !== undefined && authzid !== name) return undefined;
  const username = name.replaceAll("=2C", ",").replaceAll("=3D", "=");
  return { header, bare, username, nonce };
}

function decoy(username: string, iterations: number): ScramCredentials {
  const bytes = hmac(DECOY_KEY, username);
  return { salt: bytes.subarray(0, 16), iterations, storedKey: sha256(bytes), serverKey: bytes };
}

function malformed(reasonString: string): AuthStep {
  return { state: "refused", reason: 0x82, reasonString };
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
