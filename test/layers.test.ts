// Folder = layer: what a file imports lies in its own folder, or further down on the map of docs/architecture.md. And no file
// imports itself, however far round. Types count: who only reads a type must still know what it means.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));

/** Folders of src/, from the top of the map to its bottom. */
const layers = foldersOfMap(readFileSync(join(root, "docs/architecture.md"), "utf8"));

/** What each file imports of src/, by path from there. */
const imports = new Map<string, string[]>();
for (const name of readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".ts") || name.startsWith("core/generated/")) continue;
  const text = readFileSync(join(root, "src", name), "utf8");
  const found = text.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*"(\.[^"]+)"/g);
  imports.set(
    name,
    Array.from(found, ([, path]) => normalize(join(dirname(name), path))),
  );
}

function foldersOfMap(page: string): string[] {
  const map = /^```\n(cli\/[\s\S]*?)^```$/m.exec(page)?.[1] ?? "";
  let parent = "";
  return Array.from(map.matchAll(/^( {2})?(\w+)\/ /gm), ([, nested, name]) => {
    if (nested === undefined) parent = name;
    return nested === undefined ? name : `${parent}/${name}`;
  });
}

/** The innermost folder of the map a file lies in; undefined: in none, as what embedders and the parts all use. */
function layerOf(file: string): string | undefined {
  // Made from the core's own sources.
  if (file.startsWith("core/generated/")) return "assembly";
  for (let folder = dirname(file); folder !== "."; folder = dirname(folder))
    if (layers.includes(folder)) return folder;
  return undefined;
}

test("every folder is on the map, and those below one where any is", () => {
  const folders = new Set([...imports.keys()].map((file) => dirname(file)));
  const split = new Set(layers.filter((name) => name.includes("/")).map((name) => dirname(name)));
  const expected = [...folders].filter(
    (name) => name !== "." && (split.has(dirname(name)) || !name.includes("/")),
  );
  expect(expected.filter((name) => !layers.includes(name))).toEqual([]);
  expect(layers.filter((name) => name !== "assembly" && !folders.has(name) && !split.has(name))).toEqual([]);
});

test("imports point down the map", () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const [file, paths] of imports) {
    const from = layerOf(file);
    if (from === undefined) continue;
    for (const path of paths) {
      const to = layerOf(path);
      if (to === undefined) continue;
      seen++;
      if (layers.indexOf(to) < layers.indexOf(from)) wrong.push(`${file} imports ${path}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(seen).toBeGreaterThan(500);
});

test("no file imports itself, however far round", () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, way: readonly string[]): void => {
    const at = way.indexOf(file);
    if (at >= 0) circles.push([...way.slice(at), file].join(" > "));
    if (at >= 0 || done.has(file)) return;
    for (const path of imports.get(file) ?? []) visit(path, [...way, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  expect(circles).toEqual([]);
});
