// The table in memory: gone with the process. Its keys are put in order when somebody pages through them.
import type { Entry, Puts, Table } from "./table.ts";

export class MemoryTable implements Table {
  readonly patienceMs = 0;
  readonly #entries = new Map<string, string>();
  #ordered: string[] | undefined;

  get(key: string): string | undefined {
    return this.#entries.get(key);
  }

  page(prefix: string, after: string | undefined, limit: number): readonly Entry[] {
    this.#ordered ??= [...this.#entries.keys()].sort();
    const from = after === undefined ? prefix : `${after}\0`;
    const page: Entry[] = [];
    for (let at = firstFrom(this.#ordered, from); at < this.#ordered.length && page.length < limit; at++) {
      const key = this.#ordered[at];
      if (!key.startsWith(prefix)) break;
      page.push({ key, value: this.#entries.get(key) as string });
    }
    return page;
  }

  commit(puts: Puts): undefined {
    for (const [key, value] of puts) {
      if (value === undefined) {
        if (this.#entries.delete(key)) this.#ordered = undefined;
      } else {
        if (!this.#entries.has(key)) this.#ordered = undefined;
        this.#entries.set(key, value);
      }
    }
  }

  async close(): Promise<void> {}
}

/** Index of the first key that is not before `key`. */
function firstFrom(ordered: readonly string[], key: string): number {
  let low = 0;
  let high = ordered.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ordered[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
