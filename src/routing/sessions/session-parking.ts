// A part of one session set aside in a session of its own, and taken back: for somebody who speaks over another's connection
// and goes while it stays, or the other way round. Subscriptions move with the messages that wait, in one turn and so in one
// commit. Decides nothing about who may; the core must be free.
import type { Identity } from "../../access/policy.ts";
import { LIMITS, type Limits } from "../../limits.ts";
import type { Metrics } from "../../metrics.ts";
import { NEVER, type Subscription, subscriptionCost } from "../../session/session.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { Deliveries } from "../delivery/deliveries.ts";
import type { Router } from "../delivery/router.ts";
import { SessionRegistry } from "./session-registry.ts";
import type { Subscriptions } from "./subscriptions.ts";
import type { Turn } from "../turn/turn.ts";

export interface ParkingParts {
  readonly sessions: SessionRegistry;
  readonly subscriptions: Subscriptions;
  readonly deliveries: Deliveries;
  readonly router: Router;
  readonly turn: Turn;
  readonly limits: Limits;
  readonly metrics: Metrics;
}

export class SessionParking {
  readonly #parts: ParkingParts;

  constructor(parts: ParkingParts) {
    this.#parts = parts;
  }

  /**
   * Moves subscriptions (by their plain filters) and waiting messages (by their topics) into the sessions of their owners, which
   * are kept without an end; what has no owner stays. So does what is of one that is connected, or about to be: he has said how
   * his session begins. One walk, however many owners.
   */
  park(from: BrokerSession, ownerOf: (topic: string) => Identity | undefined): void {
    const { deliveries, turn } = this.#parts;
    const found = new Map<string, BrokerSession | undefined>();
    const home = (topic: string): BrokerSession | undefined => {
      const owner = ownerOf(topic);
      if (owner === undefined) return undefined;
      const { sessionKey } = owner;
      if (!found.has(sessionKey)) found.set(sessionKey, this.#homeOf(owner, from));
      return found.get(sessionKey);
    };
    deliveries.queues.move(from, home);
    for (const subscription of [...from.subscriptions.values()]) {
      const to = home(subscription.plain);
      if (to !== undefined) this.#move(subscription, from, to);
    }
    turn.touch();
  }

  /** undefined: nothing is to be parked there, or a limit forbids it. */
  #homeOf(owner: Identity, from: BrokerSession): BrokerSession | undefined {
    const { sessions } = this.#parts;
    const key = SessionRegistry.keyOf(from.policy, owner);
    if (sessions.attaching.has(key)) return undefined;
    const session = sessions.find(key) ?? this.#open(key, owner, from);
    return session === from || session?.connection !== undefined ? undefined : session;
  }

  #open(key: string, owner: Identity, from: BrokerSession): BrokerSession | undefined {
    const { sessions, turn, router, limits, metrics } = this.#parts;
    // One that begins in vain must be struck off, when the store can write again.
    if (turn.pendingRemovalBytes >= limits.pendingRemovalBytes) {
      metrics.limit(LIMITS.pendingRemovalBytes.metric);
      return undefined;
    }
    const parked = sessions.open(key, owner, from.policy, from.level);
    if (parked === undefined) return undefined;
    parked.expiryInterval = NEVER;
    parked.inbound = new Set();
    sessions.begin(parked, Date.now());
    // The store never had it: nothing that is put there would be found again.
    turn.afterCommit((reason) => {
      if (reason === 0) return;
      router.whenFree(() => {
        if (parked.connection === undefined) sessions.end(parked, false);
      });
    });
    return parked;
  }

  /** Moves all of a parked session into one that is online, and sends what waited; `clean`: it is not wanted. */
  unpark(sessionKey: string, to: BrokerSession, clean: boolean): void {
    const { sessions, deliveries } = this.#parts;
    if (to.connection === undefined) return; // it has gone again
    const key = SessionRegistry.keyOf(to.policy, { ...to.identity, sessionKey });
    const parked = sessions.find(key);
    // Nor into itself: `to` has a connection.
    if (parked === undefined || parked.connection !== undefined) return;
    if (sessions.attaching.has(key)) return;
    if (!clean && !sessions.isOverdue(key, Date.now())) {
      deliveries.queues.move(parked, () => to);
      for (const subscription of [...parked.subscriptions.values()]) this.#move(subscription, parked, to);
    }
    sessions.end(parked);
    deliveries.pump.send(to);
  }

  #move({ filter, plain, options }: Subscription, from: BrokerSession, to: BrokerSession): void {
    const { subscriptions } = this.#parts;
    subscriptions.remove(from, filter);
    // Nothing that is still under way brings it back.
    from.unsettled?.delete(filter);
    this.#note(from, filter, undefined);
    if (!this.#mayHold(to, filter, plain) || !subscriptions.add(to, filter, options).added) return;
    to.unsettled?.delete(filter);
    this.#note(to, filter, options);
  }

  /** Within the bounds of a SUBSCRIBE. */
  #mayHold(session: BrokerSession, filter: string, plain: string): boolean {
    const { limits, metrics } = this.#parts;
    if (session.subscriptions.has(filter)) return true;
    // Outside its space the filter would mean something else.
    if (session.space === 0 && session.policy.spaces?.covers(plain)) return false;
    const beyond =
      session.subscriptions.size >= limits.subscriptionsPerSession
        ? "subscriptionsPerSession"
        : session.subscriptionBytes + subscriptionCost(filter) > limits.subscriptionBytes
          ? "subscriptionBytes"
          : undefined;
    if (beyond === undefined) return true;
    metrics.limit(LIMITS[beyond].metric);
    return false;
  }

  #note(session: BrokerSession, filter: string, options: number | undefined): void {
    const { turn } = this.#parts;
    if (session.persistent) turn.batch.subscription(session, filter, options);
  }
}
