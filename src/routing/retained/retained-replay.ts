// Retained messages for a new subscription, a page at a time: what the connection cannot take now follows when it has
// drained. What changes meanwhile is read when its page comes, so an old value never follows a new one.
import { OPT_ID_SHIFT, OPT_QOS_MASK } from "../../core/generated/abi.ts";
import type { Gate } from "../../access/gate.ts";
import { messageTopic, type MessageView, viewMessage } from "../../core/message-view.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { CoreDoor } from "../turn/core-door.ts";
import { remainingExpiry } from "../messages/message.ts";
import type { QueuePump } from "../queues/queue-pump.ts";
import { isEmpty, type RetainedKeeper } from "./retained-keeper.ts";
import type { SessionQueues } from "../queues/session-queues.ts";
import { spacePrefix } from "../turn/spaces.ts";
import type { Turn } from "../turn/turn.ts";

/** Steps of all replays together in one turn, before others get theirs. */
const PAGE = 512;

interface Replay {
  readonly session: BrokerSession;
  readonly connection: object;
  readonly filter: string;
  /** Of the space its names mean something in, see spacePrefix(). */
  readonly prefix: string;
  readonly messages: Generator<MessageView | undefined>;
  readonly options: number;
  /** Where a message is kept that did not fit the last time: whatever is kept there by then. */
  next: string | undefined;
}

/** What the router lends. */
interface ReplayDoor extends Pick<CoreDoor, "whenFree"> {
  readonly turn: Turn;
  settle(): void;
}

interface Parts {
  readonly retained: RetainedKeeper;
  readonly queues: SessionQueues;
  readonly pump: QueuePump;
}

export class RetainedReplay {
  readonly #door: ReplayDoor;
  readonly #parts: Parts;
  readonly #gate: Gate;
  /** By session, then by filter: what is subscribed anew begins anew, so that there are no more than subscriptions. */
  readonly #replays = new Map<BrokerSession, Map<string, Replay>>();
  readonly #scheduled = new Set<BrokerSession>();
  #turn = -1;
  /** Steps left in this turn. */
  #left = 0;

  constructor(door: ReplayDoor, parts: Parts, gate: Gate) {
    this.#door = door;
    this.#parts = parts;
    this.#gate = gate;
  }

  /** Starts replaying what `filter` matches; the first page goes out in this very turn. */
  start(session: BrokerSession, filter: string, options: number): void {
    const { connection } = session;
    if (connection === undefined) return;
    const prefix = spacePrefix(session.policy, session.identity.sessionKey, filter);
    const messages = this.#parts.retained.match(prefix, filter, Date.now());
    const replay: Replay = { session, connection, filter, prefix, messages, options, next: undefined };
    const waiting = this.#replays.get(session);
    if (waiting === undefined) {
      if (!this.#page(replay)) this.#replays.set(session, new Map([[filter, replay]]));
      return;
    }
    waiting.delete(filter);
    waiting.set(filter, replay);
    if (waiting.size <= session.subscriptions.size) return;
    for (const [known, { filter: other }] of waiting)
      if (!session.subscriptions.has(other)) waiting.delete(known);
  }

  /** The connection of a session can take more. */
  drained(session: BrokerSession): void {
    const waiting = this.#replays.get(session);
    if (waiting === undefined) return;
    for (const [filter, replay] of waiting) {
      if (!this.#page(replay)) return;
      waiting.delete(filter);
    }
    this.#replays.delete(session);
  }

  /** The connection is gone: its new one subscribes again, or has all it wanted. */
  cancel(session: BrokerSession): void {
    this.#replays.delete(session);
  }

  /** True when the replay is complete, or nobody waits for it any more. */
  #page(replay: Replay): boolean {
    const { session } = replay;
    if (
      session.ended ||
      session.connection !== replay.connection ||
      !session.subscriptions.has(replay.filter)
    )
      return true;
    const complete = this.#sendPage(replay, session);
    this.#door.settle(); // what was queued goes out together
    return complete;
  }

  #sendPage(replay: Replay, session: BrokerSession): boolean {
    const now = Date.now();
    const { turn } = this.#door;
    if (this.#turn !== turn.turn) {
      this.#turn = turn.turn;
      this.#left = PAGE;
    }
    while (this.#left > 0) {
      this.#left--;
      const view = this.#nextOf(replay);
      if (view === null) return true;
      if (view === undefined || remainingExpiry(view, now) === 0 || isEmpty(view)) continue;
      const topic = messageTopic(view);
      if (!this.#gate.mayReceive(session.policy, session.identity, topic)) continue;
      if (!this.#send(session, view, replay.options, now)) {
        replay.next = this.#parts.retained.placeOf(replay.prefix, view);
        return false;
      }
    }
    this.#later(session);
    return false;
  }

  /** Goes on in the next turn. */
  #later(session: BrokerSession): void {
    if (this.#scheduled.has(session)) return;
    this.#scheduled.add(session);
    this.#door.turn.touch(); // this turn ends before that one begins
    setImmediate(() =>
      this.#door.whenFree(() => {
        this.#scheduled.delete(session);
        this.drained(session);
      }),
    );
  }

  /** The next message; undefined: a step that found none, null: there are no more. */
  #nextOf(replay: Replay): MessageView | undefined | null {
    const { next } = replay;
    if (next !== undefined) {
      replay.next = undefined;
      const message = this.#parts.retained.messages.get(next);
      return message && viewMessage(message, 0);
    }
    const step = replay.messages.next();
    return step.done ? null : step.value;
  }

  #send(session: BrokerSession, view: MessageView, options: number, now: number): boolean {
    const { capabilities } = session.policy;
    const decides = session.level === 5 ? capabilities.publisherQos5 : capabilities.publisherQos3;
    const most = decides ? capabilities.maximumQos : options & OPT_QOS_MASK; // [QOS-1]
    const qos = Math.min(view.qos, most);
    const id = options >>> OPT_ID_SHIFT;
    const ids = id === 0 ? [] : [id];
    if (qos === 0) return this.#parts.pump.sendQos0(session, view, true, ids, now);
    // Over the queue's bound it is dropped and counted, like any other message for this session.
    if (this.#parts.queues.enqueue(session, view, qos, true, ids)) this.#parts.pump.want(session.slot);
    return true;
  }
}
