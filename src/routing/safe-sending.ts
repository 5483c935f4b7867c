// QoS 2 deliveries to sessions that survive: a packet id is safe before the client can see it. What a commit carries may
// be sent behind it; where the commit fails, nothing of it ever is.
import { Q_LATE, Q_QOS, Q_SENT } from "../session/queue.ts";
import type { BrokerSession } from "./broker-session.ts";
import type { CoreDoor } from "./core-door.ts";
import type { SessionQueues } from "./session-queues.ts";
import type { Turn } from "./turn.ts";

export class SafeSending {
  readonly #door: CoreDoor;
  readonly #queues: SessionQueues;
  readonly #turn: Turn;
  /** Sends what waits for a session. */
  readonly #send: (session: BrokerSession) => void;
  /** A step of an exchange could not be stored: the session's connection must begin it again. */
  readonly #onUnsafe: (session: BrokerSession) => void;
  /** Sessions with QoS 2 deliveries of this turn, and the position behind the last of them. */
  #unsafe = new Map<BrokerSession, number>();

  constructor(
    door: CoreDoor,
    queues: SessionQueues,
    turn: Turn,
    send: (session: BrokerSession) => void,
    onUnsafe: (session: BrokerSession) => void,
  ) {
    this.#door = door;
    this.#queues = queues;
    this.#turn = turn;
    this.#send = send;
    this.#onUnsafe = onUnsafe;
  }

  /**
   * QoS 2 to a session that survives: its packet id is safe before the client can see it, or a crash between the two would
   * bring the message a second time under another id.
   */
  when(session: BrokerSession, position: number): void {
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
        this.#door.whenFree(() => this.#neverSafe(session, next));
        continue;
      }
      if (((next - session.sendable) | 0) > 0) session.sendable = next;
      this.#door.whenFree(() => this.#send(session));
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
      if ((options & Q_LATE) === 0) this.#queues.forget(session, p);
      else {
        this.#door.border.core.releaseId(session.slot, id);
        queue.withdrawId(p);
        kept = true;
      }
    }
    if (kept) this.#onUnsafe(session);
    this.#send(session);
  }
}
