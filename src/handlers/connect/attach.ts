// A client that is accepted gets its session: session, slot and CONNACK follow in one synchronous step, so that no message
// slips between them. A session that begins, or ends for good, is with the store before CONNACK says so.
import { ByteRate } from "../../connection/byte-rate.ts";
import type { ConnectAcceptance, ConnectRequest } from "../../access/policy.ts";
import { type Connection, ONLINE } from "../../connection/connection.ts";
import { LIMITS } from "../../limits.ts";
import { ReasonCode } from "../../protocol/reason-codes.ts";
import type { BrokerSession } from "../../routing/turn/broker-session.ts";
import { SessionRegistry } from "../../routing/sessions/session-registry.ts";
import { NEVER } from "../../session/session.ts";
import { closeConnection, describeClient, limitClosed } from "../context/close.ts";
import { connack, refuseConnect, serverKeepAlive } from "./connack.ts";
import type { Context } from "../context/context.ts";
import { hold } from "../context/hold.ts";
import { goOnline } from "../context/online.ts";
import { reviewSubscriptions } from "../subscribe/review.ts";

/** B/s. With less, one chunk would stop a connection for minutes. */
const LEAST_BANDWIDTH = 1_024;

/** Everything is decided: session, slot, CONNACK, and what waited for this client. */
export function attach(
  context: Context,
  connection: Connection,
  request: ConnectRequest,
  accepted: ConnectAcceptance,
  will: ConnectRequest["will"],
  authData: Uint8Array | undefined,
  begun?: BrokerSession,
  resumed?: BrokerSession,
): void {
  const { sessions, router, limits } = context;
  const { policy, level } = connection;
  const { identity } = accepted;
  const key = SessionRegistry.keyOf(policy, identity);
  const asked =
    level === 5 ? (request.properties.sessionExpiryInterval ?? 0) : request.cleanStart ? 0 : NEVER;
  const expiry = Math.min(asked, limits.sessionExpiry, accepted.maxSessionExpiry ?? NEVER);
  // One that waited for the store was in time when it came.
  const clean = request.cleanStart || (resumed === undefined && sessions.isOverdue(key, Date.now()));
  const begins = expiry > 0 && (clean || (sessions.find(key)?.expiryInterval ?? 0) === 0);
  const lack = begun === undefined && resumed === undefined ? lackFor(context, will, begins) : undefined;
  if (lack !== undefined) {
    refuseForWantOf(context, connection, lack);
    return;
  }
  const older = sessions.attaching.get(key);
  sessions.attaching.delete(key);
  // It asked before: what it waits to do must not be done to the session of its successor [MQTT-3.1.4-3].
  if (older !== undefined && older !== connection)
    closeConnection(context, older, ReasonCode.sessionTakenOver, "Session taken over");
  const absent = sessions.find(key) === undefined;
  if (begun === undefined && resumed === undefined) context.gate.tell(() => policy.arriving?.(identity));
  let session = sessions.find(key);
  // Put there by that, and not with the store yet.
  const handed = absent && session !== undefined;
  const taken = session?.connection !== undefined;
  if (session?.connection !== undefined) takeOver(context, session);
  session = sessions.find(key);
  let ended = false;
  const known = session !== begun || taken;
  if (session !== undefined && known && clean) {
    ended = session.storeId !== 0;
    sessions.end(session); // [MQTT-3.1.2-4]
    session = undefined;
  }
  // Ended before, perhaps not safely: its client must not be told that it is gone before it is.
  if (session === undefined && sessions.unsafeEnds.tellAgain(key)) ended = true;
  const present = session !== undefined && known;
  // A session begins, or ends for good, before its client is told so: a crash must not undo what CONNACK has said.
  const beginning =
    session === undefined && expiry > 0 ? sessions.open(key, identity, policy, level) : undefined;
  if (beginning !== undefined || (ended && expiry === 0)) {
    sessions.attaching.set(key, connection);
    beginDurably(context, connection, key, beginning, expiry, (safe) => {
      if (safe) attach(context, connection, request, accepted, will, authData, beginning);
      else refuseConnect(context, connection, { ok: false, code3: 3, reason: ReasonCode.unspecifiedError });
    });
    return;
  }
  // It is back before its end, or its Will's time: a crash must not end it after all, nor send the Will.
  if (
    session !== undefined &&
    present &&
    !taken &&
    session !== resumed &&
    (handed || sessions.mayEnd(session))
  ) {
    const kept = session;
    sessions.attaching.set(key, connection);
    resumeDurably(context, connection, key, kept, () =>
      attach(context, connection, request, accepted, will, authData, begun, kept),
    );
    return;
  }
  session ??= sessions.open(key, identity, policy, level);
  if (session === undefined) {
    refuseForWantOf(context, connection, "Too many sessions");
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
  context.wills.set(session, will);
  sessions.resumed(session);
  if (expiry > 0) session.inbound ??= new Set();
  connection.session = session;
  connection.slot = session.slot;
  connection.clientId = identity.clientId;
  connection.rates = accepted.rates;
  connection.deliveries = accepted.deliveries;
  connection.samples = accepted.samples;
  const { bytesPerSecond = 0 } = accepted;
  connection.bandwidth =
    bytesPerSecond > 0 ? new ByteRate(Math.max(bytesPerSecond, LEAST_BANDWIDTH)) : undefined;
  router.connections[session.slot] = connection;
  if (known && (expiry > 0 || wasKept)) sessions.record(session);
  reviewGrants(context, session, present, sameUser);
  const keepAlive = serverKeepAlive(context, connection, request, accepted);
  if (accepted.serverKeepAlive === undefined && keepAlive !== request.keepAlive)
    context.metrics.limit("capped.keep_alive");
  connection.keepAliveMs = keepAlive * 1500; // [CONN-6]
  // What was decided under grants that are gone by now holds for no topic.
  const current = policy.generation === connection.decidedAt;
  goOnline(context, connection, session, current && accepted.allowAllPublish === true);
  connection.state = ONLINE;
  connection.outbox.greeting(connack(context, connection, request, accepted, present, expiry, authData));
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

/** What there is not enough of for this client, in words. `begins`: it wants a session that is kept and not there. */
function lackFor(context: Context, will: ConnectRequest["will"], begins: boolean): string | undefined {
  if (will !== undefined && !context.wills.admits(will)) return "The broker is short of memory";
  // One that begins in vain must be struck off, as all those before it, when the store can write again.
  if (!begins || context.turn.pendingRemovalBytes < context.limits.pendingRemovalBytes) return undefined;
  context.metrics.limit(LIMITS.pendingRemovalBytes.metric);
  return "The store cannot write";
}

function refuseForWantOf(context: Context, connection: Connection, reasonString: string): void {
  refuseConnect(context, connection, {
    ok: false,
    code3: 3,
    reason: ReasonCode.quotaExceeded,
    reasonString,
  });
}

/** Waits until the store has the new session, which has no connection yet, and no longer the one before it. */
function beginDurably(
  context: Context,
  connection: Connection,
  key: string,
  session: BrokerSession | undefined,
  expiry: number,
  then: (safe: boolean) => void,
): void {
  const { sessions } = context;
  if (session !== undefined) {
    session.level = connection.level;
    session.expiryInterval = expiry;
    sessions.begin(session, Date.now());
  }
  holdForCommit(context, connection, key, (safe) => {
    if (!safe && session !== undefined && session.connection === undefined) sessions.end(session, false);
    then(safe);
  });
}

/**
 * Waits until the store knows that the session is in use again. Where it cannot write the client gets its session all the same:
 * it would lose it for certain otherwise, and not only if the broker should be killed before it can.
 */
function resumeDurably(
  context: Context,
  connection: Connection,
  key: string,
  session: BrokerSession,
  then: () => void,
): void {
  context.wills.cancel(session); // in time: the Will is not sent [MQTT-3.1.3-9]
  context.sessions.resuming(session);
  holdForCommit(context, connection, key, then);
}

/** The connection waits for this turn's commit; it is not waited for any more where it has closed meanwhile. */
function holdForCommit(
  context: Context,
  connection: Connection,
  key: string,
  then: (safe: boolean) => void,
): void {
  const { sessions, turn } = context;
  const committed = new Promise<boolean>((resolve) => turn.afterCommit((reason) => resolve(reason === 0)));
  hold(context, connection, committed, false, then);
  const forget = (): void => {
    if (!connection.open && sessions.attaching.get(key) === connection) sessions.attaching.delete(key);
  };
  void committed.then(() => context.router.whenFree(forget));
}

/** A second connection of the same client: the first one goes [MQTT-3.1.4-3]. */
function takeOver(context: Context, session: BrokerSession): void {
  const old = session.connection as Connection;
  limitClosed(context, old, "closed.taken_over", "session taken over");
  closeConnection(context, old, ReasonCode.sessionTakenOver, "Session taken over");
}

/** A resumed session: another user has his own rights, and those of its own may have changed while it was away. */
function reviewGrants(context: Context, session: BrokerSession, present: boolean, sameUser: boolean): void {
  const version = context.gate.grantsVersion(session.policy, session.identity);
  if (!present) session.reviewed = version;
  // A policy that must think first grants a stranger nothing meanwhile.
  else if (!sameUser) reviewSubscriptions(context, session, "end");
  else if (session.reviewed !== version) reviewSubscriptions(context, session, "keep");
}
