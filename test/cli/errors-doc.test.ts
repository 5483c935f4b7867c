import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** storeError() makes an OperationError. */
const THROWN = /(?:new (ProtocolError|OperationError|ConfigError)|storeError)\(\s*"([^"]+)"/g;

/** `CODE Class`, from every `new …Error("CODE"` and `storeError("CODE"` in src/. */
function codesOfSource(): string[] {
  const found = new Set<string>();
  for (const name of readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    for (const [, type = "OperationError", code] of readFileSync(join(root, "src", name), "utf8").matchAll(
      THROWN,
    ))
      found.add(`${code} ${type}`);
  }
  return [...found].sort();
}

test("docs/errors.md lists exactly the codes of the source, each under its class", () => {
  const page = readFileSync(join(root, "docs/errors.md"), "utf8");
  const listed: string[] = [];
  let type = "";
  for (const line of page.split("\n")) {
    type = /^## (\w+Error)\b/.exec(line)?.[1] ?? type;
    const code = /^\| `([A-Z0-9_]+)` \| .{10,} \|$/.exec(line)?.[1];
    if (code) listed.push(`${code} ${type}`);
  }
  expect(new Set(listed).size).toBe(listed.length);
  expect(listed.sort()).toEqual(codesOfSource());
});

test("a code is spelled in capitals", () => {
  for (const entry of codesOfSource()) expect(entry).toMatch(/^[A-Z][A-Z0-9_]+ \w+Error$/);
});
