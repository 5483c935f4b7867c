// Composition: makes the broker's parts and ties them together. Nothing here acts by itself.
import { Gate } from "./access/gate.ts";
import type { Connection } from "./connection/connection.ts";
import { Border } from "./core/border.ts";
import {
  EXCESS_CORRELATION,
  EXCESS_NAME,
  EXCESS_PAIR,
  EXCESS_PAIRS,
  EXCESS_RESPONSE,
} from "./core/generated/abi.ts";
import { type BrokerEvents, EventHub } from "./events.ts";
import { closeConnection } from "./handlers/context/close.ts";
import type { Context } from "./handlers/context/context.ts";
import { Dispatch } from "./handlers/dispatch.ts";
import { GrantReview } from "./handlers/subscribe/grant-review.ts";
import { recover } from "./handlers/recovery.ts";
import type { Limits } from "./limits.ts";
import { LogBudget } from "./log-budget.ts";
import { Metrics } from "./metrics.ts";
import type { BrokerOptions, Logger } from "./options.ts";
import { ReasonCode, REASONS } from "./protocol/reason-codes.ts";
import { BrokerMemory } from "./routing/turn/broker-memory.ts";
import { Deliveries } from "./routing/delivery/deliveries.ts";
import { LocalSubscribers } from "./routing/sessions/local-subscribers.ts";
import { RetainedKeeper } from "./routing/retained/retained-keeper.ts";
import { RetainedMessages } from "./routing/retained/retained.ts";
import { RetainedReplay } from "./routing/retained/retained-replay.ts";
import { Router } from "./routing/delivery/router.ts";
import { SessionRegistry } from "./routing/sessions/session-registry.ts";
import { Subscriptions } from "./routing/sessions/subscriptions.ts";
import { Turn } from "./routing/turn/turn.ts";
import { Wills } from "./routing/sessions/wills.ts";
import { Segments } from "./session/segments.ts";
import type { Store } from "./store/contract/store.ts";

export interface Parts {
  readonly context: Context;
  readonly dispatch: Dispatch;
  readonly local: LocalSubscribers;
  /** Every connection that is not closed yet. */
  readonly connections: Set<Connection>;
}

export function compose(options: BrokerOptions, limits: Limits, logger: Logger, store: Store): Parts {
  const metrics = new Metrics();
  const events = new EventHub<BrokerEvents>(logger);
  const connections = new Set<Connection>();
  const segments = new Segments();
  const memory = new BrokerMemory(segments, limits, metrics);
  const turn: Turn = new Turn(store, segments, {
    commitStarted: (next) => {
      deliveries.commitStarted();
      router.border.core.setCommit(next);
    },
    committed: (number, reason) => router.whenFree(() => release(number, reason)),
    turnEnded: () => {
      if (sessions.hasDead && router.free) router.whenFree(() => sessions.freeSlots());
    },
    actionFailed: (error) => router.failed(error, undefined),
    commitFailed: (error) => {
      metrics.commitFailures++;
      // A store that refuses everything for a while has said so once.
      if (store.failure === undefined)
        logger.error({ err: error, store: store.name }, "the store could not commit; clients are refused");
    },
  });
  /** The commit whose acknowledgements were released last. */
  let releasing = 0;
  /** Acknowledgements that waited for a commit leave; a core that traps meanwhile has a successor that still owes them. */
  function release(number: number, reason: number, again = true): void {
    releasing = number;
    try {
      router.complete(router.border.releaseAcks(number, reason));
    } catch (error) {
      if (!again || !router.isTrap(error)) throw error;
      router.failed(error, undefined);
      release(number, reason, false);
    }
    router.settle();
  }
  const border = freshCore(options, limits, turn);
  const router = new Router(border, turn, memory, limits);
  const gate = new Gate(logger, metrics, limits.heldTimeout);
  const retained = new RetainedKeeper(
    new RetainedMessages(limits.retainedMessages, limits.retainedBytes),
    gate,
    turn,
    limits,
    metrics,
  );
  const deliveries: Deliveries = new Deliveries(
    router,
    segments,
    memory,
    retained,
    gate,
    turn,
    limits,
    metrics,
  );
  router.deliveries = deliveries;
  const subscriptions = new Subscriptions(() => router.border);
  const sessions: SessionRegistry = new SessionRegistry(
    router,
    deliveries,
    subscriptions,
    turn,
    limits,
    metrics,
  );
  const wills = new Wills(router, deliveries, gate, memory);
  const local = new LocalSubscribers(router, deliveries, subscriptions, logger);
  const context: Context = {
    router,
    deliveries,
    sessions,
    subscriptions,
    retainedReplay: new RetainedReplay(router, deliveries, gate),
    wills,
    turn,
    gate,
    grants: new GrantReview(),
    memory,
    limits,
    metrics,
    logger,
    notices: new LogBudget(logger, limits.logLines, metrics),
    events,
    sharedMoveAtDisconnect: options.sharedMoveAtDisconnect ?? false,
    continue: (connection) => dispatch.continue(connection),
  };
  deliveries.onPaceOver = (session) => context.retainedReplay.drained(session);
  const dispatch: Dispatch = new Dispatch(
    context,
    (offender) => recover(context, local, offender, freshCore(options, limits, turn), releasing),
    (connection) => connections.delete(connection),
  );
  router.handlers = dispatch;
  deliveries.onUnsafe = ({ connection }) => {
    if (connection === undefined) return;
    router.whenFree(() =>
      closeConnection(context, connection, ReasonCode.unspecifiedError, "The store failed"),
    );
  };
  deliveries.queues.wake = (slot) => sessions.wakeSlot(slot);
  sessions.mayReceive = ({ policy, identity }, topic) => gate.mayReceive(policy, identity, topic);
  sessions.isSending = (session) => wills.isLeaving(session);
  sessions.waitingWill = (session) => wills.waitingOf(session);
  sessions.onEnd = (session) => {
    wills.sessionEnded(session);
    events.emit("session.ended", { clientId: session.identity.clientId });
  };
  wills.onFired = (session) => sessions.record(session);
  segments.onGone = (serial) => turn.batch.segmentGone(serial);
  return { context, dispatch, local, connections };
}

/** What an acknowledgement that waits for the store occupies in the core. */
const ACK_BYTES = 8;

/** Which property of a PUBLISH is beyond Capabilities.propertyBounds. */
const EXCESS_TEXTS: readonly (readonly [excess: number, text: string])[] = [
  [EXCESS_PAIRS, "Too many User Properties"],
  [EXCESS_NAME, 'The name of a User Property begins with "_"'],
  [EXCESS_PAIR, "Name and value of a User Property are too long"],
  [EXCESS_RESPONSE, "The Response Topic is too long"],
  [EXCESS_CORRELATION, "The Correlation Data is too long"],
];

/** A core that knows what it must before it works. */
function freshCore(options: BrokerOptions, limits: Limits, turn: Turn): Border {
  const border = new Border();
  border.core.setMaxLevels(limits.topicLevels);
  border.core.setPropertyLimit(limits.propertiesPerPacket);
  border.core.setAliasByteLimit(limits.topicAliasBytes);
  border.core.setAckLimit(Math.max(1, Math.floor(limits.heldBytes / ACK_BYTES)));
  border.core.setShareStrategy(options.sharedStrategy === "hash" ? 1 : 0);
  for (const reason of REASONS) if (reason.code >= 0x80) border.setReasonText(reason.code, reason.text);
  for (const [excess, text] of EXCESS_TEXTS) border.setReasonText(excess, text);
  border.core.setCommit(turn.commit);
  return border;
}
