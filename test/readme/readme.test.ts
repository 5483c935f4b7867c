// The documentation must not promise what the program does not do: snippets run as a reader would run them, in a
// directory of their own with the packages installed, and print what the page says they print.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AccessList } from "../../src/access/access-list.ts";
import { parseConfig } from "../../src/cli/config/config.ts";
import { DEFAULTS } from "../../src/cli/config/defaults.ts";
import { COMMANDS, type CommandTable } from "../../src/cli/arguments/flags.ts";
import { demoLines, durabilityLine, listenerLines } from "../../src/cli/start/greeting.ts";
import { DEMO_DEVICE_NAMES, DEMO_PRODUCT_KEY } from "../../src/platform/demo.ts";
import { VERSION } from "../../src/version.ts";
import { blocksOf, inlineCode, programsOf, readPage, root } from "./markdown.ts";

const run = promisify(execFile);
const cli = join(root, "dist/cli/main.js");
const PAGES = [
  "README.md",
  "docs/embedding.md",
  "docs/access.md",
  "docs/platform.md",
  "docs/move-your-devices.md",
];
const PACKAGES = ["mqtt", "alibabacloud-iot-device-sdk", "@types"];

let directory: string;
let broker: ChildProcess;
let port: string;

/** Starts the command line in the reader's directory and waits for its greeting. */
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-readme-"));
  mkdirSync(join(directory, "node_modules"));
  symlinkSync(root, join(directory, "node_modules/millrace"));
  for (const name of PACKAGES)
    symlinkSync(join(root, "node_modules", name), join(directory, "node_modules", name));
  broker = spawn(process.execPath, [cli, "--listen", "auto://127.0.0.1:0", "--log-level", "error"], {
    cwd: directory,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const greeting = await outputUntil(broker, (text) => text.includes("hello from the device"));
  port = /auto:\/\/127\.0\.0\.1:(\d+)/.exec(greeting)?.[1] ?? "";
  expect(port).not.toBe("");
  // The line of the README that takes a device's secret down.
  const [shown, target] = commandOfReadme("npx millrace device show").join(" ").split(" > ");
  const { stdout } = await run(process.execPath, [cli, ...shown.split(" ")], { cwd: directory });
  writeFileSync(join(directory, target), stdout);
}, 20_000);

afterAll(async () => {
  const gone = new Promise((resolve) => broker.once("exit", resolve));
  broker.kill("SIGTERM");
  await gone;
  rmSync(directory, { recursive: true, force: true });
});

/** Standard output up to the moment it satisfies `enough`; rejects where the process ends before. */
function outputUntil(child: ChildProcess, enough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const onData = (chunk: Buffer): void => {
      text += chunk;
      if (enough(text)) resolve(text);
    };
    child.stdout?.on("data", onData);
    child.once("close", (code) => reject(new Error(`ended with ${code} after printing:\n${text}`)));
  });
}

describe.each(PAGES)("%s", (page) => {
  const programs = programsOf(page);

  test.runIf(programs.length > 0).each(programs)(
    "the program of line $line prints what the page says",
    {
      timeout: 30_000,
    },
    async ({ line, code, output }) => {
      const file = join(directory, `${page.replaceAll(/\W/g, "-")}-${line}.mjs`);
      // The ports of the page are fixed, those of a test are not.
      writeFileSync(
        file,
        code.replace(/127\.0\.0\.1:1883/g, `127.0.0.1:${port}`).replace(/port: 1883\b/g, "port: 0"),
      );
      const child = spawn(process.execPath, [file], { cwd: directory, stdio: ["ignore", "pipe", "inherit"] });
      try {
        const ready = output.indexOf("ready\n");
        if (ready >= 0) {
          await outputUntil(child, (text) => text.includes("ready\n"));
          const printed = outputUntil(child, (text) => text.includes("hello from the server\n"));
          await run(process.execPath, [cli, ...commandOfReadme("npx millrace publish")], { cwd: directory });
          expect(`ready\n${await printed}`).toBe(output);
        } else expect(await outputUntil(child, (text) => text.length >= output.length)).toBe(output);
      } finally {
        child.kill();
      }
    },
  );

  test("every flag of this project's commands exists", () => {
    const known = new Set<string>();
    for (const { flags } of Object.values(COMMANDS) as CommandTable[])
      for (const name of Object.keys(flags)) known.add(`--${name}`);
    for (const command of commandsOf(page))
      for (const [flag] of command.matchAll(/(?<=\s|^)--[a-z][a-z-]*/g))
        expect([...known], command).toContain(flag);
  });

  test("every configuration is valid", async () => {
    for (const { code } of blocksOf(page, "yaml")) await parseConfig(code, page);
  });

  test("every access list is valid", () => {
    for (const { code } of blocksOf(page, "acl")) AccessList.parse(code, page);
  });
});

