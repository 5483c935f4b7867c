// The run log by itself: bounds per device and second, in memory and on the disk, what a search finds, what a crash leaves.
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { putEntry, type RunLogNote } from "../../../src/platform/run-log/entry.ts";
import { LineBuffer } from "../../../src/platform/run-log/line-buffer.ts";
import { RunLog } from "../../../src/platform/run-log/run-log.ts";
import { limitOf } from "../../../src/platform/run-log/query.ts";
import { RunLogSegments, searchSegments } from "../../../src/platform/run-log/segments.ts";
import { CELL_BYTES, CELL_COST } from "../../../src/platform/run-log/cells.ts";
import { Trails } from "../../../src/platform/run-log/trails.ts";
import { MessageIds } from "../../../src/platform/shared/message-ids.ts";
import { resolveSettings } from "../../../src/platform/settings/settings.ts";

let directory: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "millrace-run-log-")), "run-log");
});
afterEach(() => rmSync(join(directory, ".."), { recursive: true, force: true }));

const DAY_MS = 86_400_000;
const device = (deviceName: string) => ({ productKey: "PK", deviceName });
const note = (deviceName: string, operation: string, more: Partial<RunLogNote> = {}): RunLogNote => ({
  device: device(deviceName),
  businessType: "other",
  operation,
  ...more,
});

interface Options {
  readonly runLog?: Parameters<typeof resolveSettings>[0] extends infer T
    ? T extends { runLog?: infer R }
      ? R
      : never
    : never;
  readonly onDisk?: boolean;
  readonly now?: () => number;
}
const logs: RunLog[] = [];
function open({ runLog = {}, onDisk = false, now }: Options = {}): RunLog {
  const { runLog: settings } = resolveSettings({ runLog });
  const log = new RunLog({
    settings,
    ids: new MessageIds(),
    logger: { warn: vi.fn() },
    ...(onDisk && { directory }),
    ...(now && { now }),
  });
  logs.push(log);
  return log;
}
afterEach(async () => {
  for (const log of logs.splice(0)) await log.close();
});
const operations = async (log: RunLog, query = {}): Promise<string[]> =>
  (await log.search(query)).map(({ operation }) => operation);

function lineOf(operation: string, content: string, maxBytes = 100_000, deviceName = "a"): string {
  const ids = { id: 1, time: 2, traceId: "t", messageId: "m" };
  const buffer = new LineBuffer(0);
  const head = { ...ids, ...device(deviceName), businessType: "other" as const, operation, status: 200 };
  putEntry(buffer, head, content, maxBytes);
  return buffer.textFrom(0);
}

test("the line of an entry is what JSON.stringify makes of it, and never longer than it may be", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string(), fc.object(), (operation, name, content) => {
      const ids = { id: 1, time: 2, traceId: "t", messageId: "m" };
      const entry = { ...ids, ...device(name), businessType: "other", operation, status: 200, content };
      const json = JSON.stringify(content);
      const line = lineOf(operation, json, undefined, name);
      expect(line).toBe(JSON.stringify(entry));
      const room = Buffer.byteLength(line);
      expect(lineOf(operation, json, room, name)).toBe(line);
      expect(lineOf(operation, json, room - 1, name)).toContain(`"content":{"Truncated":${room}}`);
    }),
  );
});

function addLine(trails: Trails, name: string, line: string): void {
  const bytes = Buffer.from(`-${line}-`);
  trails.add(trails.budgetOf(name, device(name)), bytes, 1, bytes.length - 1);
}

