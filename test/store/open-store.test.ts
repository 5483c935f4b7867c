// Opening: what is there already, of which format, and whether it is a store at all. Nothing is ever written over.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import { FORMAT_KEY } from "../../src/store/database/keys.ts";
import { loadEngine } from "../../src/store/database/lmdb-file.ts";
import { migrate } from "../../src/store/database/migrations.ts";
import { type DurableStore, openStore } from "../../src/store/open-store.ts";
import { decodeFormat, encodeFormat } from "../../src/store/contract/records.ts";
import { temporaryDirectory } from "./directories.ts";
import { type KeptState, keptState, message, StoredSession, segment } from "./kept-state.ts";

const FIXTURES = fileURLToPath(new URL("fixtures", import.meta.url));
const stores: DurableStore[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

/** A data directory with a store in which something is. */
async function filled(): Promise<{ directory: string; file: string }> {
  const directory = temporaryDirectory();
  const store = await openStore({ directory, level: "power" });
  const session = new StoredSession(1);
  for (let n = 1; n <= 50; n++) {
    const batch = store.begin();
    batch.session(session, session.record());
    batch.segment(segment(n, "x".repeat(10_000), [session]));
    batch.retained(`r${n}`, message("r", `${n}`));
    await store.commit(batch);
  }
  await store.close();
  return { directory, file: join(directory, "store", "data.mdb") };
}

/** Opening is refused with `code`, the message names `file`, and nothing in the directory has changed. */
async function refused(directory: string, file: string, code: string, level: "process" | "power" = "power") {
  const contents = (): Record<string, string> =>
    Object.fromEntries(
      readdirSync(join(directory, "store"))
        .filter((name) => name !== "lock.mdb")
        .map((name) => [name, readFileSync(join(directory, "store", name)).toString("base64")]),
    );
  const before = contents();
  await expect(openStore({ directory, level })).rejects.toMatchObject({
    name: "OperationError",
    code,
    message: expect.stringContaining(file),
  });
  expect(contents()).toEqual(before);
}

describe("refused, and left as it is:", () => {
  test.each([
    ["an empty file", Buffer.alloc(0), "STORE_FOREIGN"],
    ["a text", Buffer.from("sessions:\n".repeat(2_000)), "STORE_FOREIGN"],
    ["zeros", Buffer.alloc(65_536), "STORE_FOREIGN"],
    [
      "an SQLite file",
      Buffer.concat([Buffer.from("SQLite format 3\0"), Buffer.alloc(8_192)]),
      "STORE_FOREIGN",
    ],
  ])("%s", async (_name, bytes, code) => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, "store"));
    const file = join(directory, "store", "data.mdb");
    writeFileSync(file, bytes);
    await refused(directory, file, code);
  });

  test("an LMDB file of another program", async () => {
    const directory = temporaryDirectory();
    const { open } = await loadEngine();
    const db = open({ path: join(directory, "store"), noSubdir: false });
    await db.put("a", 1);
    await db.close();
    await refused(directory, join(directory, "store", "data.mdb"), "STORE_FOREIGN");
  });

  test.each([0.1, 0.5, 0.9, 0.99])("a file cut to %d of its length", async (part) => {
    const { directory, file } = await filled();
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.subarray(0, Math.floor(bytes.length * part)));
    await refused(directory, file, "STORE_CORRUPT");
  });

  test("a file whose pages are overwritten behind the meta pages", async () => {
    const { directory, file } = await filled();
    const bytes = readFileSync(file);
    bytes.fill(0x55, 8_192);
    writeFileSync(file, bytes);
    await refused(directory, file, "STORE_CORRUPT");
  });

  test("a file whose second meta page is overwritten", async () => {
    const { directory, file } = await filled();
    const bytes = readFileSync(file);
    bytes.fill(0x55, 4_096, 8_192);
    writeFileSync(file, bytes);
    await refused(directory, file, "STORE_CORRUPT");
  });

  test("a newer format", async () => {
    const { directory, file } = await filled();
    const { open } = await loadEngine();
    const db = open<Buffer, Buffer>({
      path: join(directory, "store"),
      noSubdir: false,
      keyEncoding: "binary",
      encoding: "binary",
    });
    await db.put(FORMAT_KEY, encodeFormat(99));
    await db.close();
    await refused(directory, file, "STORE_NEWER");
  });

  test("a log that is none, and one of a newer format", async () => {
    const { directory } = await filled();
    const log = join(directory, "store", "log-1");
    writeFileSync(log, "a note somebody left here, longer than the head of a log");
    await refused(directory, log, "STORE_FOREIGN", "process");
    const newer = Buffer.alloc(64);
    newer.write("millrlog");
    newer.writeUInt32LE(2, 8);
    writeFileSync(log, newer);
    await refused(directory, log, "STORE_NEWER", "process");
  });
});

