// assembly/README.md against the constants and exports it documents.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as abi from "../../src/core/generated/abi.ts";
import { builds } from "./builds.ts";

const folder = new URL("../../assembly/", import.meta.url);
const readme = readFileSync(new URL("README.md", folder), "utf8");
const constants = new Map<string, number>(Object.entries(abi));
const mentioned = new Set(readme.match(/\b(?:[A-Z][A-Z0-9]*_)+[A-Z0-9]+\b/g));
/** Families of which every member that the core uses must be documented. */
const FAMILY = /^(H|STOP|R|M|E|OPT|SLOT|VERDICT|D|RUN|NO|PROP|FILTER)_/;

/** Names the core's sources use beyond the ABI files themselves. */
function usedNames(): Set<string> {
  const used = new Set<string>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts") || name.endsWith("abi.ts")) continue;
    const source = readFileSync(new URL(name, folder), "utf8");
    for (const [constant] of source.matchAll(/\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b/g)) used.add(constant);
  }
  return used;
}

test("every constant it mentions exists", () => {
  expect(mentioned.size).toBeGreaterThan(100);
  expect([...mentioned].filter((name) => !constants.has(name))).toEqual([]);
});

test("every stop and every record is documented with its number", () => {
  const kinds = [...constants].filter(([name]) => /^(STOP|R)_/.test(name) && name !== "R_INPUT");
  expect(kinds.length).toBeGreaterThan(15);
  for (const [name, number] of kinds) expect(readme).toContain(`| ${number} | \`${name}\` | `);
  expect(readme).toContain(`\`R_INPUT\` (${abi.R_INPUT})`);
});

test("so is every header word the core writes", () => {
  const used = usedNames();
  const words = [...constants].filter(([name]) => /^H_(?!WORDS|DESCRIPTOR)/.test(name) && used.has(name));
  expect(words.length).toBeGreaterThan(10);
  for (const [name, number] of words) expect(readme).toContain(`| ${number} | \`${name}\` | `);
});

test("no constant that the core uses is left out", () => {
  const used = usedNames();
  const missing = [...constants.keys()].filter(
    (name) => FAMILY.test(name) && used.has(name) && !mentioned.has(name),
  );
  expect(missing).toEqual([]);
});

test("sizes are those of the code", () => {
  const rows = [...readme.matchAll(/^\| `(\w+)` \| ([\d,]+) \|/gm)];
  expect(rows.length).toBeGreaterThan(15);
  for (const [, name, value] of rows) {
    expect([name, Number(value.replaceAll(",", ""))]).toEqual([name, constants.get(name)]);
  }
});

test("every export is named, and nothing but abort is imported", () => {
  for (const { module } of builds) {
    for (const { name } of WebAssembly.Module.exports(module)) {
      expect([name, new RegExp(`\\b${name}\\b`).test(readme)]).toEqual([name, true]);
    }
    const imports = WebAssembly.Module.imports(module).map(({ module, name }) => `${module}.${name}`);
    expect(imports.filter((name) => name !== "env.abort")).toEqual([]);
  }
});
