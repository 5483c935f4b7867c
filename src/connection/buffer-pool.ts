// Buffers for what is collected between two writes, used again once the stream has taken them: allocated anew for each
// write they would make V8 collect its whole heap. It hands out bytes and knows nothing of connections.

/** Smallest buffer, bytes, and the largest one kept where nothing else is said; sizes between are powers of two. */
const SMALLEST = 16_384;
const LARGEST = 262_144;
/** Bytes kept of each size. */
const KEPT = 2_097_152;

function sizeClass(size: number): number {
  return 32 - Math.clz32((size - 1) / SMALLEST);
}

export class BufferPool {
  readonly #largest: number;
  readonly #free: Buffer[][];
  /** A buffer that is not ours is never handed out, whatever its size. */
  readonly #own = new WeakSet<ArrayBufferLike>();

  constructor(largest: number = LARGEST) {
    this.#largest = largest;
    this.#free = Array.from({ length: sizeClass(largest) + 1 }, () => []);
  }

  /** A buffer of at least `size` bytes, its contents undefined. */
  take(size: number): Buffer {
    if (size > this.#largest) return Buffer.allocUnsafeSlow(size);
    const index = sizeClass(size);
    const free = this.#free[index].pop();
    if (free !== undefined) return free;
    const made = Buffer.allocUnsafeSlow(SMALLEST << index);
    this.#own.add(made.buffer);
    return made;
  }

  /** Nobody reads the memory behind `bytes` any more. Does nothing where it did not come from take(). */
  give(bytes: Uint8Array): void {
    const { buffer } = bytes;
    if (!this.#own.has(buffer)) return;
    const free = this.#free[sizeClass(buffer.byteLength)];
    if (free.length * buffer.byteLength < KEPT)
      free.push(bytes.length === buffer.byteLength ? (bytes as Buffer) : Buffer.from(buffer));
  }
}