test("a directory in the place of the file", async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, "store", "data.mdb"), { recursive: true });
  await expect(openStore({ directory, level: "power" })).rejects.toMatchObject({ code: "STORE_FOREIGN" });
});

test("a start that was broken off before the file was complete begins again", async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, "store", "new"), { recursive: true });
  writeFileSync(join(directory, "store", "new", "data.mdb"), "half");
  const store = await openStore({ directory, level: "process" });
  stores.push(store);
  expect((await keptState(store)).order).toEqual([]);
  expect(readdirSync(join(directory, "store"))).not.toContain("new");
});

test("without the engine the error names the package and the remedy", async () => {
  vi.resetModules();
  vi.doMock("lmdb", () => {
    throw new Error("Cannot find package 'lmdb'");
  });
  const { openStore: openWithout } = await import("../../src/store/open-store.ts");
  const opened = openWithout({ directory: temporaryDirectory(), level: "power" });
  await expect(opened).rejects.toMatchObject({
    code: "STORE_ENGINE_MISSING",
    message: expect.stringContaining("npm install lmdb"),
  });
  vi.doUnmock("lmdb");
  vi.resetModules();
});

describe("formats", () => {
  test("the fixture of every version ever written opens", async () => {
    const versions = readdirSync(FIXTURES).filter((name) => !name.endsWith(".json"));
    expect(versions).toEqual(["v1"]);
    for (const version of versions) {
      const directory = temporaryDirectory();
      cpSync(join(FIXTURES, version), join(directory, "store"), { recursive: true });
      // The first start finds a log too.
      const expected = JSON.parse(readFileSync(join(FIXTURES, `${version}.json`), "utf8")) as KeptState;
      for (const level of ["power", "process"] as const) {
        const store = await openStore({ directory, level });
        const state = await keptState(store);
        await store.close();
        expect(JSON.parse(JSON.stringify(state))).toEqual(expected);
      }
    }
  });

  test("a migration takes one version after the other, each whole", async () => {
    const { open } = await loadEngine();
    const db = open<Buffer, Buffer>({
      path: temporaryDirectory(),
      keyEncoding: "binary",
      encoding: "binary",
    });
    const key = Buffer.from("key");
    await db.put(FORMAT_KEY, encodeFormat(1));
    await db.put(key, Buffer.from("1"));
    const step = (text: string) => (into: typeof db) => {
      into.put(key, Buffer.from(`${into.get(key)}${text}`));
    };
    const format = (): number | undefined => decodeFormat(db.get(FORMAT_KEY) as Buffer);
    const broken = (): void => {
      throw new Error("broken off");
    };
    await expect(migrate(db, 1, [step("2"), broken], 3)).rejects.toThrow("broken off");
    expect([`${db.get(key)}`, format()]).toEqual(["12", 2]);
    await migrate(db, 2, [step("2"), step("3")], 3);
    expect([`${db.get(key)}`, format()]).toEqual(["123", 3]);
    await expect(migrate(db, 3, [], 4)).rejects.toThrow("no migration from format 3");
    await db.close();
  });
});
