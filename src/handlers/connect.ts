// CONNECT: who is it, may he, which session is his. Decisions come from the policy, waiting for them if need be; then
// session, slot and CONNACK follow in one synchronous step, so that no message slips between them.
import type {
  AuthExchange,
  AuthStep,
  ConnectAcceptance,
  ConnectDecision,
  ConnectRefusal,
  ConnectRequest,
} from "../access/policy.ts";
import { AUTHENTICATING, CONNECTING, type Connection, ONLINE } from "../connection/connection.ts";
import {
  SLOT_ALLOW_ALL,
  SLOT_DEDUPE_QOS1,
  SLOT_MAX_QOS1,
  SLOT_NO_RETAIN,
  SLOT_PERSISTENT,
  SLOT_PUBLISHER_QOS,
  SLOT_QUEUED,
  SLOT_REASON_STRINGS,
  SLOT_RETAIN_UNAVAILABLE,
  SLOT_V5,
  SLOT_V31,
  SLOT_VALIDATE_UTF8,
} from "../core/generated/abi.ts";
import type { ConnectPacket } from "../protocol/packet.ts";
import { encodeAuth, encodeConnack, fitReason } from "../protocol/packet-encoder.ts";
import type { Properties } from "../protocol/properties.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import type { BrokerSession } from "../routing/broker-session.ts";
import { SessionRegistry } from "../routing/session-registry.ts";
import { NEVER } from "../session/session.ts";
import { closeConnection, describeClient } from "./close.ts";
import type { Context } from "./context.ts";
import { hold } from "./hold.ts";
import { reviewSubscriptions } from "./review.ts";

const PROTOCOL_MAXIMUM = 268_435_455;

export function handleConnect(context: Context, connection: Connection, packet: ConnectPacket): void {
  const { policy } = connection;
  const properties = packet.properties ?? {};
  connection.level = packet.level;
  connection.clientId = packet.clientId;
  connection.state = CONNECTING;
  if (packet.level === 5) {
    if (!policy.capabilities.mqtt5) {
      refuse(context, connection, { ok: false, code3: 1, reason: ReasonCode.unsupportedProtocolVersion });
      return;
    }
    connection.maximumPacketSize = properties.maximumPacketSize ?? PROTOCOL_MAXIMUM;
    connection.receiveMaximum = properties.receiveMaximum ?? 65_535;
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
    beginExchange(
      context,
      connection,
      request,
      properties.authenticationMethod,
      properties.authenticationData,
    );
    return;
  }
  decide(context, connection, request, undefined, undefined);
}

interface Running {
  /** undefined: it is over, and a new one may be begun. */
  exchange: AuthExchange | undefined;
  readonly request: ConnectRequest;
  readonly initial: boolean;
}

/** Exchanges by connection: before CONNACK, and re-authentication after it. */
const exchanges = new WeakMap<Connection, Running>();

/** What the policy has for the method; one that throws has nothing. */
function exchangeFor(
  context: Context,
  connection: Connection,
  request: ConnectRequest,
  method: string,
): AuthExchange | undefined {
  try {
    return connection.policy.authenticate?.(method, request);
  } catch (error) {
    context.gate.failed(error);
    return undefined;
  }
}

function beginExchange(
  context: Context,
  connection: Connection,
  request: ConnectRequest,
  method: string,
  data: Uint8Array | undefined,
): void {
  const exchange = exchangeFor(context, connection, request, method);
  if (exchange === undefined) {
    refuse(context, connection, { ok: false, code3: 5, reason: ReasonCode.badAuthenticationMethod }); // [MQTT-4.12.0-1]
    return;
  }
  connection.authMethod = method;
  exchanges.set(connection, { exchange, request, initial: true });
  stepExchange(context, connection, data);
}

/** Starts re-authentication of a client that is online. False: there is no exchange to speak of. */
export function reauthenticate(
  context: Context,
  connection: Connection,
  data: Uint8Array | undefined,
): boolean {
  const known = exchanges.get(connection);
  if (known === undefined || connection.authMethod === undefined) return false;
  const exchange = exchangeFor(context, connection, known.request, connection.authMethod);
  if (exchange === undefined) return false;
  exchanges.set(connection, { exchange, request: known.request, initial: false });
  stepExchange(context, connection, data);
  return true;
}

export function stepExchange(
  context: Context,
  connection: Connection,
  data: Uint8Array | undefined,
): boolean {
  const running = exchanges.get(connection);
  if (running?.exchange === undefined) return false;
  let step: AuthStep | Promise<AuthStep>;
  try {
    step = running.exchange.step(data);
  } catch (error) {
    context.gate.failed(error);
    step = { state: "refused", reason: ReasonCode.notAuthorized };
  }
  whenDecided(
    context,
    connection,
    step,
    { state: "refused", reason: ReasonCode.notAuthorized } as AuthStep,
    (result) => endStep(context, connection, running, result),
  );
  return true;
}

