// A policy whose decisions stand in the run log: who came, went or was refused, what was subscribed, and samples of what is
// published. Decides nothing itself.
import type {
  ConnectDecision,
  ConnectRequest,
  Identity,
  Policy,
  PublishVerdict,
} from "../../access/policy.ts";
import { deviceOf, namesOf } from "../contract/device-data.ts";
import { type DeviceId, parseUserName } from "../names/user-name.ts";
import type { DeviceLog } from "./device-log.ts";
import type { RunLog } from "./run-log.ts";

export interface LoggedPolicyParts {
  readonly policy: Policy;
  readonly log: RunLog;
  readonly events: DeviceLog;
  /** Whose a topic is of those the session speaks for: a gateway subscribes for its sub-devices [GW-4]. */
  readonly speakerIn: (topic: string, own: DeviceId, sessionKey: string) => DeviceId;
}

export function loggedPolicy({ policy, log, events, ...parts }: LoggedPolicyParts): Policy {
  if (!log.enabled) return policy;
  const speakerIn = (filter: string, identity: Identity): DeviceId =>
    parts.speakerIn(filter.replace(SHARED, ""), namesOf(identity), identity.sessionKey);

  function decided(request: ConnectRequest, decision: ConnectDecision): ConnectDecision {
    if (decision.ok) return decision;
    const device = parseUserName(request.username);
    if (device !== undefined) events.refusedConnect(device, decision, request.stream.remoteAddress);
    return decision;
  }

  return {
    ...policy,
    get generation() {
      return policy.generation;
    },
    connect(request, authenticatedAs) {
      const decision = policy.connect(request, authenticatedAs);
      return decision instanceof Promise
        ? decision.then((answer) => decided(request, answer))
        : decided(request, decision);
    },
    authorizePublish(identity, topic, qos, retain) {
      const verdict = policy.authorizePublish(identity, topic, qos, retain);
      return verdict instanceof Promise ? verdict.then(sampled) : sampled(verdict);
    },
    connected(identity) {
      const { level = 4, remoteAddress, userProperties } = deviceOf(identity);
      const { clientId } = identity;
      const version = VERSIONS[level];
      // What it takes over from stands before it.
      policy.connected?.(identity);
      events.online(namesOf(identity), { remoteAddress, version, clientId }, userProperties);
    },
    disconnected(identity, reason, lastSeen, detail) {
      events.offline(namesOf(identity), reason, detail);
      policy.disconnected?.(identity, reason, lastSeen, detail);
    },
    subscribed(identity, filter, code) {
      events.subscription("subscribe", speakerIn(filter, identity), filter, code);
      policy.subscribed?.(identity, filter, code);
    },
    unsubscribed(identity, filter, code) {
      events.subscription("unsubscribe", speakerIn(filter, identity), filter, code);
      policy.unsubscribed?.(identity, filter, code);
    },
    limited(identity, meter) {
      log.throttled(meter === undefined ? namesOf(identity) : deviceOfMeter(meter));
      policy.limited?.(identity, meter);
    },
    discarded(identity, bytes) {
      events.discarded(namesOf(identity), bytes);
      policy.discarded?.(identity, bytes);
    },
    slowed(identity) {
      events.slowed(namesOf(identity));
      policy.slowed?.(identity);
    },
    unsent(identity, why, topic, size) {
      const device = topic === undefined ? namesOf(identity) : speakerIn(topic, identity);
      events.unsent(device, why, topic, size);
      policy.unsent?.(identity, why, topic, size);
    },
    skipped(identity, count) {
      log.omitted(namesOf(identity), count);
      policy.skipped?.(identity, count);
    },
  };
}

const SHARED = /^\$share\/[^/]*\//;
const VERSIONS = { 3: "3.1", 4: "3.1.1", 5: "5.0" } as const;

/** What is tapped or served is told by whoever gets it. */
function sampled(verdict: PublishVerdict): PublishVerdict {
  return verdict.tap || verdict.host ? verdict : { ...verdict, sample: true };
}

/** By the name of its meter, see meterOf() in platform-policy.ts. */
function deviceOfMeter(meter: string): DeviceId {
  const [productKey = "", deviceName = ""] = meter.split("/");
  return { productKey, deviceName };
}
