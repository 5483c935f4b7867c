// Values of the database file. Numbers are little-endian; a string is its length in bytes (u32) and UTF-8.
//
// session      | flags u8 | level u8 | expiry u32 | [expiresAt f64] | key str | client id str | policy str | [user str]
//              | [due f64 | message: the rest]          flags: 1 user, 2 expiresAt, 4 Will
// subscription | options u32 | [filter: the rest, where the key has only its hash]
// inbound      the canonical message; nothing: delivered already (a message is never empty)
// segment      its bytes; its index: words of 32 bits
// retained     the canonical message; where the key has only the topic's hash: topic str, message
// format       "millrace" | version u32
// applied      number of the newest log record that is in the file, f64
import { endianness } from "node:os";
import { StoreFileError } from "./store-errors.ts";
import type { SessionRecord } from "./store.ts";

/** Counts up with each change of keys or values. */
export const FORMAT_VERSION = 1;
const MAGIC = "millrace";
const HAS_USER = 1;
const HAS_EXPIRY = 2;
const HAS_WILL = 4;
export const DELIVERED: Buffer = Buffer.alloc(0);

export function encodeFormat(version = FORMAT_VERSION): Buffer {
  const value = Buffer.alloc(MAGIC.length + 4);
  value.write(MAGIC, "latin1");
  value.writeUInt32LE(version, MAGIC.length);
  return value;
}

/** The version, or undefined where the value is none of ours. */
export function decodeFormat(value: Buffer): number | undefined {
  if (value.length < MAGIC.length + 4 || value.toString("latin1", 0, MAGIC.length) !== MAGIC)
    return undefined;
  return value.readUInt32LE(MAGIC.length);
}

export function encodeNumber(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleLE(value, 0);
  return bytes;
}

export function encodeSession(key: string, record: SessionRecord): Buffer {
  const { username, expiresAt, will } = record;
  const strings = [key, record.clientId, record.policy];
  if (username !== undefined) strings.push(username);
  let size = 6 + (expiresAt === undefined ? 0 : 8) + (will === undefined ? 0 : 8 + will.message.length);
  for (const text of strings) size += 4 + Buffer.byteLength(text);
  const value = Buffer.allocUnsafe(size);
  value[0] =
    (username === undefined ? 0 : HAS_USER) |
    (expiresAt === undefined ? 0 : HAS_EXPIRY) |
    (will === undefined ? 0 : HAS_WILL);
  value[1] = record.level;
  let at = value.writeUInt32LE(record.expiryInterval, 2);
  if (expiresAt !== undefined) at = value.writeDoubleLE(expiresAt, at);
  for (const text of strings) {
    const length = value.write(text, at + 4);
    value.writeUInt32LE(length, at);
    at += 4 + length;
  }
  if (will !== undefined) {
    at = value.writeDoubleLE(will.due, at);
    value.set(will.message, at);
  }
  return value;
}

export function decodeSession(storeId: number, value: Buffer): { key: string; record: SessionRecord } {
  const reader = new ValueReader(value);
  const flags = reader.u8();
  const level = reader.u8();
  const expiryInterval = reader.u32();
  const expiresAt = (flags & HAS_EXPIRY) === 0 ? undefined : reader.f64();
  const key = reader.text();
  const clientId = reader.text();
  const policy = reader.text();
  const username = (flags & HAS_USER) === 0 ? undefined : reader.text();
  const will = (flags & HAS_WILL) === 0 ? undefined : { due: reader.f64(), message: reader.rest() };
  return { key, record: { storeId, clientId, username, policy, level, expiryInterval, expiresAt, will } };
}

export function encodeSubscription(options: number, longFilter: string | undefined): Buffer {
  const value = Buffer.allocUnsafe(4 + (longFilter === undefined ? 0 : Buffer.byteLength(longFilter)));
  value.writeUInt32LE(options >>> 0, 0);
  if (longFilter !== undefined) value.write(longFilter, 4);
  return value;
}

/** A retained message whose topic does not fit into the key. */
export function encodeLongRetained(topic: string, message: Buffer): Buffer {
  const name = Buffer.from(topic);
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32LE(name.length, 0);
  return Buffer.concat([length, name, message]);
}

const BIG_ENDIAN = endianness() === "BE";

export function encodeWords(words: Uint32Array): Buffer {
  const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
  return BIG_ENDIAN ? Buffer.from(bytes).swap32() : bytes;
}

/** Always a copy, since a file's bytes need not be aligned. */
export function decodeWords(bytes: Buffer): Uint32Array {
  if (bytes.length % 4 !== 0) throw new StoreFileError("a segment's index has a broken length");
  const words = new Uint32Array(bytes.length / 4);
  const copy = Buffer.from(words.buffer);
  copy.set(bytes);
  if (BIG_ENDIAN) copy.swap32();
  return words;
}

/** Reads one value from its beginning; a value that ends too early is a broken file, never undefined. */
export class ValueReader {
  readonly #bytes: Buffer;
  #at = 0;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) throw new StoreFileError("a value ends too early");
    this.#at = at + length;
    return at;
  }
  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }
  u8(): number {
    return this.#bytes[this.#take(1)];
  }
  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }
  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }
  f64(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }
  bytes(): Buffer {
    const length = this.u32();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }
  text(): string {
    const bytes = this.bytes();
    return bytes.utf8Slice(0, bytes.length);
  }
  rest(): Buffer {
    const at = this.#take(this.#bytes.length - this.#at);
    return this.#bytes.subarray(at);
  }
}

/** Bytes of a canonical message, see assembly/abi.ts; what is kept of an inbound one may have more behind it. */
export function messageLength(value: Buffer): number {
  return value.readUInt32LE(0) + value.readUInt32LE(28);
}
