// How many bytes the core may still give each connection: what the client's outbox has room for, and less while the broker as
// a whole holds too much. Only the sum is kept here and told; who is written to, and when, is the core's business.
import type { Connection } from "../../connection/connection.ts";
import type { Border } from "../../core/border.ts";
import type { Limits } from "../../limits.ts";
import type { BrokerMemory } from "../turn/broker-memory.ts";

/** Bytes a connection that is not behind is given at a time while the broker holds too much. */
const SCANT_CREDIT = 65_536;

export class Credit {
  readonly #memory: BrokerMemory;
  readonly #limits: Limits;

  constructor(memory: BrokerMemory, limits: Limits) {
    this.#memory = memory;
    this.#limits = limits;
  }

  /** Tells the core how much a connection may still be given; true where that is anything. */
  settle(border: Border, connection: Connection): boolean {
    const { outbox } = connection;
    outbox.settled += outbox.taken;
    outbox.taken = 0;
    if (connection.slot < 0 || connection.session?.connection !== connection) return false;
    let credit = this.#limits.outgoingBytes - outbox.pending;
    // Who is behind gets nothing more; who keeps up goes on, a little at a time.
    if (this.#memory.holdingBack)
      credit = outbox.waiting > 0 ? 0 : Math.min(credit, SCANT_CREDIT - outbox.pending);
    border.core.setCredit(connection.slot, credit);
    return credit > 0;
  }

  /** Behind each call: all anew where holding back has begun or ended. */
  turns(border: Border, connections: readonly (Connection | undefined)[]): void {
    if (!this.#memory.turns()) return;
    for (const connection of connections) if (connection !== undefined) this.settle(border, connection);
  }
}
