// The core's raw exports for benches, straight from dist/core/core.wasm: what is measured is the core and one call
// into it, without the host around it.
import { existsSync, readFileSync } from "node:fs";

const module = new URL("../../dist/core/core.wasm", import.meta.url);
const abi = new URL("../../dist/core/generated/abi.js", import.meta.url);
const SEED = [0x2545f491, 0x4f6cdd1d, 0x27d4eb2f, 0x165667b1]; // a broker takes a random one

export const coreIsBuilt = () => existsSync(module) && existsSync(abi);

/** A fresh instance: `{ exports, abi, region, bytes(), words() }`; `region` is the address of the input region. */
export async function openCore() {
  const { instance } = await WebAssembly.instantiate(readFileSync(module), {
    env: {
      abort(_message, _file, line, column) {
        throw new Error(`core aborted at ${line}:${column}`);
      },
    },
  });
  const { exports } = instance;
  if (!exports.init(...SEED)) throw new Error("the core found no memory");
  return {
    exports,
    abi: await import(abi.href),
    region: exports.inputBase.value,
    // Anew after every call that may grow memory: old views are empty then.
    bytes: () => new Uint8Array(exports.memory.buffer),
    words: () => new Uint32Array(exports.memory.buffer),
  };
}