describe("bounds", () => {
  test("n-1, n, n+1 entries of a device in a second; others and comings and goings are counted apart", async () => {
    const log = open({ runLog: { entriesPerSecond: 3 } });
    for (let i = 0; i < 5; i++) log.write(note("loud", `${i}`));
    log.write(note("loud", "offline", { businessType: "device behaviour" }));
    log.write(note("quiet", "0"));
    expect(await operations(log, { device: device("loud") })).toEqual(["0", "1", "2", "offline"]);
    expect(await operations(log, { device: device("quiet") })).toEqual(["0"]);
    await log.close();
    const [omitted] = await log.search({ keyword: "omitted" });
    expect(omitted).toMatchObject({ deviceName: "loud", content: { Omitted: 2 } });
  });

  test("over its rate: told once a second, however often it happens", async () => {
    const log = open();
    for (let i = 0; i < 100; i++) log.throttled(device("loud"));
    expect((await log.search()).map(({ status }) => status)).toEqual([9324]);
  });

  test("switched off it keeps nothing", async () => {
    const log = open({ runLog: { enabled: false }, onDisk: true });
    log.write(note("a", "x"));
    log.throttled(device("a"));
    log.omitted(device("a"), 5);
    await log.close();
    expect(await log.search()).toEqual([]);
  });

  test("memory: so many of a device, so many bytes of all; who has been silent longest loses first", () => {
    const trails = new Trails(3, 8 * CELL_COST);
    const add = (name: string, line: string) => addLine(trails, name, line);
    for (let i = 0; i < 5; i++) add("a", `a${i}`);
    expect(trails.of("a")).toEqual(["a2", "a3", "a4"]);
    for (let i = 0; i < 3; i++) add("b", `b${i}`);
    expect(trails.bytes).toBe(6 * CELL_COST);
    const long = "c".repeat(4 * CELL_BYTES);
    add("c", long);
    expect(trails.bytes).toBe(8 * CELL_COST);
    expect(trails.of("a")).toEqual(["a4"]);
    expect(trails.of("b")).toEqual(["b0", "b1", "b2"]);
    expect(trails.of("c")).toEqual([long]);
    // Whoever tells something is the last to lose.
    add("a", "again");
    add("d", "d".repeat(3 * CELL_BYTES));
    expect(trails.of("b")).toEqual([]);
    expect(trails.of("c")).toEqual([]);
    expect(trails.of("a")).toEqual(["a4", "again"]);
    expect([...trails.all()].sort()).toEqual([...trails.of("a"), ...trails.of("d")].sort());
    // One that is longer than all there is costs nobody anything.
    add("e", "e".repeat(8 * CELL_BYTES + 1));
    expect(trails.of("e")).toEqual([]);
    expect(trails.of("a")).toEqual(["a4", "again"]);
  });

  test("what a device has had in this tick counts on when its entries are gone, and its record goes with the tick", () => {
    const trails = new Trails(3, 2 * CELL_COST);
    trails.budgetOf("a", device("a")).entries = 7;
    addLine(trails, "a", "a");
    addLine(trails, "b", "b".repeat(2 * CELL_BYTES));
    expect(trails.of("a")).toEqual([]);
    expect(trails.budgetOf("a", device("a")).entries).toBe(7);
    trails.budgetOf("c", device("c"));
    expect(trails.size).toBe(3);
    trails.nextTick();
    expect(trails.size).toBe(1);
    expect(trails.budgetOf("a", device("a")).entries).toBe(0);
  });

  test("an entry that is too long loses its content, not its message", async () => {
    const log = open({ runLog: { maxEntryBytes: 1_024 } });
    const Params = { text: "x".repeat(5_000) };
    log.write(note("a", "o".repeat(3_000), { content: { Message: "why", Params } }));
    const [entry] = await log.search();
    expect(entry.content).toMatchObject({ Message: "why", Truncated: expect.any(Number) });
    expect(entry.content.Params).toBeUndefined();
    expect(entry.operation.length).toBe(1_025);
  });
});

test("values that look like secrets are never written", async () => {
  const log = open({ onDisk: true });
  const Params = {
    deviceSecret: "S-1",
    nested: [{ password: "S-2", token: "S-3", sign: "S-4", Signature: "S-5", ProductSecret: "S-6" }],
    signmethod: "hmacsha256",
  };
  log.write(note("a", "x", { content: { Params } }));
  const text = JSON.stringify(await log.search());
  expect(text).not.toMatch(/S-\d/);
  expect(text).toContain("hmacsha256");
  const [file] = readdirSync(directory);
  expect(readFileSync(join(directory, file), "utf8")).not.toMatch(/S-\d/);
});

test("so many are found: n-1, n, n+1 of the most there may be, and what is no number", () => {
  const found = [0, 1, 1.9, 9_999, 10_000, 10_001, Number.POSITIVE_INFINITY].map((limit) =>
    limitOf({ limit }),
  );
  expect(found).toEqual([1, 1, 1, 9_999, 10_000, 10_000, 10_000]);
  expect([limitOf({}), limitOf({ limit: Number.NaN })]).toEqual([1_000, 1_000]);
});

