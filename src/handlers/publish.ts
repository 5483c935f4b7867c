// PUBLISH where the core needs the host: a permission it does not know yet, a message the policy serves itself, and QoS 2
// of a session that outlives its connection, whose packet id must be safe before it is delivered [MQTT-4.3.3-2]. Every other
// PUBLISH passes through assembly/route/publish.ts alone.
import { isUtf8 } from "node:buffer";
import type { Connection } from "../connection/connection.ts";
import {
  D_FLAGS,
  D_PACKET_ID,
  D_PAYLOAD_LEN,
  D_TOPIC,
  D_TOPIC_LEN,
  DETAIL_PAYLOAD_FORMAT,
  H_STORE_OFFSET,
  H_VERDICT,
  VERDICT_ALLOW,
  VERDICT_HOST,
  VERDICT_ISOLATED,
  VERDICT_METER_SHIFT,
  VERDICT_REASON_SHIFT,
  VERDICT_SAMPLE,
  VERDICT_TAP,
} from "../core/generated/abi.ts";
import { SERVE_FAILED, UNANSWERED } from "../access/gate.ts";
import type { PublishVerdict } from "../access/policy.ts";
import type { Border } from "../core/border.ts";
import { detailText } from "../protocol/details.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import type { BrokerSession } from "../routing/turn/broker-session.ts";
import { keepIn } from "../routing/turn/spaces.ts";
import { beginPassing, deliverInbound } from "../routing/delivery/inbound-delivery.ts";
import { StoredMessage } from "../routing/messages/stored-message.ts";
import { viewMessage } from "../core/message-view.ts";
import type { Context } from "./context/context.ts";
import { failConnection } from "./context/close.ts";
import { hold } from "./context/hold.ts";
import { copyOf, noteServing, takeCopies } from "./served-copies.ts";

const PUBACK = 0x40;
const PUBREC = 0x50;
const DUP = 0x08;

/** The core's word for a policy's answer. */
function wordOf({ router }: Context, session: BrokerSession, verdict: PublishVerdict): number {
  if (!verdict.allow) {
    // Anything below 0x80 would be no refusal, and 0 no answer at all: asked for ever.
    const { reason = 0 } = verdict;
    const code = reason >= 0x80 ? reason : ReasonCode.notAuthorized;
    return (code << VERDICT_REASON_SHIFT) | (verdict.sample ? VERDICT_SAMPLE : 0);
  }
  // A space without a number cannot be kept apart.
  if (verdict.isolated && session.space === 0) return ReasonCode.notAuthorized << VERDICT_REASON_SHIFT;
  let word: number = VERDICT_ALLOW;
  if (verdict.isolated) word |= VERDICT_ISOLATED;
  if (verdict.sample) word |= VERDICT_SAMPLE;
  if (verdict.tap) word |= VERDICT_TAP;
  if (verdict.host) word |= VERDICT_HOST;
  const { meter } = verdict;
  if (meter !== undefined) {
    session.meters ??= new Map();
    let number = session.meters.get(meter);
    if (number === undefined) {
      number = router.border.core.addMeter(session.slot);
      router.border.refresh();
      session.meters.set(meter, number);
      if (number > 0) {
        session.meterNames ??= [];
        session.meterNames[number - 1] = meter;
      }
    }
    word |= number << VERDICT_METER_SHIFT;
  }
  return word;
}

