// Documents that devices change often: values are held in memory and written many in one commit, a second later at most.
// What was not written when the process dies is lost; a clean end writes it. Bounded in bytes; what waits is never dropped.
import type { Documents } from "./documents.ts";

export interface GroupedOptions<T> {
  readonly documents: Documents;
  /** Of the documents. */
  readonly kind: string;
  readonly flushMs: number;
  /** Bytes of values in memory. */
  readonly cacheBytes: number;
  encode(value: T): string;
  decode(text: string): T;
  /** Bytes a value counts. */
  costOf(value: T): number;
  /** Could not be written; tried again. */
  failed(error: unknown): void;
}

/** Bytes of values in one commit: making their texts holds up everybody else. */
const COMMIT_BYTES = 1_048_576;

interface Held<T> {
  value: T;
  cost: number;
}

/** Values of T are replaced, or changed by their owner who then calls set(). */
export class GroupedDocuments<T> {
  readonly #options: GroupedOptions<T>;
  /** Least recently used first. */
  readonly #held = new Map<string, Held<T>>();
  #bytes = 0;
  #waiting = new Set<string>();
  #waitingBytes = 0;
  /** On their way to the disk. */
  #leaving: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined;
  /** The timer fires at once. */
  #hurrying = false;
  /** What was tried last failed: there is no hurry to try again. */
  #failing = false;
  #flushing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: GroupedOptions<T>) {
    this.#options = options;
  }

  /** Bytes of values in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** As much waits to be written as may: nothing should be added. */
  get full(): boolean {
    return this.#waitingBytes >= this.#options.cacheBytes;
  }

  get(key: string): T | undefined {
    const held = this.#held.get(key);
    if (held !== undefined) {
      this.#held.delete(key);
      this.#held.set(key, held);
      return held.value;
    }
    const text = this.#options.documents.get(this.#options.kind, key);
    if (text === undefined) return undefined;
    const value = this.#options.decode(text);
    this.#hold(key, value);
    return value;
  }

  set(key: string, value: T): void {
    this.#settle(key);
    this.#waitingBytes += this.#hold(key, value);
    this.#waiting.add(key);
    const { cacheBytes, flushMs } = this.#options;
    const hurry = this.#waitingBytes * 2 > cacheBytes && !this.#failing;
    // A timer that is set anew with every message would never fire.
    if (this.#timer === undefined) this.#flushIn(hurry ? 0 : flushMs);
    else if (hurry && !this.#hurrying) this.#flushIn(0);
  }

  /** The owner is gone, and its document with it. */
  async remove(key: string): Promise<void> {
    this.#settle(key);
    this.#drop(key);
    await this.#options.documents.set(this.#options.kind, key, undefined);
  }

  /** Resolves when what was set before is kept. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = this.#flushing.catch(() => undefined).then(() => this.#write());
    return this.#flushing;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flush().catch(() => undefined);
  }

  async #write(): Promise<void> {
    const leaving = this.#waiting;
    if (leaving.size === 0) return;
    this.#waiting = new Set();
    this.#waitingBytes = 0;
    this.#leaving = leaving;
    const keys = [...leaving];
    let written = 0;
    try {
      while (written < keys.length) {
        const group = this.#group(keys, written);
        await this.#writeGroup(group);
        written += group.length;
      }
      this.#failing = false;
    } catch (error) {
      this.#failing = true;
      this.#waitAgain(keys.slice(written));
      this.#options.failed(error);
      if (!this.#closed && this.#timer === undefined) this.#flushIn(this.#options.flushMs);
      throw error;
    } finally {
      this.#leaving = new Set();
      this.#evict();
    }
  }

  /** The next ones, as many as make one commit. */
  #group(keys: readonly string[], from: number): readonly string[] {
    let bytes = 0;
    let to = from;
    while (to < keys.length && (to === from || bytes < COMMIT_BYTES)) {
      bytes += this.#held.get(keys[to])?.cost ?? 0;
      to++;
    }
    return keys.slice(from, to);
  }

  async #writeGroup(keys: readonly string[]): Promise<void> {
    const { documents, kind, encode } = this.#options;
    await documents.edit((draft) => {
      for (const key of keys) {
        // Not held any more: it was removed meanwhile.
        const held = this.#held.get(key);
        if (held !== undefined) draft.set(kind, key, encode(held.value));
      }
    });
  }

  #waitAgain(keys: readonly string[]): void {
    for (const key of keys) {
      const held = this.#held.get(key);
      if (held === undefined || this.#waiting.has(key)) continue;
      this.#waiting.add(key);
      this.#waitingBytes += held.cost;
    }
  }

  /** It waits no longer. */
  #settle(key: string): void {
    if (this.#waiting.delete(key)) this.#waitingBytes -= this.#held.get(key)?.cost ?? 0;
  }

  /** Returns what it costs. */
  #hold(key: string, value: T): number {
    this.#drop(key);
    const cost = this.#options.costOf(value);
    this.#held.set(key, { value, cost });
    this.#bytes += cost;
    this.#evict(key);
    return cost;
  }

  #drop(key: string): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    this.#held.delete(key);
    this.#bytes -= held.cost;
  }

  #evict(kept?: string): void {
    for (const key of this.#held.keys()) {
      if (this.#bytes <= this.#options.cacheBytes) return;
      if (key !== kept && !this.#waiting.has(key) && !this.#leaving.has(key)) this.#drop(key);
    }
  }

  #flushIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#hurrying = ms === 0;
    // failed() has told of what could not be written.
    this.#timer = setTimeout(() => void this.flush().catch(() => undefined), ms).unref();
  }
}
