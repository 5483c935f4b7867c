// HMAC-SHA256 of short texts (FIPS 180-4, RFC 2104) without the objects of node:crypto: a signature is four blocks of arithmetic,
// and an object there with its memory outside the heap costs several times that. Constant time: no branch and no index depends
// on the secret's or the text's bytes, only on how many they are. Everything else is node:crypto's business.

const BLOCK = 64;
const DIGEST = 32;

// Fractional parts of the cube roots of the first 64 primes, and of the square roots of the first eight.
const K = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
]);
const START = new Int32Array([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);

const state = new Int32Array(8);
const schedule = new Int32Array(64);

/** Mixes the block at `at` into the state. */
function compress(bytes: Uint8Array, at: number): void {
  const w = schedule;
  for (let i = 0, p = at; i < 16; i++, p += 4)
    w[i] = (bytes[p] << 24) | (bytes[p + 1] << 16) | (bytes[p + 2] << 8) | bytes[p + 3];
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15];
    const y = w[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
  }
  let a = state[0];
  let b = state[1];
  let c = state[2];
  let d = state[3];
  let e = state[4];
  let f = state[5];
  let g = state[6];
  let h = state[7];
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + (g ^ (e & (f ^ g))) + K[i] + w[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (c & (a ^ b)))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

/** SHA-256 of the first `length` bytes, which overwrites what follows them: up to 72 bytes, that must be there. */
function hash(bytes: Uint8Array, length: number): void {
  const end = Math.ceil((length + 9) / BLOCK) * BLOCK;
  bytes[length] = 0x80;
  for (let i = length + 1; i < end; i++) bytes[i] = 0;
  const bits = length * 8; // far below 2^32
  bytes[end - 4] = bits >>> 24;
  bytes[end - 3] = bits >>> 16;
  bytes[end - 2] = bits >>> 8;
  bytes[end - 1] = bits;
  state.set(START);
  for (let at = 0; at < end; at += BLOCK) compress(bytes, at);
}

function takeDigest(target: Uint8Array, at: number): void {
  for (let i = 0; i < 8; i++) {
    const word = state[i];
    target[at + 4 * i] = word >>> 24;
    target[at + 4 * i + 1] = word >>> 16;
    target[at + 4 * i + 2] = word >>> 8;
    target[at + 4 * i + 3] = word;
  }
}

/** Longest secret and text, bytes: who has a longer one asks node:crypto. */
export const MAX_SECRET_BYTES = BLOCK;
export const MAX_TEXT_BYTES = 1_024;

/** No character takes more than three bytes for each of its units. */
const secretBytes = Buffer.alloc(3 * MAX_SECRET_BYTES);
/** The padded secret, the text, and room for the end of the message. */
const inner = Buffer.alloc(BLOCK + MAX_TEXT_BYTES + 2 * BLOCK);
/** The padded secret, the digest of the inner message, and room for the end. */
const outer = Buffer.alloc(3 * BLOCK);
const digest = Buffer.alloc(DIGEST);

/** The digest of UTF-8 texts, there until the next is asked for; undefined: one of them is too long for this. */
export function hmacSha256(secret: string, text: string): Buffer | undefined {
  if (secret.length > MAX_SECRET_BYTES) return undefined;
  if (text.length * 3 > MAX_TEXT_BYTES && Buffer.byteLength(text) > MAX_TEXT_BYTES) return undefined;
  const secretLength = secretBytes.write(secret);
  if (secretLength > MAX_SECRET_BYTES) return undefined;
  for (let i = 0; i < BLOCK; i++) {
    const byte = i < secretLength ? secretBytes[i] : 0;
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  hash(inner, BLOCK + inner.write(text, BLOCK));
  takeDigest(outer, BLOCK);
  hash(outer, BLOCK + DIGEST);
  takeDigest(digest, 0);
  return digest;
}
