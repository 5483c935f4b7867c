// A few rounds of the crash test per level; many: npm run crash. Its seed is printed where it fails.
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

test.each(["power", "process"])(
  "level %s keeps what was acknowledged when the broker is killed",
  async (level) => {
    const { status, output } = await crash("--rounds", "6", "--level", level);
    expect(status, output).toBe(0);
    const { kills, checks, counts } = JSON.parse(output.split("\n")[1]);
    expect(kills).toBeGreaterThanOrEqual(6);
    expect(checks).toBeGreaterThanOrEqual(1);
    expect(counts.acknowledged).toBeGreaterThan(100);
  },
  60_000,
);
