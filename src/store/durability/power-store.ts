// Level "power": a promise resolves when its batch is flushed to the disk. Groups go straight to the database file.
import type { Logger } from "../../logger.ts";
import type { Changes } from "../contract/changes.ts";
import { FileStore } from "./file-store.ts";
import type { LmdbFile } from "../database/lmdb-file.ts";

/**
 * Commits under way at once. What comes meanwhile is one larger group: two or four under way were measured to gain no
 * messages per second and to cost more work per message. And a write must never be begun behind one that fails, see
 * lmdb-file.ts.
 */
const OUTSTANDING = 1;

export class PowerStore extends FileStore {
  readonly name = "power";
  protected readonly busy = false;

  constructor(file: LmdbFile, logger: Logger | undefined, retryMs: number | undefined) {
    super(file, { outstanding: OUTSTANDING, pauses: true }, logger, retryMs);
  }

  protected write(group: Changes): Promise<void> {
    return this.file.write(group);
  }

  protected recover(bytes: number): Promise<void> {
    return this.file.probeRoom(bytes);
  }

  async backup(directory: string): Promise<void> {
    await this.commits.drain();
    await this.file.backup(directory);
  }

  async close(): Promise<void> {
    await this.commits.close();
    await this.file.close();
  }
}
