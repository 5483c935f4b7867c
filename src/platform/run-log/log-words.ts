// What reason codes and outcomes are in the run log: its own codes and words [LOG-1].
import { ReasonCode } from "../../protocol/reason-codes.ts";
import { LogCode } from "./entry.ts";

/** By reason code of the end of a connection. */
export const DISCONNECTED: { readonly [reason: number]: string } = {
  [ReasonCode.success]: "the device disconnected",
  [ReasonCode.disconnectWithWill]: "the device disconnected and left its Will",
  [ReasonCode.unspecifiedError]: "the connection was lost without a DISCONNECT",
  [ReasonCode.keepAliveTimeout]: "nothing came for 1.5 times Keep Alive",
  [ReasonCode.sessionTakenOver]: "kicked: another client signed in with the same certificate",
  [ReasonCode.serverShuttingDown]: "the broker was stopped",
};

/** By reason code of a PUBLISH. */
export const REFUSED: { readonly [reason: number]: { readonly status: number; readonly message: string } } = {
  [ReasonCode.notAuthorized]: { status: LogCode.topicForbidden, message: "topic authorization failed" },
  [ReasonCode.topicNameInvalid]: {
    status: LogCode.topicFormat,
    message: "the topic is too long, or too deep",
  },
  [ReasonCode.quotaExceeded]: { status: LogCode.parameters, message: "too many User Properties" }, // [V5-7]
  [ReasonCode.implementationSpecificError]: {
    status: LogCode.parameters,
    message: "a User Property, Response Topic or Correlation Data is too long or not allowed", // [V5-7] [V5-8]
  },
  [ReasonCode.payloadFormatInvalid]: { status: LogCode.payload, message: "the payload is not UTF-8" }, // [V5-12]
};

export const CONNECT_CODES: { readonly [reason: number]: number } = {
  [ReasonCode.badUserNameOrPassword]: LogCode.invalidSign,
  [ReasonCode.notAuthorized]: LogCode.invalidSign,
  [ReasonCode.banned]: LogCode.disabled,
  [ReasonCode.connectionRateExceeded]: LogCode.tooFrequent,
};

export const SUBSCRIPTION_CODES: { readonly [reason: number]: number } = {
  [ReasonCode.notAuthorized]: LogCode.subscriptionForbidden,
  [ReasonCode.topicFilterInvalid]: LogCode.topicFormat,
};

export const RRPC_CODES = {
  TIMEOUT: { status: LogCode.rrpcTimeout, message: "the device did not answer in time" },
  OFFLINE: { status: LogCode.offline, message: "the device is offline" },
  HALFCONN: { status: LogCode.connectionException, message: "the device's connection is broken" },
} as const;
