// Wills that wait for their delay. A Will leaves through the same gate as any message of its client, when it fires.
import { type Gate, REFUSED } from "../../access/gate.ts";
import type { PublishVerdict, WillRequest } from "../../access/policy.ts";
import { NO_SLOT } from "../../core/generated/abi.ts";
import { NEVER } from "../../session/session.ts";
import type { BrokerMemory } from "../turn/broker-memory.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { Deliveries } from "../delivery/deliveries.ts";
import { viewMessage } from "../../core/message-view.ts";
import { canonicalMessage, readMessage } from "../messages/message.ts";
import type { Router } from "../delivery/router.ts";
import { keepIn } from "../turn/spaces.ts";
import { StoredMessage } from "../messages/stored-message.ts";

/** A Will on its way. */
interface Leaving {
  readonly will: WillRequest;
  /** ms since the epoch */
  readonly since: number;
  /** The store knows of it. */
  stored: boolean;
}

export class Wills {
  /** Of sessions that are kept, until the last of their receivers has theirs: a crash meanwhile sends it again. */
  readonly #leaving = new Map<BrokerSession, Leaving>();
  readonly #due = new Map<BrokerSession, number>();
  readonly #router: Router;
  readonly #deliveries: Deliveries;
  readonly #gate: Gate;
  readonly #memory: BrokerMemory;
  /** Bytes that the Wills of sessions count. */
  readonly #held = new Map<BrokerSession, number>();
  /** Wills without permission when they were due. */
  denied = 0;
  /** A Will that the store knows of has been sent, to the last of its receivers in this turn. */
  onFired: ((session: BrokerSession) => void) | undefined;

  constructor(router: Router, deliveries: Deliveries, gate: Gate, memory: BrokerMemory) {
    this.#memory = memory;
    this.#router = router;
    this.#deliveries = deliveries;
    this.#gate = gate;
  }

  /** May a client bring this Will along, with all that the broker holds already? */
  admits(will: WillRequest): boolean {
    return this.#memory.admits(costOf(will));
  }

  /** The Will of a session from now on. */
  set(session: BrokerSession, will: WillRequest | undefined): void {
    const held = this.#held.get(session);
    if (held !== undefined) {
      this.#memory.wills -= held;
      this.#held.delete(session);
    }
    session.will = will;
    if (will === undefined) return;
    const cost = costOf(will);
    this.#memory.wills += cost;
    this.#held.set(session, cost);
  }

  /** The connection ended without a normal DISCONNECT [MQTT-3.1.2-8]. */
  arm(session: BrokerSession, now: number): void {
    const { will } = session;
    if (will === undefined) return;
    const delay = will.properties.willDelayInterval ?? 0;
    // Delay or session end, whichever is first [MQTT-3.1.3-9].
    if (delay === 0 || session.expiryInterval === 0) this.fire(session);
    else
      this.#due.set(
        session,
        now + Math.min(delay, session.expiryInterval === NEVER ? delay : session.expiryInterval) * 1000,
      );
  }

  /** What the store must know of a Will that waits. */
  waitingOf(session: BrokerSession): { due: number; message: Buffer } | undefined {
    const due = this.#due.get(session);
    const { will } = session;
    if (due !== undefined && will !== undefined) return { due, message: canonicalMessage(will, NO_SLOT, 0) };
    const leaving = this.#leaving.get(session);
    if (leaving === undefined) return undefined;
    leaving.stored = true;
    return { due: leaving.since, message: canonicalMessage(leaving.will, NO_SLOT, 0) };
  }

  /** It is on its way, and not to all yet: its session must not end in the store before. */
  isLeaving(session: BrokerSession): boolean {
    return this.#leaving.has(session);
  }

  /** Takes a waiting Will back from the store. */
  restore(session: BrokerSession, due: number, message: Buffer): void {
    const { properties = {}, ...will } = readMessage(viewMessage(message, 0), 0);
    this.set(session, { ...will, properties });
    this.#due.set(session, due);
  }

  /** The session is resumed in time, or its client said a normal goodbye. */
  cancel(session: BrokerSession): void {
    this.#due.delete(session);
    this.set(session, undefined);
  }

  /** The session has ended: a Will that still waits is due now. */
  sessionEnded(session: BrokerSession): void {
    if (this.#due.has(session)) this.fire(session);
  }

  fire(session: BrokerSession): void {
    const { will, policy, identity, level } = session;
    const stored = this.#due.delete(session);
    this.set(session, undefined);
    if (will === undefined) return;
    if (session.persistent && !session.ended) this.#leaving.set(session, { will, since: Date.now(), stored });
    const verdict = this.#gate.mayPublish(policy, identity, will.topic, will.qos, will.retain);
    if (verdict instanceof Promise) {
      this.#gate
        .within(verdict, REFUSED)
        .then((answer) => this.#publish(will, session, answer, { policy, identity, level }));
    } else this.#publish(will, session, verdict, { policy, identity, level });
  }

  #publish(
    will: WillRequest,
    session: BrokerSession,
    verdict: PublishVerdict,
    from: Pick<BrokerSession, "policy" | "identity" | "level">,
  ): void {
    if (!verdict.allow) {
      this.denied++;
      if (verdict.sample)
        this.#deliveries.taps.add(from, canonicalMessage(will, NO_SLOT, Date.now()), 0, verdict.reason);
      this.#left(session, will);
      return;
    }
    this.#router.whenFree(() => {
      const capabilities = session.policy.capabilities;
      const retain = will.retain && (session.level === 5 ? capabilities.retain5 : capabilities.retain3);
      const sender = this.#deliveries.queues.sessions[session.slot] === session ? session.slot : NO_SLOT;
      const message = canonicalMessage({ ...will, retain }, sender, Date.now());
      if (verdict.isolated) keepIn(session.space, message);
      if (verdict.host) {
        this.#left(session, will);
        this.#gate.serve(from.policy, from.identity, new StoredMessage(message, 0, from.level));
        return;
      }
      if (verdict.tap) this.#deliveries.taps.add(from, message, 0);
      if (retain) this.#deliveries.retained.store(message, false, from);
      const left = (): void => this.#left(session, will);
      this.#router.injections.add({ message, refusable: false, sender: session, done: left, failed: left });
    });
  }

  /** Sent once: it must not come back from the store [MQTT-3.1.2-10]. */
  #left(session: BrokerSession, will: WillRequest): void {
    const leaving = this.#leaving.get(session);
    if (leaving?.will !== will) return;
    this.#leaving.delete(session);
    if (leaving.stored && !session.ended) this.onFired?.(session);
  }

  sweep(now: number): void {
    for (const [session, due] of this.#due) {
      if (due <= now) this.fire(session);
    }
  }

  get waiting(): number {
    return this.#due.size;
  }
}

/** A Will besides its canonical form: its objects. */
const WILL_COST = 200;

function costOf(will: WillRequest): number {
  return canonicalMessage(will, NO_SLOT, 0).length + WILL_COST;
}
