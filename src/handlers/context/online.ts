// What the core is told of a client that is online: once at CONNECT, and again when a trap has cost it its core.
import type { Connection } from "../../connection/connection.ts";
import {
  SLOT_ALLOW_ALL,
  SLOT_DEDUPE_QOS1,
  SLOT_NO_RETAIN,
  SLOT_PERSISTENT,
  SLOT_PROPERTY_BOUNDS,
  SLOT_QUEUED,
  SLOT_REASON_STRINGS,
  SLOT_RETAIN_UNAVAILABLE,
  SLOT_V5,
  SLOT_V31,
  SLOT_VALIDATE_UTF8,
} from "../../core/generated/abi.ts";
import type { BrokerSession } from "../../routing/turn/broker-session.ts";
import { deliveryFlags } from "../../routing/sessions/session-registry.ts";
import type { Border } from "../../core/border.ts";
import type { Context } from "./context.ts";

/** Maps the session's slot to the connection. */
export function goOnline(
  context: Context,
  connection: Connection,
  session: BrokerSession,
  allowAll: boolean,
  border = context.router.border,
): void {
  const { limits } = context;
  const { level, policy } = connection;
  const { capabilities } = policy;
  const v5 = level === 5;
  const retain = v5 ? capabilities.retain5 : capabilities.retain3;
  let flags = deliveryFlags(policy, level);
  if (v5) flags |= SLOT_V5;
  if (level === 3) flags |= SLOT_V31;
  if (session.persistent) flags |= SLOT_PERSISTENT;
  if (allowAll) flags |= SLOT_ALLOW_ALL;
  if (v5 && connection.problemInformation) flags |= SLOT_REASON_STRINGS;
  if (!retain) flags |= v5 ? SLOT_RETAIN_UNAVAILABLE : SLOT_NO_RETAIN;
  if (capabilities.dedupeQos1) flags |= SLOT_DEDUPE_QOS1;
  if (v5 && capabilities.validatePayloadFormat) flags |= SLOT_VALIDATE_UTF8;
  const { propertyBounds: bounds } = capabilities;
  if (v5 && bounds !== undefined) {
    flags |= SLOT_PROPERTY_BOUNDS;
    border.core.setPropertyBounds(
      bounds.userProperties,
      bounds.userPropertyCharacters,
      bounds.responseTopic,
      bounds.correlationData,
    );
  }
  if (session.queue.length > 0) flags |= SLOT_QUEUED;
  const { core } = border;
  // The core's own mark is from the time it was away, and what waited then may be gone.
  core.setSlotFlags(session.slot, 0, SLOT_QUEUED);
  core.goOnline(
    session.slot,
    flags,
    connection.maximumPacketSize,
    Math.min(connection.receiveMaximum, limits.sendWindow),
    Math.min(capabilities.maximumPacketSize, limits.maxPacketSize),
    v5
      ? Math.min(capabilities.receiveMaximum, limits.receiveMaximum)
      : (capabilities.unacknowledged3 ?? 65_535),
    v5 ? Math.min(capabilities.topicAliasMaximum, limits.topicAliasMaximum) : 0,
    v5 ? Math.min(connection.topicAliasMaximum, capabilities.topicAliasMaximum, limits.topicAliasMaximum) : 0,
    limits.outgoingBytes,
  );
  setRates(context, connection, session, border);
  setPace(context, connection, session, border);
  setSamples(connection, session, border);
  if (session.inbound !== undefined) for (const id of session.inbound) core.holdInbound(session.slot, id);
}

/** The core keeps the time of each. */
const MAX_RATE_OF_ALL = 1_000_000;
/** Deliveries are counted per second. */
const PACE_MS = 1_000;

/** How often the session may publish. At each CONNECT anew: its own meter goes on where the numbers are the same. */
function setRates(
  { logger }: Context,
  { rates = {} }: Connection,
  session: BrokerSession,
  border: Border,
): void {
  const { qos0, qos1, ofAll, windowMs = 1_000, beyond = 0 } = rates;
  session.meters = undefined;
  session.meterNames = undefined;
  const { core } = border;
  const set = core.setRates(
    session.slot,
    within(qos0, 65_535),
    within(qos1, 65_535),
    within(windowMs, 86_400_000),
    beyond,
    ofAll ? 1 : 0,
  );
  const setForAll =
    ofAll === undefined ? 1 : core.setRateOfAll(within(ofAll, MAX_RATE_OF_ALL), within(windowMs, 86_400_000));
  border.refresh();
  if (set === 0 || setForAll === 0)
    logger.warn({ client: session.identity.clientId }, "no memory to count its messages");
}

/** How often the session may be sent to. As above: its meters go on where the numbers are the same. */
function setPace(
  { logger }: Context,
  { deliveries = {} }: Connection,
  session: BrokerSession,
  border: Border,
): void {
  const { each, ofAll } = deliveries;
  const { core } = border;
  let set = core.setPace(session.slot, within(each, 65_535), PACE_MS, ofAll ? 1 : 0) !== 0;
  if (ofAll !== undefined) set = core.setPaceOfAll(within(ofAll, MAX_RATE_OF_ALL), PACE_MS) !== 0 && set;
  border.refresh();
  for (const levels of session.pacedFor ?? []) set = border.addPaced(session.slot, levels) && set;
  if (!set) logger.warn({ client: session.identity.clientId }, "no memory to count what it is sent");
}

/** How many of its messages a second the policy gets copies of. */
function setSamples({ samples }: Connection, session: BrokerSession, border: Border): void {
  const { core } = border;
  core.setSamples(session.slot, within(samples?.perSecond, 0xffff_ffff));
  if (samples?.ofAll !== undefined) core.setSampleLimit(within(samples.ofAll, 0xffff_ffff));
  border.refresh();
}

function within(value = 0, maximum: number): number {
  return Math.min(Math.max(Math.floor(value), 0), maximum) || 0;
}
