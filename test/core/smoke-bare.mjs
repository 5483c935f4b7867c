// Runs the smoke case in a realm that has the language, WebAssembly and four globals of the web platform, and nothing
// of Node: what a browser or an edge worker offers at least. Needs --experimental-vm-modules.
import { readFileSync } from "node:fs";
import { createContext, SourceTextModule } from "node:vm";

const context = createContext({ TextEncoder, TextDecoder, atob, crypto });
const modules = new Map();

function load(url) {
  const known = modules.get(url.href);
  if (known) return known;
  const module = new SourceTextModule(readFileSync(url, "utf8"), { context, identifier: url.href });
  modules.set(url.href, module);
  return module;
}

const link = (specifier, from) => load(new URL(specifier, from.identifier));
const [core, smoke] = ["../../dist/core/index.js", "./smoke.mjs"].map((path) =>
  load(new URL(path, import.meta.url)),
);
for (const module of [core, smoke]) {
  await module.link(link);
  await module.evaluate();
}
const wasm = readFileSync(new URL("../../dist/core/core.wasm", import.meta.url));
const { createCore } = core.namespace;
console.log(
  JSON.stringify([await smoke.namespace.run(createCore), await smoke.namespace.run(createCore, wasm)]),
);
