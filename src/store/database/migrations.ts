// Takes a database file of an older format to the present one, a version at a time, each step one transaction that also
// writes the new version: a crash in between leaves the older format, whole.
import type { RootDatabase } from "lmdb";
import { FORMAT_KEY } from "./keys.ts";
import { encodeFormat, FORMAT_VERSION } from "../contract/records.ts";

type RawDatabase = RootDatabase<Buffer, Buffer>;

/** Rewrites what has changed; index 0 takes version 1 to 2. Runs inside the transaction. */
export type Migration = (db: RawDatabase) => void;

const MIGRATIONS: readonly Migration[] = [];

export async function migrate(
  db: RawDatabase,
  from: number,
  migrations: readonly Migration[] = MIGRATIONS,
  target: number = FORMAT_VERSION,
): Promise<void> {
  for (let version = from; version < target; version++) {
    const step = migrations[version - 1];
    if (step === undefined) throw new Error(`there is no migration from format ${version}`);
    await db.transaction(() => {
      step(db);
      db.put(FORMAT_KEY, encodeFormat(version + 1));
    });
    await db.flushed;
  }
}
