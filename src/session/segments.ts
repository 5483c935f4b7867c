// Messages that outlive their turn: bytes in shared segments, counted references, not an object each.
// While a turn lasts its segment is a growing scratch buffer; at the end of the turn what is still referred to is kept.
import { DELIVERY_WORDS, type SegmentRef } from "../store/contract/store.ts";
import { EXTERNAL_WORD, type MessageView, SIZE_WORD, viewMessage } from "../core/message-view.ts";

const FIRST_SIZE = 65_536;
/** A scratch buffer up to this size serves the next turn too. */
const KEPT_SIZE = 1_048_576;
const SEGMENT_OVERHEAD = 128;

export class Segments {
  readonly #buffers: (Buffer | undefined)[] = [undefined]; // id 0 is none
  /** The same bytes as words, once somebody has asked: a word costs a tenth of Buffer.readUInt32LE() in code that is young. */
  readonly #words: (Uint32Array | undefined)[] = [undefined];
  readonly #refs: number[] = [0];
  readonly #free: number[] = [];
  /** Bytes of all segments, with what each costs besides. */
  bytes = 0;
  #open = 0;
  #scratch: Buffer | undefined;
  #used = 0;

  /** Serial numbers of sealed segments that the store has; 0: it has not. */
  readonly #serials: number[] = [0];
  /** Next serial number; the store never sees one twice. */
  nextSerial = 1;
  /** Deliveries of the turn's segment that the store must have, DELIVERY_WORDS each. */
  #deliveries = new Uint32Array(DELIVERY_WORDS * 256);
  #deliveryWords = 0;
  /** Serial numbers of segments that stay in the store; true: nobody refers to it here any more. */
  readonly #pinned = new Map<number, boolean>();
  /** Told when nobody refers to a segment any more that the store has. */
  onGone: ((serial: number) => void) | undefined;

  /** The segment of this turn; 0: none. */
  get open(): number {
    return this.#open;
  }

