import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createCore } from "millrace/core";
import { run } from "./smoke.mjs";

const wasm = createRequire(import.meta.url).resolve("millrace/core.wasm");
console.log(JSON.stringify([await run(createCore), await run(createCore, readFileSync(wasm))]));
