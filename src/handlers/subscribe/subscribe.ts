// SUBSCRIBE: each filter is asked for at the gate, entered in the table and answered. Retained messages follow the SUBACK,
// which waits for the store where the session is kept; a live message may come before it [MQTT-3.8.4-1].
import type { SubscribeVerdict } from "../../access/policy.ts";
import type { Connection } from "../../connection/connection.ts";
import {
  DETAIL_TOPIC_LEVELS,
  OPT_ID_SHIFT,
  OPT_NO_LOCAL,
  OPT_RETAIN_AS_PUBLISHED,
} from "../../core/generated/abi.ts";
import { type LimitName, LIMITS } from "../../limits.ts";
import type { SubscribePacket, Subscription } from "../../protocol/packet.ts";
import { encodeSuback, fitReason } from "../../protocol/packet-encoder.ts";
import type { Properties } from "../../protocol/properties.ts";
import { ReasonCode, reasonText, subackCodeOf } from "../../protocol/reason-codes.ts";
import type { BrokerSession } from "../../routing/turn/broker-session.ts";
import { splitShare } from "../../routing/sessions/subscriptions.ts";
import { subscriptionCost } from "../../session/session.ts";
import { describeClient, failConnection } from "../context/close.ts";
import type { Context } from "../context/context.ts";
import { answerAfterCommit, hold } from "../context/hold.ts";
import { reviewSubscriptions, subscribeCode } from "./review.ts";

/** A subscription that was entered, or whose retained messages are to be sent. */
export interface Started {
  readonly filter: string;
  readonly options: number;
}

/** Filled while the filters of one request are entered. */
export interface Entering {
  readonly replays: Started[];
  /** Those that must be stored. */
  readonly entered: Started[];
}

/** False: the policy has to think, or too much waits for the store; nothing behind the packet may be processed. */
export function handleSubscribe(context: Context, connection: Connection, packet: SubscribePacket): boolean {
  const session = connection.session as BrokerSession;
  const id = packet.properties?.subscriptionIdentifiers?.[0] ?? 0;
  if (id !== 0 && !connection.policy.capabilities.subscriptionIdentifiers) {
    failConnection(
      context,
      connection,
      ReasonCode.subscriptionIdentifiersNotSupported,
      "Subscription Identifiers are not supported",
    );
    return false;
  }
  const { subscriptions } = packet;
  if (context.router.border.core.holdsInbound(session.slot, packet.packetId) !== 0) {
    const codes = subscriptions.map(() => ReasonCode.packetIdentifierInUse);
    return answer(context, connection, packet, codes, []);
  }
  const { filtersPerSubscribe = Number.POSITIVE_INFINITY } = connection.policy.capabilities; // [SUB-1]
  if (subscriptions.length > Math.min(context.limits.filtersPerSubscribe, filtersPerSubscribe)) {
    context.metrics.limit("refused.filters");
    const codes = subscriptions.map(() => ReasonCode.quotaExceeded);
    return answer(context, connection, packet, codes, []);
  }
  const codes = subscriptions.map((subscription) => ask(context, connection, session, subscription));
  if (!codes.some((code) => code instanceof Promise)) {
    return enter(context, connection, packet, codes as SubscribeVerdict[], id);
  }
  const { policy, identity } = session;
  const version = context.gate.grantsVersion(policy, identity);
  return hold(
    context,
    connection,
    Promise.all(codes),
    subscriptions.map(() => ReasonCode.notAuthorized),
    (decided) => {
      enter(context, connection, packet, decided, id);
      // What was asked for may have been granted by rights that are gone by now.
      if (context.gate.grantsVersion(policy, identity) !== version)
        reviewSubscriptions(context, session, "keep");
    },
  );
}

