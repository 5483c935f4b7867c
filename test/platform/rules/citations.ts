// Finds where rules are cited: `[RRPC-4]` in the sources, and in the titles of tests.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

const ROOT = new URL("../../..", import.meta.url).pathname;
const CITATION = /\[((?:[A-Z]+|V5)-\d+)\]/g;

/** Rule ids to the files that cite them, paths relative to the project. */
export function citationsIn(
  folders: readonly string[],
  suffix: string,
  titlesOnly: boolean,
): Map<string, string[]> {
  const found = new Map<string, Set<string>>();
  for (const folder of folders) {
    for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).sort()) {
      if (!name.endsWith(suffix) || name.includes("generated")) continue;
      const path = join(ROOT, folder, name);
      const text = readFileSync(path, "utf8");
      for (const { index, 1: id } of text.matchAll(CITATION)) {
        const before = text.slice(text.lastIndexOf("\n", index) + 1, index);
        if (titlesOnly && !isTitle(before)) continue;
        const files = found.get(id) ?? new Set();
        files.add(relative(ROOT, path));
        found.set(id, files);
      }
    }
  }
  return new Map([...found].map(([id, files]) => [id, [...files]]));
}

/** A citation in a text counts, one in a comment does not. */
function isTitle(before: string): boolean {
  return !before.includes("//") && !/^\s*\*/.test(before) && /["'`]/.test(before);
}
