// Numbers of messages and calls: decimal, 64 bits, unique [RRPC-1]. Milliseconds in the upper bits, so that they grow over
// restarts too; a count in the lower ones. Texts: 19 digits do not fit a JavaScript number.

const COUNT_BITS = 20n;
const COUNTS = 1n << COUNT_BITS;

export class MessageIds {
  readonly #now: () => number;
  #last = 0n;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Greater than every one before, whatever the clock does. */
  next(): string {
    const first = BigInt(Math.trunc(this.#now())) * COUNTS;
    this.#last = first > this.#last ? first : this.#last + 1n;
    return this.#last.toString();
  }
}
