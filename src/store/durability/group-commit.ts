// Brings batches to a writer as groups: while as many groups as allowed are under way, what is committed meanwhile is
// merged into the next one. Order is kept, and a promise never settles before those of earlier batches. What may turn out
// not to need writing waits before that, see waiting-batches.ts.
//
// When a write fails, everybody who waited for it is refused, the failure is said once, and until a trial succeeds every
// commit is refused at once. What a refusal does not undo (Changes.carriedOver) is collected and written first when the
// writer works again.
import type { Logger } from "../../logger.ts";
import { Changes } from "../contract/changes.ts";
import { causeText, storeError } from "../contract/store-errors.ts";
import { type WaitingBatch, WaitingBatches } from "./waiting-batches.ts";

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
  /** Where traffic is heavy, a group waits for those who have just been answered: worth it where a group costs much. */
  readonly pauses?: boolean;
}

interface Group extends WaitingBatch {
  /** Batches that have waited and now end with it, before all others of it. */
  waited: WaitingBatch[];
}

/** ms for which a batch nobody waits for may wait for company. */
const LATER_MS = 100;
const RETRY_MS = 1_000;
/**
 * Heavy traffic falls into halves: while one is being written the other one comes, and each is a group of its own for ever.
 * Whoever has just been answered sends the next; so a group of this many bytes waits this long behind the one before it.
 */
