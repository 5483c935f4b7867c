// The registry in a backup: `registry/data.mdb` beside the store's file, a consistent copy of one moment.
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../access/atomic-file.ts";
import { OperationError } from "../../errors.ts";
import { checkDatabaseFile } from "../../store/database/file-check.ts";
import { DATABASE_FILE, LmdbFile, syncDirectory, syncFile } from "../../store/database/lmdb-file.ts";
import { registryDirectory } from "./table/file-table.ts";

export function hasRegistry(dataDirectory: string): boolean {
  return existsSync(join(registryDirectory(dataDirectory), DATABASE_FILE));
}

/** Throws where a backup's registry would be written over another. */
export function requireNoRegistry(dataDirectory: string, backup: string): void {
  if (!hasRegistry(backup) || !hasRegistry(dataDirectory)) return;
  const path = join(registryDirectory(dataDirectory), DATABASE_FILE);
  const message = `${path} exists: give an empty data directory, or move the registry away first`;
  throw new OperationError("STORE_NOT_EMPTY", message);
}

/** Puts the registry of a backup, if it has one, into a data directory without one. True: it did. */
export async function restoreRegistry(dataDirectory: string, backup: string): Promise<boolean> {
  if (!hasRegistry(backup)) return false;
  requireNoRegistry(dataDirectory, backup);
  const source = join(registryDirectory(backup), DATABASE_FILE);
  const directory = registryDirectory(dataDirectory);
  const aside = `${directory}.restoring`;
  try {
    checkDatabaseFile(source);
    rmSync(aside, { recursive: true, force: true });
    mkdirSync(aside, { recursive: true, mode: 0o700 });
    copyFileSync(source, join(aside, DATABASE_FILE));
    // Opened once: what another program wrote, or a newer release, never gets into place.
    await (await LmdbFile.open(aside)).close();
    syncFile(join(aside, DATABASE_FILE));
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    renameSync(join(aside, DATABASE_FILE), join(directory, DATABASE_FILE));
    syncDirectory(directory);
  } catch (error) {
    if (error instanceof OperationError) throw error;
    const message = `${source} cannot be restored: ${messageOf(error)}`;
    throw new OperationError("STORE_BACKUP", message, { cause: error });
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return true;
}
