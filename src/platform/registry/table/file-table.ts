// The table in a database file of its own, `registry/data.mdb` of the data directory: what is configured is kept at every
// level of durability, and a bulk import holds up no message. A commit resolves when it is flushed.
import { join } from "node:path";
import { messageOf } from "../../../access/atomic-file.ts";
import { OperationError } from "../../../errors.ts";
import { LmdbFile } from "../../../store/database/lmdb-file.ts";
import type { Entry, Puts, Table } from "./table.ts";

export function registryDirectory(dataDirectory: string): string {
  return join(dataDirectory, "registry");
}

/** A fleet that signs in for the first time makes 20 commits a second so, not one for each few devices. */
const PATIENCE_MS = 50;

export class FileTable implements Table {
  readonly patienceMs = PATIENCE_MS;
  readonly #file: LmdbFile;

  private constructor(file: LmdbFile) {
    this.#file = file;
  }

  /** Opens or makes the file. Throws what the store's file throws, in whose form it is. */
  static async open(dataDirectory: string): Promise<FileTable> {
    try {
      return new FileTable(await LmdbFile.open(registryDirectory(dataDirectory)));
    } catch (cause) {
      if (!(cause instanceof OperationError) || cause.code !== "STORE_ENGINE_MISSING") throw cause;
      // No level of durability helps here.
      const message =
        "the optional package `lmdb`, which keeps products and devices on the disk, cannot be loaded: install it with " +
        "`npm install lmdb`, or run with --profile standard";
      throw new OperationError("STORE_ENGINE_MISSING", message, { cause });
    }
  }

  get path(): string {
    return this.#file.path;
  }

  get(key: string): string | undefined {
    const value = this.#file.get(Buffer.from(key));
    return value?.utf8Slice(0, value.length);
  }

  page(prefix: string, after: string | undefined, limit: number): readonly Entry[] {
    return this.#file
      .page(Buffer.from(prefix), after === undefined ? undefined : Buffer.from(after), limit)
      .map(({ key, value }) => ({
        key: key.utf8Slice(0, key.length),
        value: value.utf8Slice(0, value.length),
      }));
  }

  async commit(puts: Puts): Promise<void> {
    try {
      await this.#file.commit((db) => {
        for (const [key, value] of puts) {
          if (value === undefined) db.remove(Buffer.from(key));
          else db.put(Buffer.from(key), Buffer.from(value));
        }
      });
    } catch (cause) {
      const message = `${this.#file.path}: products and devices cannot be written: ${messageOf(cause)}`;
      throw new OperationError("REGISTRY_WRITE", message, { cause });
    }
  }

  /** A consistent copy of the newest committed state as `<directory>/data.mdb`. */
  backup(directory: string): Promise<void> {
    return this.#file.backup(directory);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
