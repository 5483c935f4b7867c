// Keeps a process on one core. Without it the scheduler decides in each run anew whether broker and generator share a
// core; with one message in flight that moves every figure by a factor of four.

/** `{ file, args }` to start instead; `core` is a number, or false for wherever the scheduler likes. */
export function onCore(core, { file, args }) {
  return core === false ? { file, args } : { file: "taskset", args: ["-c", String(core), file, ...args] };
}
