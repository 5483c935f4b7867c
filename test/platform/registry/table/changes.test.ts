// Changes of the registry that nobody waits for go with others, and never out of order.
import { describe, expect, it, vi } from "vitest";
import { Changes, type Puts, type Table } from "../../../../src/platform/registry/table/table.ts";

/** A table whose commits end when the test says so. */
class SlowTable implements Table {
  readonly commits: [string, string | undefined][][] = [];
  readonly patienceMs: number;
  readonly #rows = new Map<string, string>();
  #ends: (() => void)[] = [];

  constructor(patienceMs: number) {
    this.patienceMs = patienceMs;
  }
  get(key: string) {
    return this.#rows.get(key);
  }
  page() {
    return [];
  }
  commit(puts: Puts): Promise<void> {
    this.commits.push([...puts]);
    for (const [key, value] of puts) if (value !== undefined) this.#rows.set(key, value);
    return new Promise((resolve) => this.#ends.push(resolve));
  }
  end(): void {
    for (const end of this.#ends.splice(0)) end();
  }
  async close() {}
}

const nothing = () => {};

describe("makeSoon()", () => {
  it("waits for what comes within the table's patience, then makes one commit of all", async () => {
    const table = new SlowTable(5);
    const changes = new Changes(table);
    const made = ["a", "b", "c"].map((key) => changes.makeSoon((draft) => draft.put(key, "1"), nothing));
    expect(table.commits).toEqual([]);
    await vi.waitFor(() => expect(table.commits).toHaveLength(1));
    expect(table.commits[0]).toEqual([
      ["a", "1"],
      ["b", "1"],
      ["c", "1"],
    ]);
    table.end();
    await Promise.all(made);
  });

  it("goes before a change that is asked for after it, at once", () => {
    const table = new SlowTable(60_000);
    const changes = new Changes(table);
    void changes.makeSoon((draft) => draft.put("a", "soon"), nothing);
    void changes.make((draft) => draft.put("a", `${draft.get("a")}, now`), nothing);
    expect(table.commits).toEqual([[["a", "soon, now"]]]);
  });

  it("does not make the end of a commit its beginning, but drain() does", async () => {
    const table = new SlowTable(60_000);
    const changes = new Changes(table);
    const now = changes.make((draft) => draft.put("a", "1"), nothing);
    const soon = changes.makeSoon((draft) => draft.put("b", "1"), nothing);
    table.end();
    await now;
    await new Promise((resolve) => setImmediate(resolve));
    expect(table.commits).toHaveLength(1);
    const drained = changes.drain();
    expect(table.commits).toHaveLength(2);
    table.end();
    await Promise.all([drained, soon]);
  });

  it("waits for nothing where a commit costs nothing", () => {
    const table = new SlowTable(0);
    void new Changes(table).makeSoon((draft) => draft.put("a", "1"), nothing);
    expect(table.commits).toHaveLength(1);
  });
});
