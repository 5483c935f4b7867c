// Retained messages for a new subscription, a page at a time: what the connection cannot take now follows when it has
// drained. What changes meanwhile is read when its page comes, so an old value never follows a new one.
import { OPT_ID_SHIFT, OPT_QOS_MASK } from "../core/generated/abi.ts";
import type { Gate } from "../access/gate.ts";
import { messageTopic, type MessageView } from "../session/segments.ts";
import type { BrokerSession, Deliveries } from "./deliveries.ts";
import type { Router } from "./router.ts";

/** Messages sent in one go before others get their turn. */
const PAGE = 512;

interface Replay {
  readonly session: BrokerSession;
  readonly connection: object;
  readonly messages: Generator<MessageView>;
  readonly options: number;
  /** A message that did not fit the last time. */
  next: MessageView | undefined;
}

export class RetainedReplay {
  readonly #router: Router;
  readonly #deliveries: Deliveries;
  readonly #gate: Gate;
  readonly #replays = new Map<BrokerSession, Replay[]>();

  constructor(router: Router, deliveries: Deliveries, gate: Gate) {
    this.#router = router;
    this.#deliveries = deliveries;
    this.#gate = gate;
  }

  /** Starts replaying what `filter` matches; the first page goes out in this very turn. */
  start(session: BrokerSession, filter: string, options: number): void {
    const { connection } = session;
    if (connection === undefined) return;
    const messages = this.#deliveries.retained.match(filter, Date.now());
    const replay: Replay = { session, connection, messages, options, next: undefined };
    const waiting = this.#replays.get(session);
    if (waiting !== undefined) waiting.push(replay);
    else if (!this.#page(replay)) this.#replays.set(session, [replay]);
  }

  /** The connection of a session can take more. */
  drained(session: BrokerSession): void {
    const waiting = this.#replays.get(session);
    if (waiting === undefined) return;
    while (waiting.length > 0 && this.#page(waiting[0])) waiting.shift();
    if (waiting.length === 0) this.#replays.delete(session);
  }

  /** The connection is gone: its new one subscribes again, or has all it wanted. */
  cancel(session: BrokerSession): void {
    this.#replays.delete(session);
  }

  /** True when the replay is complete, or nobody waits for it any more. */
  #page(replay: Replay): boolean {
    const { session } = replay;
    if (session.ended || session.connection !== replay.connection) return true;
    const complete = this.#sendPage(replay, session);
    this.#router.settle(); // what was queued goes out together
    return complete;
  }

  #sendPage(replay: Replay, session: BrokerSession): boolean {
    const now = Date.now();
    for (let looked = 0; looked < PAGE; looked++) {
      let view = replay.next;
      if (view === undefined) {
        const step = replay.messages.next();
        if (step.done) return true;
        view = step.value;
      }
      replay.next = undefined;
      if (!this.#gate.mayReceive(session.policy, session.identity, messageTopic(view))) continue;
      if (!this.#send(session, view, replay.options, now)) {
        replay.next = view;
        return false;
      }
    }
    setImmediate(() => this.#router.whenFree(() => this.drained(session)));
    return false;
  }

  #send(session: BrokerSession, view: MessageView, options: number, now: number): boolean {
    const { capabilities } = session.policy;
    const decides = session.level === 5 ? capabilities.publisherQos5 : capabilities.publisherQos3;
    const qos = decides ? view.qos : Math.min(view.qos, options & OPT_QOS_MASK);
    const id = options >>> OPT_ID_SHIFT;
    const ids = id === 0 ? [] : [id];
    if (qos === 0) return this.#deliveries.replayQos0(session, view, true, ids, now);
    // Over the queue's bound it is dropped and counted, like any other message for this session.
    if (this.#deliveries.enqueue(session, view, qos, true, ids)) this.#deliveries.wantPump(session.slot);
    return true;
  }
}
