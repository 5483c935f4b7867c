// Level "process": a promise resolves when the operating system has the batch's record in the write-ahead log; no
// acknowledgement waits for a flush. In the background, about every two seconds, what has changed since the last time is
// written to the database file in one durable commit (a checkpoint), and the log before it is removed. What was made and
// given up in between never reaches the file.
//
// The log is flushed once a second, so that power loss takes no more than the last seconds.
import type { Logger } from "../../logger.ts";
import { Changes } from "../contract/changes.ts";
import { FileStore } from "./file-store.ts";
import type { LmdbFile } from "../database/lmdb-file.ts";
import type { WriteAheadLog } from "../log/write-ahead-log.ts";

const SYNC_MS = 1_000;
const CHECKPOINT_MS = 2_000;
/** Changes in memory, or bytes of log, from which a checkpoint begins before its time. */
const CHECKPOINT_BYTES = 33_554_432;
/** Changes in memory beyond which commits wait for the checkpoint under way: the disk is slower than the traffic. */
const BACKLOG_BYTES = 67_108_864;

export class ProcessStore extends FileStore {
  readonly name = "process";
  readonly #log: WriteAheadLog;
  readonly #timers: NodeJS.Timeout[];
  /** What has changed since the last checkpoint began. */
  #changes = new Changes();
  /** What the checkpoint under way, or one that failed, writes: up to this record, which stands before this log file. */
  #frozen: { readonly changes: Changes; readonly sequence: number; readonly logFile: number } | undefined;
  /** Newest record that the database file knows of. */
  #written: number;
  #appending: Promise<void> | undefined;
  #checkpoint: Promise<void> | undefined;
  #checkpointDue = false;

  constructor(file: LmdbFile, log: WriteAheadLog, logger: Logger | undefined, retryMs: number | undefined) {
    super(file, { outstanding: 1, pauses: false }, logger, retryMs);
    this.#log = log;
    this.#written = file.applied();
    this.#timers = [
      setInterval(() => this.#sync(), SYNC_MS).unref(),
      setInterval(() => this.#beginCheckpoint(), CHECKPOINT_MS).unref(),
    ];
  }

  protected write(group: Changes): Promise<void> {
    this.#appending = this.#log.append(group).then(
      () => {
        this.#appending = undefined;
        this.#changes.merge(group);
        if (
          this.#checkpointDue ||
          this.#changes.bytes > CHECKPOINT_BYTES ||
          this.#log.size > CHECKPOINT_BYTES
        )
          this.#beginCheckpoint();
      },
      (error: unknown) => {
        this.#appending = undefined;
        throw error;
      },
    );
    return this.#appending;
  }

  protected get busy(): boolean {
    return this.#checkpointDue || (this.#frozen !== undefined && this.#changes.bytes > BACKLOG_BYTES);
  }

  #sync(): void {
    this.#log.sync().catch((error: unknown) => this.commits.fail(error));
  }

  /** Starts a checkpoint, at once or, where a record is being written, behind it. */
  #beginCheckpoint(): void {
    if (this.#checkpoint !== undefined || this.commits.failure !== undefined) return;
    if (this.#appending !== undefined) {
      this.#checkpointDue = true;
      return;
    }
    this.#checkpointDue = false;
    this.#checkpoint = this.#writeCheckpoint()
      .catch((error: unknown) => this.commits.fail(error))
      .finally(() => {
        this.#checkpoint = undefined;
        this.commits.resume();
      });
    // It was due, and the writer was busy with it: the next record may go into the new log file meanwhile.
    this.commits.resume();
  }

  async #writeCheckpoint(): Promise<void> {
    if (this.#frozen === undefined) {
      // Also where there is nothing but records without changes: the log with them is going to be removed.
      if (this.#changes.empty && this.#log.sequence === this.#written) return;
      const changes = this.#changes;
      this.#changes = new Changes();
      this.#frozen = { changes, sequence: this.#log.sequence, logFile: this.#log.rotate() };
    }
    const { changes, sequence, logFile } = this.#frozen;
    await this.file.write(changes, sequence);
    this.#written = sequence;
    // Only now: the file has it, flushed.
    this.#frozen = undefined;
    this.#log.removeBefore(logFile);
  }

  /** After a failure everything in memory goes to the file, and the log begins anew behind it. */
  protected async recover(bytes: number): Promise<void> {
    await this.#checkpoint;
    this.#checkpointDue = false;
    await this.file.probeRoom(bytes + this.#changes.bytes + (this.#frozen?.changes.bytes ?? 0));
    if (this.#frozen !== undefined) await this.#writeCheckpoint();
    await this.#writeCheckpoint();
    // A record may be torn at the end of the present log file; nothing may follow it there.
    const logFile = this.#log.rotate();
    this.#log.removeBefore(logFile);
    await this.write(new Changes());
  }

  async backup(directory: string): Promise<void> {
    await this.checkpoint();
    await this.file.backup(directory);
  }

  /** Brings the database file up to date. */
  async checkpoint(): Promise<void> {
    await this.commits.drain();
    await this.#checkpoint;
    this.#beginCheckpoint();
    // Behind the record that is being written: what ends there begins it.
    while (this.#checkpointDue && this.#appending !== undefined) await this.#appending.catch(() => undefined);
    await this.#checkpoint;
    if (this.failure !== undefined) throw this.failure;
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.commits.close();
    try {
      await this.checkpoint();
    } catch {
      // Said already. The log has it all, and is read at the next start.
    }
    this.#log.rotate();
    await this.file.close();
  }
}
