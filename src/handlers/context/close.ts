// Every way a connection ends, whoever wants it: DISCONNECT where the version has one, session and Will as the reason asks.
import { CLOSED, type Connection } from "../../connection/connection.ts";
import type { ClientInfo } from "../../events.ts";
import { encodeDisconnect, fitReason } from "../../protocol/packet-encoder.ts";
import type { Properties } from "../../protocol/properties.ts";
import { ReasonCode, reasonText } from "../../protocol/reason-codes.ts";
import type { Context } from "./context.ts";

export function describeClient(connection: Connection): ClientInfo {
  return {
    clientId: connection.clientId,
    username: connection.session?.identity.username,
    remoteAddress: connection.stream.info.remoteAddress,
    protocol: connection.level,
  };
}

/** The server ends the connection. 5.0 clients that are online are told why [MQTT-4.13.1-1], others just closed. */
export function closeConnection(
  context: Context,
  connection: Connection,
  reason: number,
  reasonString?: string,
): void {
  if (!connection.open) return;
  if (connection.endReason === undefined) connection.endDetail = reasonString;
  connection.endReason ??= reason;
  let bytes: Uint8Array | undefined;
  if (connection.level === 5 && connection.session !== undefined) {
    const properties: Properties = {};
    if (reasonString !== undefined && connection.problemInformation) properties.reasonString = reasonString;
    bytes = fitReason(
      (p: { properties?: Properties }) => encodeDisconnect({ level: 5, reasonCode: reason, ...p }),
      { properties },
      connection.maximumPacketSize,
    );
  }
  detach(context, connection);
  connection.finish(bytes);
}

/** Counts what ends a connection, and says so. The closing is the caller's. */
export function limitClosed(context: Context, connection: Connection, metric: string, message: string): void {
  context.metrics.limit(metric);
  context.notices.info(
    metric,
    { client: connection.clientId, address: connection.stream.info.remoteAddress },
    message,
  );
}

/** The client sent something it must not. */
export function failConnection(
  context: Context,
  connection: Connection,
  reason: number,
  detail: string,
): void {
  if (!connection.open) return;
  context.metrics.protocolErrors++;
  context.notices.info(
    "errors.protocol",
    { client: connection.clientId, address: connection.stream.info.remoteAddress, reason, detail },
    `closing: ${reasonText(reason)}`,
  );
  closeConnection(context, connection, reason, detail);
}

/** The stream is gone, for whatever reason. */
export function streamClosed(context: Context, connection: Connection, error: Error | undefined): void {
  if (error !== undefined)
    context.logger.debug({ client: connection.clientId, err: error }, "connection failed");
  if ((error as NodeJS.ErrnoException | undefined)?.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH")
    limitClosed(context, connection, "refused.websocket_payload", "closing: a WebSocket message too large");
  connection.endReason ??= ReasonCode.unspecifiedError;
  connection.state = CLOSED;
  context.metrics.bytesSent += connection.outbox.settled + connection.outbox.taken;
  context.metrics.packetsSent += connection.outbox.packets;
  context.router.whenFree(() => detach(context, connection), connection);
}

/** Parts connection and session. The Will is armed unless the client said goodbye; the session's clock starts. */
export function detach(context: Context, connection: Connection): void {
  const { session } = connection;
  if (session === undefined || session.connection !== connection) return;
  const now = Date.now();
  const { router, deliveries, sessions } = context;
  session.connection = undefined;
  router.connections[session.slot] = undefined;
  deliveries.skippedSamples.tell(session);
  router.border.core.goOffline(session.slot);
  context.retainedReplay.cancel(session);
  if (context.events.has("client.disconnected")) {
    context.events.emit("client.disconnected", {
      ...describeClient(connection),
      reason: connection.endReason ?? 0,
    });
  }
  context.gate.tell(() =>
    session.policy.disconnected?.(
      session.identity,
      connection.endReason ?? 0,
      connection.lastSeen,
      connection.endDetail,
    ),
  );
  if (connection.willCancelled) context.wills.cancel(session);
  else context.wills.arm(session, now);
  if (context.sharedMoveAtDisconnect && session.persistent) {
    deliveries.queues.takeShared(session, (message, group) => sessions.moveShared(message, group));
  }
  sessions.disconnected(session, now);
}
