// The broker as the platform's services see it: sessions by key, messages to one of them, the end of a connection. Decides
// nothing; what leaves passes the gate and the delivery path of every message.
import type { Identity } from "./access/policy.ts";
import type { Connection } from "./connection/connection.ts";
import { NO_SLOT, OPT_QOS_MASK } from "./core/generated/abi.ts";
import { closeConnection } from "./handlers/context/close.ts";
import type { Context } from "./handlers/context/context.ts";
import { subscribeFor } from "./handlers/subscribe/server-subscribe.ts";
import { unsubscribeFor } from "./handlers/subscribe/server-unsubscribe.ts";
import { messageTopic } from "./core/message-view.ts";
import type { HeldSubscription, HostConnection, PlatformHost } from "./platform/contract/host.ts";
import type { PushMessage, PushOutcome } from "./platform/contract/service.ts";
import type { BrokerSession } from "./routing/turn/broker-session.ts";
import type { Told } from "./routing/delivery/injections.ts";
import { canonicalMessage, type Message } from "./routing/messages/message.ts";
import { flagged, type ServerPublishOptions } from "./routing/delivery/server-publish.ts";
import { SessionParking } from "./routing/sessions/session-parking.ts";

type ServerPublish = (message: Message, options: ServerPublishOptions) => Promise<Told>;

export class BrokerHost implements PlatformHost {
  readonly #context: Context;
  readonly #namespace: string;
  readonly #parking: SessionParking;
  readonly #publish: ServerPublish;

  constructor(context: Context, namespace: string, publish: ServerPublish) {
    this.#context = context;
    this.#parking = new SessionParking(context);
    this.#namespace = namespace;
    this.#publish = publish;
  }

  publish(message: PushMessage & { readonly retain?: boolean }): Promise<Told> {
    return this.#publish(complete(message), { unmetered: message.broadcast });
  }

  push(sessionKey: string, message: PushMessage, implied: boolean): Promise<PushOutcome> {
    const { router, turn } = this.#context;
    return new Promise((resolve, reject) => {
      router.whenFree(() => {
        let outcome: PushOutcome;
        try {
          outcome = this.#deliver(sessionKey, message, implied);
        } catch (error) {
          reject(error);
          return;
        }
        const safe = message.qos === 1 && (outcome === "sent" || outcome === "queued");
        if (!safe) resolve(outcome);
        else
          turn.afterCommit((reason) =>
            reason === 0 ? resolve(outcome) : reject(new Error("the store failed; see the log")),
          );
      });
    });
  }

