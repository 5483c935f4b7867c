// UNSUBSCRIBE: takes filters out of the table and answers for each.
import type { Connection } from "../connection/connection.ts";
import type { UnsubscribePacket } from "../protocol/packet.ts";
import { encodeUnsuback } from "../protocol/packet-encoder.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import type { BrokerSession } from "../routing/deliveries.ts";
import { describeClient } from "./close.ts";
import type { Context } from "./context.ts";

export function handleUnsubscribe(context: Context, connection: Connection, packet: UnsubscribePacket): void {
  const session = connection.session as BrokerSession;
  const { level } = connection;
  const inUse = level === 5 && context.router.border.core.holdsInbound(session.slot, packet.packetId) !== 0;
  const reasonCodes = packet.filters.map((filter, i) => {
    if (inUse) return ReasonCode.packetIdentifierInUse;
    if (packet.defects?.has(i)) return ReasonCode.topicFilterInvalid;
    if (!context.subscriptions.remove(session, filter)) return ReasonCode.noSubscriptionExisted;
    if (session.persistent) context.turn.batch.subscription(session, filter, undefined);
    if (context.events.has("client.unsubscribed")) {
      context.events.emit("client.unsubscribed", { ...describeClient(connection), filter });
    }
    return ReasonCode.success;
  });
  const send = (): void => {
    if (connection.open)
      connection.outbox.send(encodeUnsuback({ level, packetId: packet.packetId, reasonCodes }));
  };
  if (session.persistent && context.turn.batch.dirty)
    context.turn.afterCommit(() => context.router.whenFree(send));
  else send();
}
