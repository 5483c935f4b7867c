// Sends what waits in sessions' queues, as much as window and connection take: batches of messages that the core encodes.
// Also single QoS 0 messages of the retained replay. What must not leave any more is passed over.
import type { Gate } from "../../access/gate.ts";
import type { Connection } from "../../connection/connection.ts";
import {
  E_DUP,
  E_PUBREL,
  E_RETAIN,
  MESSAGE_HEAD,
  NO_EXPIRY,
  NO_OFFSET,
  SLOT_QUEUED,
} from "../../core/generated/abi.ts";
import {
  bodyLength,
  EXPIRY_WORD,
  EXTERNAL_WORD,
  type MessageView,
  messageTopic,
  SIZE_WORD,
  viewMessage,
} from "../../core/message-view.ts";
import type { Limits } from "../../limits.ts";
import type { Metrics } from "../../metrics.ts";
import { Q_QOS, Q_RECEIVED, Q_RETAIN, Q_SAFE, Q_SENT, type SessionQueue } from "../../session/queue.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { CoreDoor } from "../turn/core-door.ts";
import { messageParts, remainingExpiry } from "../messages/message.ts";
import type { SafeSending } from "./safe-sending.ts";
import type { SessionQueues } from "./session-queues.ts";
import type { StoreArena } from "../messages/store-arena.ts";
import type { Turn } from "../turn/turn.ts";

const ENTRY_HEAD = 32;
/** Nothing may be sent before something else has happened. */
const WAIT = -1;
/** A body up to this length costs less word by word than by a copy that needs an object. */
const COPIED_BY_WORDS = 256;
/** Bytes of one replay batch; a message that does not fit goes alone, its payload beside it. */
const BATCH_SIZE = 393_216;
/**
 * Positions between the oldest message in flight and the newest. Not in limits.ts: it is the number of packet identifiers,
 * so a client that acknowledges in any order never meets it; beyond it messages wait in the queue, none is lost.
 */
export const MAX_SPAN = 65_536;

export class QueuePump {
  readonly #door: CoreDoor;
  readonly #queues: SessionQueues;
  readonly #arena: StoreArena;
  readonly #safe: SafeSending;
  readonly #gate: Gate;
  readonly #turn: Turn;
  readonly #limits: Limits;
  readonly #metrics: Metrics;
  readonly #wanted: BrokerSession[] = [];
  readonly #batch = Buffer.allocUnsafeSlow(BATCH_SIZE + 1024);
  readonly #batchWords = new Uint32Array(this.#batch.buffer);

