// AUTH: the next step of an exchange that CONNECT began, or a re-authentication [MQTT-4.12.1-1].
import { AUTHENTICATING, type Connection } from "../../connection/connection.ts";
import type { AuthPacket } from "../../protocol/packet.ts";
import { ReasonCode } from "../../protocol/reason-codes.ts";
import { reauthenticate, stepExchange } from "./auth-exchange.ts";
import { failConnection } from "../context/close.ts";
import type { Context } from "../context/context.ts";

export function handleAuth(context: Context, connection: Connection, packet: AuthPacket): void {
  const properties = packet.properties ?? {};
  if (connection.authMethod === undefined) {
    failConnection(
      context,
      connection,
      connection.policy.capabilities.enhancedAuthentication === false
        ? ReasonCode.badAuthenticationMethod // [NET-4]
        : ReasonCode.protocolError,
      "AUTH without an Authentication Method in CONNECT",
    );
    return;
  }
  if (properties.authenticationMethod !== connection.authMethod) {
    failConnection(
      context,
      connection,
      ReasonCode.protocolError,
      "another Authentication Method than in CONNECT",
    ); // [MQTT-4.12.0-5]
    return;
  }
  const known =
    packet.reasonCode === ReasonCode.reAuthenticate && connection.state !== AUTHENTICATING
      ? reauthenticate(context, connection, properties.authenticationData)
      : packet.reasonCode === ReasonCode.continueAuthentication &&
        stepExchange(context, connection, properties.authenticationData);
  if (!known) failConnection(context, connection, ReasonCode.protocolError, "no exchange is going on");
}
