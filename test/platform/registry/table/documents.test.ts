// Documents of services: in memory and in a file, changed together or not at all.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { MemoryRegistry, openRegistry, type Registry } from "../../../../src/platform/registry/index.ts";

const opened: Registry[] = [];
const directories: string[] = [];
afterEach(async () => {
  for (const registry of opened.splice(0)) await registry.close();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

async function inFile(directory = mkdtempSync(join(tmpdir(), "millrace-documents-"))): Promise<Registry> {
  if (!directories.includes(directory)) directories.push(directory);
  const registry = await openRegistry(directory);
  opened.push(registry);
  return registry;
}

describe.each([
  ["memory", async () => new MemoryRegistry()],
  ["a file", () => inFile()],
])("documents in %s", (_name, open) => {
  test("are set, read, paged by prefix, and removed", async () => {
    const { documents } = await open();
    await documents.set("shadow", "pk/dev2", "two");
    await documents.set("shadow", "pk/dev1", "one");
    await documents.set("shadow", "pk2/dev1", "other");
    await documents.set("shadows", "pk/dev1", "another kind");
    expect(documents.get("shadow", "pk/dev1")).toBe("one");
    expect(documents.page("shadow", "pk/", undefined, 10)).toEqual([
      { key: "pk/dev1", text: "one" },
      { key: "pk/dev2", text: "two" },
    ]);
    expect(documents.page("shadow", "pk/", "pk/dev1", 10).map(({ key }) => key)).toEqual(["pk/dev2"]);
    expect(documents.page("shadow", "", undefined, 1)).toHaveLength(1);
    await documents.set("shadow", "pk/dev1", undefined);
    expect(documents.get("shadow", "pk/dev1")).toBeUndefined();
  });

  test("an edit sees itself and those before it, and leaves nothing when it throws", async () => {
    const { documents } = await open();
    const count = () =>
      documents.edit((draft) => {
        const next = Number(draft.get("counter", "a") ?? 0) + 1;
        draft.set("counter", "a", String(next));
        return next;
      });
    expect(await Promise.all([count(), count(), count()])).toEqual([1, 2, 3]);
    await expect(
      documents.edit((draft) => {
        draft.set("counter", "a", "spoilt");
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(documents.get("counter", "a")).toBe("3");
  });
});

test("documents in a file are there after it was opened again", async () => {
  const first = await inFile();
  await first.documents.set("shadow", "pk/dev1", "kept");
  await first.close();
  opened.splice(0);
  const second = await inFile(directories[0]);
  expect(second.documents.get("shadow", "pk/dev1")).toBe("kept");
});
