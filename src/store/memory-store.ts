// The store of a broker that keeps nothing beyond its process: the sessions' own structures are the state, so a batch
// needs to know only whether somebody waits for it. Commits are asynchronous all the same, as for every store.
import type { Store, StoreBatch } from "./store.ts";

class MemoryBatch implements StoreBatch {
  dirty = false;
  session(): void {
    this.dirty = true;
  }
  sessionEnded(): void {
    this.dirty = true;
  }
  subscription(): void {
    this.dirty = true;
  }
  delivery(): void {
    this.dirty = true;
  }
  acknowledged(): void {}
  received(): void {
    this.dirty = true;
  }
  sent(): void {}
  inbound(): void {
    this.dirty = true;
  }
  retained(): void {
    this.dirty = true;
  }
  segment(): void {}
}

export interface MemoryStoreOptions {
  /** Called before each commit resolves; tests delay or fail commits with it. */
  readonly beforeCommit?: (batch: StoreBatch) => Promise<void> | undefined;
}

export class MemoryStore implements Store {
  readonly name = "memory";
  readonly #beforeCommit: MemoryStoreOptions["beforeCommit"];
  #last: Promise<void> = Promise.resolve();

  constructor(options: MemoryStoreOptions = {}) {
    this.#beforeCommit = options.beforeCommit;
  }

  begin(): StoreBatch {
    return new MemoryBatch();
  }

  commit(batch: StoreBatch): Promise<void> {
    const wait = this.#beforeCommit?.(batch);
    if (wait === undefined) return this.#last;
    const earlier = this.#last;
    // Contract 1: in order, also when one before it is delayed, or fails, or this one fails first.
    const commit = Promise.allSettled([wait, earlier]).then(() => wait);
    this.#last = commit.then(
      () => undefined,
      () => undefined,
    );
    return commit;
  }

  async close(): Promise<void> {
    await this.#last;
  }
}
