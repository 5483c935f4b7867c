// How many bytes a second a connection may bring: counts them, and says how long it must not be read. Stops nothing itself.
const WINDOW_MS = 1_000;

export class ByteRate {
  readonly perSecond: number;
  #since = 0;
  #used = 0;

  constructor(perSecond: number) {
    this.perSecond = perSecond;
  }

  /**
   * So many bytes have come. Returns for how many ms nothing more may be read: 0 as long as there is room in this second,
   * otherwise as long as it takes until everything that has come keeps to the rate.
   */
  take(bytes: number, now: number): number {
    const age = now - this.#since;
    // A clock that was put back begins anew too.
    if (age >= WINDOW_MS || age < 0) {
      this.#since = now;
      this.#used = 0;
    }
    this.#used += bytes;
    if (this.#used < this.perSecond) return 0;
    return Math.max(1, Math.ceil(this.#since + (WINDOW_MS * this.#used) / this.perSecond - now));
  }
}
