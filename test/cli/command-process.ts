// One process for all the commands of a test file: most of a command's time is the start of its process. Not for brokers, nor
// for commands that run until somebody ends them, nor for tests of the process itself; process-per-command.test.ts holds it to
// what a process of its own does.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Ended } from "./executable.ts";

const CHILD = fileURLToPath(new URL("command-child.mjs", import.meta.url));

type Answer = Ended & { readonly number: number };
interface Waiter {
  readonly resolve: (ended: Ended) => void;
  readonly reject: (error: Error) => void;
}

let child: ChildProcess | undefined;
const waiters = new Map<number, Waiter>();
let counter = 0;

function start(): ChildProcess {
  const started = fork(CHILD, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  started.on("message", ({ number, ...ended }: Answer) => {
    waiters.get(number)?.resolve(ended);
    settled(started, number);
  });
  started.once("exit", (code, signal) => {
    child = undefined;
    for (const [number, { reject }] of waiters) {
      reject(new Error(`the process of the commands ended with ${code ?? signal}`));
      waiters.delete(number);
    }
  });
  return started;
}

/** It ends with this process, and keeps it only while a command runs. */
function settled(process: ChildProcess, number: number): void {
  waiters.delete(number);
  if (waiters.size > 0) return;
  process.unref();
  process.channel?.unref();
}

/** One after another, in the order of the calls. */
export function runCommand(args: readonly string[], input?: string): Promise<Ended> {
  child ??= start();
  const { channel } = child;
  child.ref();
  channel?.ref();
  const number = counter++;
  const ended = new Promise<Ended>((resolve, reject) => waiters.set(number, { resolve, reject }));
  child.send({ number, args, input });
  return ended;
}
