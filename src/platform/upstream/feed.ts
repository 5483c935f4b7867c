// The feed of what goes up to the business side: every reader gets every message, in order, through a queue of its own.
import { OperationError } from "../../errors.ts";
import { BoundedReader } from "../shared/bounded-reader.ts";
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
  /** Somebody has begun to read, a product or all. */
  readonly opened: (productKey: string | undefined) => void;
  /** A reader lost messages. */
  readonly lost: (count: number) => void;
}

export class UpstreamFeed {
  readonly #parts: FeedParts;
  readonly #readers = new Set<BoundedReader<UpstreamMessage>>();

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
    const reader: BoundedReader<UpstreamMessage> = new BoundedReader({
      maxBytes,
      accepts: ({ device }) => productKey === undefined || device.productKey === productKey,
      cost: costOf,
      lost: this.#parts.lost,
      ended: () => {
        if (this.#readers.delete(reader) && this.#readers.size === 0) this.#parts.changed();
      },
    });
    this.#readers.add(reader);
    if (this.#readers.size === 1) this.#parts.changed();
    this.#parts.opened(productKey);
    return reader;
  }

  offer(message: UpstreamMessage): void {
    for (const reader of this.#readers) reader.offer(message);
  }

  close(): void {
    for (const reader of [...this.#readers]) reader.close();
  }
}
