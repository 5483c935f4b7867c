// The write-ahead log of level "process": files log-N of checksummed records, appended by plain writes. Bytes a write has
// taken survive the process; after power loss a prefix of the records is there, and reading stops at its end.
//
// A file begins with
//   | "millrlog" | version u32 | CRC-32 of what follows u32 | first sequence f64 | boot id, 16 bytes, 0: unknown |
// The boot id tells whether bytes can be missing at all: within one boot only the end of a record may, where the process
// was killed or a write failed; anything else is damage, and is named instead of passed over.
import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { Changes } from "../contract/changes.ts";
import type { LogFile, LogFiles } from "./log-files.ts";
import { decodeRecord, RecordWriter, readRecord } from "./log-record.ts";
import { causeText, corrupt, storeError } from "../contract/store-errors.ts";

const MAGIC = "millrlog";
const LOG_VERSION = 1;
export const LOG_HEAD = 40;

/** Identifies the present boot; 16 zero bytes where the system does not tell. */
export function readBootId(): Buffer {
  try {
    const text = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").replaceAll("-", "").trim();
    const id = Buffer.from(text, "hex");
    if (id.length === 16) return id;
  } catch {
    // Not Linux: every end of a log may then be the work of a power loss.
  }
  return Buffer.alloc(16);
}

export class WriteAheadLog {
  readonly #files: LogFiles;
  readonly #bootId: Buffer;
  readonly #writer = new RecordWriter();
  #number: number;
  #file: LogFile | undefined;
  #unsynced = false;
  #syncing = false;
  #appending = false;
  /** Number of the newest record. */
  sequence: number;
  /** Bytes in the present file. */
  size = 0;

  /** `number`: of the next file; `sequence`: of the newest record so far. */
  constructor(files: LogFiles, number: number, sequence: number, bootId: Buffer) {
    this.#files = files;
    this.#number = number;
    this.sequence = sequence;
    this.#bootId = bootId;
  }

  /** Appends a record; resolves with its number when the operating system has it. One at a time. */
  append(changes: Changes): Promise<number> {
    const sequence = this.sequence + 1;
    return new Promise((resolve, reject) => {
      const { parts, size } = this.#writer.encode(changes, sequence);
      let written = size;
      if (this.#file === undefined) {
        this.#file = this.#files.create(this.#number);
        parts.unshift(encodeHead(sequence, this.#bootId));
        written += LOG_HEAD;
      }
      this.#appending = true;
      this.#file.append(parts, (error) => {
        this.#appending = false;
        if (error !== null) return reject(error);
        this.sequence = sequence;
        this.size += written;
        this.#unsynced = true;
        resolve(sequence);
      });
    });
  }

