// Changes as a record of the write-ahead log, and back. Numbers are little-endian; str and blob: length u32, then bytes.
//
//   | payload length u32 | CRC-32 of the rest u32 | sequence f64 | payload: operations, one behind the other |
//
//   1 ended        storeId u32                     7 delivered  storeId u32, packet id u16
//   2 session      storeId u32, record blob        8 released   storeId u32, packet id u16
//   3 subscribed   storeId u32, options u32, str   9 segment    serial f64, blob, index blob
//   4 unsubscribed storeId u32, filter str        10 gone       serial f64
//   5 cursor       storeId u32, blob              11 retained   topic str, message blob
//   6 inbound      storeId u32, id u16, blob      12 cleared    topic str
import { crc32 } from "node:zlib";
import { Changes } from "../contract/changes.ts";
import {
  DELIVERED,
  decodeSession,
  decodeWords,
  encodeSession,
  encodeWords,
  ValueReader,
} from "../contract/records.ts";
import { StoreFileError } from "../contract/store-errors.ts";

const RECORD_HEAD = 16;
const FIRST_CHUNK = 16_384;
/** Values from this length on are written from where they lie. */
const OWN_PART = 1_024;

const ENDED = 1;
const SESSION = 2;
const SUBSCRIBED = 3;
const UNSUBSCRIBED = 4;
const CURSOR = 5;
const INBOUND = 6;
const DELIVERED_ID = 7;
const RELEASED = 8;
const SEGMENT = 9;
const GONE = 10;
const RETAINED = 11;
const CLEARED = 12;

/** Encodes records; one at a time: the parts are valid until the next call. */
export class RecordWriter {
  #chunk = Buffer.allocUnsafeSlow(FIRST_CHUNK);
  #from = 0;
  #at = 0;
  #parts: Buffer[] = [];

  encode(changes: Changes, sequence: number): { parts: Buffer[]; size: number } {
    this.#parts = [];
    this.#from = 0;
    this.#at = RECORD_HEAD;
    this.#putChanges(changes);
    this.#cut();
    const head = this.#parts[0];
    head.writeDoubleLE(sequence, 8);
    let size = 0;
    let sum = 0;
    for (let i = 0; i < this.#parts.length; i++) {
      const part = this.#parts[i];
      size += part.length;
      sum = crc32(i === 0 ? part.subarray(8) : part, sum);
    }
    if (size - RECORD_HEAD > 0xffffffff) throw new RangeError("a group of batches has more than 4 GiB");
    head.writeUInt32LE(size - RECORD_HEAD, 0);
    head.writeUInt32LE(sum, 4);
    return { parts: this.#parts, size };
  }

  #putChanges(changes: Changes): void {
    for (const storeId of changes.ended) this.#head(ENDED, storeId);
    for (const [storeId, session] of changes.sessions) {
      if (session.record !== undefined) {
        this.#head(SESSION, storeId);
        this.#blob(encodeSession(session.record.key, session.record.record));
      }
      for (const [filter, options] of session.subscriptions) {
        this.#head(options === undefined ? UNSUBSCRIBED : SUBSCRIBED, storeId);
        if (options !== undefined) this.#u32(options);
        this.#blob(Buffer.from(filter));
      }
      for (const [packetId, message] of session.inbound) {
        this.#head(
          message === undefined ? RELEASED : message === DELIVERED ? DELIVERED_ID : INBOUND,
          storeId,
        );
        this.#room(2);
        this.#at = this.#chunk.writeUInt16LE(packetId, this.#at);
        if (message !== undefined && message !== DELIVERED) this.#blob(message);
      }
    }
    for (const [storeId, cursor] of changes.cursors) {
      this.#head(CURSOR, storeId);
      this.#blob(cursor);
    }
    for (const [serial, segment] of changes.segments) {
      this.#serial(SEGMENT, serial);
      this.#blob(segment.bytes);
      this.#blob(encodeWords(segment.deliveries));
    }
    for (const serial of changes.gone) this.#serial(GONE, serial);
    for (const [topic, message] of changes.retainedMessages) {
      this.#room(1);
      this.#chunk[this.#at++] = message === undefined ? CLEARED : RETAINED;
      this.#blob(Buffer.from(topic));
      if (message !== undefined) this.#blob(message);
    }
  }

  #head(operation: number, storeId: number): void {
    this.#room(5);
    this.#chunk[this.#at] = operation;
    this.#at = this.#chunk.writeUInt32LE(storeId, this.#at + 1);
  }

  #serial(operation: number, serial: number): void {
    this.#room(9);
    this.#chunk[this.#at] = operation;
    this.#at = this.#chunk.writeDoubleLE(serial, this.#at + 1);
  }

  #u32(value: number): void {
    this.#room(4);
    this.#at = this.#chunk.writeUInt32LE(value >>> 0, this.#at);
  }

  #blob(bytes: Uint8Array): void {
    this.#u32(bytes.length);
    if (bytes.length >= OWN_PART) {
      this.#cut();
      this.#parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      return;
    }
    this.#room(bytes.length);
    this.#chunk.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Ends the present part. */
  #cut(): void {
    if (this.#at > this.#from) this.#parts.push(this.#chunk.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }

  #room(length: number): void {
    if (this.#at + length <= this.#chunk.length) return;
    this.#cut();
    // Parts already cut stay in the old chunk; the next record begins in this one.
    this.#chunk = Buffer.allocUnsafeSlow(Math.min(1 << 20, Math.max(this.#chunk.length * 2, length)));
    this.#from = 0;
    this.#at = 0;
  }
}

