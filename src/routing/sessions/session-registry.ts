// Which sessions exist: found by key, opened with a slot, ended with everything they had, expired by the clock.
// A slot is given back only at the end of a turn, when no record can name it any more.
import type { Identity, Policy } from "../../access/policy.ts";
import {
  SLOT_MAX_QOS1,
  SLOT_PERSISTENT,
  SLOT_PUBLISHER_QOS,
  SLOT_SPACE_SHIFT,
} from "../../core/generated/abi.ts";
import type { Limits } from "../../limits.ts";
import type { Metrics } from "../../metrics.ts";
import type { ProtocolLevel } from "../../protocol/packet-types.ts";
import type { SessionRecord } from "../../store/contract/store.ts";
import { messageTopic, viewMessage } from "../../core/message-view.ts";
import { NEVER, Session, subscriptionCost } from "../../session/session.ts";
import type { Connection } from "../../connection/connection.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { Deliveries } from "../delivery/deliveries.ts";
import { Dormant } from "./dormant.ts";
import type { Router } from "../delivery/router.ts";
import { SpaceNumbers } from "../turn/spaces.ts";
import type { Subscriptions } from "./subscriptions.ts";
import type { Turn } from "../turn/turn.ts";
import { UnsafeEnds } from "./unsafe-ends.ts";

/** Bits of a slot that decide with which QoS a message comes to a session, online, away, or taken back from the store. */
export function deliveryFlags({ capabilities }: Policy, level: number): number {
  const decides = level === 5 ? capabilities.publisherQos5 : capabilities.publisherQos3;
  return (decides ? SLOT_PUBLISHER_QOS : 0) | (capabilities.maximumQos < 2 ? SLOT_MAX_QOS1 : 0);
}

