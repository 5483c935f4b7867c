// Level "process" and power loss: no acknowledgement waits for a flush, and what is found afterwards is a state that was
// there at some moment, at most the unflushed end missing. The flush is a recorded one, see recorded-log-files.ts.
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Changes } from "../../../src/store/contract/changes.ts";
import { DiskLogFiles } from "../../../src/store/log/log-files.ts";
import { type DurableStore, openStore } from "../../../src/store/open-store.ts";
import { replayLog } from "../../../src/store/log/write-ahead-log.ts";
import { eventually } from "../../support/server.ts";
import { temporaryDirectory } from "../directories.ts";
import { keptState, message, StoredSession, segment } from "../kept-state.ts";
import { RecordedLogFiles, type Tail } from "../log/recorded-log-files.ts";

const BEFORE = Buffer.alloc(16, 1);
const AFTER = Buffer.alloc(16, 2);
const stores: DurableStore[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

const session = new StoredSession(1);

async function openRecorded(): Promise<{ store: DurableStore; files: RecordedLogFiles; data: string }> {
  const data = temporaryDirectory();
  const files = new RecordedLogFiles(join(data, "store"), join(data, "safe.mdb"));
  const store = await openStore({ directory: data, level: "process", logFiles: files, bootId: BEFORE });
  stores.push(store);
  files.checkpointed();
  return { store, files, data };
}

/** Turn number `n`: everything of it carries the number. */
function commitTurn(store: DurableStore, n: number): Promise<void> {
  const batch = store.begin();
  if (n === 1) batch.session(session, session.record());
  batch.segment(segment(n, `m${n}`, [session]));
  if (n > 10) batch.segmentGone(n - 10);
  session.state = `${n}`;
  batch.queue(session);
  batch.retained("r", message("r", `${n}`));
  return store.commit(batch);
}

/** Opens what is left, and returns the turn it stands at, having checked that it is whole. */
async function turnAfter(directory: string): Promise<number> {
  const store = await openStore({ directory, level: "process", bootId: AFTER });
  stores.push(store);
  const state = await keptState(store);
  const turn = Number(state.cursors[1] ?? 0);
  if (turn === 0) {
    expect(state.order).toEqual([]);
    return 0;
  }
  expect(state.retained).toEqual({ r: `${turn}` });
  const first = Math.max(1, turn - 9);
  expect(state.segments.map(([serial, text]) => [serial, text])).toEqual(
    Array.from({ length: turn - first + 1 }, (_, i) => [first + i, `m${first + i}`]),
  );
  return turn;
}

test("acknowledgements do not wait for a flush that takes long", async () => {
  const { store, files } = await openRecorded();
  files.syncMs = 1_500;
  await commitTurn(store, 1);
  await eventually(() => files.syncs > 0, "a flush begins");
  const before = performance.now();
  for (let n = 2; n <= 50; n++) await commitTurn(store, n);
  expect(performance.now() - before).toBeLessThan(1_000);
  // The flush that began before is still under way: nothing of this was flushed.
  expect(files.unsynced).toBeGreaterThan(0);
});

test("the log is flushed within about a second, nobody asks for it", async () => {
  const { store, files } = await openRecorded();
  await commitTurn(store, 1);
  expect(files.unsynced).toBeGreaterThan(0);
  await eventually(() => files.unsynced === 0, "the log is flushed");
});

describe.each(["dropped", "garbled", "zeroed", "half"] as Tail[])("unflushed bytes are %s", (tail) => {
  test("what was flushed is there, and nothing half", async () => {
    const { store, files, data } = await openRecorded();
    let n = 0;
    for (; n < 20; n++) await commitTurn(store, n + 1);
    await eventually(() => files.unsynced === 0, "the log is flushed");
    const flushed = n;
    for (; n < 40; n++) await commitTurn(store, n + 1);
    const left = join(data, "after");
    files.losePower(join(left, "store"), tail);
    const turn = await turnAfter(left);
    expect(turn).toBeGreaterThanOrEqual(flushed);
    expect(turn).toBeLessThanOrEqual(n);
    // Not everything: otherwise nothing would have been lost, and this would test nothing.
    expect(turn).toBeLessThan(n);
  });

  test("around a checkpoint", async () => {
    const { store, files, data } = await openRecorded();
    for (let n = 1; n <= 20; n++) await commitTurn(store, n);
    await store.backup(join(data, "backup"));
    for (let n = 21; n <= 30; n++) await commitTurn(store, n);
    const left = join(data, "after");
    files.losePower(join(left, "store"), tail);
    expect(await turnAfter(left)).toBeGreaterThanOrEqual(20);
  });

  test("the store goes on from there", async () => {
    const { store, files, data } = await openRecorded();
    for (let n = 1; n <= 20; n++) await commitTurn(store, n);
    const left = join(data, "after");
    files.losePower(join(left, "store"), tail);
    let turn = await turnAfter(left);
    const again = stores.at(-1) as DurableStore;
    await commitTurn(again, ++turn);
    stores.pop();
    await again.close();
    expect(await turnAfter(left)).toBe(turn);
  });
});

test("a log file whose records begin behind lost ones is not applied", async () => {
  const { store, files, data } = await openRecorded();
  for (let n = 1; n <= 5; n++) await commitTurn(store, n);
  const first = files.read(1);
  await store.backup(join(data, "backup"));
  for (let n = 6; n <= 9; n++) await commitTurn(store, n);
  const left = join(data, "after");
  files.losePower(join(left, "store"), "half");
  // The database file of the very beginning, the first log cut short, the second one whole.
  writeFileSync(join(left, "store", "log-1"), first);
  truncateSync(join(left, "store", "log-1"), first.length - 10);
  writeFileSync(join(left, "store", "log-2"), files.read(2));
  const empty = await openStore({ directory: join(data, "empty"), level: "power" });
  await empty.backup(join(data, "fresh"));
  await empty.close();
  copyFileSync(join(data, "fresh", "data.mdb"), join(left, "store", "data.mdb"));
  expect(await turnAfter(left)).toBe(4);
});

test("a torn write at every byte of the last record: all before it, nothing of it", async () => {
  const { store, files, data } = await openRecorded();
  for (let n = 1; n <= 2; n++) await commitTurn(store, n);
  const before = files.read(1).length;
  await commitTurn(store, 3);
  const whole = files.read(1);
  const left = join(data, "after");
  files.losePower(join(left, "store"), "dropped");
  const logs = new DiskLogFiles(join(left, "store"));
  for (let length = before; length <= whole.length; length++) {
    for (const boot of [BEFORE, AFTER]) {
      writeFileSync(join(left, "store", "log-1"), whole.subarray(0, length));
      const all = new Changes();
      const result = await replayLog(
        logs,
        0,
        boot,
        () => new Changes(),
        async (changes) => all.merge(changes),
      );
      const turn = length === whole.length ? 3 : 2;
      expect(result.sequence).toBe(turn);
      expect(Buffer.from(all.cursors.get(1) as Uint8Array).toString()).toBe(`${turn}`);
      expect([...all.segments.keys()]).toEqual(Array.from({ length: turn }, (_, i) => i + 1));
    }
  }
});

test("within one boot a broken record in the middle is damage: named, and left as it is", async () => {
  const { store, files, data } = await openRecorded();
  for (let n = 1; n <= 3; n++) await commitTurn(store, n);
  const left = join(data, "after");
  files.losePower(join(left, "store"), "half");
  const bytes = files.read(1);
  bytes[70] ^= 1;
  const path = join(left, "store", "log-1");
  writeFileSync(path, bytes);
  await expect(openStore({ directory: left, level: "process", bootId: BEFORE })).rejects.toMatchObject({
    code: "STORE_CORRUPT",
    message: expect.stringContaining(path),
  });
  expect(readFileSync(path).equals(bytes)).toBe(true);
});
