// A turn of the event loop as the broker sees it: what was done in it is flushed, sealed and committed together.
// Acknowledgements wait for the number of their turn's commit; numbers commit in order.
import type { Outbox } from "../../connection/outbox.ts";
import type { Segments } from "../../session/segments.ts";
import type { SessionRef, Store, StoreBatch } from "../../store/contract/store.ts";

export interface TurnEvents {
  /** Commits up to `number` are safe; 0 or the reason code of a failure. */
  committed(number: number, reason: number): void;
  commitStarted(next: number): void;
  /** Runs last in a turn. */
  turnEnded(): void;
  commitFailed(error: unknown): void;
  /** What waited for a commit has thrown. */
  actionFailed(error: unknown): void;
}

const UNSPECIFIED_ERROR = 0x80;
const LAZY_MS = 50;
/** Two clients in this time, ms, are a rush. */
const RUSH_MS = 2;
/** Greetings that leave together at most, and ms the first of them waits. */
const MOST_GREETINGS = 32;
const LONGEST_WAIT_MS = 2;

export class Turn {
  /** Counts up with each turn. */
  turn = 0;
  /** Number of the commit this turn's messages belong to. */
  commit = 1;
  batch: StoreBatch;
  /** Somebody waits for this turn's commit. */
  awaited = false;
  readonly #store: Store;
  readonly #segments: Segments;
  readonly #events: TurnEvents;
  #outboxes: Outbox[] = [];
  /** Of clients greeted in this rush. */
  #greetings: Outbox[] = [];
  /** How many there were a turn ago. */
  #greetingsBefore = 0;
  #greetingsSince = 0;
  #lastGreeting = 0;
  #scheduled = false;
  #afterCommit: ((reason: number) => void)[] = [];
  #outstanding = 0;
  #lazy: NodeJS.Timeout | undefined;
  #lazyDue = false;
  readonly #idle: (() => void)[] = [];
  readonly #end = (): void => this.#endTurn();

  constructor(store: Store, segments: Segments, events: TurnEvents) {
    this.#store = store;
    this.#segments = segments;
    this.#events = events;
    this.batch = store.begin();
  }

  /** Something happens in this turn: it will have an end. */
  touch(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#end);
  }

  flushLater(outbox: Outbox): void {
    this.#outboxes.push(outbox);
    this.touch();
  }

  // A client on this machine, a proxy for instance, is woken by every write it waits for, and that costs more than the rest of
  // a sign-in. While clients rush in, their greetings wait for those of the next turns.
  /** Keeps the outbox until no more clients come, there are enough, or they have waited long enough; false: there is no rush. */
  holdBack(outbox: Outbox): boolean {
    const now = performance.now();
    const calm = now - this.#lastGreeting > RUSH_MS;
    this.#lastGreeting = now;
    if (calm) return false;
    if (this.#greetings.length === 0) this.#greetingsSince = now;
    this.#greetings.push(outbox);
    this.touch();
    return true;
  }

  #greet(): void {
    const greetings = this.#greetings;
    const { length } = greetings;
    if (length === 0) return;
    if (
      length > this.#greetingsBefore &&
      length < MOST_GREETINGS &&
      performance.now() - this.#greetingsSince < LONGEST_WAIT_MS
    ) {
      this.#greetingsBefore = length;
      this.touch();
      return;
    }
    this.#greetings = [];
    this.#greetingsBefore = 0;
    for (const outbox of greetings) outbox.flush();
  }

  /** The session's queue has moved on: its cursor goes along with the turn's batch, and nobody waits for it. */
  moved(session: SessionRef & { cursorCommit: number }): void {
    if (session.cursorCommit === this.commit) return;
    session.cursorCommit = this.commit;
    this.batch.queueLater(session);
  }

  /** Runs `action` when this turn's commit is safe (reason 0) or has failed. */
  afterCommit(action: (reason: number) => void): void {
    this.#afterCommit.push(action);
    this.awaited = true;
    this.touch();
  }

  /** Something done before is not safe yet, though nothing of this turn may wait for it. */
  get unsettled(): boolean {
    return this.#outstanding > 0 || this.batch.dirty;
  }

  /** Bytes of removals that the store could not write yet. */
  get pendingRemovalBytes(): number {
    return this.#store.pendingRemovalBytes ?? 0;
  }

  /** The store knows that it cannot write: commits are refused at once. */
  get storeFails(): boolean {
    return this.#store.failure !== undefined;
  }

  /** Resolves when every commit so far has ended. */
  settled(): Promise<void> {
    if (this.#outstanding === 0 && !this.awaited && this.batch.empty) return Promise.resolve();
    this.#lazyDue = true;
    this.touch();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #endTurn(): void {
    this.#scheduled = false;
    this.turn++;
    this.#greet();
    const outboxes = this.#outboxes;
    if (outboxes.length > 0) {
      this.#outboxes = [];
      for (const outbox of outboxes) outbox.flush();
    }
    const segment = this.#segments.seal();
    if (segment !== undefined) this.batch.segment(segment);
    if (this.awaited || this.batch.dirty || (this.#lazyDue && !this.batch.empty)) this.#commitTurn();
    else if (!this.batch.empty) {
      // What was given up may be what an earlier commit waits to write.
      if (this.#outstanding > 0) this.#commitTurn();
      else this.#commitLazily();
    }
    this.#events.turnEnded();
  }

  /** What nobody waits for goes along with the next commit, or alone a little later. */
  #commitLazily(): void {
    if (this.#lazy !== undefined) return;
    this.#lazy = setTimeout(() => {
      this.#lazyDue = true;
      this.touch();
    }, LAZY_MS);
    this.#lazy.unref();
  }

  #commitTurn(): void {
    clearTimeout(this.#lazy);
    this.#lazy = undefined;
    this.#lazyDue = false;
    const number = this.commit;
    const actions = this.#afterCommit;
    const batch = this.batch;
    this.commit = (number + 1) >>> 0 || 1;
    this.batch = this.#store.begin();
    this.awaited = false;
    this.#afterCommit = [];
    this.#outstanding++;
    this.#events.commitStarted(this.commit);
    this.#store.commit(batch).then(
      () => this.#done(number, 0, actions),
      (error: unknown) => {
        this.#events.commitFailed(error);
        this.#done(number, UNSPECIFIED_ERROR, actions);
      },
    );
  }

  #done(number: number, reason: number, actions: ((reason: number) => void)[]): void {
    this.#outstanding--;
    this.#events.committed(number, reason);
    for (const action of actions) {
      try {
        action(reason);
      } catch (error) {
        this.#events.actionFailed(error);
      }
    }
    if (this.#outstanding === 0 && !this.awaited && (this.batch.empty || !this.#lazyDue)) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }
}
