// Copies of messages that a policy wants to see besides their delivery. Collected while records are read, handed over when
// the run that brought them is through: a policy's code never runs in the middle of one. In the order they came.
//
// Parallel arrays instead of an object each: nothing is made for a message until the policy gets it.
import type { Gate } from "../access/gate.ts";
import type { Identity, Policy } from "../access/policy.ts";
import type { BrokerSession } from "./broker-session.ts";
import type { CoreDoor } from "./core-door.ts";
import { StoredMessage } from "./stored-message.ts";

/** Of a session: what may have changed when its message is handed over. */
type Tapped = Pick<BrokerSession, "policy" | "identity" | "level">;

export class Taps {
  readonly #door: CoreDoor;
  readonly #gate: Gate;
  #policies: Policy[] = [];
  #identities: Identity[] = [];
  #levels: (3 | 4 | 5)[] = [];
  #bytes: Buffer[] = [];
  #offsets: number[] = [];
  readonly #deliver = (): void => this.deliver();

  constructor(door: CoreDoor, gate: Gate) {
    this.#door = door;
    this.#gate = gate;
  }

  /** The canonical message at `offset` of `bytes`, which nobody writes to any more, from whom the session is now. */
  add({ policy, identity, level }: Tapped, bytes: Buffer, offset: number): void {
    if (this.#offsets.length === 0) this.#door.later(this.#deliver);
    this.#policies.push(policy);
    this.#identities.push(identity);
    this.#levels.push(level);
    this.#bytes.push(bytes);
    this.#offsets.push(offset);
  }

  /** Hands over what is there: called by itself behind a run, and before a message that the policy serves. */
  deliver(): void {
    if (this.#offsets.length === 0) return;
    const policies = this.#policies;
    const identities = this.#identities;
    const levels = this.#levels;
    const bytes = this.#bytes;
    const offsets = this.#offsets;
    this.#policies = [];
    this.#identities = [];
    this.#levels = [];
    this.#bytes = [];
    this.#offsets = [];
    for (let i = 0; i < offsets.length; i++)
      this.#gate.tapped(policies[i], identities[i], new StoredMessage(bytes[i], offsets[i], levels[i]));
  }
}