  /**
   * The next record begins a new file. Returns the number of the file it will be. Throws while an append is under way: its
   * bytes would go to whatever is opened next under the number of the file that is closed here, a client's socket too.
   */
  rotate(): number {
    if (this.#appending) throw new Error("the log cannot be rotated while a record is being written");
    const file = this.#file;
    if (file === undefined) return this.#number;
    this.#file = undefined;
    this.size = 0;
    this.#unsynced = false;
    // What was in it is flushed elsewhere before the file is removed; a failure to close it changes nothing.
    if (!this.#syncing) file.close(() => undefined);
    else this.#closing.push(file);
    return ++this.#number;
  }

  readonly #closing: LogFile[] = [];

  /** Flushes what has been appended, unless that is under way. Nobody waits for it but tests. */
  sync(): Promise<void> {
    const file = this.#file;
    if (file === undefined || !this.#unsynced || this.#syncing) return Promise.resolve();
    this.#syncing = true;
    this.#unsynced = false;
    return new Promise((resolve, reject) => {
      file.sync((error) => {
        this.#syncing = false;
        for (const old of this.#closing.splice(0)) old.close(() => undefined);
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  /** Removes the files before `number`. */
  removeBefore(number: number): void {
    for (const old of this.#files.list()) if (old < number) this.#files.remove(old);
  }
}

function encodeHead(sequence: number, bootId: Buffer): Buffer {
  const head = Buffer.alloc(LOG_HEAD);
  head.write(MAGIC, "latin1");
  head.writeUInt32LE(LOG_VERSION, 8);
  head.writeDoubleLE(sequence, 16);
  bootId.copy(head, 24);
  head.writeUInt32LE(crc32(head.subarray(16)), 12);
  return head;
}

export interface ReplayResult {
  /** Of the newest record that was read, or `applied`. */
  readonly sequence: number;
  /** Of the next file. */
  readonly number: number;
  /** Bytes behind the last good record, lost with the power. */
  readonly lost: number;
}

/**
 * Reads the records behind `applied` in order. `apply` is given what each file holds, never more than one file at a time.
 */
export async function replayLog(
  files: LogFiles,
  applied: number,
  bootId: Buffer,
  newChanges: () => Changes,
  apply: (changes: Changes, sequence: number) => Promise<void>,
): Promise<ReplayResult> {
  const numbers = files.list();
  let sequence = applied;
  let lost = 0;
  for (const number of numbers) {
    const path = files.path(number);
    const bytes = readLog(files, number, path);
    const head = readHead(path, bytes);
    if (head === undefined) {
      lost += bytes.length;
      continue;
    }
    // The records go on without a gap: what stood before was the end of a write that failed, which nobody was promised.
    if (head.sequence <= sequence + 1) lost = 0;
    const sameBoot = head.bootId.equals(bootId) && bootId.some((byte) => byte !== 0);
    if (head.sequence > sequence + 1) {
      if (sameBoot)
        throw corrupt(path, `the records ${sequence + 1} to ${head.sequence - 1} before it are missing`);
      lost += bytes.length;
      continue;
    }
    const changes = newChanges();
    const before = sequence;
    let at = LOG_HEAD;
    let expected = head.sequence;
    while (at < bytes.length) {
      const found = readRecord(bytes, at);
      if (found.kind !== "record" || found.sequence !== expected) {
        if (sameBoot && found.kind !== "incomplete") throw corrupt(path, `a broken record at byte ${at}`);
        if (!sameBoot) lost += bytes.length - at;
        break;
      }
      if (found.sequence > sequence) {
        decode(path, at, found.payload, changes);
        sequence = found.sequence;
      }
      expected++;
      at = found.end;
    }
    // Also where its records change nothing: their numbers are used, and the file is going to be removed.
    if (sequence > before) await apply(changes, sequence);
  }
  return { sequence, number: (numbers.at(-1) ?? 0) + 1, lost };
}

function readLog(files: LogFiles, number: number, path: string): Buffer {
  try {
    return files.read(number);
  } catch (error) {
    throw storeError("STORE_OPEN", `${path} cannot be read: ${causeText(error)}`, error);
  }
}

function decode(path: string, at: number, payload: Buffer, changes: Changes): void {
  try {
    decodeRecord(payload, changes);
  } catch (error) {
    throw corrupt(path, `the record at byte ${at} makes no sense: ${causeText(error)}`, error);
  }
}

/** undefined: it never became whole. */
function readHead(path: string, bytes: Buffer): { sequence: number; bootId: Buffer } | undefined {
  if (bytes.length < LOG_HEAD || bytes.subarray(0, LOG_HEAD).every((byte) => byte === 0)) return undefined;
  if (bytes.toString("latin1", 0, 8) !== MAGIC)
    throw storeError(
      "STORE_FOREIGN",
      `${path} is not a log of Millrace; it was left as it is. Move it away, or choose another data directory with --data`,
    );
  const version = bytes.readUInt32LE(8);
  if (version > LOG_VERSION)
    throw storeError(
      "STORE_NEWER",
      `${path} was written by a newer Millrace (log format ${version}, this one knows ${LOG_VERSION}); it was left as ` +
        "it is. Run the newer release, or choose another data directory with --data",
    );
  if (crc32(bytes.subarray(16, LOG_HEAD)) !== bytes.readUInt32LE(12))
    throw corrupt(path, "its head is broken");
  return { sequence: bytes.readDoubleLE(16), bootId: bytes.subarray(24, LOG_HEAD) };
}
