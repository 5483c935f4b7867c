// What the core's records mean for sessions: queued and in-flight messages, acknowledgements, retained messages, and the
// pump that sends what waits. Bounded per session and in total; what is over a bound is dropped as the policy says.
import type { Gate } from "../access/gate.ts";
import type { Border } from "../core/border.ts";
import {
  E_DUP,
  E_PUBREL,
  E_RETAIN,
  MESSAGE_HEAD,
  NO_EXPIRY,
  NO_OFFSET,
  SLOT_QUEUED,
  STORED_UNSENT,
} from "../core/generated/abi.ts";
import type { Connection } from "../connection/connection.ts";
import type { Limits } from "../limits.ts";
import type { Metrics } from "../metrics.ts";
import { Q_LATE, Q_QOS, Q_RECEIVED, Q_RETAIN, Q_SENT } from "../session/queue.ts";
import {
  bodyLength,
  type MessageView,
  messageTopic,
  type Segments,
  viewMessage,
} from "../session/segments.ts";
import type { Session } from "../session/session.ts";
import { messageParts, remainingExpiry } from "./message.ts";
import type { RetainedMessages } from "./retained.ts";
import type { Router } from "./router.ts";
import type { Turn } from "./turn.ts";

export type BrokerSession = Session<Connection>;

/** Receives messages for an in-process subscriber or a tap; called after the run. */
export type LocalReceiver = (message: MessageView, options: number) => void;

const PUBREL = 0x62;
const PUBCOMP = 0x70;
const ENTRY_HEAD = 32;
/** Nothing may be sent before something else has happened. */
const WAIT = -1;
/** Bytes of one replay batch; a message that does not fit goes alone, its payload beside it. */
const BATCH_SIZE = 393_216;
/** Positions between the oldest message in flight and the newest. */
const MAX_SPAN = 65_536;
/** Bytes of an entry besides its message, for the queue's byte limit. */
const ENTRY_COST = 20;

export class Deliveries {
  readonly sessions: (BrokerSession | undefined)[] = [];
  /** Wakes the dormant session of a slot. */
  wake: ((slot: number) => BrokerSession | undefined) | undefined;
  readonly receivers: (LocalReceiver | undefined)[] = [];
  /** A step of an exchange could not be stored: the session's connection must begin it again. */
  onUnsafe: ((session: BrokerSession) => void) | undefined;
  onTap: ((slot: number, message: MessageView) => void) | undefined;
  readonly segments: Segments;
  readonly retained: RetainedMessages;
  readonly #turn: Turn;
  readonly #limits: Limits;
  readonly #metrics: Metrics;
  router!: Router;
  gate!: Gate;
  /** Payload the host holds for the message of the present call. */
  external: Buffer | undefined;
  /** Messages that sessions are owed. */
  owed = 0;
  #base = -1;
  #externalAt = -1;
  #pumps: BrokerSession[] = [];
  /** Acknowledgements of the host: slot, type, packet id, reason, commit. */
  readonly #owed: number[] = [];
  /** Sessions with QoS 2 deliveries of this turn, and the position behind the last of them. */
  #unsafe = new Map<BrokerSession, number>();
  /** Sessions whose queue may end in holes. */
  readonly #untrimmed = new Set<BrokerSession>();
  #local: (() => void)[] = [];
  readonly #batch = Buffer.allocUnsafeSlow(BATCH_SIZE + 1024);
  readonly #batchView = new DataView(this.#batch.buffer);

  constructor(segments: Segments, retained: RetainedMessages, turn: Turn, limits: Limits, metrics: Metrics) {
    this.segments = segments;
    this.retained = retained;
    this.#turn = turn;
    this.#limits = limits;
    this.#metrics = metrics;
  }

