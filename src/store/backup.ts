// Puts a backup in the place of a store. Making one is a method of the open store: DurableStore.backup().
import { copyFileSync, existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeDirectory, PRIVATE } from "../runtime/directories.ts";
import { checkDatabaseFile } from "./database/file-check.ts";
import { DATABASE_FILE, LmdbFile, listDirectory, syncDirectory, syncFile } from "./database/lmdb-file.ts";
import { storeDirectory } from "./open-store.ts";
import { causeText, storeError } from "./contract/store-errors.ts";

/** Throws where `dataDirectory` has a store already: nothing is ever written over one. */
export function requireNoStore(dataDirectory: string): void {
  const directory = storeDirectory(dataDirectory);
  const found = listDirectory(directory).find((name) => name === DATABASE_FILE || name.startsWith("log-"));
  if (found === undefined) return;
  throw storeError(
    "STORE_NOT_EMPTY",
    `${join(directory, found)} exists: give an empty data directory, or move the store away first`,
  );
}

/** Restores what DurableStore.backup() wrote to `backup` into a data directory without a store. */
export async function restoreBackup(backup: string, dataDirectory: string): Promise<void> {
  const source = join(backup, DATABASE_FILE);
  if (!existsSync(source))
    throw storeError("STORE_BACKUP", `${backup} is not a backup: there is no ${DATABASE_FILE} in it`);
  checkDatabaseFile(source);
  requireNoStore(dataDirectory);
  const aside = `${storeDirectory(dataDirectory)}.restoring`;
  try {
    rmSync(aside, { recursive: true, force: true });
    makeDirectory(aside, PRIVATE);
    copyFileSync(source, join(aside, DATABASE_FILE));
    // Opened once: a backup of another program, or of a newer release, never gets into place.
    const file = await LmdbFile.open(aside);
    await file.close();
    moveIntoPlace(aside, dataDirectory);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    throw withPath(error, dataDirectory);
  }
}

/** Makes the directory `aside`, which holds a complete database, the store of `dataDirectory`. */
export function moveIntoPlace(aside: string, dataDirectory: string): void {
  syncFile(join(aside, DATABASE_FILE));
  syncDirectory(aside);
  const directory = storeDirectory(dataDirectory);
  makeDirectory(directory, PRIVATE);
  renameSync(join(aside, DATABASE_FILE), join(directory, DATABASE_FILE));
  syncDirectory(directory);
  rmSync(aside, { recursive: true, force: true });
}

function withPath(error: unknown, dataDirectory: string): Error {
  if ((error as { name?: string }).name === "OperationError") return error as Error;
  return storeError("STORE_BACKUP", `${dataDirectory} cannot be restored to: ${causeText(error)}`, error);
}
