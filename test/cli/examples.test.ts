// The embedding examples of the documentation, on every runtime they are for.
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { BUN } from "../support/bun.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const examples = readdirSync(`${root}docs/examples`).sort();
const deno = ["node_modules/.bin/deno", "run", "--no-prompt", "--allow-net", "--allow-read", "--allow-env"];

function command(example: string): string[] {
  const file = `docs/examples/${example}`;
  return example.endsWith(".ts") ? [...deno, file] : [process.execPath, file];
}

test("there are examples for Node and for Deno", () => {
  expect(examples).toEqual(["core.mjs", "core.ts", "deno-embed.ts", "node-embed.mjs"]);
});

async function lastLine(program: string, args: readonly string[]): Promise<string | undefined> {
  const { stdout } = await promisify(execFile)(program, args, { cwd: root, timeout: 25_000 });
  return stdout.trim().split("\n").at(-1);
}
const goal = /^client received answers\/hello: hello, client|^matched /;

test.each(examples)("%s runs and ends by itself", { timeout: 30_000 }, async (example) => {
  const [program, ...args] = command(example);
  expect(await lastLine(program, args)).toMatch(goal);
});

test.skipIf(BUN === undefined).each(examples)(
  "%s runs on Bun as well",
  { timeout: 30_000 },
  async (example) => {
    expect(await lastLine(BUN ?? "", ["run", `docs/examples/${example}`])).toMatch(goal);
  },
);
