// The process is killed in the middle of its commits: whatever resolved is there, whole, and in order. And what a slow
// flush does to each level. Needs dist/, which `npm test` builds first.
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { type DurableLevel, openStore } from "../../src/store/open-store.ts";
import { eventually } from "../support/server.ts";
import { temporaryDirectory } from "./directories.ts";
import { seededRandom } from "./seeded-random.ts";
import { timePasses } from "../support/time.ts";

const CHILD = fileURLToPath(new URL("crash-child.mjs", import.meta.url));
const SHIM = fileURLToPath(new URL("flush-shim.c", import.meta.url));
const ROUNDS = Number(process.env["MILLRACE_CRASH_ROUNDS"] ?? 5);

const children: ChildProcessWithoutNullStreams[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

class Child {
  readonly process: ChildProcessWithoutNullStreams;
  /** The newest turn whose promise resolved. */
  resolved = 0;
  held = false;
  errors = "";
  #rest = "";

  constructor(level: DurableLevel, directory: string, pace = 0, environment: NodeJS.ProcessEnv = {}) {
    this.process = spawn(process.execPath, [CHILD, level, directory, `${pace}`], {
      env: { ...process.env, ...environment },
    });
    children.push(this.process);
    this.process.stderr.on("data", (text) => {
      this.errors += text;
    });
    this.process.stdout.on("data", (text) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop() as string;
      for (const line of lines) {
        if (line === "held") {
          this.held = true;
          continue;
        }
        const turn = Number(line);
        // Contract 1: in order.
        if (this.resolved !== 0) expect(turn).toBe(this.resolved + 1);
        this.resolved = turn;
      }
    });
  }

  async reaches(turn: number): Promise<void> {
    await eventually(() => this.resolved >= turn || this.errors !== "", `turn ${turn} resolves`, 12_000);
    expect(this.errors).toBe("");
  }

  async kill(): Promise<void> {
    const closed = new Promise((resolve) => this.process.once("close", resolve));
    this.process.kill("SIGKILL");
    await closed;
  }
}

/** The turn the store stands at, having checked that everything in it is of that turn. */
async function turnIn(directory: string, level: DurableLevel): Promise<number> {
  const store = await openStore({ directory, level });
  const sessions = new Set<number>();
  const subscriptions = new Map<string, number>();
  const cursors: number[] = [];
  const segments: number[] = [];
  let retained = 0;
  const text = (bytes: Buffer): string => bytes.toString("latin1").replace(/[.\0].*$/s, "");
  await store.load({
    session: (_key, record) => void sessions.add(record.storeId),
    subscription: (storeId, filter, options) => void subscriptions.set(`${storeId} ${filter}`, options),
    cursor: (_storeId, cursor) => void cursors.push(Number(Buffer.from(cursor).toString())),
    inbound: () => undefined,
    segment: (serial, bytes) => {
      expect(text(bytes)).toBe(`m${serial}`);
      segments.push(serial);
    },
    retained: (_topic, bytes) => {
      retained = Number(text(bytes));
    },
  });
  await store.close();
  if (retained === 0) {
    expect([sessions.size, subscriptions.size, cursors.length, segments.length]).toEqual([0, 0, 0, 0]);
    return 0;
  }
  expect([...sessions]).toEqual([1, 2, 3]);
  expect(cursors).toEqual([retained, retained, retained]);
  const first = Math.max(1, retained - 19);
  expect(segments).toEqual(Array.from({ length: retained - first + 1 }, (_, i) => first + i));
  for (let n = Math.max(1, retained - 9); n <= retained; n++)
    for (const storeId of [1, 2, 3]) expect(subscriptions.get(`${storeId} f/${n % 10}`)).toBe(n);
  return retained;
}

test.each(["process", "power"] as const)(
  "level %s: SIGKILL at any moment loses nothing that resolved",
  { timeout: 10_000 + ROUNDS * 5_000 },
  async (level) => {
    const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
    const random = seededRandom(seed);
    const directory = temporaryDirectory();
    let turn = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const child = new Child(level, directory);
      await child.reaches(turn + 1);
      // Any moment: time is what is drawn.
      await timePasses(random() * (round % 3 === 2 ? 2_500 : 300));
      await child.kill();
      expect(child.errors, `seed ${seed}`).toBe("");
      const found = await turnIn(directory, level);
      expect(found, `seed ${seed}, round ${round}`).toBeGreaterThanOrEqual(child.resolved);
      turn = found;
    }
  },
);

const compiler = hasCompiler();
function hasCompiler(): boolean {
  try {
    execFileSync("gcc", ["--version"], { stdio: "ignore" });
    return process.platform === "linux";
  } catch {
    return false;
  }
}

function buildShim(directory: string): string {
  const library = join(directory, "flush-shim.so");
  execFileSync("gcc", ["-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"]);
  return library;
}

const size = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