export class SessionRegistry {
  readonly #byKey = new Map<string, BrokerSession | Dormant>();
  /** When sessions end that are away, ms since the epoch, by key. */
  readonly #expiring = new Map<string, number>();
  #nextExpiry = Number.POSITIVE_INFINITY;
  /** Keys of dormant sessions by slot. */
  readonly #dormantKeys: (string | undefined)[] = [];
  /** Sessions that are away, and since when: those that nothing is owed to fall asleep. */
  readonly #drowsy = new Map<BrokerSession, number>();
  policyOf!: (namespace: string) => Policy;
  /** Is there anything here by which clients of a namespace may come? */
  serves!: (namespace: string) => boolean;
  /** Keys of sessions that have an end because there is not. */
  readonly unserved = new Set<string>();
  /** May a message on this topic leave to the session now? */
  mayReceive!: (session: BrokerSession, topic: string) => boolean;
  readonly #dead: number[] = [];
  readonly #spaces = new SpaceNumbers();
  readonly #router: Router;
  readonly #deliveries: Deliveries;
  readonly #subscriptions: Subscriptions;
  readonly #turn: Turn;
  readonly #limits: Limits;
  readonly #metrics: Metrics;
  /** Connections whose session waits for the store, by session key. */
  readonly attaching = new Map<string, Connection>();
  /** The store keeps no times: what it gives back is as old as this, to whoever asks. */
  readonly #startedAt = Date.now();
  #nextStoreId = 1;
  readonly unsafeEnds: UnsafeEnds;
  /** The Will of a session that waits for its delay, for the store. */
  waitingWill: ((session: BrokerSession) => SessionRecord["will"]) | undefined;
  /** Its Will is on its way to its receivers, in slices. */
  isSending: ((session: BrokerSession) => boolean) | undefined;
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
    this.unsafeEnds = new UnsafeEnds(turn);
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /** Enters a filter of a session that is being restored. */
  addDormant(dormant: Dormant, filter: string, options: number): void {
    dormant.addFilter(filter, options, this.#startedAt);
    const key = this.#dormantKeys[dormant.slot] ?? "";
    const policy = this.policyOf(key.slice(0, key.indexOf("\0")));
    this.#subscriptions.addDormant(policy, sessionKeyIn(key), dormant.slot, filter, options);
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** All sessions; dormant ones as they would be awake, without waking them. */
  *all(): Generator<BrokerSession> {
    for (const [key, entry] of this.#byKey) yield entry instanceof Dormant ? this.#build(key, entry) : entry;
  }

  static keyOf(policy: Policy, identity: Identity): string {
    return `${policy.namespace}\0${identity.sessionKey}`;
  }

  find(key: string): BrokerSession | undefined {
    const entry = this.#byKey.get(key);
    return entry instanceof Dormant ? this.#wake(key, entry) : entry;
  }

  /** Its time is over, though the clock has not come to it yet: nobody may resume it. */
  isOverdue(key: string, now: number): boolean {
    return (this.#expiring.get(key) ?? Number.POSITIVE_INFINITY) <= now;
  }

  /** The dormant session of a slot, awake; undefined: there is none. */
  wakeSlot(slot: number): BrokerSession | undefined {
    const key = this.#dormantKeys[slot];
    return key === undefined ? undefined : this.find(key);
  }

  #wake(key: string, dormant: Dormant): BrokerSession {
    const session = this.#build(key, dormant);
    const { slot } = dormant;
    this.#dormantKeys[slot] = undefined;
    this.#byKey.set(key, session);
    this.#deliveries.queues.sessions[slot] = session;
    // Positions go on where the core is.
    session.queue.reset(this.#router.border.positionOf(slot));
    this.#drowsy.set(session, Date.now());
    return session;
  }

  #build(key: string, dormant: Dormant): BrokerSession {
    const { record, filters } = dormant.describe();
    const { clientId, username } = record;
    const identity = { clientId, username, sessionKey: sessionKeyIn(key) };
    const policy = this.policyOf(record.policy);
    const session: BrokerSession = new Session(key, dormant.slot, identity, policy);
    session.space = this.#spaces.numberOf(policy, identity.sessionKey);
    session.storeId = record.storeId;
    session.level = record.level as ProtocolLevel;
    session.expiryInterval = record.expiryInterval;
    session.expiresAt = record.expiresAt;
    session.inbound = new Set();
    for (const [filter, options, since] of filters) {
      session.subscriptions.set(
        filter,
        this.#subscriptions.describe(policy, identity.sessionKey, filter, options, since),
      );
      session.subscriptionBytes += subscriptionCost(filter);
    }
    return session;
  }

  /** Lets go of what a session that is away does not need. */
  #sleep(session: BrokerSession): void {
    const dormant = new Dormant(session.slot, this.#recordOf(session));
    for (const { filter, options, since } of session.subscriptions.values())
      dormant.addFilter(filter, options, since);
    this.#byKey.set(session.key, dormant);
    this.#dormantKeys[session.slot] = session.key;
    this.#deliveries.queues.sessions[session.slot] = undefined;
    // It was last sent to long before the second of its meters.
    this.#router.border.core.setPace(session.slot, 0, 0, 0);
  }

  /** A new session; undefined: a limit, or memory is short. */
  open(key: string, identity: Identity, policy: Policy, level: ProtocolLevel): BrokerSession | undefined {
    if (this.#byKey.size >= this.#limits.sessions) {
      this.#metrics.limit("refused.sessions");
      return undefined;
    }
    const space = this.#spaces.numberOf(policy, identity.sessionKey);
    const flags = (space << SLOT_SPACE_SHIFT) | deliveryFlags(policy, level);
    const slot = this.#router.border.openSlot(flags);
    if (slot < 0) return undefined;
    const session: BrokerSession = new Session(key, slot, identity, policy);
    session.level = level;
    session.space = space;
    this.#byKey.set(key, session);
    this.#deliveries.queues.sessions[slot] = session;
    return session;
  }

  /** Takes a session back from the store, asleep; undefined: memory is short. */
  restore(key: string, record: SessionRecord, now: number): Dormant | undefined {
    const policy = this.policyOf(record.policy);
    const space = this.#spaces.numberOf(policy, sessionKeyIn(key));
    const slot = this.#router.border.openSlot(
      SLOT_PERSISTENT | (space << SLOT_SPACE_SHIFT) | deliveryFlags(policy, record.level),
    );
    if (slot < 0) return undefined;
    this.#nextStoreId = Math.max(this.#nextStoreId, record.storeId + 1);
    // One that was online when the broker stopped: its clock starts now.
    const expiresAt =
      record.expiresAt ?? (record.expiryInterval === NEVER ? undefined : now + record.expiryInterval * 1000);
    const dormant = new Dormant(slot, { ...record, expiresAt });
    this.#byKey.set(key, dormant);
    this.#dormantKeys[slot] = key;
    if (expiresAt !== undefined) this.#expireAt(key, expiresAt);
    return dormant;
  }

  /** Something serves this namespace after all: its sessions that never end of themselves have no end any more. */
  serve(namespace: string): void {
    for (const key of this.unserved) {
      if (!key.startsWith(`${namespace}\0`)) continue;
      this.unserved.delete(key);
      const session = this.find(key);
      if (session === undefined) continue;
      session.expiresAt = undefined;
      this.#expiring.delete(key);
      this.record(session);
    }
  }

  #expireAt(key: string, at: number): void {
    this.#expiring.set(key, at);
    this.#nextExpiry = Math.min(this.#nextExpiry, at);
  }

  /** What lies in the store names this number: no session may get it that begins from here on. */
  storeIdSeen(storeId: number): void {
    if (storeId >= this.#nextStoreId) this.#nextStoreId = storeId + 1;
  }

  /** Tells the store what the session is now. */
  record(session: BrokerSession): void {
    if (session.storeId === 0) session.storeId = this.#nextStoreId++;
    this.#turn.batch.session(session, this.#recordOf(session));
    this.#turn.touch();
  }

  #recordOf(session: BrokerSession): SessionRecord {
    return {
      storeId: session.storeId,
      level: session.level,
      will: this.waitingWill?.(session),
      clientId: session.identity.clientId,
      username: session.identity.username,
      policy: session.policy.namespace,
      expiryInterval: session.expiryInterval,
      expiresAt: session.expiresAt,
    };
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
      this.#expireAt(session.key, session.expiresAt);
    }
    this.#drowsy.set(session, now);
    this.record(session);
  }