function endStep(context: Context, connection: Connection, running: Running, step: AuthStep): void {
  const method = connection.authMethod as string;
  switch (step.state) {
    case "continue":
      if (running.initial) connection.state = AUTHENTICATING;
      connection.outbox.send(
        encodeAuth({
          reasonCode: ReasonCode.continueAuthentication,
          properties: { ...step.properties, authenticationMethod: method, authenticationData: step.data },
        }),
      );
      return;
    case "success":
      running.exchange = undefined;
      if (running.initial) {
        connection.state = CONNECTING;
        decide(context, connection, running.request, step.username, step.data);
      } else {
        connection.outbox.send(
          encodeAuth({
            reasonCode: ReasonCode.success,
            properties: { authenticationMethod: method, authenticationData: step.data },
          }),
        );
      }
      return;
    case "refused":
      if (running.initial) {
        refuse(context, connection, {
          ok: false,
          code3: 5,
          reason: step.reason,
          reasonString: step.reasonString,
        });
      } else
        closeConnection(context, connection, step.reason, step.reasonString ?? "Re-authentication failed");
  }
}

/** Runs `then` with the answer, now or later; input waits meanwhile. */
function whenDecided<T>(
  context: Context,
  connection: Connection,
  answer: T | Promise<T>,
  refusal: T,
  then: (value: T) => void,
): void {
  if (answer instanceof Promise) hold(context, connection, answer, refusal, then);
  else then(answer);
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
  try {
    decision = connection.policy.connect(request, authenticatedAs);
  } catch (error) {
    context.gate.failed(error);
    decision = refusal;
  }
  whenDecided(context, connection, decision, refusal, (result) => {
    if (result.ok) checkWill(context, connection, request, result, authData);
    else refuse(context, connection, result);
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
  const no = (reason: number): void =>
    refuse(context, connection, { ok: false, code3: 5, reason, reasonString: "Will refused" });
  if (will.qos > capabilities.maximumQos) {
    no(ReasonCode.qosNotSupported); // [MQTT-3.2.2-12]
    return;
  }
  if (will.retain && request.level === 5 && !capabilities.retain5) {
    no(ReasonCode.retainNotSupported); // [MQTT-3.2.2-13]
    return;
  }
  const verdict = context.gate.mayPublish(policy, accepted.identity, will.topic, will.qos, will.retain);
  whenDecided(context, connection, verdict, { allow: false }, (answer) => {
    if (answer.allow) attach(context, connection, request, accepted, will, authData);
    else no(answer.reason ?? ReasonCode.notAuthorized);
  });
}

function refuse(context: Context, connection: Connection, refusal: ConnectRefusal): void {
  const { level, clientId } = connection;
  context.metrics.connectsRefused++;
  context.logger.info(
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

/** Everything is decided: session, slot, CONNACK, and what waited for this client. */
function attach(
  context: Context,
  connection: Connection,
  request: ConnectRequest,
  accepted: ConnectAcceptance,
  will: ConnectRequest["will"],
  authData: Uint8Array | undefined,
  begun?: BrokerSession,
): void {
  const { sessions, router, limits } = context;
  const { policy, level } = connection;
  const { identity } = accepted;
  const key = SessionRegistry.keyOf(policy, identity);
  let session = sessions.find(key);
  const taken = session?.connection !== undefined;
  if (session?.connection !== undefined) takeOver(context, session);
  session = sessions.find(key);
  let ended = false;
  const known = session !== begun || taken;
  if (session !== undefined && known && request.cleanStart) {
    ended = session.storeId !== 0;
    sessions.end(session); // [MQTT-3.1.2-4]
    session = undefined;
  }
  const present = session !== undefined && known;
  const asked =
    level === 5 ? (request.properties.sessionExpiryInterval ?? 0) : request.cleanStart ? 0 : NEVER;
  const expiry = Math.min(asked, limits.sessionExpiry);
  // A session begins, or ends for good, before its client is told so: a crash must not undo what CONNACK has said.
  const begins = session === undefined && expiry > 0 ? sessions.open(key, identity, policy) : undefined;
  if (begins !== undefined || (ended && expiry === 0)) {
    beginDurably(context, connection, begins, expiry, (safe) => {
      if (safe) attach(context, connection, request, accepted, will, authData, begins);
      else refuse(context, connection, { ok: false, code3: 3, reason: ReasonCode.unspecifiedError });
    });
    return;
  }
  session ??= sessions.open(key, identity, policy);
  if (session === undefined) {
    refuse(context, connection, {
      ok: false,
      code3: 3,
      reason: ReasonCode.quotaExceeded,
      reasonString: "Too many sessions",
    });
    return;
  }
  if (asked > expiry) context.metrics.limit("capped.session_expiry");
  if (present) context.wills.cancel(session); // in time: the Will is not sent [MQTT-3.1.3-9]
  const wasKept = session.storeId !== 0;
  const sameUser = present && session.identity.username === identity.username;
  session.identity = identity;
  session.policy = policy;
  session.level = level;
  session.expiryInterval = expiry;
  session.connection = connection;
  session.will = will;
  sessions.resumed(session);
  if (expiry > 0) session.inbound ??= new Set();
  connection.session = session;
  connection.slot = session.slot;
  connection.clientId = identity.clientId;
  router.connections[session.slot] = connection;
  if (known && (expiry > 0 || wasKept)) sessions.record(session);
  if (present && !sameUser) reviewSubscriptions(context, session);
  const keepAlive = serverKeepAlive(context, connection, request, accepted);
  if (accepted.serverKeepAlive === undefined && keepAlive !== request.keepAlive)
    context.metrics.limit("capped.keep_alive");
  connection.keepAliveMs = keepAlive * 1500;
  goOnline(context, connection, session, accepted.allowAllPublish === true);
  connection.state = ONLINE;
  connection.outbox.send(connack(context, connection, request, accepted, present, expiry, authData));
  context.metrics.connectionsAccepted++;
  if (context.events.has("client.connected")) {
    context.events.emit("client.connected", { ...describeClient(connection), sessionPresent: present });
  }
  context.gate.tell(() => policy.connected?.(identity));
  if (session.queue.length > 0) {
    // What was in flight goes out again in its order, then what waited [MQTT-4.4.0-1], [MQTT-4.6.0-1].
    session.queue.sent = session.queue.head;
    context.deliveries.pump.send(session);
  }
}

/** Waits until the store has the new session, which has no connection yet, and no longer the one before it. */
function beginDurably(
  context: Context,
  connection: Connection,
  session: BrokerSession | undefined,
  expiry: number,
  then: (safe: boolean) => void,
): void {
  const { sessions, turn } = context;
  if (session !== undefined) {
    session.level = connection.level;
    session.expiryInterval = expiry;
    sessions.begin(session, Date.now());
  }
  const committed = new Promise<boolean>((resolve) => turn.afterCommit((reason) => resolve(reason === 0)));
  hold(context, connection, committed, false, (safe) => {
    if (!safe && session !== undefined && session.connection === undefined) sessions.end(session);
    then(safe);
  });
}

/** A second connection of the same client: the first one goes [MQTT-3.1.4-3]. */
function takeOver(context: Context, session: BrokerSession): void {
  const old = session.connection as Connection;
  context.logger.info({ client: old.clientId, address: old.stream.info.remoteAddress }, "session taken over");
  closeConnection(context, old, ReasonCode.sessionTakenOver, "Session taken over");
}

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
  let flags = 0;
  if (v5) flags |= SLOT_V5;
  if (level === 3) flags |= SLOT_V31;
  if (session.persistent) flags |= SLOT_PERSISTENT;
  if (allowAll) flags |= SLOT_ALLOW_ALL;
  if (v5 ? capabilities.publisherQos5 : capabilities.publisherQos3) flags |= SLOT_PUBLISHER_QOS;
  if (v5 && connection.problemInformation) flags |= SLOT_REASON_STRINGS;
  if (!retain) flags |= v5 ? SLOT_RETAIN_UNAVAILABLE : SLOT_NO_RETAIN;
  if (capabilities.maximumQos < 2) flags |= SLOT_MAX_QOS1;
  if (capabilities.dedupeQos1) flags |= SLOT_DEDUPE_QOS1;
  if (v5 && capabilities.validatePayloadFormat) flags |= SLOT_VALIDATE_UTF8;
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
    v5 ? Math.min(capabilities.receiveMaximum, limits.receiveMaximum) : 65_535,
    v5 ? Math.min(capabilities.topicAliasMaximum, limits.topicAliasMaximum) : 0,
    v5 ? Math.min(connection.topicAliasMaximum, limits.topicAliasMaximum) : 0,
    limits.outgoingBytes,
  );
  if (session.inbound !== undefined) for (const id of session.inbound) core.holdInbound(session.slot, id);
}

/** Keep Alive in force, s: the policy's word, else the client's within our limit, of which only 5.0 can be told. */
function serverKeepAlive(
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

function connack(
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
