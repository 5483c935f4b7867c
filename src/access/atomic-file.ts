// Replaces a file as a whole: a reader, or a crash at any moment, sees the old content or the new one, never half.
// For small files that hold secrets; the content is on disk when the promise resolves.
import { randomBytes } from "node:crypto";
import { open, realpath, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { OperationError } from "../errors.ts";

/** Writes `text` to `path`, readable by its owner only unless `mode` says otherwise. A symbolic link is followed. */
export async function writeFileAtomic(path: string, text: string, mode = 0o600): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const temporary = `${target}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
    await syncDirectory(dirname(target));
  } catch (cause) {
    await unlink(temporary).catch(() => undefined);
    throw new OperationError("FILE_WRITE", `${path}: cannot be written: ${messageOf(cause)}`, { cause });
  }
}

// Without this the rename itself may be lost at power loss. Some systems cannot open a directory: nothing to do there.
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r").catch(() => undefined);
  if (directory === undefined) return;
  try {
    await directory.sync();
  } catch {
    // Not supported by this file system.
  } finally {
    await directory.close();
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