  /** Takes `length` bytes of core memory at `from` into the turn's segment; returns the offset they begin at. */
  append(memory: Buffer, from: number, length: number): number {
    const at = this.#reserve(length);
    memory.copy(this.#buffers[this.#open] as Buffer, at, from, from + length);
    return at;
  }

  /** The same for parts the host holds. */
  appendParts(first: Uint8Array, second?: Uint8Array): number {
    const length = first.length + (second?.length ?? 0);
    const at = this.#reserve((length + 7) & ~7);
    const target = this.#buffers[this.#open] as Buffer;
    target.set(first, at);
    if (second !== undefined) target.set(second, at + first.length);
    return at;
  }

  #reserve(length: number): number {
    if (this.#open === 0) {
      this.#open = this.#free.pop() ?? this.#buffers.length;
      this.#buffers[this.#open] = this.#scratch ?? Buffer.allocUnsafeSlow(FIRST_SIZE);
      this.#words[this.#open] = undefined;
      this.#refs[this.#open] = 0;
      this.#scratch = undefined;
      this.#used = 0;
    }
    const buffer = this.#buffers[this.#open] as Buffer;
    const at = this.#used;
    if (at + length > buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, at + length));
      buffer.copy(grown, 0, 0, at);
      this.#buffers[this.#open] = grown;
      this.#words[this.#open] = undefined;
    }
    this.#used = at + length;
    return at;
  }

  /** Notes a delivery that must survive; the segment of this turn is open. */
  note(storeId: number, position: number, offset: number, options: number, ids: number, group: number): void {
    if (this.#deliveryWords + DELIVERY_WORDS > this.#deliveries.length) {
      const grown = new Uint32Array(this.#deliveries.length * 2);
      grown.set(this.#deliveries);
      this.#deliveries = grown;
    }
    const words = this.#deliveries;
    let at = this.#deliveryWords;
    words[at++] = storeId;
    words[at++] = position;
    words[at++] = offset;
    words[at++] = options;
    words[at++] = ids;
    words[at++] = group;
    this.#deliveryWords = at;
  }

  /** Deliveries of the turn's segment that were noted. */
  get noted(): number {
    return this.#deliveryWords / DELIVERY_WORDS;
  }

  /** The segment stays in the store, whoever is done with it, until it is unpinned. */
  pin(serial: number): void {
    this.#pinned.set(serial, this.#pinned.get(serial) ?? false);
  }

  unpin(serial: number): void {
    const gone = this.#pinned.get(serial);
    this.#pinned.delete(serial);
    if (gone) this.onGone?.(serial);
  }

  retain(id: number): void {
    this.#refs[id]++;
  }

  release(id: number): void {
    if (--this.#refs[id] > 0 || id === this.#open) return;
    this.bytes -= (this.#buffers[id] as Buffer).length + SEGMENT_OVERHEAD;
    this.#buffers[id] = undefined;
    this.#words[id] = undefined;
    this.#free.push(id);
    const serial = this.#serials[id];
    if (serial !== 0) {
      this.#serials[id] = 0;
      if (this.#pinned.has(serial)) this.#pinned.set(serial, true);
      else this.onGone?.(serial);
    }
  }

  /** Ends the turn's segment. Returns what the store must have: nothing where everybody is done with it already. */
  seal(): SegmentRef | undefined {
    const id = this.#open;
    if (id === 0) return undefined;
    this.#open = 0;
    this.#serials[id] = 0;
    const deliveries = this.#deliveries.slice(0, this.#deliveryWords);
    this.#deliveryWords = 0;
    const scratch = this.#buffers[id] as Buffer;
    this.#words[id] = undefined;
    if (this.#refs[id] === 0) {
      this.#buffers[id] = undefined;
      this.#free.push(id);
      if (scratch.length <= KEPT_SIZE) this.#scratch = scratch;
      return undefined;
    }
    let bytes = scratch;
    if (scratch.length <= KEPT_SIZE) {
      // Its own size, and the scratch buffer for the next turn: one allocation per turn instead of its doublings.
      bytes = Buffer.allocUnsafeSlow(this.#used);
      scratch.copy(bytes, 0, 0, this.#used);
      this.#scratch = scratch;
    }
    this.#buffers[id] = bytes;
    this.bytes += bytes.length + SEGMENT_OVERHEAD;
    if (deliveries.length === 0) return undefined;
    const serial = this.nextSerial++;
    this.#serials[id] = serial;
    return { serial, bytes, deliveries };
  }

  /** Takes a segment back from the store; the caller adds the references. Returns its id. */
  restore(serial: number, bytes: Buffer): number {
    const id = this.#free.pop() ?? this.#buffers.length;
    // Where it does not begin or end at a word: a copy that does.
    this.#buffers[id] = (bytes.byteOffset | bytes.length) % 8 === 0 ? bytes : copyOf(bytes);
    this.#words[id] = undefined;
    this.#refs[id] = 0;
    this.#serials[id] = serial;
    this.bytes += (this.#buffers[id] as Buffer).length + SEGMENT_OVERHEAD;
    this.nextSerial = Math.max(this.nextSerial, serial + 1);
    return id;
  }

  /** After restore(): nobody wants it. */
  releaseUnused(id: number): void {
    if (this.#refs[id] !== 0) return;
    this.#refs[id] = 1;
    this.release(id);
  }

  buffer(id: number): Buffer {
    const buffer = this.#buffers[id];
    if (buffer === undefined) throw new Error(`segment ${id} is gone`);
    return buffer;
  }

  /** A segment as words: messages begin at multiples of eight bytes. Until the turn's segment grows or the turn ends. */
  words(id: number): Uint32Array {
    return this.#words[id] ?? this.#asWords(id);
  }

  #asWords(id: number): Uint32Array {
    const { buffer, byteOffset, length } = this.buffer(id);
    const words = new Uint32Array(buffer, byteOffset, length >>> 2);
    this.#words[id] = words;
    return words;
  }

  messageAt(id: number, offset: number): MessageView {
    return viewMessage(this.buffer(id), offset);
  }

  /** Bytes of a message, head and external payload included: what messageAt() would say, without making an object. */
  sizeAt(id: number, offset: number): number {
    const words = this.words(id);
    const head = offset >>> 2;
    return words[head + SIZE_WORD] + words[head + EXTERNAL_WORD];
  }

  get count(): number {
    return this.#buffers.length - 1 - this.#free.length;
  }
}

function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow((bytes.length + 7) & ~7);
  bytes.copy(copy);
  return copy;
}
