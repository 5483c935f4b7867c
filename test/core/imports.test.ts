// millrace/core must run where there is no Node: walks everything dist/core/index.js imports, and its declarations.
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const entry = new URL("../../dist/core/index.js", import.meta.url);
const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)"([^"]+)"/g;
const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;
const FOREIGN =
  /\bBuffer\b|\bprocess\s*[.[]|\brequire\s*\(|\bsetImmediate\b|\b__dirname\b|\bglobal\b|\bDeno\b|\bBun\b/;

/** Source without comments of every file that can be reached, by path from dist/. */
function walk(start: URL): Map<string, string> {
  const suffix = start.pathname.endsWith(".d.ts") ? ".d.ts" : ".js"; // declarations name the files they declare
  const files = new Map<string, string>();
  const waiting = [start];
  for (let url = waiting.pop(); url !== undefined; url = waiting.pop()) {
    const path = url.pathname.split("/dist/")[1];
    if (files.has(path)) continue;
    const source = readFileSync(url, "utf8").replaceAll(COMMENT, "");
    files.set(path, source);
    for (const [, specifier] of source.matchAll(IMPORT)) {
      if (!/^\.\.?\//.test(specifier)) throw new Error(`${path} imports ${specifier}`);
      waiting.push(new URL(specifier.replace(/\.[jt]s$/, suffix), url));
    }
  }
  return files;
}

test("the core reaches relative files only, none of them the broker's, and names nothing of one runtime", () => {
  const files = walk(entry);
  expect([...files.keys()]).toContain("core/module.js");
  for (const [path, source] of files) {
    expect(path).toMatch(/^(core|protocol)\//);
    expect(path).not.toBe("core/border.js");
    expect([path, FOREIGN.exec(source)?.[0]]).toEqual([path, undefined]);
  }
});

test("so do its declarations", () => {
  const files = walk(new URL("../../dist/core/index.d.ts", import.meta.url));
  expect([...files.keys()]).toContain("core/matcher.d.ts");
  for (const [path, source] of files) expect([path, FOREIGN.exec(source)?.[0]]).toEqual([path, undefined]);
});

test("the walk would see an import of Node and a Buffer", () => {
  expect(() => walk(new URL("../../dist/broker.js", import.meta.url))).toThrow(/imports /);
  expect(FOREIGN.test('const b = Buffer.from("x")')).toBe(true);
  expect(FOREIGN.test("new ArrayBuffer(8)")).toBe(false);
});

test("core.wasm lies where package.json says", () => {
  const { exports } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const root = new URL("../../", import.meta.url);
  for (const path of [exports["./core"].default, exports["./core"].types, exports["./core.wasm"]]) {
    expect([path, existsSync(new URL(path, root))]).toEqual([path, true]);
  }
});
