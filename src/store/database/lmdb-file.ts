// The database file: opening it with every check, writing changes to it, reading it in chunks, copying it. The only file
// that knows the engine. A write resolves when it is flushed to the disk.
//
// Flags: the engine's own defaults, overlapping flushes: a commit is written, then flushed, then a second meta record
// says "flushed"; after another boot the engine goes back to that one. No noSync, no writable map. A new file is made under
// another name and renamed when it is complete.
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { RootDatabase } from "lmdb";
import type { Changes } from "../contract/changes.ts";
import { freeBytes, requireRoom, requireRoomFor } from "./disk-room.ts";
import { checkDatabaseFile } from "./file-check.ts";
import { APPLIED_KEY, FORMAT_KEY, keyBehind } from "./keys.ts";
import { migrate } from "./migrations.ts";
import { makeDirectory, PRIVATE } from "../../runtime/directories.ts";
import { putChanges } from "./put-changes.ts";
import { decodeFormat, encodeFormat, encodeNumber, FORMAT_VERSION } from "../contract/records.ts";
import { causeText, corrupt, nameDamage, storeError } from "../contract/store-errors.ts";

export type Engine = typeof import("lmdb");
export type RawDatabase = RootDatabase<Buffer, Buffer>;

export const DATABASE_FILE = "data.mdb";
const NEW_DIRECTORY = "new";
/** ms the engine is given to close by itself. */
const CLOSE_MS = 5_000;
const PROBE_FILE = "probe";
const PROBE_BYTES = 1_048_576;
const PROBE_MOST = 67_108_864;

/** Entries read between two looks at the event loop. */
const CHUNK = 1_000;

export async function loadEngine(): Promise<Engine> {
  try {
    return await import("lmdb");
  } catch (error) {
    throw storeError(
      "STORE_ENGINE_MISSING",
      "the optional package `lmdb`, which keeps messages on the disk, cannot be loaded: install it with " +
        `\`npm install lmdb\`, or run with durability "none" (${causeText(error)})`,
      error,
    );
  }
}

function openRaw(engine: Engine, directory: string): RawDatabase {
  return engine.open<Buffer, Buffer>({
    path: directory,
    noSubdir: false,
    keyEncoding: "binary",
    encoding: "binary",
    // A batch is one transaction by itself; what else happens in the event turn does not belong to it.
    eventTurnBatching: false,
    maxDbs: 1,
  });
}

export class LmdbFile {
  readonly path: string;
  readonly #engine: Engine;
  readonly #free: (directory: string) => number;
  #db: RawDatabase;

  private constructor(path: string, engine: Engine, db: RawDatabase, free: (directory: string) => number) {
    this.path = path;
    this.#free = free;
    this.#engine = engine;
    this.#db = db;
  }

  /** Opens or makes `<directory>/data.mdb`. */
  static async open(directory: string, free = freeBytes): Promise<LmdbFile> {
    const engine = await loadEngine();
    const path = join(directory, DATABASE_FILE);
    try {
      makeDirectory(directory, PRIVATE);
      for (const left of [NEW_DIRECTORY, PROBE_FILE])
        rmSync(join(directory, left), { recursive: true, force: true });
      if (!existsSync(path)) {
        requireRoom(free(directory), 0);
        await create(engine, directory);
      }
    } catch (error) {
      throw storeError("STORE_OPEN", `${path} cannot be made: ${causeText(error)}`, error);
    }
    checkDatabaseFile(path);
    let db: RawDatabase;
    try {
      db = openRaw(engine, directory);
    } catch (error) {
      throw storeError("STORE_OPEN", `${path} cannot be opened: ${causeText(error)}`, error);
    }
    try {
      await checkFormat(path, db);
    } catch (error) {
      await db.close();
      throw nameDamage(path, error);
    }
    return new LmdbFile(path, engine, db, free);
  }

