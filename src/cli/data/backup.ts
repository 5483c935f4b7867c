// A backup is a directory with the store's database file and the configuration a data directory holds: the registry of
// products and devices, and the self-signed certificate. The database file comes last in both directions: where it is there,
// everything is.
import { existsSync } from "node:fs";
import { chmod, copyFile, readdir, readFile, rename, rm, rmdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { makeDirectory, PRIVATE } from "../../runtime/directories.ts";
import { messageOf, writeFileAtomic } from "../../access/atomic-file.ts";
import { OperationError } from "../../errors.ts";
import {
  type Registry,
  registryDirectory,
  requireNoRegistry,
  restoreRegistry,
} from "../../platform/registry/index.ts";
import { requireNoStore, restoreBackup } from "../../store/backup.ts";
import { DATABASE_FILE, syncDirectory, syncFile } from "../../store/database/lmdb-file.ts";
import type { DurableStore } from "../../store/open-store.ts";
import { CERTIFICATE_FILE, KEY_FILE } from "../../transport/tls/certificate.ts";
import { AUTHORITY_FILE, AUTHORITY_KEY_FILE } from "../../transport/tls/device-authority.ts";

const CONFIGURATION: readonly (readonly [name: string, mode: number])[] = [
  ["devices.json", 0o600], // of older releases; the next start takes it over
  [KEY_FILE, 0o600],
  [CERTIFICATE_FILE, 0o644],
  [AUTHORITY_KEY_FILE, 0o600],
  [AUTHORITY_FILE, 0o644],
];
/** Where a backup grows, inside its directory. */
const PARTIAL = "partial";
const REGISTRY = basename(registryDirectory("."));

/** Copies the store as it is at one moment, and the configuration, to `directory`: missing, or empty. */
export async function makeBackup(
  store: Pick<DurableStore, "backup">,
  /** undefined: the data directory has none. */
  registry: Pick<Registry, "backup"> | undefined,
  dataDirectory: string,
  directory: string,
): Promise<void> {
  const partial = join(directory, PARTIAL);
  try {
    makeDirectory(directory, PRIVATE);
    // What a backup left that was cut off is no reason to refuse.
    const found = (await readdir(directory)).find((name) => name !== PARTIAL);
    if (found !== undefined) {
      const message = `${join(directory, found)} exists: give a directory that is empty, or not there yet`;
      throw new OperationError("STORE_NOT_EMPTY", message);
    }
    await rm(partial, { recursive: true, force: true });
    try {
      await store.backup(partial);
      const copied: string[] = [];
      if (registry !== undefined) {
        await registry.backup(registryDirectory(partial));
        copied.push(REGISTRY);
      }
      for (const [name, mode] of CONFIGURATION) {
        const source = join(dataDirectory, name);
        if (!existsSync(source)) continue;
        const copy = join(partial, name);
        await copyFile(source, copy);
        await chmod(copy, mode);
        syncFile(copy);
        copied.push(name);
      }
      for (const name of [...copied, DATABASE_FILE]) await rename(join(partial, name), join(directory, name));
      await rmdir(partial);
      syncDirectory(directory);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw error;
    }
  } catch (error) {
    if (error instanceof OperationError) throw error;
    const message = `no backup was made: ${directory} cannot be written: ${messageOf(error)}`;
    throw new OperationError("STORE_BACKUP", message, { cause: error });
  }
}

/** Puts a backup into a data directory, which the caller holds. Overwrites nothing; where it fails, nothing is there. */
export async function restoreInto(dataDirectory: string, backup: string): Promise<void> {
  requireNoStore(dataDirectory);
  requireNoRegistry(dataDirectory, backup);
  const missing: { path: string; text: string; mode: number }[] = [];
  for (const [name, mode] of CONFIGURATION) {
    const text = await readIfThere(join(backup, name));
    if (text === undefined) continue;
    const path = join(dataDirectory, name);
    const present = await readIfThere(path);
    if (present === undefined) missing.push({ path, text, mode });
    else if (present !== text) {
      const message = `${path} exists and is not the backup's: give an empty data directory, or move it away first`;
      throw new OperationError("STORE_NOT_EMPTY", message);
    }
  }
  const written: string[] = [];
  try {
    for (const { path, text, mode } of missing) {
      await writeFileAtomic(path, text, mode);
      written.push(path);
    }
    if (await restoreRegistry(dataDirectory, backup)) written.push(registryDirectory(dataDirectory));
    await restoreBackup(backup, dataDirectory);
  } catch (error) {
    for (const path of written) await rm(path, { recursive: true, force: true });
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new OperationError("STORE_BACKUP", `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** One backup at a time; nothing may close the store under one that is being made. */
export class BackupDesk {
  #running: Promise<void> | undefined;
  #closed = false;

  async make(work: () => Promise<void>): Promise<void> {
    if (this.#closed) throw new OperationError("STORE_BACKUP", "the broker stops: no backup was made");
    if (this.#running !== undefined)
      throw new OperationError("STORE_BACKUP", "another backup is being made: try again when it has ended");
    this.#running = work();
    try {
      await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  /** Takes no more, and resolves when the running one has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running?.catch(() => undefined);
  }
}
