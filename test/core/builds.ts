// Both builds of the module for createCore(): asserts of the debug build see what the release build hides.
import { readFileSync } from "node:fs";

const load = (file: string) =>
  new WebAssembly.Module(readFileSync(new URL(`../../src/core/generated/${file}`, import.meta.url)));

export const builds = [
  { build: "release", module: load("core.wasm") },
  { build: "debug", module: load("core.debug.wasm") },
];
