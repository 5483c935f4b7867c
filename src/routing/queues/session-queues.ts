// The queues of all sessions: messages put in, bounded per session and in total, and taken out. What is over a bound is
// dropped as the policy says. Decides nothing about sending.
import { NO_OFFSET } from "../../core/generated/abi.ts";
import {
  EXTERNAL_WORD,
  type MessageView,
  messageTopic,
  SIZE_WORD,
  viewMessage,
} from "../../core/message-view.ts";
import type { Limits } from "../../limits.ts";
import type { Metrics } from "../../metrics.ts";
import { Q_QOS, Q_RETAIN, type SessionQueue } from "../../session/queue.ts";
import type { Segments } from "../../session/segments.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { BrokerMemory } from "../turn/broker-memory.ts";
import type { CoreDoor } from "../turn/core-door.ts";
import type { StoreArena } from "../messages/store-arena.ts";
import type { Turn } from "../turn/turn.ts";

/** Bytes of an entry besides its message, for the queue's byte limit. */
const ENTRY_COST = 20;

export class SessionQueues {
  readonly sessions: (BrokerSession | undefined)[] = [];
  /** Wakes the dormant session of a slot. */
  wake: ((slot: number) => BrokerSession | undefined) | undefined;
  readonly segments: Segments;
  /** Messages that sessions are owed. */
  owed = 0;
  /** Times a session missed a message because the broker holds too much or cannot write: its sender has to know. */
  missed = 0;
  /** The sender of what comes now is not told any more where it is not kept: it was taken over already. */
  promised = false;
  /** Numbers in the store of sessions that do not get what comes now: they have it already. */
  skip: ReadonlySet<number> | undefined;
  readonly #memory: BrokerMemory;
  readonly #door: CoreDoor;
  readonly #arena: StoreArena;
  readonly #turn: Turn;
  readonly #limits: Limits;
  readonly #metrics: Metrics;
  /** Sessions whose queue may end in holes. */
  readonly #untrimmed = new Set<BrokerSession>();

