// The QoS 1 and 2 messages a session is owed, in order: in flight first, then waiting. Five words per entry in a ring that
// is allocated at first use:
//   word 0: segment (0: a hole)   word 1: offset   word 2: options and state   word 3: offset of subscription ids (NO_OFFSET)
//   word 4: shared group + 1 (0: an ordinary subscription)
//   options: bits 0..1 QoS, 2 RETAIN, 4 PUBREC received, 5 sent before, 6 packet id given later, 7 promised, 8 packet id
//   safe, 9 never taken, 16..31 packet id
// Positions count up for ever (modulo 2^32), in step with the core; index = position & mask.
import { NO_OFFSET } from "../core/generated/abi.ts";

export const Q_QOS = 3;
export const Q_RETAIN = 4;
export const Q_RECEIVED = 16;
export const Q_SENT = 32;
/** Its packet id was given after it was stored: the cursor carries it. */
export const Q_LATE = 64;
/** Its sender has been told that it is safe, or was never to be told: it stays, whatever becomes of its own commit. */
export const Q_PROMISED = 128;
/** Its packet id is safe: it may be sent. */
export const Q_SAFE = 256;
/** A hole that never was an entry: the core counted it, and the queue had no room for it. */
const Q_UNTAKEN = 512;
const ID_SHIFT = 16;
const WORDS = 5;

export class SessionQueue {
  #words: Uint32Array | undefined;
  #mask = 0;
  /** First position not yet done with. */
  head = 0;
  /** First position not yet sent. */
  sent = 0;
  /** Position of the next entry. */
  tail = 0;
  /** Entries owed, in flight and waiting, without holes. */
  count = 0;
  /** Bytes of their messages. */
  bytes = 0;

  /** Starts at a position, for a slot whose core counts from there. */
  reset(position: number): void {
    this.head = this.sent = this.tail = position >>> 0;
  }

  get length(): number {
    return (this.tail - this.head) >>> 0;
  }

