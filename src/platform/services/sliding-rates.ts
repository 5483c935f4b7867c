// At most so many events in any window of so many milliseconds, by key. Keeps the times of those that were admitted, and
// forgets keys that have been quiet: memory is bounded by what happened in one window. What is refused does not count.

/** Keys looked over for quiet ones after so many admissions. */
const SWEEP_EVERY = 1_024;

export class SlidingRates {
  readonly #most: number;
  readonly #windowMs: number;
  readonly #times = new Map<string, number[]>();
  #untilSweep = SWEEP_EVERY;

  /** `most` 0: no bound. */
  constructor(most: number, windowMs: number) {
    this.#most = most;
    this.#windowMs = windowMs;
  }

  get size(): number {
    return this.#times.size;
  }

  /** `now`: ms, never smaller than before for one key. */
  admit(key: string, now: number): boolean {
    if (this.#most === 0) return true;
    let times = this.#times.get(key);
    if (times === undefined) {
      times = [];
      this.#times.set(key, times);
    }
    while (times.length > 0 && now - times[0] >= this.#windowMs) times.shift();
    if (times.length >= this.#most) return false;
    times.push(now);
    if (--this.#untilSweep <= 0) this.#sweep(now);
    return true;
  }

  #sweep(now: number): void {
    this.#untilSweep = Math.max(SWEEP_EVERY, this.#times.size);
    for (const [key, times] of this.#times) {
      if (now - (times.at(-1) ?? 0) >= this.#windowMs) this.#times.delete(key);
    }
  }
}
