// The wrapper other tests rely on: it keeps the order of the contract whatever it does to a commit.
import { expect, test } from "vitest";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { FaultStore, randomFaults } from "./fault-store.ts";
import { seededRandom } from "./seeded-random.ts";

test("commits settle in order, refused or late, and only planned ones are refused", async () => {
  const seed = Date.now() % 1_000_000;
  const plan = randomFaults(seededRandom(seed), 0.5, 5);
  const refused = new Set<number>();
  let reached = 0;
  const inner = new MemoryStore({
    beforeCommit: () => {
      reached++;
      return undefined;
    },
  });
  let dropped = 0;
  const store = new FaultStore(inner, (n, batch) => {
    const fault = plan(n, batch);
    if (fault?.kind.startsWith("refuse")) refused.add(n);
    if (fault?.kind === "refuse") dropped++;
    return fault;
  });
  const settled: string[] = [];
  const commits = Array.from({ length: 60 }, (_, i) =>
    store.commit(store.begin()).then(
      () => settled.push(`${i + 1}`),
      () => settled.push(`${i + 1} refused`),
    ),
  );
  await Promise.all(commits);
  await store.close();
  const expected = Array.from({ length: 60 }, (_, i) =>
    refused.has(i + 1) ? `${i + 1} refused` : `${i + 1}`,
  );
  expect(settled, `seed ${seed}`).toEqual(expected);
  expect(reached).toBe(60 - dropped);
});
