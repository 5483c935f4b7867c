// Values that changes under way to the store are about to replace: what the store has of each, as far as is known, so that
// it can stand again where the newest change fails. Changes of one key end in the order in which they began.

interface Entry<V> {
  safe: V | undefined;
  /** Changes that have not ended. */
  changes: number;
}

export class Unsettled<V> {
  readonly #entries = new Map<string, Entry<V>>();

  /** A change begins; `before` is what it replaces, undefined: nothing. */
  begin(key: string, before: V | undefined): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) this.#entries.set(key, { safe: before, changes: 1 });
    else entry.changes++;
  }

  /**
   * The oldest change has ended, and has made `value` safe unless it failed. Returns what has to stand again: only where
   * it was the newest as well and failed.
   */
  end(key: string, value: V | undefined, failed: boolean): { readonly safe: V | undefined } | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (!failed) entry.safe = value;
    if (--entry.changes > 0) return undefined;
    this.#entries.delete(key);
    return failed ? entry : undefined;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** What is under way brings nothing back. */
  delete(key: string): void {
    this.#entries.delete(key);
  }
}
