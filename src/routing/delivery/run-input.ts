// The bytes of one run: what the chunk before left over, then this chunk. They are copied into a buffer that serves run after
// run: the chunk is lent by its stream, and allocating 64 KiB for each costs more than the copy. Where a stream has not
// taken the bytes when its write returns, the buffer is left to it, and the next run gets a new one. What a run leaves over
// is kept in buffers of a pool where it is long: with large messages every run leaves something.
import { BufferPool } from "../../connection/buffer-pool.ts";
import type { Connection } from "../../connection/connection.ts";
import type { Border } from "../../core/border.ts";
import { INPUT_SIZE } from "../../core/generated/abi.ts";

const EMPTY = Buffer.alloc(0);
/** A chunk of the largest size behind a rest of the same; what has waited for an answer may be more. */
const USUAL_RUN = 131_072;
/** A shorter rest is a buffer of its own: the smallest of the pool would be more than four times as long. */
export const LONG_REST = 4_096;

export class RunInput {
  #bytes: Buffer = EMPTY;
  /** Of USUAL_RUN bytes; undefined where somebody else reads it still. */
  #buffer: Buffer | undefined;
  readonly #rests = new BufferPool();

  get length(): number {
    return this.#bytes.length;
  }

  /** Takes `rest` over: it may be written to again, so nobody else may hold it. */
  begin(rest: Buffer | undefined, chunk: Buffer): void {
    const before = rest === undefined ? 0 : rest.length;
    const length = before + chunk.length;
    if (length > INPUT_SIZE) throw new RangeError(`run of ${length} bytes`);
    const buffer = length > USUAL_RUN ? Buffer.allocUnsafeSlow(length) : this.#ownBuffer();
    if (rest !== undefined) {
      rest.copy(buffer);
      if (before >= LONG_REST) this.#rests.give(rest);
    }
    chunk.copy(buffer, before);
    this.#bytes = buffer.subarray(0, length);
  }

  #ownBuffer(): Buffer {
    this.#buffer ??= Buffer.allocUnsafeSlow(USUAL_RUN);
    return this.#buffer;
  }

  end(): void {
    this.#bytes = EMPTY;
  }

  load(border: Border): void {
    border.load(this.#bytes);
  }

  /** Sends bytes [from, from + length) as they are. */
  send(connection: Connection, from: number, length: number): void {
    // Given away first: a stream that throws may hold it as well.
    const buffer = this.#buffer;
    this.#buffer = undefined;
    if (!connection.outbox.range(this.#bytes, from, length)) this.#buffer = buffer;
  }

  /** All bytes from `from` on; void when the run ends. */
  from(from: number): Buffer {
    return this.#bytes.subarray(from);
  }

  /** What is left of the run, to keep until begin(). */
  keep(from: number): Buffer {
    const length = this.#bytes.length - from;
    if (length < LONG_REST) return Buffer.from(this.#bytes.subarray(from));
    const kept = this.#rests.take(length);
    this.#bytes.copy(kept, 0, from);
    return kept.subarray(0, length);
  }
}
