// Errors of the durable store: each names the path and what to do. Nothing here deletes or repairs a file.
import { OperationError } from "../../errors.ts";

export type StoreErrorCode =
  | "STORE_ENGINE_MISSING"
  | "STORE_FOREIGN"
  | "STORE_CORRUPT"
  | "STORE_NEWER"
  | "STORE_OPEN"
  | "STORE_WRITE"
  | "STORE_CLOSED"
  | "STORE_BACKUP"
  | "STORE_NOT_EMPTY"
  | "STORE_IMPORT";

export function storeError(code: StoreErrorCode, message: string, cause?: unknown): OperationError {
  return new OperationError(code, message, cause === undefined ? undefined : { cause });
}

/** Thrown where bytes make no sense, by code that does not know which file they came from. */
export class StoreFileError extends Error {
  override readonly name = "StoreFileError";
}

export function causeText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What the engine says of pages that make no sense names no file: this does. Other errors stay what they are. */
export function nameDamage(path: string, error: unknown): unknown {
  const found = /^MDB_(CORRUPTED|PAGE_NOTFOUND|INVALID)/.test(causeText(error));
  return found ? corrupt(path, causeText(error), error) : error;
}

export function corrupt(path: string, detail: string, cause?: unknown): OperationError {
  return storeError(
    "STORE_CORRUPT",
    `${path} is damaged (${detail}); it was left as it is. Restore a backup into an empty data directory, or move ` +
      "the file away to begin without it",
    cause,
  );
}
