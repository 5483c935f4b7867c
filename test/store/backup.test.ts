// Backup of an open store, restore, export and import.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { NO_OFFSET } from "../../src/core/generated/abi.ts";
import { restoreBackup } from "../../src/store/backup.ts";
import { exportStore } from "../../src/store/export.ts";
import { importStore } from "../../src/store/import.ts";
import { type DurableStore, openStore } from "../../src/store/open-store.ts";
import type { StoreBatch, StoreVisitor } from "../../src/store/contract/store.ts";
import { temporaryDirectory } from "./directories.ts";
import { keptState, message, StoredSession, segment } from "./kept-state.ts";

const stores: DurableStore[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

async function open(directory: string, level: "process" | "power" = "power"): Promise<DurableStore> {
  const store = await openStore({ directory, level });
  stores.push(store);
  return store;
}

async function closeAll(): Promise<void> {
  for (const store of stores.splice(0)) await store.close();
}

async function commit(store: DurableStore, fill: (batch: StoreBatch) => void): Promise<void> {
  const batch = store.begin();
  fill(batch);
  await store.commit(batch);
}

const one = new StoredSession(1);
const two = new StoredSession(22);

describe.each(["process", "power"] as const)("%s: a backup", (level) => {
  test("of a store under load is one moment of it, and what was committed before is in it", async () => {
    const store = await open(temporaryDirectory(), level);
    let n = 0;
    let running = true;
    const traffic = (async () => {
      while (running) {
        n++;
        await commit(store, (batch) => {
          one.state = `${n}`;
          batch.queue(one);
          batch.segment(segment(n, `m${n}`, [one]));
          if (n > 5) batch.segmentGone(n - 5);
          batch.retained("r", message("r", `${n}`));
        });
        // The event loop's other work goes on between turns.
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    for (let round = 0; round < 3; round++) {
      const before = n;
      const [backup, restored] = [join(temporaryDirectory(), "backup"), temporaryDirectory()];
      await store.backup(backup);
      const after = n;
      await restoreBackup(backup, restored);
      const copy = await openStore({ directory: restored, level });
      const state = await keptState(copy);
      await copy.close();
      const turn = Number(state.cursors[1] ?? 0);
      expect(turn).toBeGreaterThanOrEqual(before - 1);
      expect(turn).toBeLessThanOrEqual(after);
      if (turn > 0) expect(state.retained).toEqual({ r: `${turn}` });
      expect(state.segments.at(-1)?.[0]).toBe(turn === 0 ? undefined : turn);
    }
    running = false;
    await traffic;
  });

  test("is never written over another one", async () => {
    const store = await open(temporaryDirectory(), level);
    const backup = join(temporaryDirectory(), "backup");
    await store.backup(backup);
    const bytes = readFileSync(join(backup, "data.mdb"));
    await expect(store.backup(backup)).rejects.toMatchObject({ code: "STORE_NOT_EMPTY" });
    expect(readFileSync(join(backup, "data.mdb")).equals(bytes)).toBe(true);
  });
});

describe("restore", () => {
  async function backup(): Promise<string> {
    const store = await open(temporaryDirectory());
    await commit(store, (batch) => batch.retained("r", message("r", "x")));
    const directory = join(temporaryDirectory(), "backup");
    await store.backup(directory);
    return directory;
  }

  test("is refused where a store is, which stays as it was", async () => {
    const directory = temporaryDirectory();
    const store = await open(directory);
    await commit(store, (batch) => batch.retained("mine", message("r", "y")));
    const source = await backup();
    await closeAll();
    await expect(restoreBackup(source, directory)).rejects.toMatchObject({ code: "STORE_NOT_EMPTY" });
    expect(Object.keys((await keptState(await open(directory))).retained)).toEqual(["mine"]);
  });

  test("is refused where only a log is", async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, "store"));
    writeFileSync(join(directory, "store", "log-7"), "");
    await expect(restoreBackup(await backup(), directory)).rejects.toMatchObject({ code: "STORE_NOT_EMPTY" });
  });

  test("of what is no backup leaves nothing behind", async () => {
    const directory = temporaryDirectory();
    const source = temporaryDirectory();
    await expect(restoreBackup(source, directory)).rejects.toMatchObject({ code: "STORE_BACKUP" });
    writeFileSync(join(source, "data.mdb"), "no database".repeat(2_000));
    await expect(restoreBackup(source, directory)).rejects.toMatchObject({ code: "STORE_FOREIGN" });
    expect(readdirSync(directory)).toEqual([]);
  });
});

/** Everything a store holds, bytes included, in the order it is given back. */
async function everything(store: DurableStore): Promise<unknown[]> {
  const found: unknown[] = [];
  const visitor: StoreVisitor = {
    session: (key, { storeId: _, ...record }) => void found.push([key, record]),
    subscription: (_id, filter, options) => void found.push([filter, options]),
    cursor: (_id, cursor) => void found.push(Buffer.from(cursor).toString("hex")),
    inbound: (_id, packetId, bytes) => void found.push([packetId, bytes?.toString("hex")]),
    segment: (_serial, bytes, words) => {
      for (let at = 0; at < words.length; at += 6) {
        const [, position, offset, options, ids, group] = words.subarray(at, at + 6);
        const list = ids === NO_OFFSET ? [] : [bytes.readUInt32LE(ids), bytes.readUInt32LE(ids + 4)];
        const size = bytes.readUInt32LE(offset);
        found.push([position, options, group, list, bytes.toString("hex", offset, offset + size)]);
      }
    },
    retained: (topic, bytes) => void found.push([topic, bytes.toString("hex")]),
  };
  await store.load(visitor);
  return found;
}

async function* linesOf(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

async function exportLines(store: DurableStore): Promise<string[]> {
  const lines: string[] = [];
  await exportStore(store, (line) => void lines.push(line) as undefined);
  return lines;
}

async function fill(store: DurableStore): Promise<void> {
  await commit(store, (batch) => {
    const will = { due: 5, message: message("w", "bye") };
    batch.session(one, one.record({ username: "u", expiresAt: 1_800_000_000_000, will }));
    batch.session(two, two.record());
    batch.subscription(one, "a/#", 0xffff_fff1);
    batch.subscription(two, `${"long/".repeat(400)}`, 1);
    one.state = "\u0000cursor";
    batch.queue(one);
    batch.inbound(one, 7, message("t", "seven"));
    batch.inbound(two, 65_535, message("t", "x"));
    batch.segment(segment(1, "shared", [one, two]));
    // Two messages, the second with a subscription identifier behind it.
    const [first, second] = [message("t", "first!!!!"), message("t", "second")];
    const at = (first.length + 7) & ~7;
    const idsAt = at + ((second.length + 7) & ~7);
    const bytes = Buffer.alloc(idsAt + 8);
    first.copy(bytes, 0);
    second.copy(bytes, at);
    bytes.writeUInt32LE(1, idsAt);
    bytes.writeUInt32LE(268_435_455, idsAt + 4);
    const deliveries = Uint32Array.of(1, 2, 0, 2 | (9 << 16), NO_OFFSET, 0, 22, 3, at, 1, idsAt, 4);
    batch.segment({ serial: 2, bytes, deliveries });
    batch.retained("r", message("r", "kept"));
  });
  await commit(store, (batch) => {
    batch.delivered(two, 65_535);
    batch.queue(two);
  });
}

describe("export and import", () => {
  test("what comes in is what went out", async () => {
    const store = await open(temporaryDirectory());
    await fill(store);
    const lines = await exportLines(store);
    const directory = temporaryDirectory();
    expect(await importStore(linesOf(lines), directory)).toBe(lines.length);
    const copy = await open(directory);
    expect(await everything(copy)).toEqual(await everything(store));
    expect(await exportLines(copy)).toEqual(lines);
  });

  test("one object per line, as documented", async () => {
    const store = await open(temporaryDirectory());
    await fill(store);
    const entries = (await exportLines(store)).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(entries[0]).toEqual({ type: "millrace", version: 1 });
    expect(entries.find(({ type }) => type === "subscription")).toEqual({
      type: "subscription",
      session: one.key,
      filter: "a/#",
      options: 0xffff_fff1,
    });
    expect(entries.filter(({ type }) => type === "delivery").at(-1)).toEqual({
      type: "delivery",
      session: two.key,
      position: 3,
      options: 1,
      group: 4,
      subscriptionIds: [268_435_455],
      message: message("t", "second").toString("base64"),
    });
    expect(entries.find(({ packetId }) => packetId === 65_535)).not.toHaveProperty("message");
  });

  const head = '{"type":"millrace","version":1}';
  const session =
    '{"type":"session","key":"k","clientId":"c","policy":"standard","level":5,"expiryInterval":1}';
  const text = message("t", "x").toString("base64");
  test.each([
    ["no head", [session], 1, "first line"],
    ["another version", ['{"type":"millrace","version":2}'], 1, "version 2"],
    ["no JSON", [head, "{"], 2, "not JSON"],
    ["a list", [head, "[]"], 2, "not a JSON object"],
    ["an unknown type", [head, "", '{"type":"sesion"}'], 3, '"sesion"'],
    ["a missing field", [head, session.replace('"clientId":"c",', "")], 2, "`clientId`"],
    ["a number out of range", [head, session.replace('"level":5', '"level":256')], 2, "`level`"],
    ["the same session twice", [head, session, session], 3, "was there before"],
    ["a session that is not there", [head, '{"type":"cursor","session":"k","cursor":""}'], 2, '"k"'],
    ["no Base64", [head, `{"type":"retained","topic":"t","message":"é"}`], 2, "Base64"],
    [
      "a message cut short",
      [head, `{"type":"retained","topic":"t","message":"${text.slice(0, 40)}"}`],
      2,
      "`message`",
    ],
    [
      "identifiers that are none",
      [
        head,
        session,
        `{"type":"delivery","session":"k","position":0,"options":1,"subscriptionIds":[0],"message":"${text}"}`,
      ],
      3,
      "`subscriptionIds`",
    ],
    ["nothing at all", [], 1, "nothing in it"],
  ])("%s: nothing is imported, the error names the line", async (_name, lines, line, words) => {
    const directory = temporaryDirectory();
    await expect(importStore(linesOf(lines), directory)).rejects.toMatchObject({
      code: "STORE_IMPORT",
      message: expect.stringMatching(new RegExp(`^nothing was imported: line ${line}: .*${words}`)),
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  test("an import goes on where one was broken off before, and never over a store", async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, "store.importing"));
    writeFileSync(join(directory, "store.importing", "data.mdb"), "half");
    await importStore(linesOf([head, session]), directory);
    expect(existsSync(join(directory, "store.importing"))).toBe(false);
    expect(Object.keys((await keptState(await open(directory))).sessions)).toEqual(["k"]);
    await closeAll();
    await expect(importStore(linesOf([head]), directory)).rejects.toMatchObject({ code: "STORE_NOT_EMPTY" });
  });
});
