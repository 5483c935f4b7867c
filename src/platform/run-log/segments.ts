// The run log on the disk: files of lines, the oldest deleted when all together are too large or too old. Appended in groups,
// off the path of messages; what a crash catches before it is written is lost. Not the store: an entry is no promise.
import { open, readdir, readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import type { FileHandle } from "node:fs/promises";
import { makeDirectory, PRIVATE } from "../../runtime/directories.ts";
import { matchLine, limitOf, type RunLogQuery } from "./query.ts";
import type { RunLogEntry } from "./entry.ts";

/** Of all bytes, in one file: what is deleted at once. */
const SEGMENTS = 16;
/** Each start begins a file. */
const MAX_SEGMENTS = 256;
const MAX_WAITING_BYTES = 4_194_304;
/** Lines looked at without letting others run. */
const LINES_AT_ONCE = 1_000;
const NAME = /^(\d{16})\.jsonl$/;
const DAY_MS = 86_400_000;

export interface LogLines {
  readonly bytes: Uint8Array;
  readonly entries: number;
  /** Of the first entry. */
  readonly firstId: number;
}

export interface SegmentOptions {
  readonly directory: string;
  readonly maxBytes: number;
  readonly maxDays: number;
  /** Entries could not be written. */
  readonly failed: (error: unknown, entries: number) => void;
}

interface Segment {
  readonly name: string;
  bytes: number;
  /** ms since the epoch, of its last entry */
  last: number;
}

export class RunLogSegments {
  readonly #options: SegmentOptions;
  #segments: Segment[] | undefined;
  #file: FileHandle | undefined;
  #waitingBytes = 0;
  #work: Promise<void> = Promise.resolve();

  constructor(options: SegmentOptions) {
    this.#options = options;
  }

  /** Lines of one group, each with its line feed. Resolves when they are written, or could not be; until then they are read. */
  append({ bytes, entries, firstId }: LogLines): Promise<void> {
    const { length } = bytes;
    if (this.#waitingBytes + length > MAX_WAITING_BYTES) {
      this.#options.failed(new Error("the disk is slower than the log"), entries);
      return Promise.resolve();
    }
    this.#waitingBytes += length;
    this.#work = this.#work
      .then(() => this.#write(bytes, firstId))
      .catch((error: unknown) => this.#options.failed(error, entries))
      .finally(() => {
        this.#waitingBytes -= length;
      });
    return this.#work;
  }

  async #write(lines: Uint8Array, firstId: number): Promise<void> {
    const { directory, maxBytes } = this.#options;
    const bytes = lines.length;
    this.#segments ??= await openDirectory(directory);
    const segments = this.#segments;
    const current = segments.at(-1);
    if (this.#file === undefined || current === undefined || current.bytes + bytes > maxBytes / SEGMENTS) {
      await this.#file?.close();
      this.#file = undefined;
      const name = `${String(firstId).padStart(16, "0")}.jsonl`;
      this.#file = await open(join(directory, name), "ax", 0o600);
      segments.push({ name, bytes: 0, last: 0 });
    }
    const segment = segments[segments.length - 1];
    await this.#file.appendFile(lines);
    segment.bytes += bytes;
    segment.last = Date.now();
    await this.#trim(segments);
  }

  async #trim(segments: Segment[]): Promise<void> {
    const { directory, maxBytes, maxDays } = this.#options;
    let total = segments.reduce((sum, { bytes }) => sum + bytes, 0);
    const tooOld = Date.now() - maxDays * DAY_MS;
    // The one that is written to stays.
    while (segments.length > 1) {
      const [oldest] = segments;
      if (total <= maxBytes && segments.length <= MAX_SEGMENTS && oldest.last >= tooOld) return;
      segments.shift();
      total -= oldest.bytes;
      await unlink(join(directory, oldest.name)).catch(ignoreMissing);
    }
  }

  /** Resolves when everything so far is written. */
  settled(): Promise<void> {
    return this.#work;
  }

  async close(): Promise<void> {
    await this.#work;
    await this.#file?.close();
    this.#file = undefined;
  }
}

async function openDirectory(directory: string): Promise<Segment[]> {
  makeDirectory(directory, PRIVATE);
  const segments: Segment[] = [];
  for (const name of await segmentNames(directory)) {
    const { size, mtimeMs } = await stat(join(directory, name));
    segments.push({ name, bytes: size, last: mtimeMs });
  }
  return segments;
}

/** Oldest first. A directory that is not there has none. */
async function segmentNames(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => NAME.test(name)).sort();
}

/** The newest entries that match, newest first; a broker may be writing. Holds one file in memory at a time. */
export async function searchSegments(directory: string, query: RunLogQuery): Promise<RunLogEntry[]> {
  const limit = limitOf(query);
  const found: RunLogEntry[] = [];
  for (const name of (await segmentNames(directory)).reverse()) {
    const text = await readFile(join(directory, name), "utf8").catch(ignoreMissing);
    if (text === undefined) continue;
    const lines = text.split("\n");
    for (let i = lines.length - 1, looked = 1; i >= 0; i--, looked++) {
      if (lines[i] === "") continue;
      const entry = matchLine(lines[i], query);
      if (entry !== undefined && found.push(entry) === limit) return found;
      if (looked % LINES_AT_ONCE === 0) await breathe();
    }
  }
  return found;
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}
