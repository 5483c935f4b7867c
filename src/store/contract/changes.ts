// What one turn, or several merged ones, change in the kept state, each thing at most once: the newest word on it. Both the
// batch the broker fills and the group that is written. Knows nothing of files.
//
// Invariants: `ended` takes effect before everything else of the same Changes. A segment is never in `segments` and `gone`
// at once: where nobody refers to it any more before it was written, it is not written at all.
import { DELIVERED } from "./records.ts";
import {
  DELIVERY_WORDS,
  type SegmentRef,
  type SessionRecord,
  type SessionRef,
  type StoreBatch,
} from "./store.ts";

export interface SessionChanges {
  record: { readonly key: string; readonly record: SessionRecord } | undefined;
  /** Options; undefined: unsubscribed. */
  readonly subscriptions: Map<string, number | undefined>;
  /** Canonical message; DELIVERED: held without it; undefined: free. */
  readonly inbound: Map<number, Buffer | undefined>;
  /**
   * Ids whose message was delivered here (DELIVERED) or on its way to some (what is kept then), whatever became of the id behind
   * that: a refusal does not undo it.
   */
  delivered: Map<number, Buffer> | undefined;
}

/** Bytes a change is counted with besides its own. */
const COST = 64;
/** What is merged in place of something else is counted again; from here on, and from each doubling, all of it is counted anew. */
const MEASURE_BYTES = 1_048_576;

export class Changes implements StoreBatch {
  dirty = false;
  empty = true;
  /** About what it occupies in memory and in a file; at most twice that and MEASURE_BYTES. */
  bytes = 0;
  #measureAt = MEASURE_BYTES;
  /** Bytes of the topics in `retainedMessages` that are cleared. */
  #clearedBytes = 0;
  readonly ended = new Set<number>();
  readonly sessions = new Map<number, SessionChanges>();
  readonly cursors = new Map<number, Uint8Array>();
  readonly segments = new Map<number, SegmentRef>();
  readonly gone = new Set<number>();
  readonly retainedMessages = new Map<string, Buffer | undefined>();
  /** Sessions whose cursor is read when the batch is committed. */
  readonly #moved = new Set<SessionRef>();
  /** Something is awaited besides messages that their receivers have been sent. */
  #firm = false;

  /** All that is awaited of it are messages that their receivers have been sent and may acknowledge soon. */
  get mayBeSpared(): boolean {
    return this.dirty && !this.#firm;
  }

  /** Nothing is left of it that anybody waits for. */
  get spared(): boolean {
    return !this.#firm && this.segments.size === 0;
  }

  session(session: SessionRef, record: SessionRecord): void {
    this.#count(record.will?.message.length ?? 0, true);
    this.of(session.storeId).record = { key: session.key, record };
  }

  sessionEnded(session: SessionRef): void {
    this.#count(0, true);
    this.#moved.delete(session);
    this.end(session.storeId);
  }

  subscription(session: SessionRef, filter: string, options: number | undefined): void {
    this.#count(filter.length, true);
    this.of(session.storeId).subscriptions.set(filter, options);
  }

  queue(session: SessionRef): void {
    this.#count(0, true);
    this.#moved.add(session);
  }

  queueLater(session: SessionRef): void {
    this.empty = false;
    this.#moved.add(session);
  }

  inbound(session: SessionRef, packetId: number, message: Buffer): void {
    this.#count(message.length, true);
    this.of(session.storeId).inbound.set(packetId, message);
  }

  partlyDelivered(session: SessionRef, packetId: number, message: Buffer, reached: Uint8Array): void {
    this.#count(message.length + reached.length, true);
    this.#delivered(session, packetId, Buffer.concat([message, reached]));
  }

  delivered(session: SessionRef, packetId: number): void {
    this.#count(0, false);
    this.#delivered(session, packetId, DELIVERED);
  }

