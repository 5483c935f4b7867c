// Tells policies how many messages were not sampled: about a second after the first one, and when the client goes, so that a
// flood ends in one notice. Keeps slots that have something to tell, never more than there are sessions.
import type { Gate } from "../../access/gate.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { CoreDoor } from "../turn/core-door.ts";

const PATIENCE_MS = 1_000;

export class SkippedSamples {
  readonly #door: CoreDoor;
  readonly #gate: Gate;
  readonly #sessionOf: (slot: number) => BrokerSession | undefined;
  readonly #slots = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(door: CoreDoor, gate: Gate, sessionOf: (slot: number) => BrokerSession | undefined) {
    this.#door = door;
    this.#gate = gate;
    this.#sessionOf = sessionOf;
  }

  /** The core has begun to count for this slot. */
  note(slot: number): void {
    this.#slots.add(slot);
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#door.whenFree(() => {
        for (const noted of this.#slots) {
          const session = this.#sessionOf(noted);
          if (session !== undefined) this.tell(session);
        }
        this.#slots.clear();
      });
    }, PATIENCE_MS);
    this.#timer.unref();
  }

  /** Tells now what is to be told of one session. */
  tell({ slot, policy, identity }: BrokerSession): void {
    if (!this.#slots.delete(slot)) return;
    const count = this.#door.border.core.takeSkipped(slot);
    if (count > 0) this.#gate.tell(() => policy.skipped?.(identity, count));
  }
}
