// UNSUBSCRIBE: takes filters out of the table and answers for each.
import type { Connection } from "../../connection/connection.ts";
import type { UnsubscribePacket } from "../../protocol/packet.ts";
import { encodeUnsuback, fitReason } from "../../protocol/packet-encoder.ts";
import type { Properties } from "../../protocol/properties.ts";
import { ReasonCode, reasonText } from "../../protocol/reason-codes.ts";
import type { BrokerSession } from "../../routing/turn/broker-session.ts";
import { describeClient } from "../context/close.ts";
import type { Context } from "../context/context.ts";
import { answerAfterCommit } from "../context/hold.ts";

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
    return leaveFilter(context, connection, session, filter, removed);
  });
  const send = (failure: number): void => {
    const codes = settleRemoved(context, session, removed, reasonCodes, failure);
    if (failure !== 0 && level !== 5) return; // before 5.0 there is no way to say no
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

/** Takes one filter out, and returns its reason code; one that the store has to strike off is added to `removed`. */
export function leaveFilter(
  { subscriptions, turn, events }: Context,
  connection: Connection,
  session: BrokerSession,
  filter: string,
  removed: string[],
): number {
  const before = session.subscriptions.get(filter)?.options;
  // Removed before, perhaps not safely: then it is removed again, and this answer waits for that.
  if (!subscriptions.remove(session, filter) && !subscriptions.mayBeStored(session, filter))
    return ReasonCode.noSubscriptionExisted;
  if (session.persistent) {
    removed.push(filter);
    subscriptions.changing(session, filter, before);
    turn.batch.subscription(session, filter, undefined);
  }
  if (events.has("client.unsubscribed"))
    events.emit("client.unsubscribed", { ...describeClient(connection), filter });
  return ReasonCode.success;
}

/** The commit with `removed` has ended, with a `failure` unless that is 0: what the answer is to say. */
export function settleRemoved(
  { subscriptions }: Context,
  session: BrokerSession,
  removed: readonly string[],
  codes: number[],
  failure: number,
): number[] {
  for (const filter of removed) subscriptions.settled(session, filter, undefined, failure !== 0);
  return failure === 0 ? codes : codes.map((code) => (code < 0x80 ? failure : code));
}
