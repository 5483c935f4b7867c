// Which sessions exist: found by key, opened with a slot, ended with everything they had, expired by the clock.
// A slot is given back only at the end of a turn, when no record can name it any more.
import type { Identity, Policy } from "../access/policy.ts";
import { SLOT_PERSISTENT } from "../core/generated/abi.ts";
import type { Limits } from "../limits.ts";
import type { Metrics } from "../metrics.ts";
import type { ProtocolLevel } from "../protocol/packet-types.ts";
import type { SessionRecord } from "../store/store.ts";
import { NEVER, Session } from "../session/session.ts";
import type { BrokerSession, Deliveries } from "./deliveries.ts";
import type { Router } from "./router.ts";
import type { Subscriptions } from "./subscriptions.ts";
import type { Turn } from "./turn.ts";

export class SessionRegistry {
  readonly #byKey = new Map<string, BrokerSession>();
  readonly #expiring = new Set<BrokerSession>();
  readonly #dead: number[] = [];
  readonly #router: Router;
  readonly #deliveries: Deliveries;
  readonly #subscriptions: Subscriptions;
  readonly #turn: Turn;
  readonly #limits: Limits;
  readonly #metrics: Metrics;
  #nextStoreId = 1;
  /** The Will of a session that waits for its delay, for the store. */
  waitingWill: ((session: BrokerSession) => SessionRecord["will"]) | undefined;
  /** Called when a session ends, for its Will. */
  onEnd: ((session: BrokerSession) => void) | undefined;

  constructor(
    router: Router,
    deliveries: Deliveries,
    subscriptions: Subscriptions,
    turn: Turn,
    limits: Limits,
    metrics: Metrics,
  ) {
    this.#router = router;
    this.#deliveries = deliveries;
    this.#subscriptions = subscriptions;
    this.#turn = turn;
    this.#limits = limits;
    this.#metrics = metrics;
  }

  get size(): number {
    return this.#byKey.size;
  }

  all(): IterableIterator<BrokerSession> {
    return this.#byKey.values();
  }

  static keyOf(policy: Policy, identity: Identity): string {
    return `${policy.namespace}\0${identity.sessionKey}`;
  }

  find(key: string): BrokerSession | undefined {
    return this.#byKey.get(key);
  }

  /** A new session; undefined: a limit, or memory is short. */
  open(key: string, identity: Identity, policy: Policy): BrokerSession | undefined {
    if (this.#byKey.size >= this.#limits.sessions) {
      this.#metrics.limit("refused.sessions");
      return undefined;
    }
    const slot = this.#router.border.openSlot(0);
    if (slot < 0) return undefined;
    const session: BrokerSession = new Session(key, slot, identity, policy);
    this.#byKey.set(key, session);
    this.#deliveries.sessions[slot] = session;
    return session;
  }

  /** Takes a session back from the store; undefined: memory is short. */
  restore(
    key: string,
    record: SessionRecord,
    identity: Identity,
    policy: Policy,
    now: number,
  ): BrokerSession | undefined {
    const session = this.open(key, identity, policy);
    if (session === undefined) return undefined;
    session.storeId = record.storeId;
    this.#nextStoreId = Math.max(this.#nextStoreId, record.storeId + 1);
    session.level = record.level as ProtocolLevel;
    session.expiryInterval = record.expiryInterval;
    session.inbound = new Set();
    this.#router.border.core.setSlotFlags(session.slot, SLOT_PERSISTENT, 0);
    if (record.expiryInterval !== NEVER) {
      // It was online when the broker stopped: its clock starts now.
      session.expiresAt = record.expiresAt ?? now + record.expiryInterval * 1000;
      this.#expiring.add(session);
    }
    return session;
  }

  /** Tells the store what the session is now. */
  record(session: BrokerSession): void {
    if (session.storeId === 0) session.storeId = this.#nextStoreId++;
    this.#turn.batch.session(session, {
      storeId: session.storeId,
      level: session.level,
      will: this.waitingWill?.(session),
      clientId: session.identity.clientId,
      username: session.identity.username,
      policy: session.policy.namespace,
      expiryInterval: session.expiryInterval,
      expiresAt: session.expiresAt,
    });
    this.#turn.touch();
  }

  /** The connection is gone. Starts the clock, or ends the session at once. */
  disconnected(session: BrokerSession, now: number): void {
    if (session.expiryInterval === 0) {
      this.end(session);
      return;
    }
    this.#router.border.core.setSlotFlags(session.slot, SLOT_PERSISTENT, 0);
    if (session.expiryInterval !== NEVER) {
      session.expiresAt = now + session.expiryInterval * 1000;
      this.#expiring.add(session);
    }
    this.record(session);
  }

  resumed(session: BrokerSession): void {
    session.expiresAt = undefined;
    this.#expiring.delete(session);
  }

  end(session: BrokerSession): void {
    if (session.ended) return;
    session.ended = true;
    this.#byKey.delete(session.key);
    this.#expiring.delete(session);
    this.#subscriptions.removeAll(session);
    this.#deliveries.drop(session, (message, group) => this.moveShared(message, group));
    if (session.storeId !== 0) this.#turn.batch.sessionEnded(session);
    this.onEnd?.(session);
    this.#dead.push(session.slot);
    this.#turn.touch();
  }

  /** A shared message that lost its member goes to another one [MQTT-4.8.2-5]. */
  moveShared(message: Buffer, group: number): void {
    this.#router.whenFree(() => this.#router.inject(message, group));
  }

  /** Ends what has expired. Called every second. */
  sweep(now: number): void {
    for (const session of this.#expiring) {
      if ((session.expiresAt as number) <= now) this.end(session);
    }
  }

  /** The core they belonged to is gone. */
  forgetDead(): void {
    for (const slot of this.#dead.splice(0)) {
      this.#deliveries.sessions[slot] = undefined;
      this.#router.connections[slot] = undefined;
    }
  }

  /** Gives dead slots back; at the end of a turn. */
  freeSlots(): void {
    if (this.#dead.length === 0 || !this.#router.free) return;
    for (const slot of this.#dead.splice(0)) {
      this.#deliveries.sessions[slot] = undefined;
      this.#router.connections[slot] = undefined;
      this.#router.border.core.closeSlot(slot);
    }
  }
}
