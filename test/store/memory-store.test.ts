// The contract of store.ts as the memory store keeps it: commits end in the order they were asked for, whatever delays
// or breaks them.
import { expect, test } from "vitest";
import { MemoryStore } from "../../src/store/memory-store.ts";

type End = "succeed" | "fail";

/** Commits `ends.length` batches, ends their delays in `order`, and notes in which order the promises settled. */
async function settleIn(order: readonly number[], ends: readonly End[]): Promise<string[]> {
  const delays: ((end: End) => void)[] = [];
  const store = new MemoryStore({
    beforeCommit: () =>
      new Promise((resolve, reject) =>
        delays.push((end) => (end === "succeed" ? resolve() : reject(new Error("no room")))),
      ),
  });
  const settled: string[] = [];
  const commits = ends.map((_, i) =>
    store.commit(store.begin()).then(
      () => settled.push(`${i} succeed`),
      () => settled.push(`${i} fail`),
    ),
  );
  for (const i of order) {
    delays[i](ends[i]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(commits);
  await store.close();
  return settled;
}

const orders = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];
const outcomes: End[][] = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) =>
  [1, 2, 4].map((bit) => (bits & bit ? "fail" : "succeed")),
);

test.each(orders)("delays that end in the order %i %i %i: commits end in theirs", async (...order) => {
  for (const ends of outcomes)
    expect(await settleIn(order, ends)).toEqual(ends.map((end, i) => `${i} ${end}`));
});

test("a commit without delay waits for one before it that has one", async () => {
  let first = true;
  let release = (): void => undefined;
  const store = new MemoryStore({
    beforeCommit: () => {
      if (!first) return undefined;
      first = false;
      return new Promise((resolve) => {
        release = resolve;
      });
    },
  });
  const settled: number[] = [];
  const commits = [1, 2].map((n) => store.commit(store.begin()).then(() => settled.push(n)));
  await new Promise((resolve) => setImmediate(resolve));
  expect(settled).toEqual([]);
  release();
  await Promise.all(commits);
  expect(settled).toEqual([1, 2]);
});
