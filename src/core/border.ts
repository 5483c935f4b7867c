// THE border between the broker and the core: the only file of the broker that touches core memory. What crosses is
// numbers, offsets and lengths. Views are renewed after every call that may have let memory grow.
import type { Packet } from "../protocol/packet.ts";
import { readPacket } from "../protocol/packet-reader.ts";
import {
  H_CONSUMED,
  H_DETAIL,
  H_HITS,
  H_OFFSET,
  H_PART,
  H_REASON,
  H_RECORDS,
  H_STORE_USED,
  H_TOTAL,
  INPUT_SIZE,
  RECORD_WORDS,
} from "./generated/abi.ts";
import { type CoreExports, instantiate } from "./module.ts";

/** Largest string or message the scratch area takes. */
export const SCRATCH_SIZE = 524_288;

/** Word of Slot.nextPosition, see assembly/route/slots/slots.ts. */
const SLOT_NEXT_POSITION = 9;

export class Border {
  readonly core: CoreExports;
  /** All of the core's memory. */
  memory: Buffer;
  words: Uint32Array;
  readonly header: number;
  readonly input: number;
  readonly scratch: number;
  /** Word index of the first record. */
  readonly records: number;
  readonly store: number;
  #inCall = false;

  constructor(module?: WebAssembly.Module) {
    this.core = instantiate(module);
    this.input = this.core.inputBase.value;
    this.scratch = this.core.alloc(SCRATCH_SIZE + 64);
    this.records = this.core.recordBase.value >>> 2;
    this.store = this.core.storeBase.value;
    this.header = this.core.headerPtr() >>> 2;
    this.memory = Buffer.from(this.core.memory.buffer);
    this.words = new Uint32Array(this.core.memory.buffer);
  }

  /** Grown memory detaches old views silently: their length becomes 0. */
  refresh(): void {
    if (this.words.length !== 0) return;
    this.memory = Buffer.from(this.core.memory.buffer);
    this.words = new Uint32Array(this.core.memory.buffer);
  }

  get recordCount(): number {
    return this.words[this.header + H_RECORDS];
  }
  get storeUsed(): number {
    return this.words[this.header + H_STORE_USED];
  }
  get consumed(): number {
    return this.words[this.header + H_CONSUMED];
  }
  get total(): number {
    return this.words[this.header + H_TOTAL];
  }
  get reason(): number {
    return this.words[this.header + H_REASON];
  }
  get detail(): number {
    return this.words[this.header + H_DETAIL];
  }
  get offset(): number {
    return this.words[this.header + H_OFFSET];
  }
  get hits(): number {
    return this.words[this.header + H_HITS];
  }
  word(index: number): number {
    return this.words[this.header + index];
  }
  /** A running count, which takes two words. */
  count(index: number): number {
    return this.word(index) + this.word(index + 1) * 2 ** 32;
  }

  /** Word index of record i. */
  record(i: number): number {
    return this.records + i * RECORD_WORDS;
  }

  /** Copies a run into the input region. At most INPUT_SIZE bytes. */
  load(bytes: Uint8Array): void {
    if (bytes.length > INPUT_SIZE) throw new RangeError(`run of ${bytes.length} bytes`);
    this.memory.set(bytes, this.input);
  }

  /** Routes input bytes [from, to) for a slot. */
  route(slot: number, from: number, to: number, now: number): number {
    this.#enter();
    const stop = this.core.route(slot, this.input + from, to - from, now);
    return this.#leave(stop);
  }

  /** Routes the head of a large PUBLISH; `missing` payload bytes stay with the host. */
  routeLarge(slot: number, length: number, missing: number, now: number): number {
    this.#enter();
    return this.#leave(this.core.routeLarge(slot, this.input, length, missing, now));
  }

  /** Routes a canonical message. Its payload beyond `length` bytes stays with the host (the head says how much). */
  inject(message: Buffer, length: number, now: number): number {
    this.#enter();
    message.copy(this.memory, this.scratch, 0, length);
    return this.#leave(this.core.inject(this.scratch, now));
  }

  /** The same for about `limit` receivers with slots from `from` on; H_NEXT_SLOT tells where to go on. */
  injectSlice(message: Buffer, length: number, from: number, limit: number, now: number): number {
    this.#enter();
    message.copy(this.memory, this.scratch, 0, length);
    return this.#leave(this.core.injectSlice(this.scratch, from, limit, now));
  }

  /** The same for one member of a shared group only. */
  injectToMember(message: Buffer, length: number, group: number, slot: number, now: number): number {
    this.#enter();
    message.copy(this.memory, this.scratch, 0, length);
    return this.#leave(this.core.injectToMember(this.scratch, group, slot, now));
  }

  /** The same for one session only; `implied`: whether it has subscribed or not. */
  injectToSlot(message: Buffer, length: number, slot: number, implied: boolean, now: number): number {
    this.#enter();
    message.copy(this.memory, this.scratch, 0, length);
    return this.#leave(this.core.injectToSlot(this.scratch, slot, implied ? 1 : 0, now));
  }