  get #border(): Border {
    return this.router.border;
  }

  /** Bytes a queued message counts. */
  costOf(view: MessageView): number {
    return view.size + view.external + ENTRY_COST;
  }

  begin(external: Buffer | undefined): void {
    if (external !== undefined) this.external = external;
    this.#base = -1;
    this.#externalAt = -1;
  }

  /** Offset in the turn's segment of what stands at `offset` of the store arena: the arena is taken over once per call. */
  #keep(offset: number): number {
    const border = this.#border;
    if (this.external !== undefined && border.memory.readUInt32LE(border.store + offset + 28) !== 0) {
      if (this.#externalAt < 0) {
        const head = border.store + offset;
        const size = border.memory.readUInt32LE(head);
        this.#externalAt = this.segments.appendParts(
          border.memory.subarray(head, head + size),
          this.external,
        );
      }
      return this.#externalAt;
    }
    return this.#keepPlain(offset);
  }

  #keepPlain(offset: number): number {
    const border = this.#border;
    if (this.#base < 0) {
      this.#base = this.segments.append(border.memory, border.store, border.storeUsed);
      this.#turn.touch();
    }
    return this.#base + offset;
  }

  /** A copy of the message at an offset of the store arena, external payload included. */
  copyStored(offset: number): Buffer {
    const border = this.#border;
    const at = border.store + offset;
    const size = border.memory.readUInt32LE(at);
    const external = border.memory.readUInt32LE(at + 28);
    const bytes = Buffer.allocUnsafeSlow(size + external);
    border.memory.copy(bytes, 0, at, at + size);
    if (external !== 0) {
      bytes.set(this.external as Buffer, size);
      // From here on the payload is part of the message like any other.
      bytes.writeUInt32LE(size + external, 0);
      bytes.writeUInt32LE(0, 28);
    }
    return bytes;
  }

  stored(
    slot: number,
    offset: number,
    position: number,
    packetId: number,
    options: number,
    ids: number,
  ): void {
    const session = this.sessions[slot] ?? this.wake?.(slot);
    if (session === undefined) return;
    const { queue } = session;
    if (queue.tail !== position) {
      queue.reset(position);
      session.sendable = position;
    }
    const border = this.#border;
    const size =
      border.memory.readUInt32LE(border.store + offset) +
      border.memory.readUInt32LE(border.store + offset + 28) +
      ENTRY_COST;
    if (packetId === 0 && !this.#makeRoom(session, size)) {
      queue.push(0, 0, 0, 0, NO_OFFSET, 0, 0);
      if (queue.sent === position) queue.advance();
      else this.#untrimmed.add(session);
      return;
    }
    const at = this.#keep(offset);
    this.owed++;
    const segment = this.segments.open;
    this.segments.retain(segment);
    const idsAt = ids === NO_OFFSET ? NO_OFFSET : this.#keepPlain(ids);
    const flags = options & (Q_QOS | Q_RETAIN);
    queue.push(segment, at, flags, packetId, idsAt, options >>> 8, size);
    if (session.persistent) this.#note(session, position, at, flags, packetId, idsAt, options >>> 8);
    if (options & STORED_UNSENT) this.#sendWhenSafe(session, position);
    else if (packetId !== 0) {
      queue.setPacketId(position, packetId);
      if (queue.sent === position) queue.advance();
      if (queue.length >= MAX_SPAN) this.#border.core.setSlotFlags(slot, SLOT_QUEUED, 0);
    }
  }

  /** The delivery goes into the index of the turn's segment. */
  #note(
    session: BrokerSession,
    position: number,
    at: number,
    flags: number,
    packetId: number,
    ids: number,
    group: number,
  ): void {
    this.segments.note(session.storeId, position, at, (flags | (packetId << 16)) >>> 0, ids, group);
    this.#turn.touch();
  }

  /**
   * QoS 2 to a session that survives: its packet id is safe before the client can see it, or a crash between the two would
   * bring the message a second time under another id.
   */
  #sendWhenSafe(session: BrokerSession, position: number): void {
    const next = (position + 1) >>> 0;
    const unsafe = this.#unsafe;
    if (unsafe.size === 0) this.#turn.afterCommit((reason) => this.#nowSafe(reason, unsafe));
    unsafe.set(session, next);
  }

  /** The turn's batch is with the store: what comes now belongs to the next one. */
  commitStarted(): void {
    if (this.#unsafe.size > 0) this.#unsafe = new Map();
  }

  /** The commit of a turn has ended: what waited for it may leave. */
  #nowSafe(reason: number, unsafe: Map<BrokerSession, number>): void {
    for (const [session, next] of unsafe) {
      if (session.ended) continue;
      if (reason !== 0) {
        this.router.whenFree(() => this.#neverSafe(session, next));
        continue;
      }
      if (((next - session.sendable) | 0) > 0) session.sendable = next;
      this.router.whenFree(() => {
        this.pump(session);
        this.settle();
      });
    }
  }

  /**
   * The commit failed. A message of it is dropped: its sender was refused. One that was stored before and only got its
   * packet id is kept without, and its client has to come again: a failing store would be asked for ever otherwise.
   */
  #neverSafe(session: BrokerSession, next: number): void {
    const { queue } = session;
    if (session.ended) return;
    let kept = false;
    for (let p = queue.sent; ((next - p) | 0) > 0; p = (p + 1) >>> 0) {
      const id = queue.segment(p) === 0 ? 0 : queue.packetId(p);
      const options = id === 0 ? 0 : queue.options(p);
      if ((options & Q_QOS) !== 2 || (options & Q_SENT) !== 0 || ((session.sendable - p) | 0) > 0) continue;
      if ((options & Q_LATE) === 0) this.#forget(session, p);
      else {
        this.#border.core.releaseId(session.slot, id);
        queue.withdrawId(p);
        kept = true;
      }
    }
    if (kept) this.onUnsafe?.(session);
    this.pump(session);
    this.settle();
  }

  /** Room for a waiting message, made by dropping older ones where the policy says so; counts what is dropped. */
  #makeRoom(session: BrokerSession, size: number): boolean {
    const { queue } = session;
    const limits = this.#limits;
    if (this.segments.bytes + size > limits.brokerBytes) {
      this.#metrics.limit("dropped.broker_bytes");
      return false;
    }
    const fits = (): boolean =>
      queue.count < limits.queuedMessages && queue.bytes + size <= limits.queuedBytes;
    if (fits()) return true;
    if (session.policy.capabilities.queueOverflow === "oldest" && size <= limits.queuedBytes) {
      // Over holes too: the boundary moves with them, or their positions would add up.
      while (queue.sent !== queue.tail) {
        const p = queue.sent;
        if (queue.segment(p) !== 0) {
          this.#forget(session, p);
          this.#metrics.droppedQueue++;
        }
        if (queue.sent === p) queue.advance();
        if (fits()) return true;
      }
    }
    this.#metrics.droppedQueue++;
    return false;
  }

  /** Takes an entry out of a queue. */
  #forget(session: BrokerSession, position: number): void {
    const { queue } = session;
    const id = queue.packetId(position);
    if (id !== 0 && (queue.options(position) & Q_SENT) === 0) this.#border.core.releaseId(session.slot, id);
    const size = this.segments.sizeAt(queue.segment(position), queue.offset(position));
    this.segments.release(queue.clear(position, size + ENTRY_COST));
    this.owed--;
    if (session.persistent) this.#turn.batch.queueLater(session);
  }

  acknowledged(slot: number, position: number): void {
    const session = this.sessions[slot];
    if (session?.queue.holds(position)) this.#forget(session, position);
    // A message too large for its receiver was never sent: the boundary moves over it [MQTT-3.1.2-25].
    if (session !== undefined && session.queue.sent === position && session.queue.tail !== position)
      session.queue.advance();
  }

  received(slot: number, position: number, packetId: number): void {
    const session = this.sessions[slot];
    if (session === undefined) return;
    let commit = 0;
    if (session.queue.holds(position)) {
      session.queue.addOption(position, Q_RECEIVED);
      if (session.persistent) {
        this.#turn.batch.queue(session);
        commit = this.#await(session, () => {
          if (session.queue.holds(position)) session.queue.removeOption(position, Q_RECEIVED);
        });
        this.#rememberReceived(session, commit);
      }
    }
    this.#owed.push(slot, PUBREL, packetId, 0, commit);
  }

  /** A PUBREL repeated to the next connection waits for the same commit as the first one. */
  #rememberReceived(session: BrokerSession, commit: number): void {
    if (session.receivedCommit === commit) return;
    session.receivedCommit = commit;
    this.#turn.afterCommit(() => {
      if (session.receivedCommit === commit) session.receivedCommit = 0;
    });
  }

  released(slot: number, packetId: number): void {
    const session = this.sessions[slot];
    let commit = 0;
    if (session?.inbound?.delete(packetId)) {
      this.#turn.batch.released(session, packetId);
      commit = this.#await(session, () => session.inbound?.add(packetId));
    } else if (session?.persistent && this.#turn.unsettled) {
      // Freed before, perhaps not safely yet: a crash would hold the id again, and its next message be taken for this one.
      commit = this.#await(session, () => {});
    }
    this.#owed.push(slot, PUBCOMP, packetId, 0, commit);
  }

  /**
   * The commit a PUBREL or PUBCOMP waits for. Neither can say no: where the commit fails its step is taken back, and the
   * client repeats it behind its next CONNECT.
   */
  #await(session: BrokerSession, takeBack: () => void): number {
    this.#turn.afterCommit((reason) => {
      if (reason === 0) return;
      takeBack();
      this.onUnsafe?.(session);
    });
    return this.#turn.commit;
  }

  sent(slot: number, position: number, packetId: number): void {
    const session = this.sessions[slot];
    if (session === undefined) return;
    const { queue } = session;
    if (queue.sent !== position) return;
    if (queue.holds(position)) {
      queue.setPacketId(position, packetId);
      if (session.persistent) {
        queue.addOption(position, Q_LATE);
        this.#turn.batch.queueLater(session);
      }
    }
    queue.advance();
  }

  wantPump(slot: number): void {
    const session = this.sessions[slot];
    if (session === undefined || session.pumping) return;
    session.pumping = true;
    this.#pumps.push(session);
  }

  /** A PUBLISH with RETAIN=1 of a client. */
  retain(slot: number, offset: number, packetId: number): void {
    const message = this.copyStored(offset);
    const session = this.sessions[slot];
    const policy = session?.policy.capabilities;
    if (policy !== undefined && !(session?.level === 5 ? policy.retain5 : policy.retain3)) return;
    if (!this.storeRetained(message)) this.#border.core.refuseRetained(slot, packetId);
  }

  /** Keeps a canonical message as its topic's retained one; an empty payload clears it. False: over a limit. */
  storeRetained(message: Buffer): boolean {
    const view = viewMessage(message, 0);
    const parts = messageParts(view);
    const topic = messageTopic(view);
    if (parts.payload === parts.payloadEnd) {
      this.clearRetained(topic);
      return true;
    }
    if (!this.retained.set(topic, message)) {
      this.#metrics.refusedRetained++;
      return false;
    }
    // What the broker says of itself is made anew at each start: not worth a write every few seconds.
    if (topic.startsWith("$SYS/")) return true;
    this.#turn.batch.retained(topic, message);
    this.#turn.touch();
    return true;
  }

  /** Forgets a topic's retained message, here and in the store. */
  clearRetained(topic: string): void {
    if (!this.retained.delete(topic)) return;
    this.#turn.batch.retained(topic, undefined);
    this.#turn.touch();
  }

  local(slot: number, offset: number, options: number): void {
    const receiver = this.receivers[slot];
    if (receiver === undefined) return;
    const message = viewMessage(this.copyStored(offset), 0);
    this.#local.push(() => receiver(message, options));
  }

  tap(slot: number, offset: number): void {
    const message = viewMessage(this.copyStored(offset), 0);
    const { onTap } = this;
    if (onTap !== undefined) this.#local.push(() => onTap(slot, message));
  }

  /** Does what could not be done between records. */
  settle(): void {
    this.external = undefined;
    if (this.#untrimmed.size > 0) this.#trim();
    if (this.#owed.length > 0) this.#acknowledge();
    while (this.#pumps.length > 0) {
      const session = this.#pumps.shift() as BrokerSession;
      session.pumping = false;
      this.pump(session);
    }
    while (this.#local.length > 0) {
      const deliver = this.#local.shift() as () => void;
      setImmediate(deliver);
    }
  }

  /** Those that come meanwhile stand behind; where the core traps, the rest is owed by the next one. */
  #acknowledge(): void {
    const owed = this.#owed;
    let done = 0;
    try {
      while (done < owed.length) {
        const at = done;
        done += 5;
        this.router.complete(
          this.#border.oweAck(owed[at], owed[at + 1], owed[at + 2], owed[at + 3], owed[at + 4]),
        );
      }
    } finally {
      owed.splice(0, done);
    }
  }

  /** Positions of dropped messages are given back, so that a full queue does not grow. */
  #trim(): void {
    for (const session of this.#untrimmed) {
      if (session.ended) continue;
      session.queue.trim();
      this.#border.core.setPosition(session.slot, session.queue.tail);
    }
    this.#untrimmed.clear();
  }

  /** Sends waiting messages of an online session until its window or its connection is full. */
  pump(session: BrokerSession): void {
    const { queue } = session;
    if (session.connection === undefined || session.ended) return;
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
          this.#forget(session, before);
          this.#metrics.droppedQueue++;
          if (queue.sent === before) queue.advance();
        }
        continue;
      }
      this.router.complete(
        this.#border.replay(session.slot, this.#batch, built, now, session.receivedCommit),
      );
      this.external = undefined;
      if (queue.sent !== before) {
        settled = false;
        continue;
      }
      // The core takes no more: R_WINDOW or an emptied outbox comes back here. Unless only its count of bytes is old.
      if (settled || !this.router.settleCredit(session.connection)) return;
      settled = true;
    }
    this.#border.core.setSlotFlags(session.slot, 0, SLOT_QUEUED);
  }

  /**
   * Fills the batch from the first entry not sent, with no more than the window and the connection can take; passes over
   * holes and what must not be sent any more.
   */
  #buildBatch(session: BrokerSession, connection: Connection, now: number): number {
    const { queue } = session;
    let room =
      Math.min(connection.receiveMaximum, this.#limits.sendWindow) -
      this.#border.core.inflightOf(session.slot);
    const budget = this.#limits.outgoingBytes - connection.outbox.pending;
    let at = 0;
    for (let p = queue.sent; p !== queue.tail; p = (p + 1) >>> 0) {
      if (queue.segment(p) === 0) {
        if (at > 0) break; // the boundary moves in order
        queue.advance();
        continue;
      }
      const options = queue.options(p);
      const resent = (options & Q_SENT) !== 0;
      const view = this.segments.messageAt(queue.segment(p), queue.offset(p));
      const expiry = remainingExpiry(view, now);
      const tooOld = this.#tooOld(session, view, now);
      // What was sent once is repeated, not expired; the policy's own age limit is the exception [SESS-2].
      if (
        (!resent && expiry === 0) ||
        tooOld ||
        // Repeated too: the session may be another user's by now. A PUBREL shows nothing of the message.
        ((options & Q_RECEIVED) === 0 &&
          !this.gate.mayReceive(session.policy, session.identity, messageTopic(view)))
      ) {
        if (at > 0) break;
        this.#metrics.expiredQueue++;
        this.#forget(session, p);
        if (queue.sent === p) queue.advance();
        continue;
      }
      if (session.persistent && (options & Q_QOS) === 2 && !resent) {
        // Ids are given only when all before it have gone out, or they would take the window from them.
        if (at > 0 && queue.packetId(p) === 0) break;
        if (!this.#mayLeave(session, p)) return at > 0 ? at : WAIT;
      }
      if (at > 0 && at >= budget) break;
      // What has its id already is in the window already; a PUBREL needs none.
      if ((options & Q_RECEIVED) === 0 && (resent || queue.packetId(p) === 0) && --room < 0)
        return at > 0 ? at : WAIT;
      const size = this.#writeEntry(session, p, view, options, resent, expiry === 0 ? 1 : expiry, at);
      if (size === 0) break; // full
      at += size;
      if (this.external !== undefined) break;
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
    return ((session.sendable - position) | 0) > 0;
  }

  /** Packet ids for the QoS 2 messages that wait from here on, as many as the window holds: one commit for all of them. */
  #reserveFrom(session: BrokerSession, from: number): void {
    const { queue } = session;
    let last = -1;
    for (let p = from; p !== queue.tail; p = (p + 1) >>> 0) {
      if (queue.segment(p) === 0 || (queue.options(p) & Q_QOS) !== 2 || queue.packetId(p) !== 0) continue;
      const id = this.#border.core.reserveId(session.slot, p);
      if (id === 0) break;
      queue.reserveId(p, id);
      last = p;
    }
    if (last < 0) return;
    this.#turn.batch.queue(session);
    this.#sendWhenSafe(session, last);
  }

  #tooOld(session: BrokerSession, view: MessageView, now: number): boolean {
    const age = session.policy.capabilities.maxQueueAge;
    return age !== undefined && now - view.receivedAt > age * 1000;
  }

  #writeEntry(
    session: BrokerSession,
    p: number,
    view: MessageView,
    options: number,
    resent: boolean,
    expiry: number,
    at: number,
  ): number {
    const { queue } = session;
    const received = (options & Q_RECEIVED) !== 0;
    const ids = received ? NO_OFFSET : queue.ids(p);
    const segment = this.segments.buffer(queue.segment(p));
    const idCount = ids === NO_OFFSET ? 0 : segment.readUInt32LE(ids);
    let body = received ? 0 : bodyLength(view);
    let external = 0;
    if (ENTRY_HEAD + idCount * 4 + body > BATCH_SIZE) {
      if (at > 0) return 0;
      const parts = messageParts(view);
      external = parts.payloadEnd - parts.payload;
      body = parts.payload - view.offset - MESSAGE_HEAD;
      this.external = view.bytes.subarray(parts.payload, parts.payloadEnd);
    }
    const size = (ENTRY_HEAD + idCount * 4 + body + 7) & ~7;
    if (at + size > this.#batch.length) return 0;
    const out = this.#batchView;
    out.setUint32(at, size, true);
    out.setUint32(
      at + 4,
      (options & Q_QOS) |
        (options & Q_RETAIN ? E_RETAIN : 0) |
        (resent ? E_DUP : 0) |
        (received ? E_PUBREL : 0),
      true,
    );
    out.setUint32(at + 8, p, true);
    out.setUint32(at + 12, queue.packetId(p), true);
    out.setUint32(at + 16, view.expiry === NO_EXPIRY ? NO_EXPIRY : expiry, true);
    out.setUint32(at + 20, idCount, true);
    out.setUint32(at + 24, external, true);
    out.setUint32(at + 28, body, true);
    for (let i = 0; i < idCount; i++)
      out.setUint32(at + ENTRY_HEAD + i * 4, segment.readUInt32LE(ids + 4 + i * 4), true);
    const from = view.offset + MESSAGE_HEAD;
    view.bytes.copy(this.#batch, at + ENTRY_HEAD + idCount * 4, from, from + body);
    return size;
  }

  /** Sends retained or other QoS 0 messages to one session at once; false where its connection takes no more now. */
  replayQos0(
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
    const out = this.#batchView;
    out.setUint32(0, size, true);
    out.setUint32(4, retain ? E_RETAIN : 0, true);
    out.setUint32(8, NO_OFFSET, true);
    out.setUint32(12, 0, true);
    out.setUint32(16, remainingExpiry(view, now), true);
    out.setUint32(20, ids.length, true);
    out.setUint32(24, external?.length ?? 0, true);
    out.setUint32(28, body, true);
    for (let i = 0; i < ids.length; i++) out.setUint32(ENTRY_HEAD + i * 4, ids[i], true);
    view.bytes.copy(
      this.#batch,
      ENTRY_HEAD + ids.length * 4,
      view.offset + MESSAGE_HEAD,
      view.offset + MESSAGE_HEAD + body,
    );
    this.external = external;
    this.router.complete(this.#border.replay(session.slot, this.#batch, size, now));
    this.external = undefined;
    return this.#border.consumed > 0;
  }

  /** Puts a message into a session's queue from the host: a retained QoS 1 or 2 message. False: no room. */
  enqueue(
    session: BrokerSession,
    view: MessageView,
    qos: number,
    retain: boolean,
    ids: readonly number[],
  ): boolean {
    const size = view.size + view.external + ENTRY_COST;
    if (!this.#makeRoom(session, size)) return false;
    const position = this.#border.core.takePosition(session.slot) >>> 0;
    const { queue } = session;
    this.owed++;
    if (queue.tail !== position) queue.reset(position);
    const at = this.segments.appendParts(
      view.bytes.subarray(view.offset, view.offset + view.size + view.external),
    );
    const segment = this.segments.open;
    this.segments.retain(segment);
    let idsAt = NO_OFFSET;
    if (ids.length > 0)
      idsAt = this.segments.appendParts(new Uint8Array(Uint32Array.of(ids.length, ...ids).buffer));
    const options = qos | (retain ? Q_RETAIN : 0);
    queue.push(segment, at, options, 0, idsAt, 0, size);
    if (session.persistent) this.#note(session, position, at, options, 0, idsAt, 0);
    else this.#turn.touch();
    return true;
  }

  /** The session ends: its queue goes; what a shared group still owes is handed back to `moved`. */
  drop(session: BrokerSession, moved?: (message: Buffer, group: number) => void): void {
    const { queue } = session;
    for (let p = queue.head; p !== queue.tail; p = (p + 1) >>> 0) {
      const segment = queue.segment(p);
      if (segment === 0) continue;
      const group = queue.group(p);
      const view = this.segments.messageAt(segment, queue.offset(p));
      // QoS 2 in flight stays with its member and dies with it [MQTT-4.8.2-4].
      if (
        moved !== undefined &&
        group !== 0 &&
        ((queue.options(p) & Q_QOS) === 1 || queue.packetId(p) === 0)
      ) {
        moved(wholeMessage(view), group - 1);
      }
      this.segments.release(queue.clear(p, view.size + view.external + ENTRY_COST));
      this.owed--;
    }
    queue.reset(queue.tail);
  }

  /** Messages of a shared group that an offline session has not acknowledged, taken out of its queue. */
  takeShared(session: BrokerSession, moved: (message: Buffer, group: number) => void): void {
    const { queue } = session;
    const taken: [Buffer, number][] = [];
    for (let p = queue.head; p !== queue.tail; p = (p + 1) >>> 0) {
      if (queue.segment(p) === 0 || queue.group(p) === 0 || (queue.options(p) & Q_QOS) !== 1) continue;
      const view = this.segments.messageAt(queue.segment(p), queue.offset(p));
      taken.push([wholeMessage(view), queue.group(p) - 1]);
      this.#forget(session, p);
    }
    // Behind the walk: where nobody else is left they come back to this very queue.
    for (const [message, group] of taken) moved(message, group);
  }
}

/** A copy of a stored message with its payload inside. */
function wholeMessage(view: MessageView): Buffer {
  const size = view.size + view.external;
  const bytes = Buffer.from(view.bytes.subarray(view.offset, view.offset + size));
  bytes.writeUInt32LE(size, 0);
  bytes.writeUInt32LE(0, 28);
  return bytes;
}
