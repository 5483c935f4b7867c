// V8 first compiles WebAssembly quickly, and well only what has run for a while; on a broker that has just started the first
// hundred thousand messages pay for both. The executable, whose process is its own, has the core compiled well at once: it takes
// 37 ms of a start instead of 8, and 67 ms of CPU time instead of 10. An embedder's process is left as it is.
import { setFlagsFromString } from "node:v8";
import { RUNTIME } from "../../runtime/runtime.ts";

const FLAGS = ["--no-liftoff", "--no-wasm-tier-up", "--no-wasm-lazy-compilation"];
/** Versions of V8 that are known to have them; another one might complain on standard error. */
const FIRST_V8 = 11;
const LAST_V8 = 13;

/** Before the core is compiled. */
export function compileCoreAtOnce(): void {
  const v8 = Number.parseInt(process.versions.v8 ?? "", 10);
  if (RUNTIME !== "node" || !(v8 >= FIRST_V8 && v8 <= LAST_V8)) return;
  for (const flag of FLAGS) setFlagsFromString(flag);
}
