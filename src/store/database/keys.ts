// Keys of the database file. Numbers in keys are big-endian, so that the order of bytes is the order of numbers.
//
//   byte 0   1       5                    7
//   | 0x00 | name                                     what the file is, see contract/records.ts
//   | 0x10 | storeId |                                session record
//   | 0x20 | storeId | filter, or 0 and its SHA-256   subscription
//   | 0x30 | storeId |                                cursor
//   | 0x40 | storeId | packet id |                    inbound QoS 2 id
//   | 0x50 | serial (6 bytes)  | 0: bytes, 1: index | segment
//   | 0x60 | topic, or 0 and its SHA-256              retained message
//
// A filter or topic never contains U+0000, so a leading 0 cannot be one. Names longer than MAX_NAME are hashed, because the
// engine bounds its keys; their values begin with the name itself, see contract/records.ts.
import { createHash } from "node:crypto";

const KIND_META = 0x00;
export const KIND_SESSION = 0x10;
export const KIND_SUBSCRIPTION = 0x20;
export const KIND_CURSOR = 0x30;
export const KIND_INBOUND = 0x40;
export const KIND_SEGMENT = 0x50;
export const KIND_RETAINED = 0x60;

/** Bytes of a name that stands in a key as it is. */
const MAX_NAME = 1_024;
export const SEGMENT_BYTES = 0;
export const SEGMENT_INDEX = 1;

export const FORMAT_KEY: Buffer = Buffer.concat([Buffer.of(KIND_META), Buffer.from("format")]);
export const APPLIED_KEY: Buffer = Buffer.concat([Buffer.of(KIND_META), Buffer.from("applied")]);

export function sessionKey(kind: number, storeId: number): Buffer {
  const key = Buffer.allocUnsafe(5);
  key[0] = kind;
  key.writeUInt32BE(storeId, 1);
  return key;
}

export function inboundKey(storeId: number, packetId: number): Buffer {
  const key = Buffer.allocUnsafe(7);
  key[0] = KIND_INBOUND;
  key.writeUInt32BE(storeId, 1);
  key.writeUInt16BE(packetId, 5);
  return key;
}

export function segmentKey(serial: number, part: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  key[0] = KIND_SEGMENT;
  key.writeUIntBE(serial, 1, 6);
  key[7] = part;
  return key;
}

export function subscriptionKey(storeId: number, filter: string): Buffer {
  return nameKey(sessionKey(KIND_SUBSCRIPTION, storeId), filter);
}

export function retainedKey(topic: string): Buffer {
  return nameKey(Buffer.of(KIND_RETAINED), topic);
}

/** True where the name is too long for a key: it stands in the value. */
export function isLongName(name: string): boolean {
  return name.length > MAX_NAME / 3 && Buffer.byteLength(name) > MAX_NAME;
}

function nameKey(head: Buffer, name: string): Buffer {
  if (!isLongName(name)) return Buffer.concat([head, Buffer.from(name)]);
  return Buffer.concat([head, Buffer.of(0), createHash("sha256").update(name).digest()]);
}

/** The name in a key whose head is `head` bytes long; undefined: it stands in the value. */
export function nameInKey(key: Buffer, head: number): string | undefined {
  return key[head] === 0 ? undefined : key.utf8Slice(head, key.length);
}

/** The first key behind all that begin with `prefix`. */
export function keyBehind(prefix: Buffer): Buffer {
  const key = Buffer.from(prefix);
  for (let at = key.length - 1; at >= 0; at--) {
    if (key[at] !== 0xff) {
      key[at]++;
      return key.subarray(0, at + 1);
    }
  }
  return Buffer.from([0xff]);
}
