// Opens the store of a data directory at the durability asked for. What the levels promise: docs/durability.md.
import { join } from "node:path";
import type { Logger } from "../options.ts";
import { LmdbFile } from "./lmdb-file.ts";
import { PowerStore } from "./power-store.ts";
import type { Store } from "./store.ts";

export type DurableLevel = "process" | "power";

export interface OpenStoreOptions {
  /** The data directory; the store lies in its subdirectory `store`. */
  readonly directory: string;
  readonly level: DurableLevel;
  readonly logger?: Logger;
  /** ms between trials after a failed write. Default 1,000. */
  readonly retryMs?: number;
}

/** A store that outlives its process. */
export interface DurableStore extends Store {
  /** Copies the store, as it is at one moment from now on, to `directory`, which need not exist. */
  backup(directory: string): Promise<void>;
  /** Why commits are refused at present; undefined: they are not. */
  readonly failure: Error | undefined;
  /** Groups of batches written since it was opened. */
  readonly groups: number;
}

export function storeDirectory(dataDirectory: string): string {
  return join(dataDirectory, "store");
}

export async function openStore(options: OpenStoreOptions): Promise<DurableStore> {
  const file = await LmdbFile.open(storeDirectory(options.directory));
  return new PowerStore(file, options.logger, options.retryMs);
}
