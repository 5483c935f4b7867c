// Makes a directory, and those above it that are missing. Node's own `recursive` goes round for ever where the system reports a
// directory as missing although its parent is there, as Linux does below /proc.
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** For the owner alone. */
export const PRIVATE = 0o700;

/** Throws what the system says about the first one that cannot be made. */
export function makeDirectory(path: string, mode = 0o777): void {
  const missing = [resolve(path)];
  for (let above = dirname(missing[0]); !existsSync(above); above = dirname(above)) missing.push(above);
  for (const directory of missing.reverse()) make(directory, mode);
}

function make(directory: string, mode: number): void {
  try {
    mkdirSync(directory, { mode });
  } catch (error) {
    // It may have been there, or somebody else has been faster.
    if (!isDirectory(directory)) throw error;
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
