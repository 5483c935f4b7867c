// UNSUBSCRIBE: takes filters out of the table and answers for each.
import type { Connection } from "../connection/connection.ts";
import type { UnsubscribePacket } from "../protocol/packet.ts";
import { encodeUnsuback } from "../protocol/packet-encoder.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import type { BrokerSession } from "../routing/broker-session.ts";
import { describeClient } from "./close.ts";
import type { Context } from "./context.ts";

export function handleUnsubscribe(context: Context, connection: Connection, packet: UnsubscribePacket): void {
  const session = connection.session as BrokerSession;
  const { level } = connection;
  const inUse = level === 5 && context.router.border.core.holdsInbound(session.slot, packet.packetId) !== 0;
  const removed: { readonly filter: string; readonly options: number }[] = [];
  const reasonCodes = packet.filters.map((filter, i) => {
    if (inUse) return ReasonCode.packetIdentifierInUse;
    if (packet.defects?.has(i)) return ReasonCode.topicFilterInvalid;
    const options = session.subscriptions.get(filter)?.options;
    if (options === undefined || !context.subscriptions.remove(session, filter))
      return ReasonCode.noSubscriptionExisted;
    removed.push({ filter, options });
    if (session.persistent) context.turn.batch.subscription(session, filter, undefined);
    if (context.events.has("client.unsubscribed")) {
      context.events.emit("client.unsubscribed", { ...describeClient(connection), filter });
    }
    return ReasonCode.success;
  });
  const send = (failure: number): void => {
    if (failure !== 0) {
      // The store still has them: so must we. Before 5.0 there is no way to say no.
      for (const { filter, options } of session.ended ? [] : removed)
        if (!session.subscriptions.has(filter)) context.subscriptions.add(session, filter, options);
      if (level !== 5) return;
    }
    const codes = failure === 0 ? reasonCodes : reasonCodes.map((code) => (code < 0x80 ? failure : code));
    if (connection.open)
      connection.outbox.packet(encodeUnsuback({ level, packetId: packet.packetId, reasonCodes: codes }));
  };
  // Also where nothing is left to remove: what was removed before may not be safe yet.
  if (session.persistent && context.turn.unsettled)
    context.turn.afterCommit((reason) => context.router.whenFree(() => send(reason)));
  else send(0);
}
