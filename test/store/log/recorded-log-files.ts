// Log files that remember what was flushed, so that a test can lose the power: what was not flushed is dropped or garbled,
// and the database file goes back to its last checkpoint. Flushes can be slowed, writes and flushes made to fail.
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LOG_HEAD } from "../../../src/store/log/write-ahead-log.ts";
import { DiskLogFiles, type Done, type LogFile, type LogFiles } from "../../../src/store/log/log-files.ts";

interface Recorded {
  written: number;
  synced: number;
}

/** What becomes of the bytes that were not flushed. */
export type Tail = "dropped" | "garbled" | "zeroed" | "half";

export class RecordedLogFiles implements LogFiles {
  /** ms every flush takes. */
  syncMs = 0;
  /** Thrown by the next writes, or flushes, as long as it is set. */
  writeError: NodeJS.ErrnoException | undefined;
  syncError: NodeJS.ErrnoException | undefined;
  /** Bytes of a failing write that are written all the same. */
  shortWrite = 0;
  /** Writes, counted from 1, that fail besides. */
  readonly failingWrites = new Set<number>();
  syncs = 0;
  writes = 0;
  readonly #directory: string;
  readonly #disk: DiskLogFiles;
  readonly #files = new Map<number, Recorded>();
  /** The database file as it was flushed last. */
  readonly #safe: string;

  /** `directory`: of the store; `safe`: a file for copies. */
  constructor(directory: string, safe: string) {
    this.#directory = directory;
    this.#safe = safe;
    mkdirSync(directory, { recursive: true });
    this.#disk = new DiskLogFiles(directory);
  }

  list(): number[] {
    return this.#disk.list();
  }

  path(number: number): string {
    return this.#disk.path(number);
  }

  read(number: number): Buffer {
    return this.#disk.read(number);
  }

  create(number: number): LogFile {
    if (this.writeError !== undefined && this.shortWrite === 0) throw this.writeError;
    const file = this.#disk.create(number);
    const recorded = { written: 0, synced: 0 };
    this.#files.set(number, recorded);
    return {
      append: (parts, done) => {
        this.writes++;
        if (this.failingWrites.has(this.writes)) return done(new Error("ENOSPC: test"));
        if (this.writeError !== undefined) return this.#fail(file, parts, done);
        file.append(parts, (error) => {
          for (const part of parts) recorded.written += part.length;
          done(error);
        });
      },
      sync: (done) => {
        this.syncs++;
        const { written } = recorded;
        setTimeout(() => {
          if (this.syncError !== undefined) return done(this.syncError);
          file.sync((error) => {
            recorded.synced = Math.max(recorded.synced, written);
            done(error);
          });
        }, this.syncMs);
      },
      close: (done) => file.close(done),
    };
  }

  #fail(file: LogFile, parts: Buffer[], done: Done): void {
    const error = this.writeError as Error;
    if (this.shortWrite === 0) done(error);
    else file.append([Buffer.concat(parts).subarray(0, this.shortWrite)], () => done(error));
  }

  /** The store removes log files when the database file is flushed, and before it writes to it again. */
  remove(number: number): void {
    this.checkpointed();
    this.#files.delete(number);
    this.#disk.remove(number);
  }

  checkpointed(): void {
    copyFileSync(join(this.#directory, "data.mdb"), this.#safe);
  }

  get unsynced(): number {
    let bytes = 0;
    for (const { written, synced } of this.#files.values()) bytes += written - synced;
    return bytes;
  }

  /** What is left after a power loss, in another directory; the store may still run. */
  losePower(directory: string, tail: Tail): void {
    mkdirSync(directory, { recursive: true });
    copyFileSync(this.#safe, join(directory, "data.mdb"));
    for (const [number, { written, synced }] of this.#files) {
      if (synced === 0 && tail === "dropped") continue;
      const bytes = this.#disk.read(number).subarray(0, written);
      const lost = bytes.length - synced;
      const kept = Buffer.from(tail === "dropped" ? bytes.subarray(0, synced) : bytes);
      // Garbage inside records is the disk's doing; a file system shows zeros for what was never written, so that a head
      // is whole, or zeros, or missing.
      if (tail === "garbled")
        for (let at = Math.max(synced, LOG_HEAD); at < kept.length; at += 97) kept[at] ^= 0x55;
      if (tail === "zeroed") kept.fill(0, synced);
      if (tail === "half") kept.fill(0, synced + (lost >> 1));
      writeFileSync(join(directory, `log-${number}`), kept);
    }
  }
}
