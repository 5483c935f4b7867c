// Numbers of messages and calls: decimal, 64 bits, unique [RRPC-1]. Milliseconds in the upper bits, so that they grow over
// restarts too; a count in the lower 20. Texts: 19 digits do not fit a JavaScript number, so they are made in two halves.

const COUNTS = 2 ** 20;
const MILLION = 1e6;

export class MessageIds {
  readonly #now: () => number;
  #ms = 0;
  #count = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Greater than every one before, whatever the clock does. */
  next(): string {
    const now = Math.trunc(this.#now());
    if (now > this.#ms) {
      this.#ms = now;
      this.#count = 0;
    } else if (++this.#count === COUNTS) {
      this.#ms++;
      this.#count = 0;
    }
    // ms * COUNTS + count, with ms = high * 10^6 + low: each product is far below 2^53.
    const high = Math.floor(this.#ms / MILLION);
    const low = (this.#ms - high * MILLION) * COUNTS + this.#count;
    const carried = Math.floor(low / MILLION);
    const front = high * COUNTS + carried;
    const back = low - carried * MILLION;
    return front === 0 ? `${back}` : `${front}${String(MILLION + back).slice(1)}`;
  }
}