export type RecordFound =
  | { readonly kind: "record"; readonly sequence: number; readonly payload: Buffer; readonly end: number }
  /** It reaches beyond the end: it was being written when everything ended. */
  | { readonly kind: "incomplete" }
  | { readonly kind: "broken" };

/** The record that begins at `at`. */
export function readRecord(file: Buffer, at: number): RecordFound {
  if (at + RECORD_HEAD > file.length) return { kind: "incomplete" };
  const end = at + RECORD_HEAD + file.readUInt32LE(at);
  if (end > file.length) return { kind: "incomplete" };
  if (crc32(file.subarray(at + 8, end)) !== file.readUInt32LE(at + 4)) return { kind: "broken" };
  return {
    kind: "record",
    sequence: file.readDoubleLE(at + 8),
    payload: file.subarray(at + RECORD_HEAD, end),
    end,
  };
}

/** Merges a record's operations into `changes`; the bytes are not copied. */
export function decodeRecord(payload: Buffer, changes: Changes): void {
  const reader = new ValueReader(payload);
  const one = new Changes();
  while (!reader.atEnd) decodeOperation(reader, one);
  one.bytes = payload.length;
  changes.merge(one);
  changes.empty = false;
}

function decodeOperation(reader: ValueReader, into: Changes): void {
  const operation = reader.u8();
  switch (operation) {
    case ENDED:
      into.end(reader.u32());
      return;
    case SESSION: {
      const storeId = reader.u32();
      into.of(storeId).record = decodeSession(storeId, reader.bytes());
      return;
    }
    case SUBSCRIBED: {
      const { subscriptions } = into.of(reader.u32());
      const options = reader.u32();
      subscriptions.set(reader.text(), options);
      return;
    }
    case UNSUBSCRIBED:
      into.of(reader.u32()).subscriptions.set(reader.text(), undefined);
      return;
    case CURSOR:
      into.cursors.set(reader.u32(), reader.bytes());
      return;
    case INBOUND: {
      const { inbound } = into.of(reader.u32());
      const packetId = reader.u16();
      inbound.set(packetId, reader.bytes());
      return;
    }
    case DELIVERED_ID:
      into.of(reader.u32()).inbound.set(reader.u16(), DELIVERED);
      return;
    case RELEASED:
      into.of(reader.u32()).inbound.set(reader.u16(), undefined);
      return;
    case SEGMENT: {
      const serial = reader.f64();
      const bytes = reader.bytes();
      into.segments.set(serial, { serial, bytes, deliveries: decodeWords(reader.bytes()) });
      return;
    }
    case GONE:
      into.dropSegment(reader.f64());
      return;
    case RETAINED: {
      const topic = reader.text();
      into.retainedMessages.set(topic, reader.bytes());
      return;
    }
    case CLEARED:
      into.retainedMessages.set(reader.text(), undefined);
      return;
    default:
      throw new StoreFileError(`a log record has the unknown operation ${operation}`);
  }
}
