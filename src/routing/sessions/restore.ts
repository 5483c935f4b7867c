// Fills the broker from what its store kept: sessions, subscriptions, queues, retained messages, Wills that wait.
// What has expired meanwhile, or ended with a connection that is gone, is not brought back but struck off.
import {
  DELIVERY_WORDS,
  type SessionRecord,
  type SessionRef,
  type StoreVisitor,
} from "../../store/contract/store.ts";
import { NO_OFFSET } from "../../core/generated/abi.ts";
import { C_DONE, C_LATE, C_RECEIVED, Q_LATE, Q_RECEIVED, Q_SENT } from "../../session/queue.ts";
import { messageTopic, viewMessage } from "../../core/message-view.ts";
import { NEVER } from "../../session/session.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { Deliveries } from "../delivery/deliveries.ts";
import { type InboundMessage, type ReachedSlice, splitInbound } from "../delivery/inbound-delivery.ts";
import type { Dormant } from "./dormant.ts";
import type { SessionRegistry } from "./session-registry.ts";
import type { Subscriptions } from "./subscriptions.ts";
import type { Wills } from "./wills.ts";

/** What a session that never ends of itself has left where nothing serves its kind of client any more. */
export const UNSERVED_EXPIRY_S = 30 * 86_400;

/** A session for the store's eyes, with nothing in its queue that moved. */
function referenceTo(key: string, storeId: number): SessionRef {
  return { key, storeId, cursor: () => new Uint8Array(8) };
}

/** What a core is told of sessions that come back. */
export interface RestoringCore {
  setPosition(slot: number, position: number): void;
  setNextId(slot: number, id: number): void;
}

interface Cursor {
  readonly head: number;
  readonly tail: number;
  /** position -> state | packet id << 8 */
  readonly exceptions: Map<number, number>;
}

export class Restorer implements StoreVisitor {
  readonly undelivered: InboundMessage[] = [];
  /** To be struck off in the first batch. */
  readonly ended: SessionRef[] = [];
  /** To be written anew: their end is another one. */
  readonly changed: { readonly session: SessionRef; readonly record: SessionRecord }[] = [];
  sessions = 0;
  messages = 0;
  readonly #byStoreId = new Map<number, Dormant>();
  readonly #cursors = new Map<number, Cursor>();
  /** Position of queues in which nothing is left. */
  readonly #empty = new Map<number, number>();
  /** Slices of messages in `undelivered`, by the segment their deliveries are in. */
  readonly #slices = new Map<number, { readonly slice: ReachedSlice; readonly skip: Set<number> }[]>();
  readonly #woken = new Set<BrokerSession>();
  readonly #begun = new Set<BrokerSession>();
  readonly #wills: { storeId: number; due: number; message: Buffer }[] = [];
  readonly #registry: SessionRegistry;
  readonly #subscriptions: Subscriptions;
  readonly #deliveries: Deliveries;
  readonly #waitingWills: Wills;
  readonly #core: RestoringCore;
  readonly #now: number;

  constructor(
    registry: SessionRegistry,
    subscriptions: Subscriptions,
    deliveries: Deliveries,
    wills: Wills,
    now: number,
    core: RestoringCore,
  ) {
    this.#registry = registry;
    this.#subscriptions = subscriptions;
    this.#deliveries = deliveries;
    this.#waitingWills = wills;
    this.#core = core;
    this.#now = now;
  }

  session(key: string, record: SessionRecord): void {
    const { storeId } = record;
    const current = this.#withEnd(record);
    const { expiryInterval, expiresAt } = current;
    const expired = expiryInterval === 0 || (expiresAt !== undefined && expiresAt <= this.#now);
    // With a Will that waits it comes back all the same, and ends as any other: the Will is sent then [MQTT-3.1.3-9].
    const over = expired && record.will === undefined;
    const dormant = over ? undefined : this.#registry.restore(key, current, this.#now);
    if (dormant === undefined) {
      this.ended.push(referenceTo(key, storeId));
      return;
    }
    if (current !== record) this.changed.push({ session: referenceTo(key, storeId), record: current });
    if (expiryInterval === NEVER && expiresAt !== undefined) this.#registry.unserved.add(key);
    this.sessions++;
    this.#byStoreId.set(storeId, dormant);
    if (record.will !== undefined)
      this.#wills.push({ storeId, due: record.will.due, message: record.will.message });
  }

  /**
   * A session that never ends of itself gets an end where nothing here serves its kind of client: nobody could come back to
   * it. The end is taken away when something does again.
   */
  #withEnd(record: SessionRecord): SessionRecord {
    if (record.expiryInterval !== NEVER) return record;
    if (this.#registry.serves(record.policy)) {
      return record.expiresAt === undefined ? record : { ...record, expiresAt: undefined };
    }
    return record.expiresAt === undefined
      ? { ...record, expiresAt: this.#now + UNSERVED_EXPIRY_S * 1000 }
      : record;
  }

  subscription(storeId: number, filter: string, options: number): void {
    const dormant = this.#byStoreId.get(storeId);
    if (dormant === undefined) return;
    this.#registry.addDormant(dormant, filter, options);
  }

  /** The session, awake: only those are woken to which something is owed. */
  #awake(storeId: number): BrokerSession | undefined {
    const dormant = this.#byStoreId.get(storeId);
    if (dormant === undefined) return undefined;
    const { slot } = dormant;
    const session = this.#deliveries.queues.sessions[slot] ?? this.#registry.wakeSlot(slot);
    if (session !== undefined) this.#woken.add(session);
    return session;
  }

