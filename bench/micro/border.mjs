// What does crossing between JavaScript and the core cost: a call, a copy in, reading a word back?
import { openCore } from "./core.mjs";
import { measure } from "./harness.mjs";

const BATCH = 20_000;
const LARGE_BATCH = 200;

export const title = "border";

export async function run(options) {
  const core = await openCore();
  const { exports, region } = core;
  const bytes = core.bytes();
  const words = core.words();
  const small = Buffer.alloc(64, 1);
  const large = Buffer.alloc(65_536, 1);
  const header = exports.headerPtr() >> 2;
  // A loop of its own for each operation: one shared loop would make every call in it polymorphic.
  const tasks = [
    {
      name: "call without arguments",
      operations: BATCH,
      run() {
        let sum = 0;
        for (let i = 0; i < BATCH; i++) sum += exports.headerPtr();
        return sum;
      },
    },
    {
      name: "call with three integers, nothing to parse",
      operations: BATCH,
      run() {
        let sum = 0;
        for (let i = 0; i < BATCH; i++) sum += exports.parseRun(region, 0, 4);
        return sum;
      },
    },
    {
      name: "copy 64 B in",
      operations: BATCH,
      run() {
        for (let i = 0; i < BATCH; i++) bytes.set(small, region);
        return bytes[region];
      },
    },
    {
      name: "copy 64 KiB in",
      operations: LARGE_BATCH,
      run() {
        for (let i = 0; i < LARGE_BATCH; i++) bytes.set(large, region);
        return bytes[region];
      },
    },
    {
      name: "read a word",
      operations: BATCH,
      run() {
        let sum = 0;
        for (let i = 0; i < BATCH; i++) sum += words[header + (i & 15)];
        return sum;
      },
    },
  ];
  return { results: await measure(tasks, options), bounds: [] };
}
