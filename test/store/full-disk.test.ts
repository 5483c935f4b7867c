// The disk is full, fails, or comes back: what is refused, what is said, and that the disk ends up as the broker believes.
// Real writes fail by a limit on the size of files; log files fail as the test likes. Needs dist/ and Linux's prlimit.
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { type DurableLevel, type DurableStore, openStore } from "../../src/store/open-store.ts";
import { eventually } from "../support/server.ts";
import { temporaryDirectory } from "./directories.ts";
import { keptState, message, StoredSession, segment } from "./kept-state.ts";
import { RecordedLogFiles } from "./recorded-log-files.ts";

const CHILD = fileURLToPath(new URL("full-disk-child.mjs", import.meta.url));
const children: ChildProcessWithoutNullStreams[] = [];
const stores: DurableStore[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const store of stores.splice(0)) await store.close();
});

function hasPrlimit(): boolean {
  try {
    execFileSync("prlimit", ["--version"], { stdio: "ignore" });
    return process.platform === "linux";
  } catch {
    return false;
  }
}

function limitFiles(pid: number, bytes: number | "unlimited"): void {
  execFileSync("prlimit", ["--pid", `${pid}`, `--fsize=${bytes}:unlimited`]);
}

test.skipIf(!hasPrlimit()).each(["process", "power"] as const)(
  "level %s: no room: refused quickly, said once; room again: it goes on, and the file is as the broker believes",
  // A machine so busy that the child does not get to its trials in time says nothing about the store.
  { timeout: 60_000, retry: 2 },
  async (level: DurableLevel) => {
    const directory = temporaryDirectory();
    const child = spawn(process.execPath, [CHILD, level, directory]);
    children.push(child);
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    const lines = (kind: string): string[] => text.split("\n").filter((line) => line.startsWith(kind));
    await eventually(() => lines("ok").length > 20, "turns resolve");
    limitFiles(child.pid as number, 4_096);
    await eventually(() => lines("refused").length > 20, "turns are refused", 10_000);
    for (const line of lines("refused")) {
      const [, , code, ms] = line.split(" ");
      expect(code).toBe("STORE_WRITE");
      expect(Number(ms)).toBeLessThan(1_000);
    }
    expect(lines("log the store cannot write")).toHaveLength(1);
    const before = lines("ok").length;
    limitFiles(child.pid as number, "unlimited");
    await eventually(() => lines("ok").length > before + 20, "turns resolve again", 20_000);
    expect(lines("log the store can write again")).toHaveLength(1);
    child.stdin.write("end");
    await eventually(() => lines("closed").length === 1, "it closes");
    const last = Math.max(...lines("ok").map((line) => Number(line.split(" ")[1])));
    const store = await openStore({ directory, level });
    stores.push(store);
    const segments: number[] = [];
    const cursors: string[] = [];
    const nothing = (): void => undefined;
    await store.load({
      session: nothing,
      subscription: nothing,
      inbound: nothing,
      retained: nothing,
      cursor: (_id, cursor) => void cursors.push(Buffer.from(cursor).toString()),
      segment: (serial) => void segments.push(serial),
    });
    expect(cursors).toEqual([`${last}`]);
    expect(segments).toEqual(Array.from({ length: 10 }, (_, i) => last - 9 + i));
  },
);

