// Folder = layer: what a file imports lies in its own folder, or further down on the map: docs/architecture.md for the host,
// assembly/README.md for the core. And no file imports itself, however far round. Types count: who only reads a type must
// still know what it means.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));

interface Tree {
  readonly name: string;
  /** The page with the map, and the folder its first line begins with. */
  readonly page: string;
  readonly top: string;
  /** On the map, but no folder of the tree. */
  readonly elsewhere?: string;
  /** What folders on the same height use alike. */
  readonly shared: readonly string[];
  readonly imports: number;
}

const trees: readonly Tree[] = [
  {
    name: "src",
    page: "docs/architecture.md",
    top: "cli",
    elsewhere: "assembly",
    shared: [],
    imports: 500,
  },
  {
    name: "assembly",
    page: "assembly/README.md",
    top: "route",
    // What is text, and the numbers for what is wrong with it: a topic is checked while it is split.
    shared: ["codec/utf8.ts", "codec/abi.ts"],
    imports: 100,
  },
];

/** What each file of the tree imports of it, by path from there. */
function importsOf(tree: string): Map<string, string[]> {
  const imports = new Map<string, string[]>();
  for (const name of readdirSync(join(root, tree), { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts") || name.startsWith("core/generated/")) continue;
    const text = readFileSync(join(root, tree, name), "utf8");
    const found = text.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*"(\.[^"]+)"/g);
    imports.set(
      name,
      Array.from(found, ([, path]) => normalize(join(dirname(name), path)).replace(/(?<!\.ts)$/, ".ts")),
    );
  }
  return imports;
}

/** Folders of the map, from its top to its bottom; those within one stand below it, two places further in. */
function foldersOfMap(page: string, top: string): string[] {
  const map = new RegExp(`^(?:${top}/ )[\\s\\S]*?^\`\`\`$`, "m").exec(page)?.[0] ?? "";
  const way: string[] = [];
  return Array.from(map.matchAll(/^((?: {2}){0,3})([\w-]+)\/ /gm), ([, indent, name]) => {
    way.splice(indent.length / 2, way.length, name);
    return way.join("/");
  });
}

describe.each(trees)("$name", ({ name, page, top, elsewhere, shared, imports: least }) => {
  const layers = foldersOfMap(readFileSync(join(root, page), "utf8"), top);
  const imports = importsOf(name);

  /** The innermost folder of the map a file lies in; undefined: in none, as what embedders and the parts all use. */
  function layerOf(file: string): string | undefined {
    if (shared.includes(file)) return undefined;
    // Made from the core's own sources.
    if (file.startsWith("core/generated/")) return "assembly";
    for (let folder = dirname(file); folder !== "."; folder = dirname(folder))
      if (layers.includes(folder)) return folder;
    return undefined;
  }

  test("every folder is on the map, and those within one where any is", () => {
    const folders = new Set([...imports.keys()].map((file) => dirname(file)));
    const split = new Set(layers.filter((layer) => layer.includes("/")).map((layer) => dirname(layer)));
    const expected = [...folders].filter(
      (folder) => folder !== "." && (split.has(dirname(folder)) || !folder.includes("/")),
    );
    expect(expected.filter((folder) => !layers.includes(folder))).toEqual([]);
    expect(layers.filter((layer) => layer !== elsewhere && !folders.has(layer) && !split.has(layer))).toEqual(
      [],
    );
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
    expect(seen).toBeGreaterThan(least);
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
});
