// What the broker holds for all clients together, against limits.brokerBytes: messages that wait, bytes on their way to
// clients, Wills, packets that are not whole yet. It only counts; what gives way is decided where something is to be held.
import type { Limits } from "../../limits.ts";
import type { Metrics } from "../../metrics.ts";
import type { Segments } from "../../session/segments.ts";

/** Holding back ends only when so much of the bound is free again, in eighths: not on and off with every message. */
const EASE_EIGHTHS = 7;

export class BrokerMemory {
  /** Bytes in outboxes that the system has not been given at the end of a turn. */
  outboxes = 0;
  /** Wills of clients that are online or whose Will waits for its delay. */
  wills = 0;
  /** Large packets that are not whole, and QoS 2 messages whose commit is under way. */
  arriving = 0;
  /** Clients that are behind get no more QoS 0, see Credit. */
  holdingBack = false;
  readonly #segments: Segments;
  readonly #bound: number;
  readonly #metrics: Metrics;

  constructor(segments: Segments, limits: Limits, metrics: Metrics) {
    this.#segments = segments;
    this.#bound = limits.brokerBytes;
    this.#metrics = metrics;
  }

  get bytes(): number {
    return this.#segments.bytes + this.outboxes + this.wills + this.arriving;
  }

  /** May so many bytes more be held? Counts where not. */
  admits(size: number): boolean {
    if (this.bytes + size <= this.#bound) return true;
    this.#metrics.limit("dropped.broker_bytes");
    return false;
  }

  /** Looks whether clients that are behind must be held back, or no longer; true where that has changed. */
  turns(): boolean {
    const held = this.holdingBack;
    const bound = held ? (this.#bound / 8) * EASE_EIGHTHS : this.#bound;
    // Where nothing is on its way to clients there is nobody to hold back.
    if ((this.outboxes > 0 && this.bytes > bound) === held) return false;
    this.holdingBack = !held;
    if (!held) this.#metrics.limit("dropped.broker_bytes");
    return true;
  }
}
