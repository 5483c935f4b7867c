// What the durable levels have in common: a database file, and commits that reach it as groups. When a group is safe, and how a
// writer that failed begins anew, is the level's own.
import type { Logger } from "../../logger.ts";
import { Changes } from "../contract/changes.ts";
import { GroupCommit } from "./group-commit.ts";
import type { LmdbFile } from "../database/lmdb-file.ts";
import { loadFile } from "../database/load.ts";
import type { DurableStore, StoreVisitor } from "../contract/store.ts";

export abstract class FileStore implements DurableStore {
  abstract readonly name: string;
  protected readonly file: LmdbFile;
  protected readonly commits: GroupCommit;

  constructor(
    file: LmdbFile,
    group: { readonly outstanding: number; readonly pauses: boolean },
    logger: Logger | undefined,
    retryMs: number | undefined,
  ) {
    this.file = file;
    const busy = (): boolean => this.busy;
    this.commits = new GroupCommit({
      writer: {
        get busy() {
          return busy();
        },
        write: (group) => this.write(group),
        recover: (bytes) => this.recover(bytes),
      },
      ...group,
      logger,
      path: file.path,
      retryMs,
    });
  }

  // As in GroupWriter.
  protected abstract write(group: Changes): Promise<void>;
  protected abstract get busy(): boolean;
  protected abstract recover(bytes: number): Promise<void>;

  abstract backup(directory: string): Promise<void>;
  abstract close(): Promise<void>;

  load(visitor: StoreVisitor): Promise<void> {
    return loadFile(this.file, visitor);
  }

  begin(): Changes {
    return new Changes();
  }

  commit(batch: Changes): Promise<void> {
    return this.commits.commit(batch);
  }

  get failure(): Error | undefined {
    return this.commits.failure;
  }

  get pendingRemovalBytes(): number {
    return this.commits.pendingRemovalBytes;
  }

  get groups(): number {
    return this.commits.groups;
  }

  get spared(): number {
    return this.commits.spared;
  }
}