  /** Hands a batch of replay entries, `length` bytes of `batch`, to a slot; repeated PUBRELs wait for commit `wait`. */
  replay(slot: number, batch: Uint8Array, length: number, now: number, wait = 0): number {
    this.#enter();
    this.memory.set(length === batch.length ? batch : batch.subarray(0, length), this.scratch);
    return this.#leave(this.core.replay(slot, this.scratch, length, now, wait));
  }

  releaseAcks(commit: number, reason: number): number {
    this.#enter();
    return this.#leave(this.core.releaseAcks(commit, reason));
  }

  oweAck(slot: number, type: number, id: number, reason: number, commit: number): number {
    this.#enter();
    return this.#leave(this.core.oweAck(slot, type, id, reason, commit));
  }

  resume(): number {
    this.#enter();
    return this.#leave(this.core.resume());
  }

  /** Decodes one whole packet of the input region. Returns 0 or a reason code (detail and offset tell more). */
  decode(from: number, total: number, level: number): number {
    const reason = this.core.decodePacket(this.input + from, total, level);
    this.refresh();
    return reason;
  }

  /** The packet decode() has just described. */
  packet(): Packet {
    return readPacket(this.core.memory.buffer, this.header << 2);
  }

  /** Runs `use` with the UTF-8 bytes of a string in the scratch area. */
  addFilter(filter: string, slot: number, options: number): number {
    const length = this.#string(filter);
    const result = this.core.addFilter(this.scratch, length, slot, options);
    this.refresh();
    return result;
  }

  removeFilter(filter: string, slot: number): boolean {
    const length = this.#string(filter);
    const removed = this.core.removeFilter(this.scratch, length, slot);
    this.refresh();
    return removed !== 0;
  }

  addShared(filter: string, group: number, slot: number, options: number): number {
    const length = this.#string(filter);
    const result = this.core.addShared(this.scratch, length, group, slot, options);
    this.refresh();
    return result;
  }

  removeShared(filter: string, group: number, slot: number): number {
    const length = this.#string(filter);
    const left = this.core.removeShared(this.scratch, length, group, slot);
    this.refresh();
    return left;
  }

  /** Deliveries with the two levels `a/b` in their topic are counted on their own. False: no memory. */
  addPaced(slot: number, levels: string): boolean {
    const added = this.core.addPaced(slot, this.scratch, this.#string(levels));
    this.refresh();
    return added !== 0;
  }

  removePaced(slot: number, levels: string): void {
    this.core.removePaced(slot, this.scratch, this.#string(levels));
  }

  restoreAlias(slot: number, alias: number, topic: Uint8Array): void {
    this.memory.set(topic, this.scratch);
    this.core.restoreAlias(slot, alias, this.scratch, topic.length);
    this.refresh();
  }

  setReasonText(reason: number, text: string): void {
    this.core.setReasonText(reason, this.scratch, this.#string(text));
    this.refresh();
  }

  /** A Reason String for the next refused PUBLISH; over 256 bytes none is sent. */
  setOnceText(text: string): void {
    this.core.setOnceText(this.scratch, this.#string(text));
  }

  /** 0 where `topic` is a valid Topic Name. */
  checkTopic(topic: string): number {
    return topic.length > 65_535 ? 1 : this.core.scanTopicName(this.scratch, this.#string(topic));
  }

  checkFilter(filter: string): number {
    return filter.length > 65_535 ? 1 : this.core.scanTopicFilter(this.scratch, this.#string(filter));
  }

  openSlot(flags: number): number {
    const slot = this.core.openSlot(flags);
    this.refresh();
    return slot;
  }

  /** Position of the next stored delivery of a slot. */
  positionOf(slot: number): number {
    return this.words[(this.core.slotPtr(slot) >>> 2) + SLOT_NEXT_POSITION];
  }

  text(ptr: number, length: number): string {
    return this.memory.utf8Slice(ptr, ptr + length);
  }

  /** A copy that outlives the call. */
  copy(ptr: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    this.memory.copy(bytes, 0, ptr, ptr + length);
    return bytes;
  }

  #string(text: string): number {
    const length = this.memory.utf8Write(text, this.scratch, SCRATCH_SIZE);
    return length;
  }

  /** The core was left in the middle of a call: nothing in it can be relied on. */
  get interrupted(): boolean {
    return this.#inCall;
  }

  /** Everything the last call has put out is in the host's hands. */
  acted(): void {
    this.words[this.header + H_PART] = 0;
  }

  #enter(): void {
    if (this.#inCall) throw new Error("the core was entered twice");
    this.#inCall = true;
  }

  #leave(stop: number): number {
    this.#inCall = false;
    this.refresh();
    return stop;
  }
}

declare global {
  interface Buffer {
    utf8Slice(start: number, end: number): string;
    utf8Write(text: string, offset: number, length: number): number;
  }
}
