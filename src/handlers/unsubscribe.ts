// UNSUBSCRIBE: takes filters out of the table and answers for each.
import type { Connection } from "../connection/connection.ts";
import type { UnsubscribePacket } from "../protocol/packet.ts";
import { encodeUnsuback, fitReason } from "../protocol/packet-encoder.ts";
import type { Properties } from "../protocol/properties.ts";
import { ReasonCode, reasonText } from "../protocol/reason-codes.ts";
import type { BrokerSession } from "../routing/turn/broker-session.ts";
import { describeClient } from "./close.ts";
import type { Context } from "./context.ts";
import { answerAfterCommit } from "./hold.ts";

/** False: too much waits for the store; nothing behind the packet may be processed. */
export function handleUnsubscribe(
  context: Context,
  connection: Connection,
  packet: UnsubscribePacket,
): boolean {
  const session = connection.session as BrokerSession;
  const { level } = connection;
  const inUse = level === 5 && context.router.border.core.holdsInbound(session.slot, packet.packetId) !== 0;
  const removed: string[] = [];
  const reasonCodes = packet.filters.map((filter, i) => {
    if (inUse) return ReasonCode.packetIdentifierInUse;
    if (packet.defects?.has(i)) return ReasonCode.topicFilterInvalid;
    const before = session.subscriptions.get(filter)?.options;
    // Removed before, perhaps not safely: then it is removed again, and this answer waits for that.
    if (!context.subscriptions.remove(session, filter) && !context.subscriptions.mayBeStored(session, filter))
      return ReasonCode.noSubscriptionExisted;
    if (session.persistent) {
      removed.push(filter);
      context.subscriptions.changing(session, filter, before);
      context.turn.batch.subscription(session, filter, undefined);
    }
    if (context.events.has("client.unsubscribed")) {
      context.events.emit("client.unsubscribed", { ...describeClient(connection), filter });
    }
    return ReasonCode.success;
  });
  const send = (failure: number): void => {
    for (const filter of removed) context.subscriptions.settled(session, filter, undefined, failure !== 0);
    if (failure !== 0 && level !== 5) return; // before 5.0 there is no way to say no
    const codes = failure === 0 ? reasonCodes : reasonCodes.map((code) => (code < 0x80 ? failure : code));
    const { policy } = connection;
    if (policy.unsubscribed !== undefined)
      for (const [i, filter] of packet.filters.entries())
        context.gate.tell(() => policy.unsubscribed?.(session.identity, filter, codes[i]));
    if (!connection.open) return;
    const said = codes.find((code) => code !== 0);
    const properties: Properties = {};
    if (said !== undefined && connection.problemInformation) properties.reasonString = reasonText(said);
    const unsuback = { level, packetId: packet.packetId, reasonCodes: codes, properties };
    const bytes = fitReason(encodeUnsuback, unsuback, connection.maximumPacketSize); // [MQTT-3.11.2-2]
    if (bytes !== undefined) connection.outbox.packet(bytes);
  };
  if (removed.length === 0) {
    send(0);
    return connection.open;
  }
  let bytes = 0;
  for (const filter of packet.filters) bytes += filter.length;
  return answerAfterCommit(context, connection, bytes, send);
}
