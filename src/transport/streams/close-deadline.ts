// Bounds the way from end() to closed: a peer that neither reads what is pending nor sends its own end keeps a socket
// for this long and no longer.

// Not in limits.ts: it begins when the broker has said its last word, so nobody is served better by another value.
/** No byte left, and no end from the peer, for this long: destroyed. */
export const CLOSE_TIMEOUT_MS = 5_000;
/** A peer that keeps reading slowly is given this many of them. */
export const CLOSE_TIMEOUTS_AT_MOST = 12;

interface Closing {
  readonly pendingBytes: number;
  destroy(): void;
}

export class CloseDeadline {
  readonly #stream: Closing;
  readonly #timer: NodeJS.Timeout;
  #pending: number;
  #left = CLOSE_TIMEOUTS_AT_MOST;

  constructor(stream: Closing, timeoutMs: number = CLOSE_TIMEOUT_MS) {
    this.#stream = stream;
    this.#pending = stream.pendingBytes;
    this.#timer = setTimeout(() => this.#check(), timeoutMs).unref();
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }

  #check(): void {
    const pending = this.#stream.pendingBytes;
    this.#left -= 1;
    if (pending >= this.#pending || this.#left === 0) this.#stream.destroy();
    else {
      this.#pending = pending;
      this.#timer.refresh();
    }
  }
}