  cursor(storeId: number, bytes: Uint8Array): void {
    const dormant = this.#byStoreId.get(storeId);
    if (dormant === undefined || bytes.length < 8) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const head = view.getUint32(0, true);
    const exceptions = new Map<number, number>();
    for (let at = 8; at + 8 <= bytes.length; at += 8) {
      exceptions.set(view.getUint32(at, true), bytes[at + 6] | (view.getUint16(at + 4, true) << 8));
    }
    const tail = view.getUint32(4, true);
    this.#core.setPosition(dormant.slot, tail);
    if (head !== tail || exceptions.size > 0) this.#cursors.set(storeId, { head, tail, exceptions });
    else this.#empty.set(storeId, tail);
  }

  inbound(storeId: number, packetId: number, message: Buffer | undefined): void {
    const session = this.#awake(storeId);
    if (session === undefined) return;
    session.inbound?.add(packetId);
    if (message === undefined) return;
    const inbound = { session, packetId, skip: new Set<number>(), ...splitInbound(message) };
    this.undelivered.push(inbound);
    for (const slice of inbound.reached) {
      this.#deliveries.queues.segments.pin(slice.serial);
      this.#slices.set(slice.serial, [
        ...(this.#slices.get(slice.serial) ?? []),
        { slice, skip: inbound.skip },
      ]);
    }
  }

  segment(serial: number, bytes: Buffer, deliveries: Uint32Array): void {
    const { segments } = this.#deliveries.queues;
    const id = segments.restore(serial, bytes);
    for (const { slice, skip } of this.#slices.get(serial) ?? []) {
      const end = Math.min(deliveries.length, (slice.first + slice.count) * DELIVERY_WORDS);
      for (let at = slice.first * DELIVERY_WORDS; at < end; at += DELIVERY_WORDS) skip.add(deliveries[at]);
    }
    for (let at = 0; at < deliveries.length; at += DELIVERY_WORDS) {
      if (this.#byStoreId.has(deliveries[at])) this.#delivery(deliveries[at], id, bytes, deliveries, at);
      // Of a session that has ended: one that took its number would get its messages after the next restart.
      else this.#registry.storeIdSeen(deliveries[at]);
    }
    segments.releaseUnused(id);
  }

  #delivery(storeId: number, segment: number, bytes: Buffer, deliveries: Uint32Array, at: number): void {
    const position = deliveries[at + 1];
    const offset = deliveries[at + 2];
    const cursor = this.#cursors.get(storeId);
    const exception = cursor?.exceptions.get(position) ?? 0;
    const head = cursor?.head ?? this.#empty.get(storeId);
    if (exception & C_DONE || (head !== undefined && ((position - head) | 0) < 0)) return;
    const session = this.#awake(storeId);
    if (session === undefined) return;
    const { queue } = session;
    if (!this.#begun.has(session)) {
      this.#begun.add(session);
      queue.reset(head ?? position);
    }
    if (((position - queue.tail) | 0) < 0) return; // seen already
    this.#holesTo(session, position);
    const stored = deliveries[at + 3];
    const late = (exception & C_LATE) !== 0;
    const packetId = late ? exception >>> 8 : stored >>> 16;
    const flags =
      (stored & 0xff) |
      (exception & C_RECEIVED ? Q_RECEIVED : 0) |
      (late ? Q_LATE : 0) |
      (packetId !== 0 ? Q_SENT : 0); // perhaps it was sent: the client is told that it may know it
    const view = viewMessage(bytes, offset);
    // Groups are numbered anew in every process.
    const group = deliveries[at + 5] === 0 ? -1 : this.#subscriptions.groupOf(session, messageTopic(view));
    this.#deliveries.queues.segments.retain(segment);
    queue.push(
      segment,
      offset,
      flags,
      packetId,
      deliveries[at + 4],
      group + 1,
      this.#deliveries.queues.costOf(view),
    );
    this.#deliveries.queues.owed++;
    this.messages++;
  }

  #holesTo(session: BrokerSession, position: number): void {
    const { queue } = session;
    while (queue.tail !== position) queue.push(0, 0, 0, 0, NO_OFFSET, 0, 0);
  }

  /** Positions go on where they were: an old delivery that still lies in the store must never be taken for a new one. */
  finish(): void {
    for (const { storeId, due, message } of this.#wills) {
      const session = this.#awake(storeId);
      if (session !== undefined) this.#waitingWills.restore(session, due, message);
    }
    for (const session of this.#woken) {
      const { queue } = session;
      const tail = this.#cursors.get(session.storeId)?.tail ?? this.#empty.get(session.storeId);
      if (tail !== undefined && ((tail - queue.tail) | 0) > 0) {
        if (queue.count === 0) queue.reset(tail);
        else this.#holesTo(session, tail);
      }
      this.#core.setPosition(session.slot, queue.tail);
      this.#core.setNextId(session.slot, freeIdFor(session));
    }
  }

  retained(topic: string, message: Buffer): void {
    this.#deliveries.retained.messages.set(topic, message);
  }
}

/**
 * Where new packet ids begin: in the largest gap between those that are still held, behind which as many as a window has
 * can be given before the held ones have gone out again. One given twice would cost a QoS 2 message.
 */
function freeIdFor({ queue }: BrokerSession): number {
  const held: number[] = [];
  for (let p = queue.head; p !== queue.tail; p = (p + 1) >>> 0)
    if (queue.segment(p) !== 0 && queue.packetId(p) !== 0) held.push(queue.packetId(p));
  if (held.length === 0) return 1;
  held.sort((a, b) => a - b);
  let start = held[held.length - 1];
  let widest = held[0] + 65_535 - start;
  for (let i = 1; i < held.length; i++) {
    if (held[i] - held[i - 1] <= widest) continue;
    widest = held[i] - held[i - 1];
    start = held[i - 1];
  }
  return (start % 65_535) + 1;
}
