// The data directory: made private, and held by one broker at a time, or by a command that works without one. A holder proves
// that it is alive by its control socket, not by its process id: those repeat after a restart, in containers above all.
// Invariant: the lock file exists before the control socket opens, and is removed after it has closed.
import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { OperationError } from "../../errors.ts";
import { makeDirectory, PRIVATE } from "../../runtime/directories.ts";
import { controlAnswers } from "../control/control-path.ts";

const LOCK = "broker.lock";
/** Behind process id and random number, where the holder is no broker. */
const HOLDER = /^\d+ [0-9a-f]+ (millrace [a-z]+)$/;
/** A broker holds the lock for this long at most before its control socket answers, ms. */
const STARTUP_MS = 3_000;
const POLL_MS = 50;

export interface DataDirectory {
  readonly path: string;
  /** Others may read it, although it holds secrets. Only said of a directory that was there before. */
  readonly exposed: boolean;
  release(): void;
}

/**
 * Creates the directory if needed and takes its lock. Throws OperationError where somebody else has it. `command` is what
 * others are told of a holder that is no broker.
 */
export async function openDataDirectory(path: string, command?: string): Promise<DataDirectory> {
  let exposed: boolean;
  try {
    makeDirectory(path, PRIVATE);
    const found = statSync(path);
    if (!found.isDirectory()) throw new Error("it is not a directory");
    exposed = (found.mode & 0o077) !== 0;
  } catch (error) {
    const message = `data directory ${path} cannot be used: ${(error as Error).message}`;
    throw new OperationError("DATA_DIRECTORY_UNUSABLE", message, { cause: error });
  }
  const lock = join(path, LOCK);
  const holder = command === undefined ? "" : ` millrace ${command}`;
  const content = `${process.pid} ${randomBytes(8).toString("hex")}${holder}\n`;
  while (!createLock(lock, content)) await waitOrSteal(path, lock, content);
  return {
    path,
    exposed,
    release() {
      if (read(lock) === content) rmSync(lock, { force: true });
    },
  };
}

function createLock(lock: string, content: string): boolean {
  try {
    writeFileSync(lock, content, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    const message = `data directory cannot be locked: ${(error as Error).message}`;
    throw new OperationError("DATA_DIRECTORY_UNUSABLE", message, { cause: error });
  }
}

/** Returns when the lock may be tried again; throws where its holder lives. */
async function waitOrSteal(path: string, lock: string, own: string): Promise<void> {
  const held = read(lock);
  if (held === undefined) return;
  const pid = Number.parseInt(held, 10);
  if (await controlAnswers(path)) {
    const command = HOLDER.exec(held.trim())?.[1];
    const message =
      (command === undefined
        ? `another broker (process ${pid || "unknown"}) runs on the data directory ${path}; stop it`
        : `${command} (process ${pid}) works on the data directory ${path}; wait for its end`) +
      ", or choose another directory with --data";
    throw new OperationError("DATA_DIRECTORY_IN_USE", message);
  }
  if (pid !== process.pid && alive(pid) && ageMs(lock) < STARTUP_MS) {
    await delay(POLL_MS);
    return;
  }
  // Renamed before it is removed, and put back if it turns out to be a new one: another starter may be faster.
  const aside = `${lock}.${own.split(" ")[1].trim()}`;
  try {
    renameSync(lock, aside);
    if (read(aside) !== held) linkSync(aside, lock);
  } catch {
    // Somebody else moved it first; the next round sees what is there now.
  }
  rmSync(aside, { force: true });
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function ageMs(file: string): number {
  try {
    return Date.now() - statSync(file).mtimeMs;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

export function alive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
