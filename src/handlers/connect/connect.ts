// CONNECT: who is it, may he, and may his Will be left behind? Decisions come from the policy, waiting for them if need be;
// what follows an acceptance stands in attach.ts.
import { settle } from "../../access/settle.ts";
import type {
  ConnectAcceptance,
  ConnectDecision,
  ConnectRefusal,
  ConnectRequest,
} from "../../access/policy.ts";
import { CONNECTING, type Connection } from "../../connection/connection.ts";
import type { ConnectPacket } from "../../protocol/packet.ts";
import { ReasonCode, reasonText } from "../../protocol/reason-codes.ts";
import { attach } from "./attach.ts";
import { beginExchange } from "./auth-exchange.ts";
import { PROTOCOL_MAXIMUM, refuseConnect } from "./connack.ts";
import type { Context } from "../context/context.ts";
import { whenDecided } from "../context/hold.ts";

export function handleConnect(context: Context, connection: Connection, packet: ConnectPacket): void {
  const { policy } = connection;
  const properties = packet.properties ?? {};
  connection.level = packet.level;
  connection.clientId = packet.clientId;
  connection.state = CONNECTING;
  if (packet.level === 5) {
    if (!policy.capabilities.mqtt5) {
      refuseConnect(context, connection, {
        ok: false,
        code3: 1,
        reason: ReasonCode.unsupportedProtocolVersion,
      });
      return;
    }
    connection.maximumPacketSize = properties.maximumPacketSize ?? PROTOCOL_MAXIMUM;
    connection.receiveMaximum = Math.min(
      properties.receiveMaximum ?? 65_535,
      policy.capabilities.sendWindow5 ?? 65_535, // [V5-16]
    );
    connection.topicAliasMaximum = properties.topicAliasMaximum ?? 0;
    connection.problemInformation = properties.requestProblemInformation !== 0;
  }
  const request: ConnectRequest = {
    level: packet.level,
    clientId: packet.clientId,
    username: packet.username,
    password: packet.password,
    cleanStart: packet.cleanStart,
    keepAlive: packet.keepAlive,
    properties,
    will: packet.will && { ...packet.will, properties: packet.will.properties ?? {} },
    stream: connection.stream.info,
  };
  if (properties.authenticationMethod !== undefined) {
    const { authenticationMethod: method, authenticationData: data } = properties;
    beginExchange(context, connection, request, method, data, (username, last) =>
      decide(context, connection, request, username, last),
    );
    return;
  }
  decide(context, connection, request, undefined, undefined);
}

function decide(
  context: Context,
  connection: Connection,
  request: ConnectRequest,
  authenticatedAs: string | undefined,
  authData: Uint8Array | undefined,
): void {
  const refusal: ConnectRefusal = { ok: false, code3: 3, reason: ReasonCode.unspecifiedError };
  let decision: ConnectDecision | Promise<ConnectDecision>;
  connection.decidedAt = connection.policy.generation;
  try {
    decision = settle(connection.policy.connect(request, authenticatedAs));
  } catch (error) {
    context.gate.failed(error);
    decision = refusal;
  }
  whenDecided(context, connection, decision, refusal, (result) => {
    if (result.ok) checkWill(context, connection, request, result, authData);
    else refuseConnect(context, connection, result);
  });
}

/** The Will is a message like any other: what its client may not publish, it may not leave behind. */
function checkWill(
  context: Context,
  connection: Connection,
  request: ConnectRequest,
  accepted: ConnectAcceptance,
  authData: Uint8Array | undefined,
): void {
  const { policy } = connection;
  const { capabilities } = policy;
  const { will } = request;
  if (will === undefined || accepted.keepWill === false) {
    attach(context, connection, request, accepted, undefined, authData);
    return;
  }
  const no = (reason: number, reasonString: string): void =>
    refuseConnect(context, connection, { ok: false, code3: 5, reason, reasonString });
  if (will.qos > capabilities.maximumQos) {
    // [MQTT-3.2.2-12]
    no(
      ReasonCode.qosNotSupported,
      `Will QoS ${will.qos} is above the Maximum QoS ${capabilities.maximumQos}`,
    );
    return;
  }
  if (will.retain && request.level === 5 && !capabilities.retain5) {
    no(ReasonCode.retainNotSupported, "Will Retain: RETAIN is not available"); // [MQTT-3.2.2-13]
    return;
  }
  const verdict = context.gate.mayPublish(policy, accepted.identity, will.topic, will.qos, will.retain);
  whenDecided(context, connection, verdict, { allow: false }, (answer) => {
    if (answer.allow) attach(context, connection, request, accepted, will, authData);
    else {
      const { reason = ReasonCode.notAuthorized } = answer;
      no(reason, `Will Topic: ${answer.reasonString ?? reasonText(reason)}`);
    }
  });
}
