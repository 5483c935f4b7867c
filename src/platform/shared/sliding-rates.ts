// At most so many events in any window of so many milliseconds, by key. Keeps the times of those that were admitted, and
// forgets keys that have been quiet: memory is bounded by what happened in one window. What is refused does not count.

/** Keys looked over for quiet ones after so many admissions. */
const SWEEP_EVERY = 1_024;

export class SlidingRates {
  readonly #most: number;
  readonly #windowMs: number;
  readonly #maxKeys: number;
  readonly #times = new Map<string, number[]>();
  #untilSweep = SWEEP_EVERY;

  /** `most` 0: no bound. With more than `maxKeys` keys the oldest is forgotten. */
  constructor(most: number, windowMs: number, maxKeys = Number.POSITIVE_INFINITY) {
    this.#most = most;
    this.#windowMs = windowMs;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#times.size;
  }

  /** `now`: ms, never smaller than before for one key. */
  admit(key: string, now: number): boolean {
    if (this.#most === 0) return true;
    if (this.isFull(key, now)) return false;
    const times = this.#times.get(key);
    if (times !== undefined) times.push(now);
    else this.#add(key, now);
    if (--this.#untilSweep <= 0) this.#sweep(now);
    return true;
  }

  /** Would admit() say no? Counts nothing. */
  isFull(key: string, now: number): boolean {
    // Empty nearly always where failures are counted: then the key is not even hashed.
    if (this.#most === 0 || this.#times.size === 0) return false;
    const times = this.#times.get(key);
    if (times === undefined) return false;
    while (times.length > 0 && now - times[0] >= this.#windowMs) times.shift();
    return times.length >= this.#most;
  }

  #add(key: string, now: number): void {
    if (this.#times.size >= this.#maxKeys) {
      const [oldest] = this.#times.keys();
      this.#times.delete(oldest);
    }
    this.#times.set(key, [now]);
  }

  #sweep(now: number): void {
    this.#untilSweep = Math.max(SWEEP_EVERY, this.#times.size);
    for (const [key, times] of this.#times) {
      if (now - (times.at(-1) ?? 0) >= this.#windowMs) this.#times.delete(key);
    }
  }
}
