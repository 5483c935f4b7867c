// A memory store whose commits wait until a test lets them go, in any order, or makes them fail.
import { MemoryStore } from "../../src/store/memory-store.ts";
import { afterEach, beforeEach } from "vitest";
import { eventually, type ServerOptions, TestServer } from "../support/server.ts";

export interface HeldCommit {
  succeed(): void;
  fail(): void;
}

export class HeldStore {
  store: MemoryStore = this.#empty();
  /** Commits that wait, oldest first. */
  readonly waiting: HeldCommit[] = [];
  #holding = false;

  /** A new store; what waited for the old one is forgotten. */
  reset(): void {
    this.#holding = false;
    this.waiting.length = 0;
    this.store = this.#empty();
  }

  #empty(): MemoryStore {
    return new MemoryStore({
      beforeCommit: () => {
        if (!this.#holding) return undefined;
        return new Promise<void>((resolve, reject) => {
          const commit: HeldCommit = {
            succeed: () => this.#take(commit, resolve),
            fail: () => this.#take(commit, () => reject(new Error("the disk is full"))),
          };
          this.waiting.push(commit);
        });
      },
    });
  }

  #take(commit: HeldCommit, end: () => void): void {
    this.waiting.splice(this.waiting.indexOf(commit), 1);
    end();
  }

  /** From now on commits wait. */
  hold(): void {
    this.#holding = true;
  }

  /** Commits run again at once; those that wait succeed. */
  release(): void {
    this.#holding = false;
    for (const commit of [...this.waiting]) commit.succeed();
  }

  /** Resolves when `count` commits wait; returns the newest of them. */
  async commits(count: number): Promise<HeldCommit> {
    await eventually(() => this.waiting.length >= count, `${count} commits wait, not ${this.waiting.length}`);
    if (this.waiting.length > count) throw new Error(`${this.waiting.length} commits wait, not ${count}`);
    return this.waiting[count - 1];
  }
}

/** A server on a held store, both new for each test of a file. */
export function useHeldServer(options: ServerOptions = {}): { held: HeldStore; server: TestServer } {
  const held = new HeldStore();
  const server = new TestServer(() => ({ sysInterval: 0, store: held.store, ...options }));
  beforeEach(() => {
    held.reset();
    return server.start();
  });
  afterEach(() => {
    held.release();
    return server.stop();
  });
  return { held, server };
}
