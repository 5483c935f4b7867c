import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readLines, writeLines } from "../../../src/cli/data/lines.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function all(chunks: string[], maxBytes?: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(Readable.from(chunks.map((text) => Buffer.from(text))), maxBytes))
    lines.push(line);
  return lines;
}

test("lines come out whole, the last one with or without its line feed", async () => {
  expect(await all(["a\nb", "c\n", "\nd"])).toEqual(["a", "bc", "", "d"]);
  expect(await all(["a\n", "b\n"])).toEqual(["a", "b"]);
  expect(await all([])).toEqual([]);
});

test("a line beyond the bound is named by its number", async () => {
  expect(await all(["1234\n", "1234"], 4)).toEqual(["1234", "1234"]);
  await expect(all(["1\n2\n12345\n"], 4)).rejects.toThrow("line 3 has more than 4 bytes");
  await expect(all(["1\n", "123", "45"], 4)).rejects.toThrow("line 2 has more than 4 bytes");
});

test("a file is there when it is complete, for its owner only", async () => {
  const file = join(directory, "f");
  const long = "ü".repeat(70_000);
  const count = await writeLines(file, async (sink) => {
    await sink("one");
    expect(readdirSync(directory)).toEqual(["f.partial"]);
    await sink(long);
  });
  expect(count).toBe(2);
  expect(readFileSync(file, "utf8")).toBe(`one\n${long}\n`);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(["f"]);
});

test("nothing is left of a file whose lines fail, and none is written over", async () => {
  const file = join(directory, "f");
  await expect(writeLines(file, () => Promise.reject(new Error("no lines")))).rejects.toThrow("no lines");
  expect(readdirSync(directory)).toEqual([]);
  writeFileSync(file, "mine");
  await expect(writeLines(file, async () => {})).rejects.toMatchObject({ code: "FILE_EXISTS" });
  expect(readFileSync(file, "utf8")).toBe("mine");
  await expect(writeLines(join(directory, "none", "f"), async () => {})).rejects.toMatchObject({
    code: "FILE_WRITE",
  });
});
