// The built executable in a directory of its own: started, stopped, and asked for one command. Needs dist/, which
// `npm test` builds first.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, vi } from "vitest";
import { runCommand } from "./command-process.ts";

export const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Launched {
  readonly child: ChildProcess;
  readonly output: { text: string; log: string };
  readonly exited: Promise<number | null>;
}

export interface Running extends Launched {
  /** Ports in the order of the listeners. */
  readonly ports: number[];
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const run = promisify(execFile);

export class Workplace {
  readonly directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
  /** The data directory of start() where none is named. */
  readonly data = join(this.directory, "data");
  readonly children: ChildProcess[] = [];
  /** For what is started from now on, besides this process's own. */
  environment: NodeJS.ProcessEnv = {};
  /** What runs the executable. */
  readonly runtime: string;

  constructor(runtime = process.execPath) {
    this.runtime = runtime;
  }

  launch(args: readonly string[]): Launched {
    const child = spawn(this.runtime, [MAIN, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...this.environment },
    });
    this.children.push(child);
    const output = { text: "", log: "" };
    child.stdout.setEncoding("utf8").on("data", (piece) => {
      output.text += piece;
    });
    child.stderr.setEncoding("utf8").on("data", (piece) => {
      output.log += piece;
    });
    return { child, output, exited: once(child, "close").then(([code]) => code as number | null) };
  }

  /** Resolves when the broker has printed what it listens on. */
  async start(...args: string[]): Promise<Running> {
    const running = this.launch(args.includes("--data") ? args : ["--data", this.data, ...args]);
    await Promise.race([
      vi.waitFor(() => expect(running.output.text).toContain("\nDurability: "), { timeout: 10_000 }),
      running.exited.then((code) => {
        throw new Error(`ended with ${code}: ${running.output.log}`);
      }),
    ]);
    const ports = [...running.output.text.matchAll(/^ {2}\w+:\/\/\S+:(\d+) /gm)].map((match) =>
      Number(match[1]),
    );
    return { ...running, ports };
  }

  /** One command to its end, behind those before it, in the process of all of them. `input` is its standard input. */
  command(args: readonly string[], input?: string): Promise<Ended> {
    return runCommand(args, input);
  }

  /** One command, in a process of its own, to its end. `input` is its standard input; `stdout`: a file to print into. */
  async millrace(args: readonly string[], input?: string, stdout?: string): Promise<Ended> {
    if (stdout !== undefined) return this.#printing(args, stdout);
    try {
      const running = run(this.runtime, [MAIN, ...args], {
        maxBuffer: 64 * 1024 * 1024,
        env: { ...process.env, ...this.environment },
      });
      running.child.stdin?.end(input);
      return { code: 0, ...(await running) };
    } catch (error) {
      return error as Ended & Error;
    }
  }

  /** With standard output into a file. */
  async #printing(args: readonly string[], file: string): Promise<Ended> {
    const output = openSync(file, "w");
    const child = spawn(this.runtime, [MAIN, ...args], { stdio: ["ignore", output, "pipe"] });
    closeSync(output);
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (piece) => {
      stderr += piece;
    });
    const [code] = await once(child, "close");
    return { code, stdout: "", stderr };
  }

  close(): void {
    for (const child of this.children) child.kill("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }
}
