// Checks a password against its scrypt hash without becoming a lever: few checks run at once, few wait, the rest is told
// "busy"; a check that succeeded is remembered, so that a reconnect storm costs one HMAC per client.
// An unknown user costs the same work as a known one. Knows nothing of files or of MQTT.
import { createHmac, randomBytes, scrypt, timingSafeEqual } from "node:crypto";

export interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

export interface PasswordEntry {
  readonly cost: ScryptCost;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

export type PasswordCheck = "right" | "wrong" | "busy";

// The defaults are not in limits.ts. Two of the four threads of Node's pool are left to files and DNS; 256 that wait are what
// two threads do within connectTimeout, so that those behind would be closed anyway; 10,000 remembered are about 1 MiB, and
// one forgotten costs one check more.
export interface CheckerOptions {
  /** Checks that run at once. Each holds 128 * N * r bytes and one thread of the pool. Default 2. */
  readonly running?: number;
  /** Checks that wait for a thread; beyond it "busy". Default 256. */
  readonly waiting?: number;
  /** Successful checks remembered. Default 10,000. */
  readonly remembered?: number;
}

export const DEFAULT_COST: ScryptCost = { N: 16_384, r: 8, p: 1 };
const HASH_BYTES = 32;

export class PasswordChecker {
  readonly #entries: ReadonlyMap<string, PasswordEntry>;
  /** What unknown users are checked against: real entries, so that mixed costs give no name away. */
  readonly #decoys: readonly PasswordEntry[];
  readonly #key = randomBytes(32);
  readonly #remembered = new Set<string>();
  readonly #pending = new Map<string, Promise<PasswordCheck>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  readonly #limits: Required<CheckerOptions>;

  constructor(entries: ReadonlyMap<string, PasswordEntry>, options: CheckerOptions = {}) {
    this.#entries = entries;
    this.#decoys = entries.size > 0 ? [...entries.values()] : [randomEntry()];
    this.#limits = {
      running: options.running ?? 2,
      waiting: options.waiting ?? 256,
      remembered: options.remembered ?? 10_000,
    };
  }

  /** Answers at once where this pair succeeded before. */
  check(username: string, password: Uint8Array): PasswordCheck | Promise<PasswordCheck> {
    const known = this.#entries.get(username);
    const entry = known ?? this.#decoyFor(username);
    const key = this.#keyOf(username, password, entry);
    if (this.#remembered.delete(key)) {
      this.#remembered.add(key); // youngest again
      return "right";
    }
    // The same question asked twice at the same time is answered once.
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    if (this.#running >= this.#limits.running && this.#waiting.length >= this.#limits.waiting) return "busy";
    const answer = this.#derive(password, entry).then((matches) => {
      this.#pending.delete(key);
      if (!matches || known === undefined) return "wrong";
      this.#remember(key);
      return "right";
    });
    this.#pending.set(key, answer);
    return answer;
  }

  async #derive(password: Uint8Array, entry: PasswordEntry): Promise<boolean> {
    if (this.#running >= this.#limits.running) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve)); // handed the place of the one that ended
    } else {
      this.#running++;
    }
    try {
      return timingSafeEqual(
        await deriveHash(password, entry.salt, entry.cost, entry.hash.length),
        entry.hash,
      );
    } catch {
      return false; // scrypt could not get its memory: nobody is let in for that
    } finally {
      const next = this.#waiting.shift();
      if (next !== undefined) next();
      else this.#running--;
    }
  }

  // The entry's hash is part of the key: a changed password forgets the old one.
  #keyOf(username: string, password: Uint8Array, entry: PasswordEntry): string {
    const hmac = createHmac("sha256", this.#key);
    hmac
      .update(`${Buffer.byteLength(username)}:${username}`)
      .update(entry.hash)
      .update(password);
    return hmac.digest("base64");
  }

  #decoyFor(username: string): PasswordEntry {
    const digest = createHmac("sha256", this.#key).update(username).digest();
    return this.#decoys[digest.readUInt32LE(0) % this.#decoys.length];
  }

  #remember(key: string): void {
    if (this.#limits.remembered === 0) return;
    if (this.#remembered.size >= this.#limits.remembered) {
      for (const oldest of this.#remembered) {
        this.#remembered.delete(oldest);
        break;
      }
    }
    this.#remembered.add(key);
  }
}

export function deriveHash(
  password: Uint8Array,
  salt: Uint8Array,
  cost: ScryptCost,
  bytes = HASH_BYTES,
): Promise<Buffer> {
  const maxmem = 128 * cost.r * (cost.N + cost.p + 2) + 65_536;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, bytes, { ...cost, maxmem }, (error, hash) =>
      error ? reject(error) : resolve(hash),
    );
  });
}

function randomEntry(): PasswordEntry {
  return { cost: DEFAULT_COST, salt: randomBytes(16), hash: randomBytes(HASH_BYTES) };
}
