import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeDirectory, PRIVATE } from "../../src/runtime/directories.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "millrace-test-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("makes what is missing, all of it with the mode; what is there stays as it is", () => {
  const path = join(root, "a/b/c");
  makeDirectory(path, PRIVATE);
  for (const made of ["a", "a/b", "a/b/c"]) expect(statSync(join(root, made)).mode & 0o777).toBe(0o700);
  makeDirectory(join(root, "a/b/"));
  expect(statSync(join(root, "a/b")).mode & 0o777).toBe(0o700);
});

test("names the first one that cannot be made", () => {
  writeFileSync(join(root, "file"), "");
  expect(() => makeDirectory(join(root, "file"))).toThrow(/EEXIST/);
  expect(() => makeDirectory(join(root, "file/below"))).toThrow(/ENOTDIR/);
});

// Node's own `recursive` goes round for ever there.
test.skipIf(process.platform !== "linux")("ends where the system takes no directory", () => {
  expect(() => makeDirectory("/proc/millrace/data")).toThrow(/ENOENT/);
});
