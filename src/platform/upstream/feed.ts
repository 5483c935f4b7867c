// The feed of what goes up to the business side: every reader gets every message, in order, through a queue of its own that
// is bounded in bytes. A reader that falls behind loses its oldest messages and is told how many; nobody waits for it.
import { OperationError } from "../../errors.ts";
import { costOf, type UpstreamMessage } from "./upstream-message.ts";

export interface ReaderOptions {
  /** Only devices of this product. */
  readonly productKey?: string;
  /** Bytes that may wait. Default `platform.upstream.readerBytes`. */
  readonly maxBytes?: number;
}

/** Iterate over it; leaving the loop ends it. */
export interface UpstreamReader extends AsyncIterable<UpstreamMessage> {
  /** Messages it has lost because it was slow. */
  readonly lost: number;
  /** Ends it: an iteration under way ends behind what it has. */
  close(): void;
}

export interface FeedParts {
  readonly readerBytes: number;
  readonly maxReaders: number;
  /** Whether anybody listens has changed. */
  readonly changed: () => void;
  /** A reader lost messages. */
  readonly lost: (count: number) => void;
}

export class UpstreamFeed {
  readonly #parts: FeedParts;
  readonly #readers = new Set<Reader>();

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /** Whether anybody listens: nothing need be made for nobody. */
  get active(): boolean {
    return this.#readers.size > 0;
  }

  /** Throws OperationError UPSTREAM_READERS where there are as many as there may be. */
  read({ productKey, maxBytes = this.#parts.readerBytes }: ReaderOptions = {}): UpstreamReader {
    if (this.#readers.size >= this.#parts.maxReaders) {
      const message = `there are ${this.#readers.size} readers of the upstream feed already: close one first`;
      throw new OperationError("UPSTREAM_READERS", message);
    }
    const reader = new Reader(productKey, maxBytes, this.#parts.lost, () => {
      if (this.#readers.delete(reader) && this.#readers.size === 0) this.#parts.changed();
    });
    this.#readers.add(reader);
    if (this.#readers.size === 1) this.#parts.changed();
    return reader;
  }

  offer(message: UpstreamMessage): void {
    for (const reader of this.#readers) reader.offer(message);
  }

  close(): void {
    for (const reader of [...this.#readers]) reader.close();
  }
}

class Reader implements UpstreamReader {
  readonly #productKey: string | undefined;
  readonly #maxBytes: number;
  readonly #lostSome: (count: number) => void;
  readonly #ended: () => void;
  #queue: UpstreamMessage[] = [];
  /** Index of the first message that was not taken. */
  #head = 0;
  #bytes = 0;
  #closed = false;
  #wake: (() => void) | undefined;
  lost = 0;

  constructor(
    productKey: string | undefined,
    maxBytes: number,
    lostSome: (count: number) => void,
    ended: () => void,
  ) {
    this.#productKey = productKey;
    this.#maxBytes = maxBytes;
    this.#lostSome = lostSome;
    this.#ended = ended;
  }

  offer(message: UpstreamMessage): void {
    if (this.#productKey !== undefined && message.device.productKey !== this.#productKey) return;
    const cost = costOf(message);
    let dropped = 0;
    while (this.#bytes + cost > this.#maxBytes && this.#head < this.#queue.length) {
      this.#take();
      dropped++;
    }
    if (cost > this.#maxBytes) dropped++;
    else {
      this.#queue.push(message);
      this.#bytes += cost;
    }
    if (dropped > 0) {
      this.lost += dropped;
      this.#lostSome(dropped);
    }
    this.#wake?.();
  }

  #take(): UpstreamMessage | undefined {
    if (this.#head >= this.#queue.length) return undefined;
    const message = this.#queue[this.#head++];
    this.#bytes -= costOf(message);
    // Moves the rest now and then instead of shifting each time.
    if (this.#head > 1_024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return message;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<UpstreamMessage, void, void> {
    try {
      for (;;) {
        const message = this.#take();
        if (message !== undefined) yield message;
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

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended();
    this.#wake?.();
  }
}