test("the programs of docs/embedding.md satisfy the type checker", { timeout: 60_000 }, async () => {
  const files = programsOf("docs/embedding.md").map(({ line, code }) => {
    const name = `typed-${line}.mts`;
    writeFileSync(join(directory, name), code);
    return name;
  });
  const options = "--noEmit --strict --skipLibCheck --target es2023 --module nodenext --types node".split(
    " ",
  );
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const checked = run(process.execPath, [tsc, ...options, ...files], { cwd: directory });
  const complaints = await checked.then(
    () => "",
    (error: { stdout: string; stderr: string }) => `${error.stdout}${error.stderr}` || "the checker failed",
  );
  expect(complaints).toBe("");
});

test("the README names the size of the core", () => {
  const [, kilobytes] = /core \(about (\d+) KB\)/.exec(readPage("README.md")) ?? [];
  const size = statSync(join(root, "dist/core/core.wasm")).size / 1_000;
  expect(Math.abs(size / Number(kilobytes) - 1)).toBeLessThan(0.15);
});

test("the README shows what a first start prints", () => {
  const devices = DEMO_DEVICE_NAMES.map((deviceName) => ({
    productKey: DEMO_PRODUCT_KEY,
    deviceName,
    deviceSecret: "0".repeat(32),
  }));
  const listeners = DEFAULTS.listeners.map((url) => ({ url, profile: DEFAULTS.profile }));
  const head = `Millrace ${VERSION} listens on:\n\n${listenerLines(listeners)}\n${durabilityLine(DEFAULTS.durability)}\n`;
  const demo = demoLines(listeners, [devices[0], devices[1]], undefined);
  const shown = blocksOf("README.md", "text").find(({ code }) => code.includes("listens on:"))?.code ?? "";
  expect(withoutPasswords(shown)).toBe(withoutPasswords(head + demo));
  expect(shown.match(/-P '[0-9A-F]{8}…'/g)).toHaveLength(2);
});

test("the broker takes the configuration of the README, with a user made as it says", async () => {
  writeFileSync(join(directory, "millrace.yaml"), blocksOf("README.md", "yaml")[0].code);
  const start = [cli, "--config", "millrace.yaml", "--check"];
  await expect(run(process.execPath, start, { cwd: directory })).rejects.toMatchObject({ code: 1 });
  const passwd = run(process.execPath, [cli, "passwd", "users", "alice", "--password-stdin"], {
    cwd: directory,
  });
  passwd.child.stdin?.end("wonderland\n");
  await passwd;
  const { stdout } = await run(process.execPath, start, { cwd: directory });
  expect(stdout).toContain("tls://0.0.0.0:8883");
});

function withoutPasswords(text: string): string {
  return text.replace(/-P '[^']*'/g, "-P '…'");
}

/** Arguments of the one line with this command that the README asks the reader to paste. */
function commandOfReadme(command: string): string[] {
  const lines = blocksOf("README.md", "sh").flatMap(({ code }) => code.split("\n"));
  const line = lines.find((text) => text.startsWith(command));
  return [...(line?.matchAll(/'([^']*)'|(\S+)/g) ?? [])].map(([, quoted, word]) => quoted ?? word).slice(2);
}

/** What a page shows of `millrace`, in blocks and in running text. */
function commandsOf(page: string): string[] {
  const lines = blocksOf(page, "sh").flatMap(({ code }) => code.split("\n"));
  const all = [...lines, ...inlineCode(readPage(page))];
  return all.filter((text) => /^(npx millrace|millrace|npm start --|--[a-z])/.test(text));
}