  #delivered(session: SessionRef, packetId: number, value: Buffer): void {
    const changes = this.of(session.storeId);
    const { inbound } = changes;
    changes.delivered ??= new Map();
    changes.delivered.set(packetId, value);
    // Freed in this very turn: it stays free.
    if (!inbound.has(packetId) || inbound.get(packetId) !== undefined) inbound.set(packetId, value);
  }

  released(session: SessionRef, packetId: number): void {
    this.#count(0, true);
    this.of(session.storeId).inbound.set(packetId, undefined);
  }

  retained(topic: string, message: Buffer | undefined): void {
    this.#count(topic.length + (message?.length ?? 0), true);
    this.#setRetained(topic, message);
  }

  #setRetained(topic: string, message: Buffer | undefined): void {
    const { retainedMessages } = this;
    if (retainedMessages.has(topic) && retainedMessages.get(topic) === undefined)
      this.#clearedBytes -= topic.length + COST;
    if (message === undefined) this.#clearedBytes += topic.length + COST;
    retainedMessages.set(topic, message);
  }

  /** Bytes of what is only struck off: sessions that have ended and topics that are cleared. */
  get removalBytes(): number {
    return this.ended.size * COST + this.#clearedBytes;
  }

  segment(segment: SegmentRef): void {
    this.#count(segment.bytes.length + segment.deliveries.byteLength, true, !wasSent(segment.deliveries));
    this.segments.set(segment.serial, segment);
  }

  segmentGone(serial: number): void {
    this.#count(0, false);
    this.dropSegment(serial);
  }

  /** Reads the cursors. From here on the batch belongs to the store. */
  seal(): this {
    for (const session of this.#moved) {
      const cursor = session.cursor();
      this.bytes += cursor.length + COST;
      this.cursors.set(session.storeId, cursor);
    }
    this.#moved.clear();
    return this;
  }

  /** Takes in what was committed after it. */
  merge(later: Changes): void {
    this.dirty ||= later.dirty;
    this.#firm ||= later.#firm;
    this.empty &&= later.empty;
    this.bytes += later.bytes;
    for (const storeId of later.ended) this.end(storeId);
    for (const [storeId, changes] of later.sessions) {
      const mine = this.of(storeId);
      if (changes.record !== undefined) mine.record = changes.record;
      for (const [filter, options] of changes.subscriptions) mine.subscriptions.set(filter, options);
      for (const [packetId, message] of changes.inbound) mine.inbound.set(packetId, message);
      if (changes.delivered === undefined) continue;
      mine.delivered ??= new Map();
      for (const [packetId, value] of changes.delivered) mine.delivered.set(packetId, value);
    }
    for (const [storeId, cursor] of later.cursors) this.cursors.set(storeId, cursor);
    for (const [serial, segment] of later.segments) this.segments.set(serial, segment);
    for (const serial of later.gone) this.dropSegment(serial);
    for (const [topic, message] of later.retainedMessages) this.#setRetained(topic, message);
    if (this.bytes > this.#measureAt) this.#measure();
  }

  /** Counts what is there. */
  #measure(): void {
    let bytes = (this.ended.size + this.gone.size) * COST;
    for (const { record, subscriptions, inbound } of this.sessions.values()) {
      if (record !== undefined) bytes += COST + (record.record.will?.message.length ?? 0);
      for (const filter of subscriptions.keys()) bytes += COST + filter.length;
      for (const message of inbound.values()) bytes += COST + (message?.length ?? 0);
    }
    for (const cursor of this.cursors.values()) bytes += COST + cursor.length;
    for (const { bytes: messages, deliveries } of this.segments.values())
      bytes += COST + messages.length + deliveries.byteLength;
    for (const [topic, message] of this.retainedMessages)
      bytes += COST + topic.length + (message?.length ?? 0);
    this.bytes = bytes;
    this.#measureAt = Math.max(MEASURE_BYTES, 2 * bytes);
  }

  /** Counts `bytes` anew: what has been replaced or taken out since it came counts no longer. */
  measure(): void {
    let bytes = (this.ended.size + this.gone.size) * COST;
    for (const { record, subscriptions, inbound } of this.sessions.values()) {
      bytes += COST + (record?.record.will?.message.length ?? 0);
      for (const filter of subscriptions.keys()) bytes += filter.length + COST;
      for (const message of inbound.values()) bytes += (message?.length ?? 0) + COST;
    }
    for (const cursor of this.cursors.values()) bytes += cursor.length + COST;
    for (const segment of this.segments.values())
      bytes += segment.bytes.length + segment.deliveries.byteLength + COST;
    for (const [topic, message] of this.retainedMessages)
      bytes += topic.length + (message?.length ?? 0) + COST;
    this.bytes = bytes;
  }

  end(storeId: number): void {
    this.ended.add(storeId);
    this.sessions.delete(storeId);
    this.cursors.delete(storeId);
  }

  dropSegment(serial: number): void {
    const segment = this.segments.get(serial);
    if (segment === undefined) {
      this.gone.add(serial);
      return;
    }
    this.segments.delete(serial);
    this.bytes -= segment.bytes.length + segment.deliveries.byteLength;
  }

  /**
   * What must still reach the disk when this could not be written and whoever waited has been refused, so that the disk
   * ends up as the broker believes:
   *  - sessions, their ends and cursors, and what was delivered, or to some: facts that a refusal does not undo;
   *  - retained messages: the broker's table shows them already (where it takes one back it says so in a later batch);
   *  - segments nobody has given up meanwhile: queues still refer to them;
   *  - not subscriptions, nor ids held or freed for a refused PUBLISH or PUBREL: the broker takes those back. An id freed
   *    right behind the delivery of its message is held again, without the message.
   */
  carriedOver(): Changes {
    const carried = new Changes();
    carried.merge(this);
    carried.dirty = false;
    for (const [storeId, changes] of carried.sessions) {
      changes.subscriptions.clear();
      for (const [packetId, message] of changes.inbound)
        if (message !== DELIVERED) changes.inbound.delete(packetId);
      for (const [packetId, value] of changes.delivered ?? []) changes.inbound.set(packetId, value);
      if (changes.record === undefined && changes.inbound.size === 0) carried.sessions.delete(storeId);
    }
    return carried;
  }

  /** What changes of one session; made if there is nothing yet. */
  of(storeId: number): SessionChanges {
    let changes = this.sessions.get(storeId);
    if (changes === undefined) {
      changes = { record: undefined, subscriptions: new Map(), inbound: new Map(), delivered: undefined };
      this.sessions.set(storeId, changes);
    }
    return changes;
  }

  #count(bytes: number, awaited: boolean, firm = awaited): void {
    this.empty = false;
    if (awaited) this.dirty = true;
    if (firm) this.#firm = true;
    this.bytes += bytes + COST;
  }
}

const OPTIONS_WORD = 3;
const QOS_MASK = 3;

/** True where every delivery is one of QoS 1 that has left for its receiver: it has its packet id. */
function wasSent(deliveries: Uint32Array): boolean {
  for (let at = OPTIONS_WORD; at < deliveries.length; at += DELIVERY_WORDS) {
    const options = deliveries[at];
    if ((options & QOS_MASK) !== 1 || options >>> 16 === 0) return false;
  }
  return true;
}
