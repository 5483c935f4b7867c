// What a registry stands on: an ordered table of texts, in memory or in a file. Changes come in groups; a group is
// written as a whole or not at all, and it is there when commit() resolves (a file: flushed to the disk).

export type Puts = ReadonlyMap<string, string | undefined>;

export interface Entry {
  readonly key: string;
  readonly value: string;
}

export interface Table {
  get(key: string): string | undefined;
  /** Entries whose key begins with `prefix`, in order, from behind the key `after`, `limit` at most. */
  page(prefix: string, after: string | undefined, limit: number): readonly Entry[];
  /** undefined removes. One at a time. No promise: it is done. */
  commit(puts: Puts): Promise<void> | undefined;
  /** ms a change nobody waits for may wait for others, because a commit costs; 0: it costs nothing. */
  readonly patienceMs: number;
  /** A consistent copy of the newest committed state as `<directory>/data.mdb`; only of a file. */
  backup?(directory: string): Promise<void>;
  close(): Promise<void>;
}

/** What one change writes; it reads through it, so it sees itself and those before it. Nothing of it is kept if it throws. */
export class Draft {
  readonly puts = new Map<string, string | undefined>();
  readonly #before: Map<string, string | undefined>;
  readonly #table: Table;

  constructor(table: Table, before: Map<string, string | undefined>) {
    this.#table = table;
    this.#before = before;
  }

  get(key: string): string | undefined {
    if (this.puts.has(key)) return this.puts.get(key);
    if (this.#before.has(key)) return this.#before.get(key);
    return this.#table.get(key);
  }

  /** Whether this group writes the key: the table does not say what it will be. */
  writes(key: string): boolean {
    return this.puts.has(key) || this.#before.has(key);
  }

  put(key: string, value: string): void {
    this.puts.set(key, value);
  }

  remove(key: string): void {
    this.puts.set(key, undefined);
  }

  /** Makes it part of the group. */
  keep(): void {
    for (const [key, value] of this.puts) this.#before.set(key, value);
  }
}

/** One after another, and as many together as wait while a commit is under way. */
export class Changes {
  readonly #table: Table;
  #waiting: Job[] = [];
  #running = false;
  /** Some change waits that should not. */
  #urgent = false;
  #timer: NodeJS.Timeout | undefined;
  #idle: (() => void)[] = [];

  constructor(table: Table) {
    this.#table = table;
  }

  /**
   * `work` checks, then writes to the draft; throwing leaves nothing. `effect` runs when it is committed, before the promise
   * resolves.
   */
  make<T>(work: (draft: Draft) => T, effect: (result: T) => void): Promise<T> {
    const made = this.#add(work, effect);
    this.#hurry();
    return made;
  }

  /** As make(), in the same order, with what comes within the table's patience. */
  makeSoon<T>(work: (draft: Draft) => T, effect: (result: T) => void): Promise<T> {
    const made = this.#add(work, effect);
    const { patienceMs } = this.#table;
    if (patienceMs === 0) this.#hurry();
    else this.#timer ??= setTimeout(() => this.#hurry(), patienceMs).unref();
    return made;
  }

  #add<T>(work: (draft: Draft) => T, effect: (result: T) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({
        work: (draft) => {
          const result = work(draft);
          return () => {
            effect(result);
            resolve(result);
          };
        },
        reject,
      });
    });
  }

  #hurry(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#urgent = true;
    if (!this.#running) this.#run();
  }

  /** As make(), done when it returns; only on a table whose commits are. */
  makeNow<T>(work: (draft: Draft) => T, effect: (result: T) => void): T {
    this.#hurry();
    const group = new Map<string, string | undefined>();
    const draft = new Draft(this.#table, group);
    const result = work(draft);
    if (this.#table.commit(draft.puts) !== undefined) throw new Error("this table commits later");
    effect(result);
    return result;
  }

  /** Resolves when nothing is under way. */
  async drain(): Promise<void> {
    this.#hurry();
    if (this.#running) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #run(): void {
    this.#running = true;
    while (this.#urgent && this.#waiting.length > 0) {
      this.#urgent = false;
      const jobs = this.#waiting;
      this.#waiting = [];
      let group = new Map<string, string | undefined>();
      const done: { readonly finish: () => void; readonly reject: (error: unknown) => void }[] = [];
      for (const { work, reject } of jobs) {
        const draft = new Draft(this.#table, group);
        try {
          done.push({ finish: work(draft), reject });
          // The first one's is the group; those behind it read through it.
          if (group.size === 0) group = draft.puts;
          else draft.keep();
        } catch (error) {
          reject(error);
        }
      }
      const commit = group.size === 0 ? undefined : this.#table.commit(group);
      const finish = (): void => {
        for (const job of done) job.finish();
      };
      if (commit === undefined) {
        finish();
        continue;
      }
      commit
        .then(finish, (error) => {
          for (const { reject } of done) reject(error);
        })
        .finally(() => this.#run());
      return;
    }
    this.#running = false;
    this.#urgent = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

interface Job {
  readonly work: (draft: Draft) => () => void;
  readonly reject: (error: unknown) => void;
}
