// Batches that wait a moment before they are written, because all that is awaited of them are messages which their
// receivers have been sent already: once these have been acknowledged there is nothing left to keep, and nothing is written.
// Waiting ends when a write would have been as quick. Where receivers are slower than that, waiting is given up for a while.
import type { Changes } from "../contract/changes.ts";

/** ms a batch waits at least, and at most where writes take long. */
const LEAST_MS = 1;
const MOST_MS = 20;
/** After waiting in vain this many batches at most are written without waiting. */
const MOST_PASSED = 63;
/** Weight of the newest write in the mean of what writes take. */
const WEIGHT = 0.1;

export interface WaitingBatch {
  readonly changes: Changes;
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
  /** When it began to wait. */
  readonly since: number;
}

export class WaitingBatches {
  /** Oldest first. */
  readonly #batches: WaitingBatch[] = [];
  #writeMs = 0;
  #misses = 0;
  #pass = 0;

  get empty(): boolean {
    return this.#batches.length === 0;
  }

  get newest(): WaitingBatch | undefined {
    return this.#batches.at(-1);
  }

  /** ms a batch may wait. */
  get patience(): number {
    return Math.min(MOST_MS, Math.max(LEAST_MS, this.#writeMs));
  }

  /** ms until the oldest has waited long enough. */
  left(now: number): number {
    const oldest = this.#batches[0];
    return oldest === undefined ? this.patience : oldest.since + this.patience - now;
  }

  /** Is waiting worth while for this batch? */
  wants(changes: Changes): boolean {
    if (!changes.mayBeSpared) return false;
    if (this.#pass === 0) return true;
    this.#pass--;
    return false;
  }

  push(batch: WaitingBatch): void {
    this.#batches.push(batch);
  }

  /** Segments nobody refers to any more, where they wait here: from now on nobody has ever heard of them. */
  strike(gone: Set<number>): void {
    for (const { changes } of this.#batches)
      for (const serial of changes.segments.keys()) if (gone.delete(serial)) changes.dropSegment(serial);
  }

  /** The oldest batch, if there is nothing left in it that anybody waits for. */
  takeSpared(): WaitingBatch | undefined {
    if (this.#batches.length === 0 || !this.#batches[0].changes.spared) return undefined;
    this.#misses = 0;
    return this.#batches.shift();
  }

  /** All of them, to be written. `inVain`: they have waited as long as they may. */
  takeAll(inVain: boolean): WaitingBatch[] {
    if (inVain) {
      this.#misses = Math.min(this.#misses * 2 + 1, MOST_PASSED);
      this.#pass = this.#misses;
    }
    return this.#batches.splice(0);
  }

  /** A write took so long. */
  wrote(ms: number): void {
    this.#writeMs += (ms - this.#writeMs) * WEIGHT;
  }
}
