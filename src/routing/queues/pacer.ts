// Wakes sessions that wait because they are over a rate of deliveries [SESS-3] [LIMIT-3]: the core says how long it takes, one
// timer serves all of them, and there is none while nobody waits. Those that wait for the rate of all together go on in the
// order they came, as many as it lets through. Holds sessions, never more than there are.
import type { BrokerSession } from "../turn/broker-session.ts";
import { UNSENT_RATE_OF_ALL } from "../../core/generated/abi.ts";

/** Sessions are woken together, at most this much late, ms. */
const TICK_MS = 50;

export class Pacer {
  /** A session may be sent to again: its queue, and what else waits for it. */
  readonly #wake: (session: BrokerSession) => void;
  readonly #whenFree: (action: () => void) => void;
  /** Those that wait for their own rate, by the tick at which it is over. */
  readonly #own = new Map<number, BrokerSession[]>();
  /** Those that wait for the rate of all, in their order. */
  readonly #all: BrokerSession[] = [];
  /** The tick for them. */
  #allDue = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The tick it is set to. */
  #next = 0;

  constructor(whenFree: (action: () => void) => void, wake: (session: BrokerSession) => void) {
    this.#whenFree = whenFree;
    this.#wake = wake;
  }

  /** `ms`: when it may be sent to again. `why`: UNSENT_RATE or UNSENT_RATE_OF_ALL. */
  wait(session: BrokerSession, ms: number, why: number): void {
    const due = Math.ceil((performance.now() + ms) / TICK_MS);
    if (why === UNSENT_RATE_OF_ALL) this.#allDue = due;
    if (session.paced) return;
    session.paced = true;
    if (why === UNSENT_RATE_OF_ALL) this.#all.push(session);
    else {
      const others = this.#own.get(due);
      if (others === undefined) this.#own.set(due, [session]);
      else others.push(session);
    }
    this.#schedule(due);
  }

  #schedule(due: number): void {
    if (this.#timer !== undefined) {
      if (this.#next <= due) return;
      clearTimeout(this.#timer);
    }
    this.#next = due;
    this.#timer = setTimeout(() => this.#whenFree(() => this.#serve()), due * TICK_MS - performance.now());
    this.#timer.unref();
  }

  #serve(): void {
    this.#timer = undefined;
    const now = Math.floor(performance.now() / TICK_MS);
    try {
      for (const [due, sessions] of this.#own) {
        if (due > now) continue;
        this.#goOn(sessions);
        this.#own.delete(due);
      }
      if (this.#allDue <= now) this.#goOn(this.#all);
    } finally {
      let next = this.#all.length > 0 ? Math.max(this.#allDue, now + 1) : Number.POSITIVE_INFINITY;
      for (const due of this.#own.keys()) next = Math.min(next, due);
      if (next !== Number.POSITIVE_INFINITY) this.#schedule(next);
    }
  }

  /** Until one of them is told to wait again: the others would be told the same. Behind one that fails they wait a tick more. */
  #goOn(waiting: BrokerSession[]): void {
    const count = waiting.length;
    let served = 0;
    try {
      while (served < count && waiting.length === count) this.#go(waiting[served++]);
    } finally {
      waiting.splice(0, served);
    }
  }

  #go(session: BrokerSession): void {
    session.paced = false;
    if (!session.ended && session.connection !== undefined) this.#wake(session);
  }
}
