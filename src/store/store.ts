// What must survive, and when it is safe. A turn of the event loop is one batch; the broker adds what happened, commits,
// and releases acknowledgements when the promise resolves.
//
// The contract of every implementation:
// 1. Batches commit in the order of their commit() calls; a promise never resolves before those of earlier batches.
// 2. A batch is atomic: after a crash all of it is there, or nothing.
// 3. A resolved promise means the level of durability the store was opened with has been reached.
// 4. A rejected promise means that nothing of the batch will ever be seen; the broker refuses what waited for it.
// 5. Bytes handed over must not be changed by either side; the store copies what it keeps beyond the commit.

/** Where a message lies: a segment is the messages of one turn, back to back in canonical form. */
export interface SegmentRef {
  readonly id: number;
  readonly bytes: Buffer;
}

/** Names a session for the store; the broker's Session is one. */
export interface SessionRef {
  readonly key: string;
}

export interface SessionRecord {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly policy: string;
  /** s; 0xFFFFFFFF: never. */
  readonly expiryInterval: number;
  /** ms since the epoch when it ends, undefined while it is online or never ends. */
  readonly expiresAt: number | undefined;
}

export interface StoreBatch {
  /** True when something was added that an acknowledgement may wait for. */
  readonly dirty: boolean;
  /** A session began, or its expiry changed. */
  session(session: SessionRef, record: SessionRecord): void;
  sessionEnded(session: SessionRef): void;
  /** `options` is the core's word; undefined: unsubscribed. */
  subscription(session: SessionRef, filter: string, options: number | undefined): void;
  /** A QoS 1 or 2 message for a session, at `offset` of a segment; `packetId` 0 while it is not sent. */
  delivery(
    session: SessionRef,
    position: number,
    segment: number,
    offset: number,
    options: number,
    packetId: number,
  ): void;
  /** The delivery at a position is done with. Needs not be waited for. */
  acknowledged(session: SessionRef, position: number): void;
  /** PUBREC has arrived for the delivery at a position. */
  received(session: SessionRef, position: number): void;
  /** A packet id was given to a queued delivery. */
  sent(session: SessionRef, position: number, packetId: number): void;
  /**
   * QoS 2 from the client: id held from PUBLISH to PUBREL. The canonical message comes with it, since it is delivered only
   * after this commit; a store that finds it undelivered at start hands it back.
   */
  inbound(session: SessionRef, packetId: number, held: boolean, message?: Buffer): void;
  /** `message` in canonical form; undefined: cleared. */
  retained(topic: string, message: Buffer | undefined): void;
  /** The turn's segment, when it has one: final bytes. */
  segment(segment: SegmentRef): void;
}

export interface Store {
  /** For logs. */
  readonly name: string;
  /** An empty batch. The broker fills one at a time. */
  begin(): StoreBatch;
  commit(batch: StoreBatch): Promise<void>;
  close(): Promise<void>;
}
