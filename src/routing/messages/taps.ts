// Copies of messages that a policy wants to see besides their delivery. Collected while records are read, handed over when
// the run that brought them is through: a policy's code never runs in the middle of one. In the order they came.
import type { Gate } from "../../access/gate.ts";
import type { Identity, Policy } from "../../access/policy.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { CoreDoor } from "../turn/core-door.ts";
import { StoredMessage } from "./stored-message.ts";

/** Of a session: what may have changed when its message is handed over. */
type Tapped = Pick<BrokerSession, "policy" | "identity" | "level">;

/** Neighbours of one sender in one buffer: a number for each message, and no object until the policy gets it. */
interface Stretch {
  readonly policy: Policy;
  readonly identity: Identity;
  readonly level: 3 | 4 | 5;
  readonly bytes: Buffer;
  /** Reason code of the refused, 0: they were not. */
  readonly refusal: number;
  readonly offsets: number[];
}

export class Taps {
  readonly #door: CoreDoor;
  readonly #gate: Gate;
  #stretches: Stretch[] = [];
  #last: Stretch | undefined;
  readonly #deliver = (): void => this.deliver();

  constructor(door: CoreDoor, gate: Gate) {
    this.#door = door;
    this.#gate = gate;
  }

  /** The canonical message at `offset` of `bytes`, which nobody writes to any more, from whom the session is now. */
  add({ policy, identity, level }: Tapped, bytes: Buffer, offset: number, refusal = 0): void {
    const last = this.#last;
    if (
      last !== undefined &&
      last.bytes === bytes &&
      last.identity === identity &&
      last.policy === policy &&
      last.refusal === refusal
    ) {
      last.offsets.push(offset);
      return;
    }
    if (last === undefined) this.#door.later(this.#deliver);
    this.#last = { policy, identity, level, bytes, refusal, offsets: [offset] };
    this.#stretches.push(this.#last);
  }

  /** Hands over what is there: called by itself behind a run, and before a message that the policy serves. */
  deliver(): void {
    if (this.#last === undefined) return;
    const stretches = this.#stretches;
    this.#stretches = [];
    this.#last = undefined;
    for (const { policy, identity, level, bytes, refusal, offsets } of stretches)
      for (const offset of offsets)
        this.#gate.tapped(policy, identity, new StoredMessage(bytes, offset, level), refusal);
  }
}
