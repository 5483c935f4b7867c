// For commands that work on a data directory while no broker runs there: holds it as a broker would, so that none can
// start meanwhile, and opens its store.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { OperationError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { DATABASE_FILE } from "../../store/database/lmdb-file.ts";
import { type DurableStore, openStore, storeDirectory } from "../../store/open-store.ts";
import { openControlServer } from "../control/control-server.ts";
import { openDataDirectory } from "./data-directory.ts";

/** Runs `work` while this process holds the directory; `command` is what others are told. */
export async function holdDirectory<T>(
  dataDirectory: string,
  command: string,
  work: () => Promise<T>,
): Promise<T> {
  const data = await openDataDirectory(dataDirectory, command);
  try {
    const refuse = async (): Promise<never> => {
      const message = `no broker runs on ${dataDirectory}, millrace ${command} works there`;
      throw new OperationError("DATA_DIRECTORY_IN_USE", message);
    };
    // An answering socket is what keeps a lock, see data-directory.ts.
    const control = await openControlServer({
      dataDirectory,
      publish: refuse,
      backup: refuse,
      registry: () => ({ busy: false, call: refuse, close: async () => {} }),
      platform: { call: refuse, follow: refuse },
    });
    try {
      return await work();
    } finally {
      await control.close();
    }
  } finally {
    data.release();
  }
}

export interface StoreUsers<T> {
  /** With the store of a directory without a broker; it is closed afterwards. */
  readonly stopped: (store: DurableStore) => Promise<T>;
  /** Where a broker has the directory. */
  readonly running: () => Promise<T>;
}

/** Whoever gets the directory's lock may open the store; otherwise a broker must be asked. */
export async function useStore<T>(dataDirectory: string, command: string, users: StoreUsers<T>): Promise<T> {
  if (!existsSync(dataDirectory)) throw noStore(dataDirectory);
  try {
    return await holdDirectory(dataDirectory, command, async () => {
      if (!existsSync(join(storeDirectory(dataDirectory), DATABASE_FILE))) throw noStore(dataDirectory);
      const store = await openStore({ directory: dataDirectory, level: "power", logger: STANDARD_ERROR });
      try {
        return await users.stopped(store);
      } finally {
        await store.close();
      }
    });
  } catch (error) {
    if (!(error instanceof OperationError) || error.code !== "DATA_DIRECTORY_IN_USE") throw error;
    return users.running();
  }
}

function noStore(dataDirectory: string): OperationError {
  const message = `there is no store in the data directory ${dataDirectory}: name the right one with --data`;
  return new OperationError("STORE_MISSING", message);
}

/** What the store has to say to somebody who waits at a terminal. */
export const STANDARD_ERROR: Logger = {
  debug() {},
  info() {},
  warn: (_, message) => void process.stderr.write(`millrace: ${message}\n`),
  error: (_, message) => void process.stderr.write(`millrace: ${message}\n`),
};