test("searches by device, time, code, success, ids, type and keyword; the newest, oldest first", async () => {
  let now = 1_790_000_000_000;
  for (const onDisk of [false, true]) {
    const log = open({ onDisk, now: () => now++ });
    log.write(note("a", "/PK/a/user/one", { messageId: "71", traceId: "70" }));
    log.write(note("a", "two", { status: 9236, content: { Message: "Topic Authorization failed" } }));
    log.write(note("b", "three", { businessType: "device shadow", time: now + 10_000 }));
    const find = (query: object) => operations(log, query);
    expect(await find({})).toEqual(["/PK/a/user/one", "two", "three"]);
    expect(await find({ device: device("a") })).toEqual(["/PK/a/user/one", "two"]);
    expect(await find({ productKey: "other" })).toEqual([]);
    expect(await find({ code: 9236 })).toEqual(["two"]);
    expect(await find({ success: true })).toEqual(["/PK/a/user/one", "three"]);
    expect(await find({ messageId: "71" })).toEqual(["/PK/a/user/one"]);
    expect(await find({ traceId: "70" })).toEqual(["/PK/a/user/one"]);
    expect(await find({ businessType: "device shadow" })).toEqual(["three"]);
    expect(await find({ keyword: "authorization" })).toEqual(["two"]);
    expect(await find({ since: now + 5_000 })).toEqual(["three"]);
    expect(await find({ until: now + 5_000 })).toEqual(["/PK/a/user/one", "two"]);
    expect(await find({ limit: 2 })).toEqual(["two", "three"]);
    await log.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

describe("on the disk", () => {
  test("survives a restart; ids go on; a torn last line costs only itself", async () => {
    const first = open({ onDisk: true });
    first.write(note("a", "before"));
    await first.close();
    const [file] = readdirSync(directory);
    appendFileSync(join(directory, file), '{"id":1,"time');
    expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600);
    const second = open({ onDisk: true });
    second.write(note("a", "after"));
    const found = await second.search();
    expect(found.map(({ operation }) => operation)).toEqual(["before", "after"]);
    expect(found[1].id).toBeGreaterThan(found[0].id);
  });

  test("bounded in bytes: the oldest files go; a silent device keeps what memory has of it", async () => {
    const log = open({ onDisk: true, runLog: { diskBytes: 1_048_576, entriesPerSecond: 1_000_000 } });
    log.write(note("silent", "why"));
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 200; i++) log.write(note("loud", `${round} ${i} ${"x".repeat(200)}`));
      await log.search({ limit: 1 }); // writes what waits
    }
    const bytes = readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
    expect(bytes).toBeLessThanOrEqual(1_048_576);
    expect(bytes).toBeGreaterThan(700_000);
    expect(await searchSegments(directory, { device: device("silent") })).toEqual([]);
    expect(await operations(log, { device: device("silent") })).toEqual(["why"]);
  });

  test("old entries are not found, and their files go", async () => {
    let now = Date.now() - 8 * DAY_MS;
    const log = open({ onDisk: true, now: () => now });
    log.write(note("a", "old"));
    expect(await operations(log)).toEqual(["old"]);
    now = Date.now();
    log.write(note("a", "new"));
    expect(await operations(log)).toEqual(["new"]);
  });

  test("a directory that cannot be written is told of, and nothing is thrown", async () => {
    const failed = vi.fn();
    const file = join(directory, "..", "a-file");
    writeFileSync(file, "");
    const segments = new RunLogSegments({
      directory: join(file, "run-log"),
      maxBytes: 1_048_576,
      maxDays: 7,
      failed,
    });
    await segments.append({ bytes: Buffer.from("{}\n"), entries: 1, firstId: 1 });
    expect(failed).toHaveBeenCalledWith(expect.any(Error), 1);
    await segments.close();
  });
});

test("who follows gets what is new and matches; closing the log ends it", async () => {
  const log = open();
  log.write(note("a", "before"));
  const reader = log.follow({ device: device("a") });
  log.write(note("b", "other"));
  log.write(note("a", "first", { content: { Params: { token: "S-1" } } }));
  await log.close();
  const seen: string[] = [];
  for await (const { operation, content } of reader) seen.push(`${operation} ${JSON.stringify(content)}`);
  expect(seen).toEqual(['first {"Params":{"token":"***"}}']);
});