  /** A new session whose client is not told yet: to the store it is online; here its clock runs, should he not wait. */
  begin(session: BrokerSession, now: number): void {
    this.#router.border.core.setSlotFlags(session.slot, SLOT_PERSISTENT, 0);
    this.record(session);
    if (session.expiryInterval !== NEVER) {
      session.expiresAt = now + session.expiryInterval * 1000;
      this.#expireAt(session.key, session.expiresAt);
    }
    this.#drowsy.set(session, now);
  }

  /** The store has an end of it, or a Will that waits: after a crash either could come although its client was back. */
  mayEnd(session: BrokerSession): boolean {
    return session.expiresAt !== undefined || this.waitingWill?.(session) !== undefined;
  }

  /** Its client is back and not told yet: to the store it is online; here its clock runs on, should he not wait. */
  resuming(session: BrokerSession): void {
    const { expiresAt } = session;
    session.expiresAt = undefined;
    this.record(session);
    session.expiresAt = expiresAt;
  }

  resumed(session: BrokerSession): void {
    session.expiresAt = undefined;
    this.unserved.delete(session.key);
    this.#expiring.delete(session.key);
    this.#drowsy.delete(session);
  }

  /** `stored` false: the store never had it, so its end cannot be lost. */
  end(session: BrokerSession, stored = true): void {
    if (session.ended) return;
    session.ended = true;
    this.#byKey.delete(session.key);
    this.#expiring.delete(session.key);
    this.unserved.delete(session.key);
    this.#drowsy.delete(session);
    this.#subscriptions.removeAll(session);
    this.#deliveries.queues.drop(session, (message, group) => this.moveShared(message, group));
    if (session.storeId !== 0) {
      this.#turn.batch.sessionEnded(session);
      if (stored) this.unsafeEnds.add(session.key, session.storeId);
    }
    this.onEnd?.(session);
    this.#dead.push(session.slot);
    this.#turn.touch();
  }

  /** A shared message that lost its member goes to another one of the same group. */
  moveShared(message: Buffer, group: number): void {
    const topic = messageTopic(viewMessage(message, 0));
    this.#router.whenFree(() => {
      if (!this.#subscriptions.groupTakes(group, topic)) return;
      const { sessions } = this.#deliveries.queues;
      const taken = this.#router.injections.toGroup(message, group, (slot) => {
        const session = sessions[slot];
        // One that is away is asked when the message leaves to it.
        return session?.connection === undefined || this.mayReceive(session, topic);
      });
      if (taken === 0) this.#metrics.droppedQueue++;
    });
  }

  /** Ends what has expired, and lets sleep what nothing is owed to. Called every second. */
  sweep(now: number): void {
    if (now >= this.#nextExpiry) this.#expire(now);
    for (const [session, since] of this.#drowsy) {
      if (now - since < DROWSY_MS) continue;
      this.#drowsy.delete(session);
      const owed = session.queue.length > 0 || session.will !== undefined || (session.inbound?.size ?? 0) > 0;
      // Owed something: it stays awake until its client comes or it ends.
      if (!owed && session.connection === undefined && !session.ended && session.storeId !== 0)
        this.#sleep(session);
    }
  }

  #expire(now: number): void {
    this.#nextExpiry = Number.POSITIVE_INFINITY;
    const postponed: [key: string, at: number][] = [];
    for (const [key, at] of this.#expiring) {
      if (at > now) {
        this.#nextExpiry = Math.min(this.#nextExpiry, at);
        continue;
      }
      this.#expiring.delete(key);
      const session = this.find(key);
      if (session === undefined || session.connection !== undefined) continue;
      if (this.isSending?.(session)) {
        // Next time: what has not left yet would be lost with it.
        postponed.push([key, at]);
        continue;
      }
      this.#metrics.sessionsExpired++;
      this.end(session);
    }
    for (const [key, at] of postponed) this.#expireAt(key, at);
  }

  /** The core they belonged to is gone. */
  forgetDead(): void {
    for (const slot of this.#dead.splice(0)) {
      this.#deliveries.queues.sessions[slot] = undefined;
      this.#router.connections[slot] = undefined;
    }
  }

  get hasDead(): boolean {
    return this.#dead.length > 0;
  }

  /** Gives dead slots back; at the end of a turn, when the core is free. */
  freeSlots(): void {
    while (this.#dead.length > 0) {
      const slot = this.#dead[this.#dead.length - 1];
      this.#deliveries.queues.sessions[slot] = undefined;
      this.#router.connections[slot] = undefined;
      // Where this traps it is still listed, with those in front of it: forgetDead() deals with them.
      this.#router.border.core.closeSlot(slot);
      this.#dead.pop();
    }
  }
}

/** ms a session is away before it falls asleep: longer than any commit that still names it. Nobody sees it: no limit. */
const DROWSY_MS = 30_000;

/** Of keyOf(). */
function sessionKeyIn(key: string): string {
  return key.slice(key.indexOf("\0") + 1);
}
