// A store around another one that fails or delays chosen commits, before they reach it or after it has taken them: for
// tests of what the broker makes of that.
import type { Store, StoreBatch, StoreVisitor } from "../../src/store/contract/store.ts";
import { timePasses } from "../support/time.ts";

export type Fault =
  /** Refused; the store never sees it. `behind`: no earlier than this. */
  | { readonly kind: "refuse"; readonly behind?: Promise<unknown> }
  /** The store has it, and the promise rejects all the same: a flush whose outcome is unknown. */
  | { readonly kind: "refuse-after"; readonly behind?: Promise<unknown> }
  /** It reaches the store, or resolves, that much later. */
  | { readonly kind: "delay-before" | "delay-after"; readonly ms: number };

/** Says what happens to commit number `n`, counted from 1; undefined: nothing. */
export type FaultPlan = (n: number, batch: StoreBatch) => Fault | undefined;

export class FaultStore implements Store {
  readonly name: string;
  readonly #inner: Store;
  readonly #plan: FaultPlan;
  #last: Promise<unknown> = Promise.resolve();
  commits = 0;

  constructor(inner: Store, plan: FaultPlan) {
    this.#inner = inner;
    this.#plan = plan;
    this.name = `${inner.name} with faults`;
  }

  load(visitor: StoreVisitor): Promise<void> {
    return this.#inner.load(visitor);
  }

  begin(): StoreBatch {
    return this.#inner.begin();
  }

  /** Keeps the order of the contract: a commit reaches the store, and settles, behind those before it. */
  commit(batch: StoreBatch): Promise<void> {
    const fault = this.#plan(++this.commits, batch);
    const earlier = this.#last;
    const commit = this.#commit(batch, fault, earlier);
    this.#last = commit.catch(() => undefined);
    return commit;
  }

  async #commit(batch: StoreBatch, fault: Fault | undefined, earlier: Promise<unknown>): Promise<void> {
    await earlier;
    if (fault?.kind === "refuse") {
      await fault.behind;
      throw new Error("a test refused the commit");
    }
    if (fault?.kind === "delay-before") await timePasses(fault.ms);
    await this.#inner.commit(batch);
    if (fault?.kind === "delay-after") await timePasses(fault.ms);
    if (fault?.kind === "refuse-after") {
      await fault.behind;
      throw new Error("a test refused the commit after it was stored");
    }
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#inner.close();
  }
}

/** Every commit gets a fault with the given probability, of a kind drawn at random. */
export function randomFaults(random: () => number, probability: number, maximumMs = 20): FaultPlan {
  const kinds = ["refuse", "refuse-after", "delay-before", "delay-after"] as const;
  return () => {
    if (random() >= probability) return undefined;
    const kind = kinds[Math.floor(random() * kinds.length)];
    return kind === "refuse" || kind === "refuse-after" ? { kind } : { kind, ms: random() * maximumMs };
  };
}
