// A queue that somebody iterates over, bounded in bytes: who falls behind loses the oldest and is told how many; nobody waits
// for him.

export interface BoundedReaderParts<T> {
  /** Bytes that may wait. */
  readonly maxBytes: number;
  readonly accepts: (item: T) => boolean;
  readonly cost: (item: T) => number;
  /** Some were dropped. */
  readonly lost: (count: number) => void;
  readonly ended: () => void;
}

export class BoundedReader<T> implements AsyncIterable<T> {
  readonly #parts: BoundedReaderParts<T>;
  #queue: T[] = [];
  /** Index of the first item that was not taken. */
  #head = 0;
  #bytes = 0;
  #closed = false;
  #wake: (() => void) | undefined;
  /** Items it has lost because it was slow. */
  lost = 0;

  constructor(parts: BoundedReaderParts<T>) {
    this.#parts = parts;
  }

  offer(item: T): void {
    const { accepts, cost: costOf, maxBytes, lost } = this.#parts;
    if (this.#closed || !accepts(item)) return;
    const cost = costOf(item);
    let dropped = 0;
    if (cost > maxBytes)
      dropped = 1; // all that waits would go, and make no room
    else {
      for (; this.#bytes + cost > maxBytes && this.#head < this.#queue.length; dropped++) this.#take();
      this.#queue.push(item);
      this.#bytes += cost;
    }
    if (dropped > 0) {
      this.lost += dropped;
      lost(dropped);
    }
    this.#wake?.();
  }

  #take(): T | undefined {
    if (this.#head >= this.#queue.length) return undefined;
    const item = this.#queue[this.#head++];
    this.#bytes -= this.#parts.cost(item);
    // Moves the rest now and then instead of shifting each time.
    if (this.#head > 1_024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    try {
      for (;;) {
        const item = this.#take();
        if (item !== undefined) yield item;
        else if (this.#closed) return;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        this.#wake = undefined;
      }
    } finally {
      this.close();
    }
  }

  /** Ends it: an iteration under way ends behind what it has. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#parts.ended();
    this.#wake?.();
  }
}