/** Granted QoS or a reason code for one filter, before anything is changed. */
export function ask(
  context: Context,
  connection: Connection,
  session: BrokerSession,
  subscription: Subscription,
): SubscribeVerdict | Promise<SubscribeVerdict> {
  const { capabilities } = connection.policy;
  const { level } = connection;
  if (subscription.defect !== undefined) {
    if (subscription.defect === DETAIL_TOPIC_LEVELS) context.metrics.limit("refused.topic_levels");
    return ReasonCode.topicFilterInvalid;
  }
  const share = splitShare(subscription.filter);
  const plain = share?.plain ?? subscription.filter;
  if (share !== undefined) {
    if (!(level === 5 ? capabilities.sharedSubscriptions5 : capabilities.sharedSubscriptions3)) {
      return ReasonCode.sharedSubscriptionsNotSupported;
    }
    if (plain === "") return ReasonCode.topicFilterInvalid;
  }
  if (!capabilities.wildcardSubscriptions && /[+#]/.test(plain))
    return ReasonCode.wildcardSubscriptionsNotSupported;
  if (session.space === 0 && session.policy.spaces?.covers(plain)) return ReasonCode.notAuthorized;
  const verdict = context.gate.maySubscribe(connection.policy, session.identity, {
    filter: plain,
    shareName: share?.shareName,
    qos: subscription.qos,
    level,
  });
  return verdict;
}

/** Enters what was granted, answers, and starts the replay of retained messages. False: the connection ends, or waits. */
function enter(
  context: Context,
  connection: Connection,
  packet: SubscribePacket,
  verdicts: readonly SubscribeVerdict[],
  id: number,
): boolean {
  if (verdicts.some((verdict) => typeof verdict === "object" && verdict?.close === true)) {
    const codes = verdicts.map(subscribeCode);
    const isRefused = (_: unknown, i: number): boolean => codes[i] >= 0x80;
    const refused = { ...packet, subscriptions: packet.subscriptions.filter(isRefused) };
    tellPolicy(context, connection, refused, codes.filter(isRefused));
    failConnection(context, connection, ReasonCode.notAuthorized, "a SUBSCRIBE without permission"); // [PERM-2]
    return false;
  }
  if (verdicts.some((verdict) => typeof verdict === "object" && verdict?.ignore === true)) {
    tellPolicy(context, connection, packet, verdicts.map(subscribeCode)); // [DYN-5]
    return true;
  }
  const session = connection.session as BrokerSession;
  const started: Entering = { replays: [], entered: [] };
  const answers = verdicts.map((verdict, i) =>
    enterFilter(context, connection, session, packet.subscriptions[i], verdict, id, started),
  );
  return answer(context, connection, packet, answers, started.replays, started.entered, wordsOf(verdicts));
}

/** Enters one filter that was granted; returns its granted QoS or reason code. */
export function enterFilter(
  context: Context,
  connection: Connection,
  session: BrokerSession,
  subscription: Subscription,
  verdict: SubscribeVerdict,
  id: number,
  { replays, entered }: Entering,
): number {
  const code = subscribeCode(verdict);
  if (code >= 0x80) return code;
  const { capabilities } = connection.policy;
  const { filter } = subscription;
  const before = session.subscriptions.get(filter)?.options;
  const beyond = before === undefined ? limitBeyond(context, session, filter) : undefined;
  if (beyond !== undefined) {
    context.metrics.limit(LIMITS[beyond].metric);
    return ReasonCode.quotaExceeded;
  }
  const qos = Math.min(code, subscription.qos, capabilities.maximumQos);
  const options =
    qos |
    (subscription.noLocal ? OPT_NO_LOCAL : 0) |
    (subscription.retainAsPublished ? OPT_RETAIN_AS_PUBLISHED : 0) |
    (id << OPT_ID_SHIFT);
  const { added, replaced } = context.subscriptions.add(session, filter, options >>> 0);
  if (!added) return ReasonCode.quotaExceeded;
  if (session.persistent) {
    entered.push({ filter, options: options >>> 0 });
    context.subscriptions.changing(session, filter, before);
    context.turn.batch.subscription(session, filter, options >>> 0);
    context.turn.touch();
  }
  if (context.events.has("client.subscribed")) {
    context.events.emit("client.subscribed", { ...describeClient(connection), filter, qos });
  }
  const retained = connection.level === 5 ? capabilities.retain5 : capabilities.retain3;
  // Retain Handling: 0 always, 1 if new, 2 never [MQTT-3.3.1-9..11]; never for shared ones.
  const wanted = subscription.retainHandling === 0 || (subscription.retainHandling === 1 && !replaced);
  if (retained && wanted && splitShare(filter) === undefined)
    replays.push({ filter, options: options >>> 0 });
  return qos;
}

/** What a policy says about the first filter for which it has words. */
function wordsOf(verdicts: readonly SubscribeVerdict[]): string | undefined {
  for (const verdict of verdicts)
    if (typeof verdict === "object" && verdict?.reasonString !== undefined) return verdict.reasonString;
  return undefined;
}

/** The limit that one more filter would break. */
function limitBeyond(context: Context, session: BrokerSession, filter: string): LimitName | undefined {
  const { limits, subscriptions } = context;
  const plain = splitShare(filter)?.plain ?? filter;
  const bounds = session.policy.subscriptionBounds?.(session.identity, plain);
  if (bounds !== undefined) {
    const { owner, most, subscribers } = bounds;
    if (session.subscriptions.size >= most && subscriptions.heldFor(session, owner) >= most)
      return "subscriptionsPerSession";
    if (subscribers !== undefined && subscriptions.isCrowded(session, plain, subscribers))
      return "subscriptionsPerSession";
  }
  if (session.subscriptions.size >= limits.subscriptionsPerSession) return "subscriptionsPerSession";
  const bytes = session.subscriptionBytes + subscriptionCost(filter);
  return bytes > limits.subscriptionBytes ? "subscriptionBytes" : undefined;
}

/** Counts what was refused, and tells the policy what became of each filter. */
function tellPolicy(
  { gate, metrics }: Context,
  { policy, session }: Connection,
  { subscriptions }: SubscribePacket,
  codes: readonly number[],
): void {
  for (const code of codes) if (code >= 0x80) metrics.limit("subscribe.refused");
  if (policy.subscribed === undefined || session === undefined) return;
  const { identity } = session;
  for (const [i, { filter }] of subscriptions.entries())
    gate.tell(() => policy.subscribed?.(identity, filter, codes[i]));
}

function answer(
  context: Context,
  connection: Connection,
  packet: SubscribePacket,
  codes: number[],
  replays: readonly Started[],
  entered: readonly Started[] = [],
  words?: string,
): boolean {
  const { level } = connection;
  const session = connection.session as BrokerSession;
  const send = (failure: number): void => {
    for (const { filter, options } of entered)
      context.subscriptions.settled(session, filter, options, failure !== 0);
    if (failure !== 0) {
      codes = codes.map((code) => (code < 0x80 ? failure : code));
      replays = [];
    }
    tellPolicy(context, connection, packet, codes);
    if (!connection.open) return;
    const properties: Properties = {};
    const refused = codes.find((code) => code >= 0x80);
    if (refused !== undefined && connection.problemInformation)
      properties.reasonString = words ?? reasonText(refused);
    const bytes = fitReason(
      (p: { properties?: Properties }) =>
        encodeSuback({
          level,
          packetId: packet.packetId,
          reasonCodes: codes.map((code) => subackCodeOf(code, level)),
          ...p,
        }),
      { properties: level === 5 ? properties : undefined },
      connection.maximumPacketSize,
    );
    if (bytes !== undefined) connection.outbox.packet(bytes);
    for (const { filter, options } of replays) context.retainedReplay.start(session, filter, options);
  };
  // A kept subscription is acknowledged when it is safe.
  if (!session.persistent || !context.turn.batch.dirty) {
    send(0);
    return connection.open;
  }
  let bytes = 0;
  for (const { filter } of packet.subscriptions) bytes += filter.length;
  return answerAfterCommit(context, connection, bytes, send);
}
