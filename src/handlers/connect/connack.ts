// CONNACK: what a client is told of the server's side of the bargain, or why there is none.
import type { ConnectAcceptance, ConnectRefusal, ConnectRequest } from "../../access/policy.ts";
import type { Connection } from "../../connection/connection.ts";
import { encodeConnack, fitReason } from "../../protocol/packet-encoder.ts";
import type { Properties } from "../../protocol/properties.ts";
import type { Context } from "../context/context.ts";

export const PROTOCOL_MAXIMUM = 268_435_455;

export function refuseConnect(context: Context, connection: Connection, refusal: ConnectRefusal): void {
  const { level, clientId } = connection;
  context.metrics.connectsRefused++;
  context.notices.info(
    "connects.refused",
    {
      client: clientId,
      address: connection.stream.info.remoteAddress,
      reason: refusal.reason,
      detail: refusal.detail ?? refusal.reasonString,
    },
    "connect refused",
  );
  context.events.emit("client.refused", {
    clientId,
    remoteAddress: connection.stream.info.remoteAddress,
    reason: refusal.reason,
  });
  connection.endReason = refusal.reason;
  if (level !== 5) {
    connection.finish(encodeConnack({ level, reasonCode: refusal.code3 }));
    return;
  }
  const properties: Properties = {};
  if (refusal.reasonString !== undefined) properties.reasonString = refusal.reasonString;
  connection.finish(
    fitReason(
      (p: { properties?: Properties }) => encodeConnack({ level, reasonCode: refusal.reason, ...p }),
      { properties },
      connection.maximumPacketSize,
    ),
  );
}

/** Keep Alive in force, s: the policy's word, else the client's within our limit, of which only 5.0 can be told. */
export function serverKeepAlive(
  context: Context,
  connection: Connection,
  request: ConnectRequest,
  accepted: ConnectAcceptance,
): number {
  if (accepted.serverKeepAlive !== undefined) return accepted.serverKeepAlive;
  const { keepAlive: limit } = context.limits;
  const { keepAlive } = request;
  if (connection.level !== 5 || limit === 65_535 || (keepAlive !== 0 && keepAlive <= limit)) return keepAlive;
  return limit;
}

/** The CONNACK of a client that is accepted. */
export function connack(
  context: Context,
  connection: Connection,
  request: ConnectRequest,
  accepted: ConnectAcceptance,
  sessionPresent: boolean,
  expiry: number,
  authData: Uint8Array | undefined,
): Uint8Array {
  const { level, policy } = connection;
  if (level !== 5)
    return encodeConnack({ level, sessionPresent: level === 4 && sessionPresent, reasonCode: 0 });
  const { capabilities } = policy;
  const { limits } = context;
  const all = capabilities.announceAll;
  const properties: Properties = {};
  if (all || expiry !== (request.properties.sessionExpiryInterval ?? 0))
    properties.sessionExpiryInterval = expiry;
  const receiveMaximum = Math.min(capabilities.receiveMaximum, limits.receiveMaximum);
  if (receiveMaximum < 65_535) properties.receiveMaximum = receiveMaximum;
  if (capabilities.maximumQos < 2) properties.maximumQos = capabilities.maximumQos;
  if (all || !capabilities.retain5) properties.retainAvailable = capabilities.retain5 ? 1 : 0;
  const packetSize = Math.min(capabilities.maximumPacketSize, limits.maxPacketSize);
  if (packetSize < PROTOCOL_MAXIMUM) properties.maximumPacketSize = packetSize;
  if (accepted.assignedClientId !== undefined)
    properties.assignedClientIdentifier = accepted.assignedClientId; // [MQTT-3.2.2-16]
  const aliases = Math.min(capabilities.topicAliasMaximum, limits.topicAliasMaximum);
  if (aliases > 0) properties.topicAliasMaximum = aliases;
  if (all || !capabilities.wildcardSubscriptions)
    properties.wildcardSubscriptionAvailable = capabilities.wildcardSubscriptions ? 1 : 0;
  if (all || !capabilities.subscriptionIdentifiers)
    properties.subscriptionIdentifiersAvailable = capabilities.subscriptionIdentifiers ? 1 : 0;
  if (all || !capabilities.sharedSubscriptions5)
    properties.sharedSubscriptionAvailable = capabilities.sharedSubscriptions5 ? 1 : 0;
  const keepAlive = serverKeepAlive(context, connection, request, accepted);
  if (keepAlive !== request.keepAlive || (all && accepted.serverKeepAlive !== undefined))
    properties.serverKeepAlive = keepAlive;
  if (request.properties.requestResponseInformation === 1) {
    context.gate.tell(() => {
      const information = policy.responseInformation?.(accepted.identity);
      if (information !== undefined) properties.responseInformation = information;
    });
  }
  if (connection.authMethod !== undefined) {
    properties.authenticationMethod = connection.authMethod;
    if (authData !== undefined) properties.authenticationData = authData;
  }
  return encodeConnack({ level, sessionPresent, reasonCode: 0, properties });
}
