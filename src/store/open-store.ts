// Opens the store of a data directory at the durability asked for. What the levels promise: docs/durability.md.
import { join } from "node:path";
import type { Logger } from "../logger.ts";
import { Changes } from "./contract/changes.ts";
import { LmdbFile } from "./database/lmdb-file.ts";
import { DiskLogFiles, type LogFiles } from "./log/log-files.ts";
import { PowerStore } from "./durability/power-store.ts";
import { ProcessStore } from "./durability/process-store.ts";
import type { DurableStore } from "./contract/store.ts";
import { causeText, nameDamage, storeError } from "./contract/store-errors.ts";
import { readBootId, replayLog, WriteAheadLog } from "./log/write-ahead-log.ts";

export type { DurableStore } from "./contract/store.ts";

export type DurableLevel = "process" | "power";

export interface OpenStoreOptions {
  /** The data directory; the store lies in its subdirectory `store`. */
  readonly directory: string;
  readonly level: DurableLevel;
  readonly logger?: Logger;
  /** The log's files and the id of this boot; for tests. */
  readonly logFiles?: LogFiles;
  readonly bootId?: Buffer;
  /** Bytes that the file system of a directory has room for; for tests. */
  readonly freeBytes?: (directory: string) => number;
  /** ms between trials after a failed write. Default 1,000. */
  readonly retryMs?: number;
}

export function storeDirectory(dataDirectory: string): string {
  return join(dataDirectory, "store");
}

export async function openStore(options: OpenStoreOptions): Promise<DurableStore> {
  const { level, logger, retryMs } = options;
  const directory = storeDirectory(options.directory);
  const file = await LmdbFile.open(directory, options.freeBytes);
  try {
    const logFiles = options.logFiles ?? new DiskLogFiles(directory);
    const bootId = options.bootId ?? readBootId();
    // Whatever the level: the last run may have been at level "process".
    const replayed = await replayLog(
      logFiles,
      file.applied(),
      bootId,
      () => new Changes(),
      (changes, sequence) =>
        file.write(changes, sequence).catch((error: unknown) => {
          const why = `${file.path} cannot take in what the log holds: ${causeText(error)}`;
          throw storeError("STORE_OPEN", why, error);
        }),
    );
    if (replayed.lost > 0)
      logger?.warn(
        { path: directory, bytes: replayed.lost },
        "the end of the log was not complete: what was not yet flushed is lost",
      );
    // Within one boot the engine trusts a commit that was never flushed; what is told to clients from here on must be safe.
    // Where this fails, the first commit will too, and says so.
    await file.probe().catch(() => undefined);
    const log = new WriteAheadLog(logFiles, replayed.number, replayed.sequence, bootId);
    log.removeBefore(replayed.number);
    if (level === "process") return new ProcessStore(file, log, logger, retryMs);
    return new PowerStore(file, logger, retryMs);
  } catch (error) {
    await file.close();
    throw nameDamage(file.path, error);
  }
}