test.skipIf(!compiler)("level power: no promise resolves before its flush has ended", async () => {
  const directory = temporaryDirectory();
  const log = join(directory, "flushes");
  const environment = { LD_PRELOAD: buildShim(directory), FLUSH_MS: "250", FLUSH_LOG: log };
  const child = new Child("power", directory, 100, environment);
  await child.reaches(1);
  // One turn every 100 ms, each flush at least 250 ms: promises can resolve no faster than flushes end.
  const [turns, flushes, begun] = [child.resolved, size(log), performance.now()];
  await child.reaches(turns + 12);
  const passed = performance.now() - begun;
  const groups = size(log) - flushes;
  expect(groups).toBeGreaterThanOrEqual(3);
  // Two groups are under way at most, and flushes follow each other.
  expect(passed).toBeGreaterThanOrEqual((groups - 2) * 125);
  await child.kill();
  expect(await turnIn(directory, "power")).toBeGreaterThanOrEqual(child.resolved);
});

test.skipIf(!compiler)("level power: nothing resolves while a flush hangs", async () => {
  const directory = temporaryDirectory();
  const environment = {
    LD_PRELOAD: buildShim(directory),
    FLUSH_MS: "1500",
    FLUSH_LOG: join(directory, "flushes"),
    FLUSH_GATE: join(directory, "slow"),
  };
  const child = new Child("power", directory, 20, environment);
  const log = join(directory, "flushes");
  await child.reaches(1);
  writeFileSync(join(directory, "slow"), "");
  // One may have begun before: of two that end, the second is slow.
  const quick = size(log);
  await eventually(() => size(log) > quick + 1, "slow flushes end");
  // It is noted before what waited for it is told, all of that in one go.
  await child.reaches(child.resolved + 1);
  await timePasses(200);
  // Between two ends of flushes the number of resolved turns stands still.
  const flushed = size(log);
  const resolved = child.resolved;
  // About half of the next flush.
  await timePasses(700);
  if (size(log) === flushed) expect(child.resolved).toBe(resolved);
  await child.reaches(resolved + 1);
  expect(size(log)).toBeGreaterThan(flushed);
});

test.skipIf(!compiler)("level process: acknowledgements do not wait for flushes of 400 ms", async () => {
  const directory = temporaryDirectory();
  const environment = {
    LD_PRELOAD: buildShim(directory),
    FLUSH_MS: "400",
    FLUSH_LOG: join(directory, "flushes"),
  };
  const child = new Child("process", directory, 2, environment);
  await child.reaches(1);
  const [turns, begun] = [child.resolved, performance.now()];
  await child.reaches(turns + 500);
  // 500 turns of 2 ms: with a flush in each they would take 200 s.
  expect(performance.now() - begun).toBeLessThan(6_000);
  await eventually(() => size(join(directory, "flushes")) > 3, "the log is flushed in the background");
  await child.kill();
  expect(await turnIn(directory, "process")).toBeGreaterThanOrEqual(child.resolved);
});

// The meta records of the database file: page 0, page 1, and the flushed one in the middle of page 0; boot id at 24 + 136.
const PAGE = 4_096;
const BOOT_ID = 160;

test.skipIf(!compiler)(
  "level power: unflushed pages lost with the power, in any mixture, under another boot id",
  { timeout: 60_000 },
  async () => {
    const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
    const random = seededRandom(seed);
    const directory = temporaryDirectory();
    const database = join(directory, "store", "data.mdb");
    const environment = {
      LD_PRELOAD: buildShim(directory),
      FLUSH_MS: "500",
      FLUSH_LOG: join(directory, "flushes"),
    };
    const first = new Child("power", directory);
    await first.reaches(300);
    await first.kill();
    const child = new Child("power", directory, 0, environment);
    await child.reaches(1);
    child.process.stdin.write("hold");
    await eventually(() => child.held, "everything has resolved");
    const turn = child.resolved;
    const before = readFileSync(database);
    child.process.stdin.write("go on");
    // It writes its next group, whose flush takes long: killed in between.
    const metas = (bytes: Buffer): Buffer => bytes.subarray(0, 2 * PAGE);
    await eventually(() => !metas(readFileSync(database)).equals(metas(before)), "a group is written");
    await child.kill();
    const after = readFileSync(database);
    expect(child.resolved).toBe(turn);
    let oldest = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 20; round++) {
      const mixed = Buffer.from(after);
      let lost = 0;
      for (let at = 0; at < after.length; at += PAGE) {
        const old = before.subarray(at, at + PAGE);
        if (old.equals(after.subarray(at, at + PAGE)) || random() < 0.5) continue;
        lost++;
        mixed.fill(0, at, at + PAGE);
        old.copy(mixed, at);
      }
      for (const meta of [0, PAGE, PAGE / 2])
        if (mixed.readBigInt64LE(meta + BOOT_ID) !== 0n) mixed.writeBigInt64LE(4_711n, meta + BOOT_ID);
      const elsewhere = temporaryDirectory();
      const store = await openStore({ directory: elsewhere, level: "power" });
      await store.close();
      writeFileSync(join(elsewhere, "store", "data.mdb"), mixed);
      const found = await turnIn(elsewhere, "power");
      expect(found, `seed ${seed}, round ${round}, ${lost} pages lost`).toBeGreaterThanOrEqual(turn);
      oldest = Math.min(oldest, found);
    }
    // The engine did go back: otherwise nothing would have been lost.
    expect(oldest).toBe(turn);
  },
);
