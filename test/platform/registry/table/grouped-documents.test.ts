// Values that are written many at a time: what is read meanwhile, what a failure or a removal leaves, and the bounds.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MemoryRegistry } from "../../../../src/platform/registry/index.ts";
import { Documents } from "../../../../src/platform/registry/table/documents.ts";
import { GroupedDocuments } from "../../../../src/platform/registry/table/grouped-documents.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setup(cacheBytes = 1_000) {
  const { documents } = new MemoryRegistry();
  const failures: unknown[] = [];
  const edit = vi.spyOn(documents, "edit");
  const open = () =>
    new GroupedDocuments<string>({
      documents,
      kind: "k",
      flushMs: 1_000,
      cacheBytes,
      encode: (value) => value,
      decode: (text) => text,
      costOf: (value) => value.length,
      failed: (error) => failures.push(error),
    });
  return { documents, edit, failures, open, kept: open() };
}

test("many changes, one commit, a second later; read at once, and by the next process", async () => {
  const { kept, edit, documents, open } = setup();
  for (let i = 0; i < 50; i++) kept.set(`d${i % 10}`, `v${i}`);
  expect(kept.get("d3")).toBe("v43");
  expect([edit.mock.calls.length, documents.get("k", "d3")]).toEqual([0, undefined]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect([edit.mock.calls.length, documents.get("k", "d3")]).toEqual([1, "v43"]);
  expect(open().get("d9")).toBe("v49");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(edit.mock.calls.length).toBe(1);
});

test("a clean end writes; flush() resolves when it is written", async () => {
  const { kept, documents } = setup();
  kept.set("a", "1");
  await kept.flush();
  expect(documents.get("k", "a")).toBe("1");
  kept.set("a", "2");
  await kept.close();
  expect(documents.get("k", "a")).toBe("2");
});

test("what could not be written stays, is told, and is tried again", async () => {
  const { kept, edit, failures, documents } = setup();
  edit.mockRejectedValueOnce(new Error("disk"));
  kept.set("a", "1");
  await vi.advanceTimersByTimeAsync(1_000);
  expect([failures.length, kept.get("a"), documents.get("k", "a")]).toEqual([1, "1", undefined]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(documents.get("k", "a")).toBe("1");
});

test("one that was removed is not written by a commit that was asked for before or after", async () => {
  const { kept, documents } = setup();
  kept.set("a", "1");
  await Promise.all([kept.flush(), kept.remove("a")]);
  expect([documents.get("k", "a"), kept.get("a")]).toEqual([undefined, undefined]);
  kept.set("a", "2");
  await Promise.all([kept.remove("a"), kept.flush()]);
  expect([documents.get("k", "a"), kept.get("a")]).toEqual([undefined, undefined]);
});

test("memory: what is written makes room, what waits is never dropped but makes it full", async () => {
  const { kept, edit, open } = setup(100);
  edit.mockRejectedValue(new Error("disk"));
  for (let i = 0; i < 10; i++) kept.set(`d${i}`, "x".repeat(10));
  expect([kept.full, kept.bytes]).toEqual([true, 100]);
  for (let i = 0; i < 5; i++) kept.set("d1", "y".repeat(10));
  expect(kept.bytes).toBe(100);
  await vi.advanceTimersByTimeAsync(0);
  expect([kept.full, kept.get("d7")]).toEqual([true, "x".repeat(10)]);
  edit.mockRestore();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(kept.full).toBe(false);
  for (let i = 0; i < 10; i++) expect(kept.get(`d${i}`)).toHaveLength(10);
  const reader = open();
  for (let i = 0; i < 10; i++) reader.get(`d${i}`);
  kept.set("big", "z".repeat(60));
  await kept.flush();
  expect(kept.bytes).toBeLessThanOrEqual(100);
  expect(reader.bytes).toBeLessThanOrEqual(100);
});

test("much is written in several commits; where one fails, what it and the later ones held waits again", async () => {
  const { kept, edit, documents } = setup(100_000_000);
  const value = "x".repeat(600_000);
  for (let i = 0; i < 5; i++) kept.set(`d${i}`, value);
  const write = Documents.prototype.edit;
  let commits = 0;
  edit.mockImplementation((work) => {
    commits++;
    return commits === 2
      ? Promise.reject(new Error("disk"))
      : (write.call(documents, work) as Promise<never>);
  });
  await expect(kept.flush()).rejects.toThrow("disk");
  const written = () => [0, 1, 2, 3, 4].filter((i) => documents.get("k", `d${i}`) !== undefined);
  expect(written()).toEqual([0, 1]);
  await kept.flush();
  expect([written(), commits]).toEqual([[0, 1, 2, 3, 4], 4]);
});

test("where much waits it is written at once; a disk that fails is asked once in a while, whatever comes", async () => {
  const { kept, edit, failures } = setup(100);
  kept.set("a", "x".repeat(30));
  kept.set("b", "x".repeat(30));
  await vi.advanceTimersByTimeAsync(1);
  expect(edit.mock.calls.length).toBe(1);
  edit.mockRejectedValue(new Error("disk"));
  for (let i = 0; i < 20; i++) {
    kept.set("c", "y".repeat(60));
    await vi.advanceTimersByTimeAsync(10);
  }
  expect(failures.length).toBe(1);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(failures.length).toBe(2);
});