  constructor(
    door: CoreDoor,
    arena: StoreArena,
    segments: Segments,
    memory: BrokerMemory,
    turn: Turn,
    limits: Limits,
    metrics: Metrics,
  ) {
    this.#door = door;
    this.#memory = memory;
    this.#arena = arena;
    this.segments = segments;
    this.#turn = turn;
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /** Bytes a queued message counts. */
  costOf(view: MessageView): number {
    return view.size + view.external + ENTRY_COST;
  }

  /** Queues a message of the core at the position the core gave it. False: it became a hole, mostly for want of room. */
  append(
    session: BrokerSession,
    offset: number,
    position: number,
    packetId: number,
    options: number,
    ids: number,
  ): boolean {
    const { queue } = session;
    if (queue.tail !== position) queue.reset(position);
    const { border } = this.#door;
    const head = (border.store + offset) >>> 2;
    const size = border.words[head + SIZE_WORD] + border.words[head + EXTERNAL_WORD] + ENTRY_COST;
    if (packetId === 0 && !this.#takes(session, size)) {
      queue.pushUntaken();
      if (queue.sent === position) queue.advance();
      else this.#untrimmed.add(session);
      return false;
    }
    const at = this.#arena.keep(offset);
    this.owed++;
    const segment = this.segments.open;
    this.segments.retain(segment);
    const idsAt = ids === NO_OFFSET ? NO_OFFSET : this.#arena.keepPlain(ids);
    const flags = options & (Q_QOS | Q_RETAIN);
    queue.push(segment, at, flags, packetId, idsAt, options >>> 8, size);
    if (session.persistent) this.#note(session, position, at, flags, packetId, idsAt, options >>> 8);
    return true;
  }

  #takes(session: BrokerSession, size: number): boolean {
    if (this.skip?.has(session.storeId)) return false;
    return !this.#unsafe(session) && this.makeRoom(session, size);
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
   * While the store cannot write, a kept session takes no message that would have to wait: its sender is refused all the same,
   * and what it sends again and again would fill the queue.
   */
  #unsafe(session: BrokerSession): boolean {
    if (this.promised || !session.persistent || !this.#turn.storeFails) return false;
    this.missed++;
    return true;
  }

  /** Room for a waiting message, made by dropping older ones where the policy says so; counts what is dropped. */
  makeRoom(session: BrokerSession, size: number): boolean {
    const { queue } = session;
    const limits = this.#limits;
    if (!this.promised && !this.#memory.admits(size)) {
      this.missed++;
      return false;
    }
    if (fits(queue, limits, size)) return true;
    if (session.policy.capabilities.queueOverflow === "oldest" && size <= limits.queuedBytes) {
      // Over holes too: the boundary moves with them, or their positions would add up.
      while (queue.sent !== queue.tail) {
        const p = queue.sent;
        if (queue.segment(p) !== 0) {
          this.forget(session, p);
          this.#metrics.droppedQueue++;
        }
        if (queue.sent === p) queue.advance();
        if (fits(queue, limits, size)) return true;
      }
    }
    this.#metrics.droppedQueue++;
    return false;
  }

  /** Takes an entry out of a queue. */
  forget(session: BrokerSession, position: number): void {
    const { queue } = session;
    const id = queue.reservedId(position);
    if (id !== 0) this.#door.border.core.releaseId(session.slot, id);
    const size = this.segments.sizeAt(queue.segment(position), queue.offset(position));
    this.segments.release(queue.clear(position, size + ENTRY_COST));
    this.owed--;
    if (session.persistent) this.#turn.moved(session);
  }

  /** Positions of messages that found no room are given back, so that a full queue does not grow. */
  trim(): void {
    if (this.#untrimmed.size === 0) return;
    for (const session of this.#untrimmed) {
      if (session.ended) continue;
      session.queue.trim();
      this.#door.border.core.setPosition(session.slot, session.queue.tail);
    }
    this.#untrimmed.clear();
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
    if (!this.makeRoom(session, size)) return false;
    const position = this.#door.border.core.takePosition(session.slot) >>> 0;
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
      // QoS 2 in flight stays with its member and dies with it [MQTT-4.8.2-5].
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

  /**
   * Moves QoS 1 messages to the ends of other sessions' queues, by their topics, in their order. Those in flight to one that is
   * online stay with it until it acknowledges them, and go along as copies: it may never do so [QOS-4]. What finds no room is
   * dropped and counted.
   */
  move(from: BrokerSession, target: (topic: string) => BrokerSession | undefined): void {
    const { queue } = from;
    let inFlight = from.connection !== undefined;
    for (let p = queue.head; p !== queue.tail; p = (p + 1) >>> 0) {
      if (p === queue.sent) inFlight = false;
      if (queue.segment(p) === 0 || (queue.options(p) & Q_QOS) !== 1) continue;
      const view = this.segments.messageAt(queue.segment(p), queue.offset(p));
      const to = target(messageTopic(view));
      if (to === undefined) continue;
      const message = wholeMessage(view);
      const options = queue.options(p);
      if (!inFlight) {
        this.forget(from, p);
        if (queue.sent === p) queue.advance();
      }
      this.enqueue(to, viewMessage(message, 0), options & Q_QOS, (options & Q_RETAIN) !== 0, []);
    }
  }

  /** Messages of a shared group that an offline session has not acknowledged, taken out of its queue. */
  takeShared(session: BrokerSession, moved: (message: Buffer, group: number) => void): void {
    const { queue } = session;
    const taken: [Buffer, number][] = [];
    for (let p = queue.head; p !== queue.tail; p = (p + 1) >>> 0) {
      if (queue.segment(p) === 0 || queue.group(p) === 0 || (queue.options(p) & Q_QOS) !== 1) continue;
      const view = this.segments.messageAt(queue.segment(p), queue.offset(p));
      taken.push([wholeMessage(view), queue.group(p) - 1]);
      this.forget(session, p);
    }
    // Behind the walk: where nobody else is left they come back to this very queue.
    for (const [message, group] of taken) moved(message, group);
  }
}

function fits(queue: SessionQueue, limits: Limits, size: number): boolean {
  return queue.count < limits.queuedMessages && queue.bytes + size <= limits.queuedBytes;
}

/** A copy of a stored message with its payload inside. */
function wholeMessage(view: MessageView): Buffer {
  const size = view.size + view.external;
  const bytes = Buffer.from(view.bytes.subarray(view.offset, view.offset + size));
  bytes.writeUInt32LE(size, 0);
  bytes.writeUInt32LE(0, 28);
  return bytes;
}
