// Every reason code of MQTT 5.0 (2.4) with the packets that may carry it, and what 3.1 and 3.1.1 say instead.
// Tables only; which code an error deserves is decided where the error is found.
import type { PacketName, ProtocolLevel } from "./packet-types.ts";

export const ReasonCode = {
  success: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reAuthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;

export type ReasonName = keyof typeof ReasonCode;
export type ReasonCode = (typeof ReasonCode)[ReasonName];

export interface Reason {
  readonly code: ReasonCode;
  readonly name: ReasonName;
  readonly text: string;
  readonly packets: readonly PacketName[];
}

const PUBLISHED: PacketName[] = ["puback", "pubrec"];
const RELEASED: PacketName[] = ["pubrel", "pubcomp"];
const ANSWERS: PacketName[] = ["connack", ...PUBLISHED, "suback", "unsuback", "disconnect"];
const SERVER: PacketName[] = ["connack", "disconnect"];

const table: [ReasonName, string, PacketName[]][] = [
  ["success", "success", ["connack", ...PUBLISHED, ...RELEASED, "suback", "unsuback", "disconnect", "auth"]],
  ["grantedQos1", "granted QoS 1", ["suback"]],
  ["grantedQos2", "granted QoS 2", ["suback"]],
  ["disconnectWithWill", "disconnect with Will Message", ["disconnect"]],
  ["noMatchingSubscribers", "no matching subscribers", PUBLISHED],
  ["noSubscriptionExisted", "no subscription existed", ["unsuback"]],
  ["continueAuthentication", "continue authentication", ["auth"]],
  ["reAuthenticate", "re-authenticate", ["auth"]],
  ["unspecifiedError", "unspecified error", ANSWERS],
  ["malformedPacket", "malformed packet", SERVER],
  ["protocolError", "protocol error", SERVER],
  ["implementationSpecificError", "implementation specific error", ANSWERS],
  ["unsupportedProtocolVersion", "unsupported protocol version", ["connack"]],
  ["clientIdentifierNotValid", "client identifier not valid", ["connack"]],
  ["badUserNameOrPassword", "bad user name or password", ["connack"]],
  ["notAuthorized", "not authorized", ANSWERS],
  ["serverUnavailable", "server unavailable", ["connack"]],
  ["serverBusy", "server busy", SERVER],
  ["banned", "banned", ["connack"]],
  ["serverShuttingDown", "server shutting down", ["disconnect"]],
  ["badAuthenticationMethod", "bad authentication method", SERVER],
  ["keepAliveTimeout", "keep alive timeout", ["disconnect"]],
  ["sessionTakenOver", "session taken over", ["disconnect"]],
  ["topicFilterInvalid", "topic filter invalid", ["suback", "unsuback", "disconnect"]],
  ["topicNameInvalid", "topic name invalid", ["connack", ...PUBLISHED, "disconnect"]],
  ["packetIdentifierInUse", "packet identifier in use", [...PUBLISHED, "suback", "unsuback"]],
  ["packetIdentifierNotFound", "packet identifier not found", RELEASED],
  ["receiveMaximumExceeded", "receive maximum exceeded", ["disconnect"]],
  ["topicAliasInvalid", "topic alias invalid", ["disconnect"]],
  ["packetTooLarge", "packet too large", SERVER],
  ["messageRateTooHigh", "message rate too high", ["disconnect"]],
  ["quotaExceeded", "quota exceeded", ["connack", ...PUBLISHED, "suback", "disconnect"]],
  ["administrativeAction", "administrative action", ["disconnect"]],
  ["payloadFormatInvalid", "payload format invalid", ["connack", ...PUBLISHED, "disconnect"]],
  ["retainNotSupported", "retain not supported", SERVER],
  ["qosNotSupported", "QoS not supported", SERVER],
  ["useAnotherServer", "use another server", SERVER],
  ["serverMoved", "server moved", SERVER],
  ["sharedSubscriptionsNotSupported", "shared subscriptions not supported", ["suback", "disconnect"]],
  ["connectionRateExceeded", "connection rate exceeded", SERVER],
  ["maximumConnectTime", "maximum connect time", ["disconnect"]],
  ["subscriptionIdentifiersNotSupported", "subscription identifiers not supported", ["suback", "disconnect"]],
  ["wildcardSubscriptionsNotSupported", "wildcard subscriptions not supported", ["suback", "disconnect"]],
];

export const REASONS: readonly Reason[] = table.map(([name, text, packets]) => ({
  code: ReasonCode[name],
  name,
  text,
  packets,
}));

const byCode = new Map<number, Reason>(REASONS.map((reason) => [reason.code, reason]));

/** The reason with this code, if MQTT 5.0 knows it. */
export function reasonOf(code: number): Reason | undefined {
  return byCode.get(code);
}

/** Text for logs, also for codes nobody knows. */
export function reasonText(code: number): string {
  return byCode.get(code)?.text ?? `reason code 0x${code.toString(16).padStart(2, "0")}`;
}

/** CONNACK return codes of 3.1 and 3.1.1 (3.2.2.3). */
const ReturnCode = {
  accepted: 0,
  unacceptableProtocolVersion: 1,
  identifierRejected: 2,
  serverUnavailable: 3,
  badUserNameOrPassword: 4,
  notAuthorized: 5,
} as const;

const returnCodes = new Map<number, number>([
  [ReasonCode.success, ReturnCode.accepted],
  [ReasonCode.unsupportedProtocolVersion, ReturnCode.unacceptableProtocolVersion],
  [ReasonCode.clientIdentifierNotValid, ReturnCode.identifierRejected],
  [ReasonCode.badUserNameOrPassword, ReturnCode.badUserNameOrPassword],
  [ReasonCode.notAuthorized, ReturnCode.notAuthorized],
  [ReasonCode.banned, ReturnCode.notAuthorized],
  [ReasonCode.badAuthenticationMethod, ReturnCode.notAuthorized],
  [ReasonCode.topicNameInvalid, ReturnCode.notAuthorized], // of the Will
]);

/**
 * CONNACK return code before 5.0. Return codes 1 to 5 stay what they are; a refusal 3.x has no word for becomes
 * "server unavailable". (A malformed CONNECT gets no CONNACK at all before 5.0: that is the handler's business.)
 */
export function returnCodeOf(code: number): number {
  if (code <= ReturnCode.notAuthorized) return code;
  return returnCodes.get(code) ?? ReturnCode.serverUnavailable;
}

/** Code in a SUBACK of this version: before 5.0 there is one failure, before 3.1.1 none [MQTT-3.9.3-2]. */
export function subackCodeOf(code: number, level: ProtocolLevel): number {
  if (level === 5 || code < 0x80) return code;
  return level === 4 ? 0x80 : 0;
}
