// Level "power": a promise resolves when its batch is flushed to the disk. Groups go straight to the database file.
import type { Logger } from "../options.ts";
import { Changes } from "./changes.ts";
import { GroupCommit } from "./group-commit.ts";
import type { LmdbFile } from "./lmdb-file.ts";
import { loadFile } from "./load.ts";
import type { DurableStore } from "./open-store.ts";
import type { StoreVisitor } from "./store.ts";

/**
 * Commits under way at once. What comes meanwhile is one larger group: two or four under way were measured to gain no
 * messages per second and to cost more work per message. And a write must never be begun behind one that fails, see
 * lmdb-file.ts.
 */
const OUTSTANDING = 1;

export class PowerStore implements DurableStore {
  readonly name = "power";
  readonly #file: LmdbFile;
  readonly #commits: GroupCommit;

  constructor(file: LmdbFile, logger: Logger | undefined, retryMs: number | undefined) {
    this.#file = file;
    this.#commits = new GroupCommit({
      writer: {
        busy: false,
        write: (group) => file.write(group),
        recover: (bytes) => file.probeRoom(bytes),
      },
      outstanding: OUTSTANDING,
      logger,
      path: file.path,
      retryMs,
    });
  }

  load(visitor: StoreVisitor): Promise<void> {
    return loadFile(this.#file, visitor);
  }

  begin(): Changes {
    return new Changes();
  }

  commit(batch: Changes): Promise<void> {
    return this.#commits.commit(batch);
  }

  get failure(): Error | undefined {
    return this.#commits.failure;
  }

  get pendingRemovalBytes(): number {
    return this.#commits.pendingRemovalBytes;
  }

  get groups(): number {
    return this.#commits.groups;
  }

  get spared(): number {
    return this.#commits.spared;
  }

  async backup(directory: string): Promise<void> {
    await this.#commits.drain();
    await this.#file.backup(directory);
  }

  async close(): Promise<void> {
    await this.#commits.close();
    await this.#file.close();
  }
}