  constructor(
    door: CoreDoor,
    queues: SessionQueues,
    arena: StoreArena,
    safe: SafeSending,
    gate: Gate,
    turn: Turn,
    limits: Limits,
    metrics: Metrics,
  ) {
    this.#door = door;
    this.#queues = queues;
    this.#arena = arena;
    this.#safe = safe;
    this.#gate = gate;
    this.#turn = turn;
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /** A pump of this slot's session is wanted at the end of the run. */
  want(slot: number): void {
    const session = this.#queues.sessions[slot];
    if (session === undefined || session.pumping) return;
    session.pumping = true;
    this.#wanted.push(session);
  }

  /** Serves the sessions that wanted it. */
  settle(): void {
    while (this.#wanted.length > 0) {
      const session = this.#wanted.shift() as BrokerSession;
      session.pumping = false;
      try {
        this.send(session);
      } catch (error) {
        if (this.#door.isTrap(error)) throw error;
        this.#door.failed(error, session.connection);
      }
    }
  }

  /** Sends waiting messages of an online session until its window or its connection is full. */
  send(session: BrokerSession): void {
    const { queue } = session;
    if (session.connection === undefined || session.ended || session.paced) return;
    const now = Date.now();
    let settled = false;
    while (queue.sent !== queue.tail) {
      // One message that is never acknowledged must not let the positions behind it add up for ever.
      if ((queue.sent - queue.head) >>> 0 >= MAX_SPAN) return;
      const before = queue.sent;
      const built = this.#buildBatch(session, session.connection, now);
      if (built === WAIT) return; // its commit, or its window, comes back here
      if (built === 0) {
        // Only holes and expired ones, passed over; or one that fits no batch, which nothing could ever send.
        if (queue.sent === before) {
          this.#queues.forget(session, before);
          this.#metrics.droppedQueue++;
          if (queue.sent === before) queue.advance();
        }
        continue;
      }
      this.#door.complete(
        this.#door.border.replay(session.slot, this.#batch, built, now, session.receivedCommit),
      );
      this.#arena.external = undefined;
      if (session.paced) return; // the pacer comes back here
      if (queue.sent !== before) {
        settled = false;
        continue;
      }
      // The core takes no more: R_WINDOW or an emptied outbox comes back here. Unless only its count of bytes is old.
      if (settled || !this.#door.settleCredit(session.connection)) return;
      settled = true;
    }
    this.#door.border.core.setSlotFlags(session.slot, 0, SLOT_QUEUED);
  }

  /**
   * Fills the batch from the first entry not sent, with no more than the window and the connection can take; passes over
   * holes and what must not be sent any more.
   */
  #buildBatch(session: BrokerSession, connection: Connection, now: number): number {
    const { queue, policy } = session;
    const { segments } = this.#queues;
    let room =
      Math.min(connection.receiveMaximum, this.#limits.sendWindow) -
      this.#door.border.core.inflightOf(session.slot);
    const budget = this.#limits.outgoingBytes - connection.outbox.pending;
    const ages = policy.capabilities.maxQueueAge !== undefined;
    const asks = policy.deliversAll !== true;
    let at = 0;
    for (let p = queue.sent; p !== queue.tail; p = (p + 1) >>> 0) {
      const segment = queue.segment(p);
      if (segment === 0) {
        if (at > 0) break; // the boundary moves in order
        queue.advance();
        continue;
      }
      const options = queue.options(p);
      const resent = (options & Q_SENT) !== 0;
      const offset = queue.offset(p);
      const words = segments.words(segment);
      const head = offset >>> 2;
      let expiry = NO_EXPIRY;
      // Most messages have no end and are for everybody who may be here: nothing of them is looked at.
      if (asks || ages || words[head + EXPIRY_WORD] !== NO_EXPIRY) {
        const view = segments.messageAt(segment, offset);
        expiry = remainingExpiry(view, now);
        const tooOld = this.#tooOld(session, view, now);
        // What was sent once is repeated, not expired; the policy's own age limit is the exception [SESS-2].
        if (
          (!resent && expiry === 0) ||
          tooOld ||
          // Repeated too: the session may be another user's by now. A PUBREL shows nothing of the message.
          (asks &&
            (options & Q_RECEIVED) === 0 &&
            !this.#gate.mayReceive(policy, session.identity, messageTopic(view)))
        ) {
          if (at > 0) break;
          this.#metrics.expiredQueue++;
          this.#queues.forget(session, p);
          if (queue.sent === p) queue.advance();
          continue;
        }
        if (expiry === 0) expiry = 1;
      }
      if ((options & Q_QOS) === 2 && !resent && session.persistent) {
        // Ids are given only when all before it have gone out, or they would take the window from them.
        if (at > 0 && queue.packetId(p) === 0) break;
        if (!this.#mayLeave(session, p)) return at > 0 ? at : WAIT;
      }
      if (at > 0 && at >= budget) break;
      // What has its id already is in the window already; a PUBREL needs none.
      const packetId = queue.packetId(p);
      if ((options & Q_RECEIVED) === 0 && (resent || packetId === 0) && --room < 0) return at > 0 ? at : WAIT;
      const length = words[head + SIZE_WORD] + words[head + EXTERNAL_WORD] - MESSAGE_HEAD;
      const size = this.#writeEntry(queue, p, packetId, segment, offset, length, options, expiry, at);
      if (size === 0) break; // full
      at += size;
      if (this.#arena.external !== undefined) break;
    }
    return at;
  }

  /** May this QoS 2 message be sent now? Gives it a packet id where it has none, and waits until that is safe. */
  #mayLeave(session: BrokerSession, position: number): boolean {
    const { queue } = session;
    if (queue.packetId(position) === 0) {
      this.#reserveFrom(session, position);
      return false;
    }
    return (queue.options(position) & Q_SAFE) !== 0;
  }

  /** Packet ids for the QoS 2 messages that wait from here on, as many as the window holds: one commit for all of them. */
  #reserveFrom(session: BrokerSession, from: number): void {
    const { queue } = session;
    let reserved = false;
    for (let p = from; p !== queue.tail; p = (p + 1) >>> 0) {
      if (queue.segment(p) === 0 || (queue.options(p) & Q_QOS) !== 2 || queue.packetId(p) !== 0) continue;
      const id = this.#door.border.core.reserveId(session.slot, p);
      if (id === 0) break;
      queue.reserveId(p, id);
      this.#safe.when(session, p, id);
      reserved = true;
    }
    if (reserved) this.#turn.batch.queue(session);
  }

  #tooOld(session: BrokerSession, view: MessageView, now: number): boolean {
    const age = session.policy.capabilities.maxQueueAge;
    return age !== undefined && now - view.receivedAt > age * 1000;
  }

  /** `length`: of the body, external payload included. Returns the bytes the entry takes, 0 where there is no room for it. */
  #writeEntry(
    queue: SessionQueue,
    p: number,
    packetId: number,
    segment: number,
    offset: number,
    length: number,
    options: number,
    expiry: number,
    at: number,
  ): number {
    const received = (options & Q_RECEIVED) !== 0;
    const ids = received ? NO_OFFSET : queue.ids(p);
    const bytes = this.#queues.segments.buffer(segment);
    const idCount = ids === NO_OFFSET ? 0 : bytes.readUInt32LE(ids);
    const start = at + ENTRY_HEAD + idCount * 4;
    let body = received ? 0 : length;
    let external = 0;
    if (start - at + body > BATCH_SIZE) {
      if (at > 0) return 0;
      const parts = messageParts(viewMessage(bytes, offset));
      external = parts.payloadEnd - parts.payload;
      body = parts.payload - offset - MESSAGE_HEAD;
      this.#arena.external = bytes.subarray(parts.payload, parts.payloadEnd);
    }
    const size = (start - at + body + 7) & ~7;
    if (at + size > this.#batch.length) return 0;
    const out = this.#batchWords;
    let word = at >>> 2;
    out[word++] = size;
    out[word++] =
      (options & Q_QOS) |
      (options & Q_RETAIN ? E_RETAIN : 0) |
      (options & Q_SENT ? E_DUP : 0) |
      (received ? E_PUBREL : 0);
    out[word++] = p;
    out[word++] = packetId;
    out[word++] = expiry;
    out[word++] = idCount;
    out[word++] = external;
    out[word++] = body;
    for (let i = 0; i < idCount; i++) out[word++] = bytes.readUInt32LE(ids + 4 + i * 4);
    const from = offset + MESSAGE_HEAD;
    if (body > COPIED_BY_WORDS) bytes.copy(this.#batch, start, from, from + body);
    else {
      const words = this.#queues.segments.words(segment);
      for (let i = from >>> 2; i < (from + body + 3) >>> 2; i++) out[word++] = words[i];
    }
    return size;
  }

  /** Sends retained or other QoS 0 messages to one session at once; false where its connection takes no more now. */
  sendQos0(
    session: BrokerSession,
    view: MessageView,
    retain: boolean,
    ids: readonly number[],
    now: number,
  ): boolean {
    const parts = messageParts(view);
    let body = bodyLength(view);
    let external: Buffer | undefined;
    if (ENTRY_HEAD + ids.length * 4 + body > BATCH_SIZE) {
      external = view.bytes.subarray(parts.payload, parts.payloadEnd);
      body = parts.payload - view.offset - MESSAGE_HEAD;
    }
    const size = (ENTRY_HEAD + ids.length * 4 + body + 7) & ~7;
    const out = this.#batchWords;
    out[0] = size;
    out[1] = retain ? E_RETAIN : 0;
    out[2] = NO_OFFSET;
    out[3] = 0;
    out[4] = remainingExpiry(view, now);
    out[5] = ids.length;
    out[6] = external?.length ?? 0;
    out[7] = body;
    for (let i = 0; i < ids.length; i++) out[ENTRY_HEAD / 4 + i] = ids[i];
    view.bytes.copy(
      this.#batch,
      ENTRY_HEAD + ids.length * 4,
      view.offset + MESSAGE_HEAD,
      view.offset + MESSAGE_HEAD + body,
    );
    this.#arena.external = external;
    this.#door.complete(this.#door.border.replay(session.slot, this.#batch, size, now));
    this.#arena.external = undefined;
    return this.#door.border.consumed > 0;
  }
}
