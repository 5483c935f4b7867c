// Brings batches to a writer as groups: while as many groups as allowed are under way, what is committed meanwhile is
// merged into the next one. Order is kept, and a promise never settles before those of earlier batches.
//
// When a write fails, everybody who waited for it is refused, the failure is said once, and until a trial succeeds every
// commit is refused at once. What a refusal does not undo (Changes.carriedOver) is collected and written first when the
// writer works again.
import type { Logger } from "../options.ts";
import { Changes } from "./changes.ts";
import { causeText, storeError } from "./store-errors.ts";

export interface GroupWriter {
  /** Writes one group; resolves when it has reached the durability promised. Groups are handed over in order. */
  write(group: Changes): Promise<void>;
  /** True while the writer cannot take another group; it calls resume() of its GroupCommit when it can. */
  readonly busy: boolean;
  /** Tries whether writing works again after a failure, for about `bytes`. Rejects while it does not. */
  recover(bytes: number): Promise<void>;
}

export interface GroupCommitOptions {
  readonly writer: GroupWriter;
  /** Groups that may be under way at once. */
  readonly outstanding: number;
  readonly logger: Logger | undefined;
  /** Names the file in messages. */
  readonly path: string;
  /** ms between trials after a failure. */
  readonly retryMs?: number;
}

interface Group {
  readonly changes: Changes;
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

/** ms for which a batch nobody waits for may wait for company. */
const LATER_MS = 100;
const RETRY_MS = 1_000;

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #next: Group | undefined;
  #underWay = 0;
  /** Settles with the newest group, whatever becomes of it. */
  #last: Promise<void> = Promise.resolve();
  #later: NodeJS.Timeout | undefined;
  #failure: Error | undefined;
  #carried = new Changes();
  #retry: NodeJS.Timeout | undefined;
  #recovering: Promise<void> | undefined;
  #closed = false;
  /** Groups written since the start, for metrics and tests. */
  groups = 0;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Why commits are refused at present. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  commit(batch: Changes): Promise<void> {
    if (this.#closed) return Promise.reject(storeError("STORE_CLOSED", "the store is closed"));
    batch.seal();
    if (this.#failure !== undefined) {
      this.#carried.merge(batch.carriedOver());
      return batch.dirty ? Promise.reject(this.#failure) : this.#last;
    }
    if (!batch.empty) {
      if (this.#next === undefined) this.#next = newGroup(batch);
      else this.#next.changes.merge(batch);
    }
    const group = this.#next;
    // Nobody waits for it: it ends with what was committed before it, and is written when there is more.
    if (group === undefined || !group.changes.dirty) {
      if (group !== undefined) this.#later ??= setTimeout(() => this.flush(), LATER_MS);
      return this.#last;
    }
    const { promise } = group;
    this.#start();
    return promise;
  }

  /** Starts what nobody waits for, too. */
  flush(): void {
    if (this.#next !== undefined) this.#next.changes.dirty = true;
    this.#start();
  }

  /** The writer is no longer busy. */
  resume(): void {
    this.#start();
  }

  #start(): void {
    const group = this.#next;
    if (group === undefined || !group.changes.dirty || this.#failure !== undefined) return;
    const { writer, outstanding } = this.#options;
    if (this.#underWay >= outstanding || writer.busy) return;
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#next = undefined;
    this.#underWay++;
    this.groups++;
    const earlier = this.#last;
    const written = writer.write(group.changes).then(
      () => {
        // One before it failed: what is carried over from that one must not undo this one when it is written later.
        if (this.#failure !== undefined) this.#carried.merge(group.changes);
        return earlier.then(() => group.resolve());
      },
      (error: unknown) => {
        this.#fail(error, group);
        return earlier.then(() => group.reject(this.#failure ?? error));
      },
    );
    this.#last = written.then(() => {
      this.#underWay--;
      this.#start();
    });
  }

  /** Something else the writer needs has failed: commits are refused from now on, until it recovers. */
  fail(cause: unknown): void {
    this.#fail(cause, undefined);
  }

  #fail(cause: unknown, group: Group | undefined): void {
    if (this.#failure === undefined) {
      const { path, logger } = this.#options;
      this.#failure = storeError("STORE_WRITE", `${path} cannot be written: ${causeText(cause)}`, cause);
      logger?.error(
        { path, err: causeText(cause) },
        "the store cannot write; clients are refused until it can again",
      );
    }
    if (group !== undefined) this.#carried.merge(group.changes.carriedOver());
    const next = this.#next;
    if (next !== undefined) {
      this.#next = undefined;
      this.#carried.merge(next.changes.carriedOver());
      const failure = this.#failure;
      void this.#last.then(() => next.reject(failure));
    }
    this.#retryLater();
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    if (this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#recovering = this.#recover().finally(() => {
        this.#recovering = undefined;
      });
    }, this.#options.retryMs ?? RETRY_MS);
    this.#retry.unref();
  }

  /** Tries to write what was carried over. Order is safe: nothing else is under way, and nothing is taken on meanwhile. */
  async #recover(): Promise<void> {
    if (this.#underWay > 0) return this.#retryLater();
    const { writer, path, logger } = this.#options;
    const carried = this.#carried;
    this.#carried = new Changes();
    try {
      await writer.recover(carried.bytes);
      if (!carried.empty) await writer.write(carried);
    } catch {
      carried.merge(this.#carried);
      this.#carried = carried;
      return this.#retryLater();
    }
    this.#failure = undefined;
    logger?.info({ path }, "the store can write again");
    if (!this.#carried.empty) {
      const rest = this.#carried;
      this.#carried = new Changes();
      this.#next = newGroup(rest);
      this.flush();
    }
  }

  /** Resolves when everything committed so far has been written or refused. */
  async drain(): Promise<void> {
    this.flush();
    const next = this.#next;
    await (next === undefined ? this.#last : next.promise.catch(() => undefined));
    await this.#recovering;
  }

  async close(): Promise<void> {
    await this.drain();
    this.#closed = true;
    clearTimeout(this.#later);
    clearTimeout(this.#retry);
    if (this.#failure !== undefined && !this.#carried.empty)
      this.#options.logger?.warn(
        { path: this.#options.path },
        "the store closes while it cannot write; changes nobody was promised are lost",
      );
  }
}

function newGroup(changes: Changes): Group {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Nobody may wait for it: then its failure is only logged.
  promise.catch(() => undefined);
  return { changes, promise, resolve, reject };
}
