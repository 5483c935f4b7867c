// Makes a directory that only its owner may enter, with those above it.
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

export function makePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    // On a read-only file system Node.js says only that the directory above is missing: the topmost missing one says why.
    let missing = path;
    while (!existsSync(dirname(missing))) missing = dirname(missing);
    if ((error as NodeJS.ErrnoException).code === "ENOENT") mkdirSync(missing, { mode: 0o700 });
    throw error;
  }
}
