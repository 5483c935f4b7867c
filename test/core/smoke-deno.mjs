// Started without any permission but to read core.wasm.
import { createCore } from "millrace/core";
import { run } from "./smoke.mjs";

const wasm = await Deno.readFile(new URL("../../dist/core/core.wasm", import.meta.url));
console.log(JSON.stringify([await run(createCore), await run(createCore, wasm)]));