  /**
   * Writes `changes` as one transaction; resolves when it is flushed. `applied`: the log record they end with. One at a time:
   * sessions that end must see all that was written before, and see below.
   */
  async write(changes: Changes, applied?: number): Promise<void> {
    requireRoomFor(this.#free(dirname(this.path)), changes, () => this.#leaves());
    await this.commit((db) => {
      putChanges(db, changes);
      if (applied !== undefined) db.put(APPLIED_KEY, encodeNumber(applied));
    });
  }

  // When the engine fails to write its meta record it gives up: every later transaction fails, a write that is begun all the
  // same never ends, and the commit whose flush it was resolves as if nothing had happened. Reads tell: so one is made
  // before and after each write, and the file is opened anew where the engine has given up.
  /** What `put` puts and removes is one transaction; resolves when it is flushed. One at a time. */
  async commit(put: (db: RawDatabase) => void): Promise<void> {
    if (this.#gaveUp()) await this.#reopen();
    try {
      await this.#db.batch(() => put(this.#db));
    } catch (error) {
      throw await commitError(error);
    }
    if (this.#gaveUp()) throw new Error("the engine could not say that the commit is flushed");
  }

  #leaves(): number {
    const { treeLeafPageCount } = this.stats();
    return typeof treeLeafPageCount === "number" ? treeLeafPageCount : Number.POSITIVE_INFINITY;
  }

  #gaveUp(): boolean {
    try {
      this.#db.resetReadTxn();
      return this.#db.get(FORMAT_KEY) === undefined;
    } catch {
      return true;
    }
  }

  async #reopen(): Promise<void> {
    await this.close();
    this.#db = openRaw(this.#engine, dirname(this.path));
  }

  /**
   * Tries whether `bytes` and a good deal more could be written, aside: where room is scarce small writes succeed long before
   * the store is of use again.
   */
  async probeRoom(bytes: number): Promise<void> {
    const path = join(dirname(this.path), PROBE_FILE);
    try {
      const file = await open(path, "w", 0o600);
      try {
        const block = Buffer.alloc(PROBE_BYTES);
        for (let left = Math.min(bytes, PROBE_MOST) + PROBE_BYTES; left > 0; left -= PROBE_BYTES)
          await file.writeFile(block);
        await file.datasync();
      } finally {
        await file.close();
      }
    } finally {
      rmSync(path, { force: true });
    }
    await this.probe();
  }

