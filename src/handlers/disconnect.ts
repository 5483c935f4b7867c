// DISCONNECT of a client: a normal goodbye takes the Will with it; a new Session Expiry Interval may come along.
import type { Connection } from "../connection/connection.ts";
import type { DisconnectPacket } from "../protocol/packet.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import type { BrokerSession } from "../routing/turn/broker-session.ts";
import { detach, failConnection } from "./context/close.ts";
import type { Context } from "./context/context.ts";

export function handleDisconnect(context: Context, connection: Connection, packet: DisconnectPacket): void {
  const session = connection.session as BrokerSession;
  if (SERVER_ONLY.has(packet.reasonCode)) {
    failConnection(context, connection, ReasonCode.protocolError, "a reason code only a server may send"); // [MQTT-3.14.2-1]
    return;
  }
  const expiry = packet.properties?.sessionExpiryInterval;
  if (expiry !== undefined) {
    if (session.expiryInterval === 0 && expiry !== 0) {
      // It is too late to wish for a longer life [MQTT-3.14.2.2.2].
      failConnection(
        context,
        connection,
        ReasonCode.protocolError,
        "Session Expiry Interval was 0 at CONNECT",
      );
      return;
    }
    session.expiryInterval = Math.min(expiry, context.limits.sessionExpiry);
    if (expiry > session.expiryInterval) context.metrics.limit("capped.session_expiry");
  }
  connection.endReason = packet.reasonCode;
  connection.willCancelled = packet.reasonCode === ReasonCode.success; // [MQTT-3.14.4-3]
  detach(context, connection);
  connection.finish(undefined);
}

/** Table 3-10: codes of DISCONNECT that only a server sends. */
const SERVER_ONLY = new Set<number>([
  ReasonCode.notAuthorized,
  ReasonCode.serverBusy,
  ReasonCode.serverShuttingDown,
  ReasonCode.badAuthenticationMethod,
  ReasonCode.keepAliveTimeout,
  ReasonCode.sessionTakenOver,
  ReasonCode.topicFilterInvalid,
  ReasonCode.retainNotSupported,
  ReasonCode.qosNotSupported,
  ReasonCode.useAnotherServer,
  ReasonCode.serverMoved,
  ReasonCode.sharedSubscriptionsNotSupported,
  ReasonCode.connectionRateExceeded,
  ReasonCode.maximumConnectTime,
  ReasonCode.subscriptionIdentifiersNotSupported,
  ReasonCode.wildcardSubscriptionsNotSupported,
]);