const PAUSE_FROM_BYTES = 16_384;
const PAUSE_TO_BYTES = 1_048_576;
const PAUSE_MS = 1;

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #next: Group | undefined;
  /** Committed behind all of `#next`, which then has nothing in it that anybody waits for. */
  readonly #waiting = new WaitingBatches();
  #waitingEnds: NodeJS.Timeout | undefined;
  #underWay = 0;
  /** Settles with the newest group, whatever becomes of it. */
  #last: Promise<void> = Promise.resolve();
  #later: NodeJS.Timeout | undefined;
  #pause: NodeJS.Timeout | undefined;
  #failure: Error | undefined;
  #carried = new Changes();
  /** What a trial under way tries to write. */
  #tried: Changes | undefined;
  /** Something has failed during the trial under way. */
  #failedAgain = false;
  #retry: NodeJS.Timeout | undefined;
  #recovering: Promise<void> | undefined;
  #closed = false;
  /** Groups written since the start, for metrics and tests. */
  groups = 0;
  /** Batches somebody waited for that never had to be written. */
  spared = 0;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Why commits are refused at present. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** See Store.pendingRemovalBytes. */
  get pendingRemovalBytes(): number {
    const tried = this.#tried?.removalBytes ?? 0;
    return tried + this.#carried.removalBytes + (this.#next?.changes.removalBytes ?? 0);
  }

  commit(batch: Changes): Promise<void> {
    if (this.#closed) return Promise.reject(storeError("STORE_CLOSED", "the store is closed"));
    batch.seal();
    if (this.#failure !== undefined) {
      this.#carried.merge(batch.carriedOver());
      return batch.dirty ? Promise.reject(this.#failure) : this.#last;
    }
    if (!this.#waiting.empty || (!this.#next?.changes.dirty && this.#waiting.wants(batch)))
      return this.#wait(batch);
    if (!batch.empty) this.#mergeNext(batch);
    const group = this.#next;
    // Nobody waits for it: it ends with what was committed before it, and is written when there is more.
    if (group === undefined || !group.changes.dirty) {
      if (group !== undefined) this.#writeLater();
      return this.#last;
    }
    const { promise } = group;
    this.#start();
    return promise;
  }

  #mergeNext(changes: Changes): Group {
    if (this.#next === undefined) this.#next = newGroup(changes);
    else this.#next.changes.merge(changes);
    return this.#next;
  }

  /** The batch waits, or it is one that ends the waiting of those before it. */
  #wait(batch: Changes): Promise<void> {
    const waiting = this.#waiting;
    // What it gives up may live on in what it brings (a message moved to another session): all of it becomes safe together.
    if (batch.dirty && !batch.mayBeSpared) {
      this.#release(false);
      const { promise } = this.#mergeNext(batch);
      this.#start();
      return promise;
    }
    waiting.strike(batch.gone);
    let { newest } = waiting;
    if (newest === undefined || batch.dirty) {
      newest = newGroup(batch);
      waiting.push(newest);
    } else newest.changes.merge(batch);
    for (let spared = waiting.takeSpared(); spared !== undefined; spared = waiting.takeSpared()) {
      this.spared++;
      spared.changes.dirty = false;
      if (!spared.changes.empty) this.#mergeNext(spared.changes);
      const { resolve, promise } = spared;
      void this.#last.then(resolve);
      this.#last = promise;
    }
    if (this.#next !== undefined) this.#writeLater();
    this.#endWaitingLater();
    return newest.promise;
  }

  #endWaitingLater(): void {
    if (this.#waiting.empty || this.#waitingEnds !== undefined) return;
    this.#waitingEnds = setTimeout(
      () => {
        this.#waitingEnds = undefined;
        this.#endWaiting();
      },
      Math.max(1, this.#waiting.left(performance.now())),
    );
  }

  /** Writes what has waited long enough, if it can be written now. */
  #endWaiting(): void {
    const { writer, outstanding } = this.#options;
    if (this.#waiting.empty || this.#underWay >= outstanding || writer.busy) return;
    if (this.#waiting.left(performance.now()) > 0) {
      this.#endWaitingLater();
      return;
    }
    this.#release(true);
    this.#start();
  }

  /** What waits goes into the next group. */
  #release(inVain: boolean): void {
    for (const batch of this.#waiting.takeAll(inVain)) this.#mergeNext(batch.changes).waited.push(batch);
  }

  #writeLater(): void {
    this.#later ??= setTimeout(() => this.#writeNext(), LATER_MS);
  }

  /** Starts what nobody waits for, too. */
  flush(): void {
    this.#release(false);
    this.#writeNext();
  }

  #writeNext(): void {
    this.#later = undefined;
    this.#endPause();
    if (this.#next !== undefined) this.#next.changes.dirty = true;
    this.#start();
  }

  /** The writer is no longer busy. */
  resume(): void {
    this.#start();
    this.#endWaiting();
  }

  /** A group is written: the next one begins, at once or a little later. */
  #goOn(): void {
    const bytes = this.#options.pauses ? (this.#next?.changes.bytes ?? 0) : 0;
    if (bytes >= PAUSE_FROM_BYTES && bytes < PAUSE_TO_BYTES)
      this.#pause ??= setTimeout(() => {
        this.#pause = undefined;
        this.#start();
      }, PAUSE_MS);
    this.resume();
  }

  #endPause(): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
  }

  #start(): void {
    const group = this.#next;
    if (group === undefined || !group.changes.dirty || this.#failure !== undefined) return;
    if (this.#pause !== undefined) return;
    const { writer, outstanding } = this.#options;
    if (this.#underWay >= outstanding || writer.busy) return;
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#next = undefined;
    this.#underWay++;
    this.groups++;
    const earlier = this.#last;
    const begun = performance.now();
    const written = writer.write(group.changes).then(
      () => {
        this.#waiting.wrote(performance.now() - begun);
        // One before it failed: what is carried over from that one must not undo this one when it is written later.
        if (this.#failure !== undefined) this.#carried.merge(group.changes);
        return earlier.then(() => resolveAll(group));
      },
      (error: unknown) => {
        this.#fail(error, group);
        return earlier.then(() => rejectAll(group, this.#failure ?? error));
      },
    );
    this.#last = written.then(() => {
      this.#underWay--;
      this.#goOn();
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
    this.#release(false);
    const next = this.#next;
    this.#endPause();
    if (next !== undefined) {
      this.#next = undefined;
      this.#carried.merge(next.changes.carriedOver());
      const failure = this.#failure;
      void this.#last.then(() => rejectAll(next, failure));
    }
    // One trial at a time: a second one would take the log's file from under what the first one writes.
    if (this.#tried === undefined) this.#retryLater();
    else this.#failedAgain = true;
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
    this.#tried = carried;
    this.#failedAgain = false;
    this.#carried = new Changes();
    // Much of it was refused again and again meanwhile, each time in the place of what came before.
    carried.measure();
    try {
      await writer.recover(carried.bytes);
      if (!carried.empty) await writer.write(carried);
    } catch {
      carried.merge(this.#carried);
      this.#carried = carried;
      return this.#retryLater();
    } finally {
      this.#tried = undefined;
    }
    // What was carried over is written; but not all of the writer works.
    if (this.#failedAgain) return this.#retryLater();
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
    clearTimeout(this.#waitingEnds);
    clearTimeout(this.#retry);
    if (this.#failure !== undefined && !this.#carried.empty)
      this.#options.logger?.warn(
        { path: this.#options.path },
        "the store closes while it cannot write; changes nobody was promised are lost",
      );
  }
}

function resolveAll({ waited, resolve }: Group): void {
  for (const batch of waited) batch.resolve();
  resolve();
}

function rejectAll({ waited, reject }: Group, error: unknown): void {
  for (const batch of waited) batch.reject(error);
  reject(error);
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
  return { changes, promise, resolve, reject, since: performance.now(), waited: [] };
}
