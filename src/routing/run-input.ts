// The bytes of one run: a chunk, or what the chunk before left over with this one behind it. The two are joined in a buffer
// that serves run after run, since allocating 64 KiB for each chunk costs more than the copy. Where a stream has not taken
// the bytes when its write returns, that buffer is left to it, and the next run gets a new one.
import type { Connection } from "../connection/connection.ts";
import type { Border } from "../core/border.ts";
import { INPUT_SIZE } from "../core/generated/abi.ts";

const EMPTY = Buffer.alloc(0);

export class RunInput {
  #bytes: Buffer = EMPTY;
  #joint: Buffer | undefined;
  /** #bytes lie in the joint buffer. */
  #joined = false;

  get length(): number {
    return this.#bytes.length;
  }

  begin(rest: Buffer | undefined, chunk: Buffer): void {
    this.#joined = rest !== undefined;
    if (rest === undefined) this.#bytes = chunk;
    else {
      if (rest.length + chunk.length > INPUT_SIZE)
        throw new RangeError(`run of ${rest.length + chunk.length} bytes`);
      this.#joint ??= Buffer.allocUnsafeSlow(INPUT_SIZE);
      rest.copy(this.#joint);
      chunk.copy(this.#joint, rest.length);
      this.#bytes = this.#joint.subarray(0, rest.length + chunk.length);
    }
  }

  end(): void {
    this.#bytes = EMPTY;
  }

  load(border: Border): void {
    border.load(this.#bytes);
  }

  /** Sends bytes [from, from + length) as they are. */
  send(connection: Connection, from: number, length: number): void {
    const { outbox } = connection;
    if (!this.#joined) {
      outbox.range(this.#bytes, from, length);
      return;
    }
    // Given away first: a stream that throws may hold it as well.
    const joint = this.#joint;
    this.#joint = undefined;
    outbox.range(this.#bytes, from, length);
    if (!outbox.holdsBytes) this.#joint = joint;
  }

  /** All bytes from `from` on; void when the run ends. */
  from(from: number): Buffer {
    return this.#bytes.subarray(from);
  }

  /** What is left of the run. Small rests are copied: a view would keep the whole chunk alive. */
  keep(from: number): Buffer {
    const left = this.#bytes.subarray(from);
    return this.#joined || left.length < this.length / 2 ? Buffer.from(left) : left;
  }
}