  #deliver(sessionKey: string, message: PushMessage, implied: boolean): PushOutcome {
    const { router, gate, limits } = this.#context;
    const session = this.#session(sessionKey);
    if (session === undefined) return "offline";
    const { connection } = session;
    if (connection === undefined && (message.qos ?? 0) === 0) return "offline";
    const qos = message.qos ?? 0;
    if (qos === 0 && connection !== undefined && connection.outbox.pending >= limits.outgoingBytes)
      return "busy";
    if (!gate.mayReceive(session.policy, session.identity, message.topic)) return "unsubscribed";
    // Nobody who is away is told what he did not subscribe to.
    const canonical = canonicalMessage(complete(message), NO_SLOT, Date.now());
    const marked = flagged(canonical, message.broadcast === true, true);
    const told = router.injections.tell(marked, session.slot, implied && connection !== undefined);
    return told.receivers === 0 ? "unsubscribed" : outcomeOf(told, qos);
  }

  paceFor(sessionKey: string, names: string, own: boolean): void {
    const { router } = this.#context;
    router.whenFree(() => {
      const session = this.#session(sessionKey);
      if (session === undefined) return;
      if (own) {
        session.pacedFor ??= new Set();
        session.pacedFor.add(names);
        // Without memory its messages count for the session itself.
        router.border.addPaced(session.slot, names);
      } else if (session.pacedFor?.delete(names)) router.border.removePaced(session.slot, names);
    });
  }

  connectionOf(sessionKey: string): HostConnection | undefined {
    const connection = this.#session(sessionKey)?.connection;
    return connection === undefined ? undefined : describe(connection);
  }

  disconnect(sessionKey: string, reason: number, reasonString: string): boolean {
    const connection = this.#session(sessionKey)?.connection;
    if (connection === undefined) return false;
    this.#context.router.whenFree(() => closeConnection(this.#context, connection, reason, reasonString));
    return true;
  }

  park(sessionKey: string, ownerOf: (topic: string) => Identity | undefined): void {
    this.#context.router.whenFree(() => {
      const session = this.#session(sessionKey);
      if (session !== undefined) this.#parking.park(session, ownerOf);
    });
  }

  unpark(parkedKey: string, sessionKey: string, clean: boolean): void {
    this.#context.router.whenFree(() => {
      const session = this.#session(sessionKey);
      if (session !== undefined) this.#parking.unpark(parkedKey, session, clean);
    });
  }

  endSession(sessionKey: string): void {
    const { router, sessions } = this.#context;
    router.whenFree(() => {
      const session = this.#session(sessionKey);
      if (session !== undefined && session.connection === undefined) sessions.end(session);
    });
  }

  forgetRetained(filters: readonly string[]): void {
    const { router, deliveries } = this.#context;
    router.whenFree(() => {
      const { retained } = deliveries;
      for (const filter of filters)
        for (const view of [...retained.match("", filter, Date.now())])
          if (view !== undefined) retained.clear(messageTopic(view));
    });
  }

  grantsChanged(): void {
    this.#context.grants.begin(this.#context);
  }

  interestChanged(): void {
    const { router } = this.#context;
    router.whenFree(() => router.border.core.forgetVerdicts());
  }

  subscribe(
    sessionKey: string,
    filters: readonly string[],
    qos: 0 | 1 | 2,
  ): Promise<readonly number[]> | undefined {
    const connection = this.#session(sessionKey)?.connection;
    return connection && subscribeFor(this.#context, connection, filters, qos);
  }

  unsubscribe(sessionKey: string, filters: readonly string[]): Promise<readonly number[]> | undefined {
    const connection = this.#session(sessionKey)?.connection;
    return connection && unsubscribeFor(this.#context, connection, filters);
  }

  count(metric: string): void {
    this.#context.metrics.limit(metric);
  }

  notice(metric: string, fields: object, message: string): void {
    this.#context.metrics.limit(metric);
    this.#context.notices.info(metric, fields, message);
  }

  subscriptionsOf(sessionKey: string): readonly HeldSubscription[] {
    const held = this.#session(sessionKey)?.subscriptions.values() ?? [];
    return [...held].map(({ filter, options, since }) => ({
      filter,
      qos: (options & OPT_QOS_MASK) as 0 | 1 | 2,
      since,
    }));
  }

  #session(sessionKey: string): BrokerSession | undefined {
    return this.#context.sessions.find(`${this.#namespace}\0${sessionKey}`);
  }
}

/** What became of a message for one session. */
function outcomeOf({ sent, overRate, dropped }: Told, qos: number): PushOutcome {
  if (overRate > 0) return "throttled"; // [SESS-3] [LIMIT-3]
  if (dropped > 0) return "busy";
  // One that is larger than the client takes counts as delivered [V5-14].
  return sent > 0 || qos === 0 ? "sent" : "queued";
}

function complete({
  topic,
  payload,
  qos = 0,
  properties,
  ...rest
}: PushMessage & { retain?: boolean }): Message {
  return {
    topic,
    payload: typeof payload === "string" ? Buffer.from(payload) : payload,
    qos,
    retain: rest.retain ?? false,
    properties,
  };
}

function describe({ level, stream, openedAt, lastSeen, keepAliveMs, open }: Connection): HostConnection {
  return {
    level,
    remoteAddress: stream.info.remoteAddress ?? "",
    connectedAt: openedAt,
    lastPacketAt: lastSeen,
    keepAlive: keepAliveMs / 1_500,
    broken: !open,
  };
}
