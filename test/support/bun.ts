// Where Bun is, if it is: BUN names the program, else it is looked for on the path.
import { spawnSync } from "node:child_process";

const program = process.env["BUN"] ?? "bun";

/** Undefined where Bun is not installed; then a word about it has been said. */
export const BUN = spawnSync(program, ["--version"]).status === 0 ? program : undefined;
if (BUN === undefined)
  console.warn("left out: nothing runs on Bun, it is not installed (npm install -g bun, or name it in BUN)");
