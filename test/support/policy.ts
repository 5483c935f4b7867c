// A policy that lets everybody do everything, for tests that change one thing about it.
import type { Capabilities, ConnectAcceptance, ConnectRequest, Policy } from "../../src/access/policy.ts";

export const OPEN_CAPABILITIES: Capabilities = {
  maximumQos: 2,
  retain3: true,
  retain5: true,
  wildcardSubscriptions: true,
  subscriptionIdentifiers: true,
  sharedSubscriptions3: true,
  sharedSubscriptions5: true,
  publisherQos3: false,
  publisherQos5: false,
  dedupeQos1: false,
  receiveMaximum: 1_000,
  topicAliasMaximum: 32,
  maximumPacketSize: 268_435_455,
  announceAll: false,
  discardOversize3: false,
  mqtt5: true,
  queueOverflow: "newest",
  maxQueueAge: undefined,
  validatePayloadFormat: false,
};

export interface OpenPolicyOptions {
  readonly capabilities?: Partial<Capabilities>;
  readonly accept?: Partial<ConnectAcceptance>;
  readonly override?: Partial<Policy>;
}

let assigned = 0;

export function openPolicy(options: OpenPolicyOptions = {}): Policy {
  return {
    name: "open",
    namespace: "open",
    capabilities: { ...OPEN_CAPABILITIES, ...options.capabilities },
    generation: 1,
    connect(request: ConnectRequest, authenticatedAs?: string): ConnectAcceptance {
      let clientId = request.clientId;
      if (clientId === "") {
        assigned += 1;
        clientId = `assigned-${assigned}`;
      }
      return {
        ok: true,
        identity: { clientId, username: authenticatedAs ?? request.username, sessionKey: clientId },
        ...(request.clientId === "" ? { assignedClientId: clientId } : {}),
        ...options.accept,
      };
    },
    authorizePublish: () => ({ allow: true }),
    authorizeSubscribe: (_identity, request) => request.qos,
    authorizeDelivery: () => true,
    ...options.override,
  };
}
