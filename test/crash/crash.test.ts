// A few rounds of the crash test per level and variant; many: npm run crash. Its seed is printed where it fails.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const RUN = fileURLToPath(new URL("./run.mjs", import.meta.url));

function crash(...options: string[]): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [RUN, "--quiet", "--work", "400", ...options]);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    child.once("close", (status) => resolve({ status, output }));
  });
}

test.each([
  ["level power", 6, ["--level", "power"]],
  ["level process", 6, ["--level", "process"]],
  ["level power, the command line's broker", 3, ["--level", "power", "--cli"]],
  ["level power, a store that fails", 3, ["--level", "power", "--faults", "0.03", "--seed", "4"]],
  ["level process, a store that fails", 3, ["--level", "process", "--faults", "0.03", "--seed", "7"]],
])(
  "%s keeps what was acknowledged when the broker is killed",
  async (_name, rounds, options) => {
    const { status, output } = await crash("--rounds", `${rounds}`, ...options);
    expect(status, output).toBe(0);
    const { kills, checks, counts } = JSON.parse(output.split("\n")[1]);
    expect(kills).toBeGreaterThanOrEqual(rounds);
    expect(checks).toBeGreaterThanOrEqual(1);
    expect(counts.acknowledged).toBeGreaterThan(100);
  },
  60_000,
);
