// The disk is full, fails, or comes back: what is refused, what is said, and that the disk ends up as the broker believes.
// Real writes fail by a limit on the size of files; log files fail as the test likes. Needs dist/ and Linux's prlimit.
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { closeSync, cpSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DurableLevel, type DurableStore, openStore } from "../../src/store/open-store.ts";
import { eventually } from "../support/server.ts";
import { temporaryDirectory } from "./directories.ts";
import { keptState, message, StoredSession, segment } from "./kept-state.ts";
import { RecordedLogFiles } from "./log/recorded-log-files.ts";

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

/** Only root may, and not everywhere. */
function canMount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const directory = mkdtempSync(join(tmpdir(), "mount-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", directory], { stdio: "ignore" });
    execFileSync("umount", [directory], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function limitFiles(pid: number, bytes: number | "unlimited"): void {
  execFileSync("prlimit", ["--pid", `${pid}`, `--fsize=${bytes}:unlimited`]);
}

type Switch = (child: ChildProcessWithoutNullStreams) => void;

/** Commits until there is no room, and until there is room again; then looks at what is in the file. */
async function fillAndEmpty(
  level: DurableLevel,
  directory: string,
  real: boolean,
  full: Switch,
  room: Switch,
): Promise<void> {
  const child = spawn(process.execPath, [CHILD, level, directory, ...(real ? ["real"] : [])]);
  children.push(child);
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  const lines = (kind: string): string[] => text.split("\n").filter((line) => line.startsWith(kind));
  await eventually(() => lines("ok").length > 20, "turns resolve", 10_000);
  full(child);
  await eventually(() => lines("refused").length > 20, "turns are refused", 10_000);
  for (const line of lines("refused")) expect(line.split(" ")[2]).toBe("STORE_WRITE");
  // The first of them has met the disk; the others are not asked about it.
  expect(Number(lines("refused")[20].split(" ")[3])).toBeLessThan(1_000);
  expect(lines("log the store cannot write")).toHaveLength(1);
  const before = lines("ok").length;
  room(child);
  await eventually(() => lines("ok").length > before + 20, "turns resolve again", 20_000);
  expect(lines("log the store can write again")).toHaveLength(1);
  child.stdin.write("end");
  await eventually(() => lines("closed").length === 1, "it closes", 10_000);
  const last = Math.max(...lines("ok").map((line) => Number(line.split(" ")[1])));
  const store = await openStore({ directory, level });
  stores.push(store);
  const { cursors, segments } = await keptState(store);
  expect(cursors).toEqual({ 1: `${last}` });
  expect(segments.map(([serial]) => serial)).toEqual(Array.from({ length: 10 }, (_, i) => last - 9 + i));
}

test.each(["process", "power"] as const)(
  "level %s: no room: refused quickly, said once; room again: it goes on, and the file is as the broker believes",
  { timeout: 60_000 },
  async (level) => {
    // At level process the log's writes fail by a limit on the size of files. The engine behind level power is not let near
    // a disk without room: it can abort the process there, see disk-room.ts.
    if (level === "power")
      await fillAndEmpty(
        level,
        temporaryDirectory(),
        false,
        (child) => child.stdin.write("full\n"),
        (child) => child.stdin.write("room\n"),
      );
    else if (hasPrlimit())
      await fillAndEmpty(
        level,
        temporaryDirectory(),
        true,
        ({ pid }) => limitFiles(pid as number, 4_096),
        ({ pid }) => limitFiles(pid as number, "unlimited"),
      );
  },
);

describe.skipIf(!canMount())("a file system of 24 MiB", () => {
  let mounted: string;
  const mount = (...options: string[]): void => {
    execFileSync("mount", ["-t", "tmpfs", "-o", ["size=24m", ...options].join(","), "tmpfs", mounted]);
  };
  beforeEach(() => {
    mounted = temporaryDirectory();
    mount();
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    for (const store of stores.splice(0)) await store.close();
    execFileSync("umount", ["-l", mounted]);
  });
  const ballast = (): string => join(mounted, "ballast");
  function fill(): void {
    const fd = openSync(ballast(), "w");
    try {
      for (;;) writeSync(fd, Buffer.alloc(65_536));
    } catch {
      closeSync(fd);
    }
  }

  test.each(["process", "power"] as const)(
    "level %s: full: refused; emptied: it goes on, nothing is lost",
    { timeout: 60_000 },
    (level) => fillAndEmpty(level, join(mounted, "data"), true, fill, () => rmSync(ballast())),
  );

  test.each(["process", "power"] as const)(
    "level %s: full at the first start: a clear error, and nothing half made",
    async (level) => {
      fill();
      const directory = join(mounted, "data");
      await expect(openStore({ directory, level })).rejects.toMatchObject({
        code: "STORE_OPEN",
        message: expect.stringMatching(/cannot be made: .*no space left/i),
      });
      rmSync(ballast());
      stores.push(await openStore({ directory, level }));
    },
  );

  test("full at a later start: it starts, and refuses what has to be kept until there is room", async () => {
    const directory = join(mounted, "data");
    const commit = (store: DurableStore, n: number): Promise<void> => {
      const batch = store.begin();
      batch.retained("r", message("r", `${n}`));
      return store.commit(batch);
    };
    const first = await openStore({ directory, level: "power" });
    await commit(first, 1);
    await first.close();
    fill();
    const store = await openStore({ directory, level: "power", retryMs: 20 });
    stores.push(store);
    expect(Object.keys((await keptState(store)).retained)).toEqual(["r"]);
    await expect(commit(store, 2)).rejects.toMatchObject({ code: "STORE_WRITE" });
    rmSync(ballast());
    await eventually(() => store.failure === undefined, "it recovers");
    await commit(store, 3);
  });

  test("read-only: a clear error, whether there is a store or not", async () => {
    const directory = join(mounted, "data");
    execFileSync("mount", ["-o", "remount,ro", mounted]);
    await expect(openStore({ directory, level: "power" })).rejects.toMatchObject({
      code: "STORE_OPEN",
      message: expect.stringMatching(/cannot be made: .*(read-only|EROFS)/i),
    });
    execFileSync("mount", ["-o", "remount,rw", mounted]);
    await (await openStore({ directory, level: "power" })).close();
    execFileSync("mount", ["-o", "remount,ro", mounted]);
    await expect(openStore({ directory, level: "power" })).rejects.toMatchObject({
      code: "STORE_OPEN",
      message: expect.stringMatching(/read-only|EROFS/i),
    });
  });
});

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