describe("level process", () => {
  const session = new StoredSession(1);

  async function openRecorded(): Promise<{
    store: DurableStore;
    files: RecordedLogFiles;
    data: string;
    said: string[];
  }> {
    const data = temporaryDirectory();
    const files = new RecordedLogFiles(join(data, "store"), join(data, "safe.mdb"));
    const said: string[] = [];
    const note = (_fields: object, line: string): void => void said.push(line);
    const logger = { debug: note, info: note, warn: note, error: note };
    const store = await openStore({
      directory: data,
      level: "process",
      logFiles: files,
      logger,
      retryMs: 20,
    });
    stores.push(store);
    return { store, files, data, said };
  }

  function turn(store: DurableStore, n: number): Promise<void> {
    const batch = store.begin();
    batch.segment(segment(n, `m${n}`, [session]));
    session.state = `${n}`;
    batch.queue(session);
    batch.retained(`r${n}`, message("r", `${n}`));
    return store.commit(batch);
  }

  const failure = (code: string): NodeJS.ErrnoException =>
    Object.assign(new Error(`${code}: test`), { code });

  test.each([
    ["nothing of it", 0],
    ["a part of it", 60],
  ])("a write fails and %s is in the file: what follows is read all the same", async (_name, shortWrite) => {
    const { store, files, data } = await openRecorded();
    await turn(store, 1);
    files.writeError = failure("ENOSPC");
    files.shortWrite = shortWrite;
    await expect(turn(store, 2)).rejects.toMatchObject({ code: "STORE_WRITE" });
    await expect(turn(store, 3)).rejects.toMatchObject({ code: "STORE_WRITE" });
    files.writeError = undefined;
    await eventually(() => store.failure === undefined, "it recovers");
    await turn(store, 4);
    // As after SIGKILL: a copy of what the operating system has.
    const left = join(data, "left");
    cpSync(join(data, "store"), join(left, "store"), { recursive: true });
    const again = await openStore({ directory: left, level: "power" });
    stores.push(again);
    const state = await keptState(again);
    expect(state.cursors).toEqual({ 1: "4" });
    expect(Object.keys(state.retained)).toEqual(expect.arrayContaining(["r1", "r4"]));
    expect(state.segments.map(([serial]) => serial)).toEqual([1, 2, 3, 4]);
  });

  test("the trial succeeds and what was carried over fails, until the next trial: no record is missing", async () => {
    const { store, files, data } = await openRecorded();
    await turn(store, 1);
    files.failingWrites.add(2).add(4);
    await expect(turn(store, 2)).rejects.toMatchObject({ code: "STORE_WRITE" });
    await eventually(() => store.failure === undefined, "it recovers");
    expect(files.writes).toBeGreaterThan(4);
    const left = join(data, "left");
    cpSync(join(data, "store"), join(left, "store"), { recursive: true });
    const again = await openStore({ directory: left, level: "process" });
    stores.push(again);
    expect((await keptState(again)).cursors).toEqual({ 1: "2" });
  });

  test("killed right behind a recovery, twice: the numbers of the log's records go on", async () => {
    const { store, files, data } = await openRecorded();
    files.syncError = failure("EIO");
    await turn(store, 1);
    await eventually(() => store.failure !== undefined, "a flush fails");
    await eventually(() => store.failure === undefined, "it recovers");
    let directory = data;
    for (let n = 2; n < 4; n++) {
      const left = join(data, `left-${n}`);
      cpSync(join(directory, "store"), join(left, "store"), { recursive: true });
      directory = left;
      const again = await openStore({ directory: left, level: "process" });
      stores.push(again);
      expect((await keptState(again)).cursors).toEqual({ 1: `${n - 1}` });
      await turn(again, n);
    }
  });

  test("a flush fails: said, and everything is safe in the database file when it recovers", async () => {
    const { store, files, data, said } = await openRecorded();
    files.syncError = failure("EIO");
    await turn(store, 1);
    await eventually(() => said.length > 0, "the failure is said");
    expect(said).toEqual(["the store cannot write; clients are refused until it can again"]);
    await eventually(() => store.failure === undefined, "it recovers");
    expect(said).toHaveLength(2);
    files.checkpointed();
    const left = join(data, "left");
    files.losePower(join(left, "store"), "dropped");
    const again = await openStore({ directory: left, level: "process", bootId: Buffer.alloc(16, 9) });
    stores.push(again);
    expect((await keptState(again)).cursors).toEqual({ 1: "1" });
  });
});
