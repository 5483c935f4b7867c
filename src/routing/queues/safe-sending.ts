// QoS 2 deliveries to sessions that survive: a packet id is safe before the client can see it. What a commit carries may
// be sent behind it; where the commit fails, nothing of it ever is.
import { Q_LATE, Q_PROMISED, Q_SAFE, Q_SENT } from "../../session/queue.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { CoreDoor } from "../turn/core-door.ts";
import type { SessionQueues } from "./session-queues.ts";
import type { Turn } from "../turn/turn.ts";

export class SafeSending {
  readonly #door: CoreDoor;
  readonly #queues: SessionQueues;
  readonly #turn: Turn;
  /** Sends what waits for a session. */
  readonly #send: (session: BrokerSession) => void;
  /** A step of an exchange could not be stored: the session's connection must begin it again. */
  readonly #onUnsafe: (session: BrokerSession) => void;
  /** Sessions with QoS 2 deliveries that this turn's commit makes safe: position and packet id of each. */
  #unsafe = new Map<BrokerSession, number[]>();

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
  when(session: BrokerSession, position: number, packetId: number): void {
    const unsafe = this.#unsafe;
    if (unsafe.size === 0) this.#turn.afterCommit((reason) => this.#nowSafe(reason, unsafe));
    const given = unsafe.get(session);
    if (given === undefined) unsafe.set(session, [position, packetId]);
    else given.push(position, packetId);
  }

  /** The turn's batch is with the store: what comes now belongs to the next one. */
  commitStarted(): void {
    if (this.#unsafe.size > 0) this.#unsafe = new Map();
  }

  /** The commit of a turn has ended: what waited for it may leave. */
  #nowSafe(reason: number, unsafe: Map<BrokerSession, number[]>): void {
    for (const [session, given] of unsafe) {
      if (session.ended) continue;
      if (reason !== 0) {
        this.#door.whenFree(() => this.#neverSafe(session, given));
        continue;
      }
      for (let i = 0; i < given.length; i += 2)
        if (waits(session, given[i], given[i + 1])) session.queue.addOption(given[i], Q_SAFE);
      this.#door.whenFree(() => this.#send(session));
    }
  }

  /**
   * The commit failed. A message of it whose sender is refused is dropped, so that it does not come twice. Any other only
   * loses its packet id, and its client has to come again: a failing store would be asked for ever otherwise.
   */
  #neverSafe(session: BrokerSession, given: readonly number[]): void {
    const { queue } = session;
    if (session.ended) return;
    let kept = false;
    for (let i = 0; i < given.length; i += 2) {
      const position = given[i];
      if (!waits(session, position, given[i + 1])) continue;
      if ((queue.options(position) & (Q_LATE | Q_PROMISED)) === 0) {
        this.#queues.forget(session, position);
        continue;
      }
      this.#door.border.core.releaseId(session.slot, given[i + 1]);
      queue.withdrawId(position);
      this.#turn.moved(session);
      kept = true;
    }
    if (kept) this.#onUnsafe(session);
    this.#send(session);
  }
}

/** Is it still there, under this packet id, unsent? */
function waits({ queue }: BrokerSession, position: number, packetId: number): boolean {
  return (
    queue.holds(position) &&
    queue.packetId(position) === packetId &&
    (queue.options(position) & (Q_SENT | Q_SAFE)) === 0
  );
}
