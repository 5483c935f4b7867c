// What must survive, and when it is safe. A turn of the event loop is one batch; the broker adds what happened, commits,
// and releases acknowledgements when the promise resolves.
//
// The contract of every implementation:
// 1. Batches take effect in the order of their commit() calls; a promise never resolves before those of earlier batches.
// 2. A batch is atomic: after a crash all of it is there, or nothing.
// 3. A resolved promise means the level of durability the store was opened with has been reached. Only `dirty` batches
//    are waited for; what is marked "needs not be waited for" may be lost with a crash, never reordered. A segment that a
//    later batch gives up before it was written needs not be kept: its batch may resolve without it.
// 4. A rejected promise means that nothing of the batch that somebody waits for will ever be seen; the broker refuses it.
//    What a refusal does not undo (see Changes.carriedOver) is written before any later batch.
//    A store that fails recovers by itself when it can; until then every commit is rejected quickly.
// 5. Bytes handed over are not changed by either side afterwards; the store copies what it keeps beyond the commit.
// 6. load() gives back the state of the last commit that survived, in bounded memory.

/** Where a message lies: a segment is the messages of one turn, back to back in canonical form. */
export interface SegmentRef {
  /** Counts up by one per segment; never used again, also not after a restart. */
  readonly serial: number;
  readonly bytes: Buffer;
  /** Deliveries to sessions that survive their connection, see DELIVERY_WORDS. */
  readonly deliveries: Uint32Array;
}

// A delivery in a segment's index: storeId, position, offset in the segment, options | packetId << 16, offset of
// subscription ids (NO_OFFSET), shared group + 1.
export const DELIVERY_WORDS = 6;

/** What the store must know of a session; the broker's Session is one. */
export interface SessionRef {
  readonly key: string;
  /** Number of the session in the store, given by the broker, > 0, unique among living sessions. */
  readonly storeId: number;
  /**
   * Where its queue stands, read at commit: what of the segments' deliveries is done with, sent or received. Opaque to the
   * store; a later one replaces an earlier one.
   */
  cursor(): Uint8Array;
}

export interface SessionRecord {
  readonly storeId: number;
  readonly clientId: string;
  readonly username: string | undefined;
  /** Namespace of its policy. */
  readonly policy: string;
  readonly level: number;
  /** s; 0xFFFFFFFF: never. */
  readonly expiryInterval: number;
  /** ms since the epoch when it ends, undefined while it is online or never ends. */
  readonly expiresAt: number | undefined;
  /** A Will that waits for its delay: due time (ms since the epoch) and canonical message. */
  readonly will: { readonly due: number; readonly message: Buffer } | undefined;
}

export interface StoreBatch {
  /** True when something was added that an acknowledgement may wait for. */
  readonly dirty: boolean;
  /** True when there is nothing in it at all. */
  readonly empty: boolean;
  /** A session began, or its record changed. */
  session(session: SessionRef, record: SessionRecord): void;
  /** It ended: record, subscriptions, cursor and inbound ids go with it. */
  sessionEnded(session: SessionRef): void;
  /** `options` is the core's word; undefined: unsubscribed. */
  subscription(session: SessionRef, filter: string, options: number | undefined): void;
  /** The session's queue has moved and somebody waits for it (PUBREC received, QoS 2 packet id given). */
  queue(session: SessionRef): void;
  /** The session's queue has moved; needs not be waited for. */
  queueLater(session: SessionRef): void;
  /**
   * QoS 2 from the client: id held from PUBLISH to PUBREL. The canonical message comes with it, since it is delivered only
   * after this commit; `delivered` strikes it off when it has been.
   */
  inbound(session: SessionRef, packetId: number, message: Buffer): void;
  /**
   * The message of an inbound id is on its way to some of its receivers, whose deliveries lie in segments of this batch and
   * earlier ones: `reached` says where, see routing/delivery/inbound-delivery.ts. It is kept behind the message.
   */
  partlyDelivered(session: SessionRef, packetId: number, message: Buffer, reached: Uint8Array): void;
  /** The message of an inbound id is delivered: the id is still held. */
  delivered(session: SessionRef, packetId: number): void;
  /** PUBREL: the id is free. */
  released(session: SessionRef, packetId: number): void;
  /** `message` in canonical form; undefined: cleared. */
  retained(topic: string, message: Buffer | undefined): void;
  /** The turn's segment, when it has one. */
  segment(segment: SegmentRef): void;
  /** Nobody refers to the segment any more; needs not be waited for. */
  segmentGone(serial: number): void;
}

/** Receives the kept state in this order. Each call may return a promise to slow the store down. */
export interface StoreVisitor {
  session(key: string, record: SessionRecord): void;
  subscription(storeId: number, filter: string, options: number): void;
  cursor(storeId: number, cursor: Uint8Array): void;
  /** `message` undefined: delivered already. Behind it may stand what partlyDelivered() was given. */
  inbound(storeId: number, packetId: number, message: Buffer | undefined): void;
  /** In the order they were committed. */
  segment(serial: number, bytes: Buffer, deliveries: Uint32Array): void;
  retained(topic: string, message: Buffer): void;
}

export interface Store {
  /** For logs. */
  readonly name: string;
  /** Gives back what was kept. Called once, before the first commit. */
  load(visitor: StoreVisitor): Promise<void>;
  /** An empty batch. The broker fills one at a time. */
  begin(): StoreBatch;
  commit(batch: StoreBatch): Promise<void>;
  /**
   * Bytes of what it has still to strike off: ended sessions, cleared topics. While nothing can be written nothing of the
   * broker's own bounds that, as these are gone from there: beyond limits.pendingRemovalBytes it begins nothing new that
   * would be struck off in its turn. Undefined: the store holds nothing back.
   */
  readonly pendingRemovalBytes?: number;
  /** Set while it refuses every commit, as it knows that it cannot write; it has logged that. */
  readonly failure?: Error | undefined;
  /** Commits what is under way, then closes. */
  close(): Promise<void>;
}

/** A store that outlives its process. */
export interface DurableStore extends Store {
  /** Copies the store, as it is at one moment from now on, to `directory`, which need not exist. */
  backup(directory: string): Promise<void>;
  /** Why commits are refused at present; undefined: they are not. */
  readonly failure: Error | undefined;
  /** Groups of batches written since it was opened. */
  readonly groups: number;
  /** Batches that never had to be written, as their receivers had acknowledged all of it before. */
  readonly spared: number;
}
