// The store of a broker that keeps nothing beyond its process: the sessions' own structures are the state, so a batch
// needs to know only whether somebody waits for it. Commits are asynchronous all the same, as for every store.
import type { Store, StoreBatch, StoreVisitor } from "./contract/store.ts";

class MemoryBatch implements StoreBatch {
  dirty = false;
  empty = true;
  #mark(): void {
    this.dirty = true;
    this.empty = false;
  }
  session(): void {
    this.#mark();
  }
  sessionEnded(): void {
    this.#mark();
  }
  subscription(): void {
    this.#mark();
  }
  queue(): void {
    this.#mark();
  }
  queueLater(): void {}
  inbound(): void {
    this.#mark();
  }
  partlyDelivered(): void {
    this.#mark();
  }
  delivered(): void {}
  released(): void {
    this.#mark();
  }
  retained(): void {
    this.#mark();
  }
  segment(): void {}
  segmentGone(): void {}
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

  async load(_visitor: StoreVisitor): Promise<void> {}

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
