// The files of the write-ahead log as the operating system has them. An interface of its own, so that tests can slow a
// flush, fail a write, and forget what was never flushed.
import {
  close,
  fdatasync,
  fsync,
  open,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writev,
} from "node:fs";
import { join } from "node:path";

export type Done = (error: Error | null) => void;

export interface LogFile {
  /** Appends all parts; `done` when the operating system has them. One at a time. */
  append(parts: Buffer[], done: Done): void;
  /** Flushes to the disk what was appended before. */
  sync(done: Done): void;
  close(done: Done): void;
}

export interface LogFiles {
  /** Numbers of the files there are, ascending. */
  list(): number[];
  path(number: number): string;
  read(number: number): Buffer;
  /** Fails where it exists already. */
  create(number: number): LogFile;
  remove(number: number): void;
}

const NAME = /^log-(\d{1,15})$/;

export class DiskLogFiles implements LogFiles {
  readonly #directory: string;
  constructor(directory: string) {
    this.#directory = directory;
  }

  list(): number[] {
    const numbers: number[] = [];
    for (const name of readdirSync(this.#directory)) {
      const match = NAME.exec(name);
      if (match !== null) numbers.push(Number(match[1]));
    }
    return numbers.sort((a, b) => a - b);
  }

  path(number: number): string {
    return join(this.#directory, `log-${number}`);
  }

  read(number: number): Buffer {
    return readFileSync(this.path(number));
  }

  create(number: number): LogFile {
    return new DiskLogFile(openSync(this.path(number), "ax", 0o600), this.#directory);
  }

  remove(number: number): void {
    unlinkSync(this.path(number));
  }
}

class DiskLogFile implements LogFile {
  readonly #fd: number;
  /** Its directory, while the file's name may not be on the disk yet. */
  #directory: string | undefined;

  constructor(fd: number, directory: string) {
    this.#fd = fd;
    this.#directory = directory;
  }

  append(parts: Buffer[], done: Done): void {
    writev(this.#fd, parts, (error, written) => {
      if (error !== null) return done(error);
      let at = 0;
      let left = written;
      while (at < parts.length && left >= parts[at].length) left -= parts[at++].length;
      if (at === parts.length) return done(null);
      // Written short: the next write either goes on or says why not.
      const rest = parts.slice(at);
      rest[0] = rest[0].subarray(left);
      this.append(rest, done);
    });
  }

  sync(done: Done): void {
    fdatasync(this.#fd, (error) => {
      if (error !== null || this.#directory === undefined) return done(error);
      const directory = this.#directory;
      this.#directory = undefined;
      open(directory, "r", (failed, fd) => {
        // Some systems cannot open a directory: nothing to do there.
        if (failed !== null) return done(null);
        fsync(fd, () => close(fd, () => done(null)));
      });
    });
  }

  close(done: Done): void {
    close(this.#fd, done);
  }
}
