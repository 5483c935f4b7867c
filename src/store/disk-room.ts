// Room on the disk, asked for before the database engine writes: an engine that meets a full disk in the middle of a write
// may take the process with it, so it must not get there.
import * as fs from "node:fs";

/** Bytes that stay free: others fill the disk as well, between the question and the write. */
const SPARE_BYTES = 8_388_608;
/** The engine writes whole pages, and each page on the way to a changed one anew. */
const PAGES_FACTOR = 4;

/** Bytes a process may still write to the file system of `directory`; infinite where the system does not tell. */
export function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = fs.statfsSync(directory);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Throws where changes of `bytes` might fill the disk. */
export function requireRoom(free: number, bytes: number): void {
  const needed = bytes * PAGES_FACTOR + SPARE_BYTES;
  if (free < needed) throw new Error(`no space left on device: ${free} bytes are free, ${needed} are needed`);
}