/** Answers a STOP_VERDICT. True: the core may be entered again at the same packet; false: the answer takes time. */
export function answerVerdict(
  context: Context,
  connection: Connection,
  missing: Buffer | undefined,
): boolean {
  const session = connection.session as BrokerSession;
  const { border } = context.router;
  const { core } = border;
  if (missing !== undefined && border.detail === DETAIL_PAYLOAD_FORMAT && !isText(border, missing)) {
    // As the core does with a payload it sees itself: only QoS 0 has no other way to be told [MQTT-3.3.2.3.2].
    if (((border.word(D_FLAGS) >> 1) & 3) === 0) {
      const detail = detailText(DETAIL_PAYLOAD_FORMAT);
      failConnection(context, connection, ReasonCode.payloadFormatInvalid, detail);
      return false;
    }
    core.setOnceVerdict(ReasonCode.payloadFormatInvalid << VERDICT_REASON_SHIFT);
    return true;
  }
  const topicAt = border.word(D_TOPIC);
  const topicLength = border.word(D_TOPIC_LEN);
  const topic = border.text(topicAt, topicLength);
  const flags = border.word(D_FLAGS);
  const verdict = context.gate.mayPublish(
    connection.policy,
    session.identity,
    topic,
    (flags >> 1) & 3,
    (flags & 1) === 1,
  );
  if (!(verdict instanceof Promise)) {
    const word = wordOf(context, session, verdict);
    // Another topic may have been scanned meanwhile: by a pump behind the stop, or a hook that publishes.
    core.scanTopicName(topicAt, topicLength);
    // Words of its own cannot be remembered with the verdict: the policy is asked each time.
    if ((verdict.cacheable ?? true) && (verdict.allow || verdict.reasonString === undefined))
      core.rememberVerdict(session.slot, word);
    core.setOnceVerdict(word);
    explain(border, verdict);
    return true;
  }
  // The packet stays where it is and is read again with the answer at hand.
  return hold(context, connection, verdict, { allow: false }, (answer) => {
    // The core of now: it may have been rebuilt since.
    context.router.border.core.setOnceVerdict(wordOf(context, session, answer));
    explain(context.router.border, answer);
  });
}

/** Is the payload UTF-8, the part in the core and the `missing` one behind it? They lie side by side where they came from. */
function isText(border: Border, missing: Buffer): boolean {
  const seen = border.word(D_PAYLOAD_LEN);
  return isUtf8(new Uint8Array(missing.buffer, missing.byteOffset - seen, seen + missing.length));
}

function explain(border: Border, verdict: PublishVerdict): void {
  if (!verdict.allow && verdict.reasonString !== undefined) border.setOnceText(verdict.reasonString);
}

/**
 * Answers a STOP_HOST. `external` is the payload where the core has seen only the head. True: go on behind the packet;
 * false: that takes time, or the connection is gone.
 */
export function takePublish(context: Context, connection: Connection, external: Buffer | undefined): boolean {
  const { deliveries, router } = context;
  const { border } = router;
  const session = connection.session as BrokerSession;
  const verdict = border.word(H_VERDICT);
  const packetId = border.word(D_PACKET_ID);
  deliveries.arena.external = external;
  const message = deliveries.arena.copy(border.word(H_STORE_OFFSET));
  deliveries.arena.external = undefined;
  if (verdict & VERDICT_HOST) return serve(context, connection, session, message, packetId);
  // QoS 2 of a kept session is rare enough to be sampled always.
  const tap = (verdict & (VERDICT_TAP | VERDICT_SAMPLE)) !== 0;
  if (verdict & VERDICT_ISOLATED) keepIn(session.space, message);
  publishDurably(context, connection, session, message, packetId, tap);
  return true;
}

/** The policy serves the message: nobody gets it, and what the policy answers is the acknowledgement. */
function serve(
  context: Context,
  connection: Connection,
  session: BrokerSession,
  bytes: Buffer,
  packetId: number,
): boolean {
  const message = new StoredMessage(bytes, 0, connection.level);
  const { qos } = message;
  const deduped = qos === 1 && connection.policy.capabilities.dedupeQos1;
  const dup = (context.router.border.word(D_FLAGS) & DUP) !== 0;
  // What it was told before comes first.
  context.deliveries.taps.deliver();
  const answer =
    (deduped && copyOf(session, connection, packetId, dup)) ||
    context.gate.serve(connection.policy, session.identity, message);
  if (!(answer instanceof Promise)) {
    if (connection.open) acknowledge(context, session, qos, packetId, answer);
    return connection.open;
  }
  if (qos === 2) {
    answer.then((reason) => {
      // Served when its client was gone: it will send the message again, and must not be served twice [MQTT-4.3.3-10].
      if (connection.open || isRefusal(reason) || !session.persistent || session.ended) return;
      context.router.whenFree(() => {
        holdId(context, session, packetId);
        context.turn.touch();
      });
    });
  }
  if (deduped) noteServing(session, connection, packetId, answer);
  return hold(
    context,
    connection,
    answer,
    SERVE_FAILED,
    (reason) => {
      acknowledge(context, session, qos, packetId, reason);
      if (!deduped || isSilent(reason, session)) return;
      session.serving?.delete(packetId);
      takeCopies(connection, packetId, () => {
        context.router.border.core.expectAck(session.slot);
        acknowledge(context, session, qos, packetId, reason);
      });
    },
    { reading: deduped },
  );
}