  /** Writes the format record again: a commit that changes nothing, to learn whether the file can be written. */
  async probe(): Promise<void> {
    requireRoom(this.#free(dirname(this.path)), 0);
    await this.commit((db) => {
      db.put(FORMAT_KEY, encodeFormat());
    });
  }

  /** Number of the newest log record that is in the file; 0: none. */
  applied(): number {
    return this.#db.get(APPLIED_KEY)?.readDoubleLE(0) ?? 0;
  }

  get(key: Buffer): Buffer | undefined {
    return this.#db.get(key);
  }

  /** Entries whose key begins with `prefix`, in order, from behind the key `after`. */
  page(prefix: Buffer, after: Buffer | undefined, limit: number): { key: Buffer; value: Buffer }[] {
    const range = {
      start: after ?? prefix,
      exclusiveStart: after !== undefined,
      end: keyBehind(prefix),
      limit,
    };
    return [...this.#db.getRange(range).map(({ key, value }) => ({ key: Buffer.from(key), value }))];
  }

  /** Every entry whose key begins with `kind`, in order; gives the event loop a turn after each chunk. */
  async forEach(kind: number, visit: (key: Buffer, value: Buffer) => unknown): Promise<void> {
    const end = keyBehind(Buffer.of(kind));
    let start: Buffer = Buffer.of(kind);
    let exclusiveStart = false;
    for (;;) {
      let count = 0;
      let last: Buffer | undefined;
      // No read transaction lives across turns: it would keep every page that is freed meanwhile.
      for (const { key, value } of this.#db.getRange({ start, end, limit: CHUNK, exclusiveStart })) {
        last = Buffer.from(key);
        count++;
        const waits = visit(last, value);
        if (waits instanceof Promise) {
          await waits;
          count = CHUNK;
          break;
        }
      }
      if (count < CHUNK || last === undefined) return;
      start = last;
      exclusiveStart = true;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** A consistent copy of the newest committed state as `<directory>/data.mdb`. */
  async backup(directory: string): Promise<void> {
    const target = join(directory, DATABASE_FILE);
    if (existsSync(target))
      throw storeError("STORE_NOT_EMPTY", `${target} exists: give a directory without a backup in it`);
    try {
      makeDirectory(directory, PRIVATE);
      await this.#db.backup(directory, true);
      syncFile(target);
      syncDirectory(directory);
    } catch (error) {
      throw storeError("STORE_BACKUP", `${target} cannot be written: ${causeText(error)}`, error);
    }
  }

  /** Bytes of the file's pages in use, and the readers it has: for tests and metrics. */
  stats(): Record<string, unknown> {
    return this.#db.getStats() as Record<string, unknown>;
  }

  async close(): Promise<void> {
    const db = this.#db as RawDatabase & { env?: { address: number; close(): void } };
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS, true);
    });
    // The engine waits for flushes, also for those of commits that failed, which never come.
    const isLate = await Promise.race([db.close().then(() => false), late]);
    clearTimeout(timer);
    if (isLate && db.env !== undefined) {
      db.env.address = 0;
      db.env.close();
    }
  }
}

/** Makes a complete new file aside and moves it into place: whatever is called data.mdb has its format record. */
async function create(engine: Engine, directory: string): Promise<void> {
  const aside = join(directory, NEW_DIRECTORY);
  mkdirSync(aside, { mode: 0o700 });
  const db = openRaw(engine, aside);
  try {
    await db.put(FORMAT_KEY, encodeFormat());
    await db.flushed;
  } finally {
    await db.close();
  }
  // A lock file of an older database says nothing about a new one.
  rmSync(join(directory, "lock.mdb"), { force: true });
  renameSync(join(aside, DATABASE_FILE), join(directory, DATABASE_FILE));
  rmSync(aside, { recursive: true, force: true });
  syncDirectory(directory);
}

/** Flushes a file that others have written. */
export function syncFile(path: string): void {
  const fd = openSync(path, "r+");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Without this a new name may be lost at power loss. Some systems cannot open a directory: nothing to do there. */
export function syncDirectory(path: string): void {
  try {
    const fd = openSync(path, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    // Not supported by this file system.
  }
}

async function checkFormat(path: string, db: RawDatabase): Promise<void> {
  const value = db.get(FORMAT_KEY);
  if (value === undefined)
    throw storeError(
      "STORE_FOREIGN",
      `${path} is a database of another program; it was left as it is. Move it away, or choose another data ` +
        "directory with --data",
    );
  const version = decodeFormat(value);
  if (version === undefined) throw corrupt(path, "its format record makes no sense");
  if (version > FORMAT_VERSION)
    throw storeError(
      "STORE_NEWER",
      `${path} was written by a newer Millrace (format ${version}, this one knows ${FORMAT_VERSION}); it was left as ` +
        "it is. Run the newer release, or choose another data directory with --data",
    );
  if (version < FORMAT_VERSION) await migrate(db, version);
}

/** The engine says why a commit failed in a promise of its own. */
async function commitError(error: unknown): Promise<Error> {
  const inner = (error as { commitError?: Promise<never> }).commitError;
  if (inner === undefined) return error instanceof Error ? error : new Error(String(error));
  const timeout = new Promise<Error>((resolve) => setTimeout(resolve, 1_000, error as Error).unref());
  return Promise.race([inner.catch((cause: unknown) => cause as Error), timeout]);
}

/** Names of what else lies in a store's directory, to tell an empty one. */
export function listDirectory(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
