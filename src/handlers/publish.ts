// PUBLISH where the core needs the host: a permission it does not know yet, and QoS 2 of a session that outlives its
// connection, whose packet id must be safe before the message is delivered [MQTT-4.3.3-2].
import type { Connection } from "../connection/connection.ts";
import {
  D_FLAGS,
  D_PACKET_ID,
  D_TOPIC,
  D_TOPIC_LEN,
  H_STORE_OFFSET,
  NO_SLOT,
  VERDICT_ALLOW,
  VERDICT_REASON_SHIFT,
} from "../core/generated/abi.ts";
import type { PublishVerdict } from "../access/policy.ts";
import type { Border } from "../core/border.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import type { BrokerSession } from "../routing/broker-session.ts";
import { viewMessage } from "../core/message-view.ts";
import type { Context } from "./context.ts";
import { hold } from "./hold.ts";

const PUBREC = 0x50;
/** Of the sender's slot in a canonical message, see assembly/abi.ts. */
const SENDER_OFFSET = 8;

/** The core's word for a policy's answer. */
function wordOf(verdict: PublishVerdict): number {
  if (!verdict.allow) {
    // Anything below 0x80 would be no refusal, and 0 no answer at all: asked for ever.
    const { reason = 0 } = verdict;
    return (reason >= 0x80 ? reason : ReasonCode.notAuthorized) << VERDICT_REASON_SHIFT;
  }
  return VERDICT_ALLOW;
}

/** Answers a STOP_VERDICT. True: the core may be entered again at the same packet; false: the answer takes time. */
export function answerVerdict(context: Context, connection: Connection): boolean {
  const session = connection.session as BrokerSession;
  const { border } = context.router;
  const { core } = border;
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
    const word = wordOf(verdict);
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
    context.router.border.core.setOnceVerdict(wordOf(answer));
    explain(context.router.border, answer);
  });
}

function explain(border: Border, verdict: PublishVerdict): void {
  if (!verdict.allow && verdict.reasonString !== undefined) border.setOnceText(verdict.reasonString);
}

/**
 * Takes over a QoS 2 PUBLISH of a persistent session: id and message are safe first, then it is delivered. `external` is
 * the payload where the core has seen only the head.
 */
export function publishDurably(context: Context, connection: Connection, external: Buffer | undefined): void {
  const session = connection.session as BrokerSession;
  const { router, deliveries, turn } = context;
  const { border } = router;
  deliveries.arena.external = external;
  const message = deliveries.arena.copy(border.word(H_STORE_OFFSET));
  const packetId = border.word(D_PACKET_ID);
  const { retain } = viewMessage(message, 0);
  session.inbound?.add(packetId);
  border.core.holdInbound(session.slot, packetId);
  turn.batch.inbound(session, packetId, message);
  turn.afterCommit((reason) => {
    if (reason !== 0) {
      // Never stored: the client may send it again under the same id.
      session.inbound?.delete(packetId);
      // It has come again already, and was repeated: what waits to acknowledge that must not leave.
      if (session.connection !== connection) deliveries.onUnsafe?.(session);
      return;
    }
    router.whenFree(() => {
      if (retain) deliveries.retained.store(message);
      // Its slot may be another session's by now: No Local must not compare with that.
      if (session.ended) message.writeUInt32LE(NO_SLOT, SENDER_OFFSET);
      router.inject(message);
      turn.batch.delivered(session, packetId);
      turn.touch();
    });
  });
  router.complete(border.oweAck(session.slot, PUBREC, packetId, 0, turn.commit));
}