  /** `size` is what the entry counts in bytes; segment 0 makes a hole. */
  push(
    segment: number,
    offset: number,
    options: number,
    packetId: number,
    ids: number,
    group: number,
    size: number,
  ): void {
    if (this.#words === undefined || this.length > this.#mask) this.#grow();
    const words = this.#words as Uint32Array;
    const at = (this.tail & this.#mask) * WORDS;
    words[at] = segment;
    words[at + 1] = offset;
    words[at + 2] = options | (packetId << ID_SHIFT);
    words[at + 3] = ids;
    words[at + 4] = group;
    if (segment !== 0) {
      this.count++;
      this.bytes += size;
    }
    this.tail = (this.tail + 1) >>> 0;
  }

  /** A hole at the position of a message that finds no room. */
  pushUntaken(): void {
    this.push(0, 0, Q_UNTAKEN, 0, NO_OFFSET, 0, 0);
  }

  /** 0 for a hole, and for every position of a queue that has become empty. */
  segment(position: number): number {
    return this.#words === undefined ? 0 : this.#words[(position & this.#mask) * WORDS];
  }

  offset(position: number): number {
    return (this.#words as Uint32Array)[(position & this.#mask) * WORDS + 1];
  }

  options(position: number): number {
    return (this.#words as Uint32Array)[(position & this.#mask) * WORDS + 2] & 0xffff;
  }

  packetId(position: number): number {
    return (this.#words as Uint32Array)[(position & this.#mask) * WORDS + 2] >>> ID_SHIFT;
  }

  ids(position: number): number {
    return (this.#words as Uint32Array)[(position & this.#mask) * WORDS + 3];
  }

  /** Shared group + 1. */
  group(position: number): number {
    return (this.#words as Uint32Array)[(position & this.#mask) * WORDS + 4];
  }

  /** Its packet id, where it has one and was not sent with it; else 0. */
  reservedId(position: number): number {
    const word = (this.#words as Uint32Array)[(position & this.#mask) * WORDS + 2];
    return word & Q_SENT ? 0 : word >>> ID_SHIFT;
  }

  setPacketId(position: number, id: number): void {
    const words = this.#words as Uint32Array;
    const at = (position & this.#mask) * WORDS + 2;
    words[at] = (words[at] & 0xffff) | Q_SENT | (id << ID_SHIFT);
  }

  addOption(position: number, option: number): void {
    (this.#words as Uint32Array)[(position & this.#mask) * WORDS + 2] |= option;
  }

  removeOption(position: number, option: number): void {
    (this.#words as Uint32Array)[(position & this.#mask) * WORDS + 2] &= ~option;
  }

  /** True where the position names an entry that is still owed. */
  holds(position: number): boolean {
    return (position - this.head) >>> 0 < this.length && this.segment(position) !== 0;
  }

  /** Makes the entry, which counts `size` bytes, a hole; returns its segment, to be released by the caller. */
  clear(position: number, size: number): number {
    const words = this.#words as Uint32Array;
    const at = (position & this.#mask) * WORDS;
    const segment = words[at];
    words[at] = 0;
    words[at + 3] = NO_OFFSET;
    this.count--;
    this.bytes -= size;
    while (this.head !== this.sent && words[(this.head & this.#mask) * WORDS] === 0)
      this.head = (this.head + 1) >>> 0;
    if (this.head === this.tail && this.#mask > 1023) this.#shrink();
    return segment;
  }

  /** Moves the boundary of what was sent over the next entry. */
  advance(): void {
    this.sent = (this.sent + 1) >>> 0;
    const words = this.#words as Uint32Array;
    while (this.head !== this.sent && words[(this.head & this.#mask) * WORDS] === 0)
      this.head = (this.head + 1) >>> 0;
  }

  /**
   * Gives back the positions at the end that were never taken. Never those of entries that are gone: their deliveries, and
   * cursors that call them done, may lie in the store, and would be taken for the ones of a new entry there.
   */
  trim(): void {
    const words = this.#words;
    if (words === undefined) return;
    while (this.tail !== this.sent) {
      const at = (((this.tail - 1) >>> 0) & this.#mask) * WORDS;
      if (words[at] !== 0 || (words[at + 2] & Q_UNTAKEN) === 0) return;
      this.tail = (this.tail - 1) >>> 0;
    }
  }

  #grow(): void {
    const old = this.#words;
    const size = old === undefined ? 16 : (this.#mask + 1) * 2;
    const grown = new Uint32Array(size * WORDS);
    if (old !== undefined) {
      // Entries lie side by side up to the end of the ring, and the rest at its beginning: two copies at most.
      for (let p = this.head; p !== this.tail; ) {
        const from = p & this.#mask;
        const run = Math.min((this.tail - p) >>> 0, this.#mask + 1 - from);
        grown.set(old.subarray(from * WORDS, (from + run) * WORDS), (p & (size - 1)) * WORDS);
        p = (p + run) >>> 0;
      }
    }
    this.#words = grown;
    this.#mask = size - 1;
  }

  #shrink(): void {
    this.#words = undefined;
    this.#mask = 0;
  }

  /** Gives a waiting entry its packet id before it is sent. */
  reserveId(position: number, id: number): void {
    const words = this.#words as Uint32Array;
    const at = (position & this.#mask) * WORDS + 2;
    words[at] = ((words[at] & 0xffff) | Q_LATE | (id << ID_SHIFT)) >>> 0;
  }

  /** Takes back the id of an entry that was not sent. The cursor says so: its delivery may be stored with the id. */
  withdrawId(position: number): void {
    const words = this.#words as Uint32Array;
    const at = (position & this.#mask) * WORDS + 2;
    words[at] = (words[at] & 0xffff & ~Q_SAFE) | Q_LATE;
  }

  /**
   * What the store needs beside the deliveries themselves: u32 head, u32 tail, then for each position between that differs
   * from its delivery {u32 position, u16 packet id, u8 state, u8 0}; state: C_DONE, C_RECEIVED, C_LATE.
   */
  encodeCursor(): Uint8Array {
    let count = 0;
    for (let p = this.head; p !== this.tail; p = (p + 1) >>> 0) if (this.#cursorState(p) !== 0) count++;
    const bytes = new Uint8Array(8 + count * 8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, this.head, true);
    view.setUint32(4, this.tail, true);
    let at = 8;
    for (let p = this.head; p !== this.tail && count > 0; p = (p + 1) >>> 0) {
      const state = this.#cursorState(p);
      if (state === 0) continue;
      view.setUint32(at, p, true);
      view.setUint16(at + 4, this.segment(p) === 0 ? 0 : this.packetId(p), true);
      bytes[at + 6] = state;
      at += 8;
      count--;
    }
    return bytes;
  }

  #cursorState(p: number): number {
    if (this.segment(p) === 0) return C_DONE;
    const options = this.options(p);
    return (options & Q_RECEIVED ? C_RECEIVED : 0) | (options & Q_LATE ? C_LATE : 0);
  }
}

export const C_DONE = 1;
export const C_RECEIVED = 2;
export const C_LATE = 4;
