// Counts what a listener bounds before anybody is known: connections and their rate.
import type { TransportLimits } from "../streams/stream.ts";

const WINDOW_MS = 1_000;

function monotonicMs(): number {
  return performance.now();
}

export class Admission {
  readonly #maxConnections: number;
  readonly #maxRate: number;
  #connections = 0;
  #windowStart = Number.NEGATIVE_INFINITY;
  #inWindow = 0;

  constructor(limits: TransportLimits) {
    this.#maxConnections = limits.maxConnections;
    this.#maxRate = limits.maxConnectionRate;
  }

  get connections(): number {
    return this.#connections;
  }

  /** Counts a new connection, to be given back with release(), or says which limit is in its way. */
  admit(clock: () => number = monotonicMs): "connections" | "rate" | undefined {
    if (this.#connections >= this.#maxConnections) return "connections";
    if (this.#maxRate !== 0) {
      const now = clock();
      if (now - this.#windowStart >= WINDOW_MS) {
        this.#windowStart = now;
        this.#inWindow = 0;
      }
      if (this.#inWindow >= this.#maxRate) return "rate";
      this.#inWindow += 1;
    }
    this.#connections += 1;
    return undefined;
  }

  release(): void {
    this.#connections -= 1;
  }
}
