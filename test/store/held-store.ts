// A memory store whose commits wait until a test lets them go, in any order, or makes them fail.
import { MemoryStore } from "../../src/store/memory-store.ts";
import { eventually } from "../support/server.ts";

export interface HeldCommit {
  succeed(): void;
  fail(): void;
}

export class HeldStore {
  readonly store: MemoryStore;
  /** Commits that wait, oldest first. */
  readonly waiting: HeldCommit[] = [];
  #holding = false;

  constructor() {
    this.store = new MemoryStore({
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