function isRefusal(reason: number): boolean {
  return reason < 0 || reason >= 0x80;
}

/** Before 5.0 a failure cannot be told. */
function isSilent(reason: number, { level }: BrokerSession): boolean {
  return reason === UNANSWERED || (reason === SERVE_FAILED && level !== 5);
}

function acknowledge(
  context: Context,
  session: BrokerSession,
  qos: 0 | 1 | 2,
  packetId: number,
  reason: number,
): void {
  if (qos === 0) return;
  const { router, turn } = context;
  const { border } = router;
  if (isSilent(reason, session)) {
    if (qos === 1) border.core.forgoAck(session.slot);
    return;
  }
  let commit = 0;
  // Refused in 5.0, a QoS 2 exchange is over; before 5.0 it cannot be refused and goes on like any other.
  if (qos === 2 && (!isRefusal(reason) || session.level !== 5)) {
    holdId(context, session, packetId);
    if (session.persistent) {
      commit = turn.commit;
      turn.afterCommit((failure) => {
        if (failure === 0) return;
        session.inbound?.delete(packetId);
        turn.batch.released(session, packetId);
      });
    }
  }
  const code = reason === SERVE_FAILED ? ReasonCode.unspecifiedError : reason;
  router.complete(border.oweAck(session.slot, qos === 1 ? PUBACK : PUBREC, packetId, code, commit));
}

/** The identifier is in use until PUBREL, here, in the core and in the store. */
function holdId({ router, turn }: Context, session: BrokerSession, packetId: number): void {
  router.border.core.holdInbound(session.slot, packetId);
  if (!session.persistent) return;
  session.inbound?.add(packetId);
  turn.batch.delivered(session, packetId);
}

/** Takes over a QoS 2 PUBLISH of a persistent session: id and message are safe first, then it is delivered. */
function publishDurably(
  context: Context,
  connection: Connection,
  session: BrokerSession,
  message: Buffer,
  packetId: number,
  tap: boolean,
): void {
  const { router, deliveries, turn, memory } = context;
  const { border } = router;
  const { policy, identity, level } = session;
  const view = viewMessage(message, 0);
  if (!memory.admits(deliveries.queues.costOf(view))) {
    // Before PUBREC, as after it nothing can be refused. 3.x: no answer, so that the client sends it again.
    if (level === 5)
      router.complete(border.oweAck(session.slot, PUBREC, packetId, ReasonCode.quotaExceeded, 0));
    return;
  }
  memory.arriving += message.length;
  session.inbound?.add(packetId);
  beginPassing(session, packetId);
  border.core.holdInbound(session.slot, packetId);
  turn.batch.inbound(session, packetId, message);
  turn.afterCommit((reason) => {
    memory.arriving -= message.length;
    if (reason !== 0) {
      // Never stored: the client may send it again under the same id.
      session.inbound?.delete(packetId);
      session.passing?.delete(packetId);
      // It has come again already, and was repeated: what waits to acknowledge that must not leave.
      if (session.connection !== connection) deliveries.onUnsafe?.(session);
      return;
    }
    router.whenFree(() => {
      if (tap) deliveries.taps.add({ policy, identity, level }, message, 0);
      if (view.retain) deliveries.retained.store(message, false, session);
      deliverInbound(context, { session, packetId, message, reached: [], skip: new Set() });
    });
  });
  router.complete(border.oweAck(session.slot, PUBREC, packetId, 0, turn.commit));
}
