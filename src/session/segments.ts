// Messages that outlive their turn: bytes in shared segments, counted references, not an object each.
// While a turn lasts its segment is a growing scratch buffer; at the end of the turn what is still referred to is kept.
import { M_QOS_MASK, M_RETAIN, MESSAGE_HEAD } from "../core/generated/abi.ts";

const FIRST_SIZE = 65_536;
const SEGMENT_OVERHEAD = 128;

export class Segments {
  readonly #buffers: (Buffer | undefined)[] = [undefined]; // id 0 is none
  readonly #refs: number[] = [0];
  readonly #free: number[] = [];
  /** Bytes of all segments, with what each costs besides. */
  bytes = 0;
  #open = 0;
  #scratch: Buffer | undefined;
  #used = 0;

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
    }
    this.#used = at + length;
    return at;
  }

  retain(id: number): void {
    this.#refs[id]++;
  }

  release(id: number): void {
    if (--this.#refs[id] > 0 || id === this.#open) return;
    this.bytes -= (this.#buffers[id] as Buffer).length + SEGMENT_OVERHEAD;
    this.#buffers[id] = undefined;
    this.#free.push(id);
  }

  /** Ends the turn's segment. Returns it where somebody still refers to it. */
  seal(): { id: number; bytes: Buffer } | undefined {
    const id = this.#open;
    if (id === 0) return undefined;
    this.#open = 0;
    const scratch = this.#buffers[id] as Buffer;
    if (this.#refs[id] === 0) {
      this.#buffers[id] = undefined;
      this.#free.push(id);
      if (scratch.length === FIRST_SIZE) this.#scratch = scratch;
      return undefined;
    }
    let bytes: Buffer;
    if (this.#used * 4 < scratch.length * 3) {
      bytes = Buffer.allocUnsafeSlow(this.#used);
      scratch.copy(bytes, 0, 0, this.#used);
      if (scratch.length === FIRST_SIZE) this.#scratch = scratch;
    } else bytes = scratch;
    this.#buffers[id] = bytes;
    this.bytes += bytes.length + SEGMENT_OVERHEAD;
    return { id, bytes };
  }

  buffer(id: number): Buffer {
    const buffer = this.#buffers[id];
    if (buffer === undefined) throw new Error(`segment ${id} is gone`);
    return buffer;
  }

  messageAt(id: number, offset: number): MessageView {
    return viewMessage(this.buffer(id), offset);
  }

  get count(): number {
    return this.#buffers.length - 1 - this.#free.length;
  }
}

/** A canonical message, see assembly/abi.ts. */
export interface MessageView {
  readonly bytes: Buffer;
  readonly offset: number;
  /** Head and body. */
  readonly size: number;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly sender: number;
  readonly topicLength: number;
  readonly receivedAt: number;
  /** s, as published. */
  readonly expiry: number;
  /** Payload bytes that follow the body (counted in the segment, not in `size`). */
  readonly external: number;
}

export function viewMessage(bytes: Buffer, offset: number): MessageView {
  const flags = bytes.readUInt32LE(offset + 4);
  return {
    bytes,
    offset,
    size: bytes.readUInt32LE(offset),
    qos: (flags & M_QOS_MASK) as 0 | 1 | 2,
    retain: (flags & M_RETAIN) !== 0,
    sender: bytes.readUInt32LE(offset + 8),
    topicLength: bytes.readUInt32LE(offset + 12),
    receivedAt: bytes.readDoubleLE(offset + 16),
    expiry: bytes.readUInt32LE(offset + 24),
    external: bytes.readUInt32LE(offset + 28),
  };
}

/** Length of the body (topic, properties, payload), external payload included. */
export function bodyLength(view: MessageView): number {
  return view.size - MESSAGE_HEAD + view.external;
}

export function messageTopic(view: MessageView): string {
  const at = view.offset + MESSAGE_HEAD + 2;
  return view.bytes.utf8Slice(at, at + view.topicLength);
}
