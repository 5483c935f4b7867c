// The broker: composes the layers, opens listeners, keeps the clock, and is what embedders hold in their hands.
import type { Duplex } from "node:stream";
import { Gate } from "./access/gate.ts";
import type { AccessHooks } from "./access/hooked-policy.ts";
import type { Policy } from "./access/policy.ts";
import { AUTHENTICATING, CLOSING, CONNECTING, Connection, ONLINE, WAITING } from "./connection/connection.ts";
import { Border } from "./core/border.ts";
import { INPUT_SIZE, NO_SLOT, SLOT_ALLOW_ALL } from "./core/generated/abi.ts";
import { ConfigError } from "./errors.ts";
import { type BrokerEvents, EventHub } from "./events.ts";
import { closeConnection } from "./handlers/close.ts";
import type { Context } from "./handlers/context.ts";
import { Dispatch } from "./handlers/dispatch.ts";
import { type Limits, resolveLimits } from "./limits.ts";
import { Metrics } from "./metrics.ts";
import type { BrokerListener, BrokerOptions, Logger } from "./options.ts";
import { Profiles } from "./profiles.ts";
import { ReasonCode, REASONS } from "./protocol/reason-codes.ts";
import { Deliveries } from "./routing/deliveries.ts";
import { LocalSubscribers } from "./routing/local-subscribers.ts";
import { canonicalMessage, type Message, messageParts } from "./routing/message.ts";
import { recover } from "./handlers/recovery.ts";
import { Restorer } from "./routing/restore.ts";
import { RetainedMessages } from "./routing/retained.ts";
import { RetainedReplay } from "./routing/retained-replay.ts";
import { Router } from "./routing/router.ts";
import { SessionRegistry } from "./routing/session-registry.ts";
import { Subscriptions } from "./routing/subscriptions.ts";
import { Turn } from "./routing/turn.ts";
import { Wills } from "./routing/wills.ts";
import { Segments, viewMessage } from "./session/segments.ts";
import { MemoryStore } from "./store/memory-store.ts";
import type { Store } from "./store/store.ts";
import { snapshot, type SystemSource, SystemTopics } from "./system-topics.ts";
import { listen } from "./transport/listen.ts";
import { foreignStream } from "./transport/socket-stream.ts";
import type {
  ByteStream,
  Listener,
  ListenerOptions,
  TransportLimits,
  TransportObserver,
} from "./transport/stream.ts";

export interface PublishOptions {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly properties?: Message["properties"];
}

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const CLOCK_MS = 1_000;

/** Creates a broker and opens its listeners. Rejects with ConfigError or OperationError, nothing left open. */
export async function createBroker(options: BrokerOptions = {}): Promise<Broker> {
  const logger = options.logger ?? SILENT;
  const limits = limitsOf(options);
  const broker = new Broker(options, limits, logger, await Profiles.load(options, limits, logger));
  try {
    await broker.restore();
    for (const listener of options.listeners ?? []) await broker.listen(listener);
  } catch (error) {
    await broker.close({ drainMs: 0 });
    throw error;
  }
  return broker;
}

export class Broker {
  readonly limits: Limits;
  readonly #options: BrokerOptions;
  readonly #logger: Logger;
  readonly #metrics = new Metrics();
  readonly #store: Store;
  readonly #context: Context;
  readonly #dispatch: Dispatch;
  readonly #connections = new Set<Connection>();
  readonly #listeners: { readonly listener: Listener; readonly options: BrokerListener }[] = [];
  readonly #profiles: Profiles;
  readonly #events: EventHub<BrokerEvents>;
  readonly #local: LocalSubscribers;
  readonly #source: SystemSource;
  readonly #system: SystemTopics | undefined;
  readonly #clock: NodeJS.Timeout;
  #sweep: Generator<string | undefined> | undefined;
  #lastSweep = Date.now();
  #generation = 0;
  #closing: Promise<void> | undefined;

  /** Use createBroker(). */
  constructor(options: BrokerOptions, limits: Limits, logger: Logger, profiles: Profiles) {
    this.#options = options;
    this.limits = limits;
    this.#logger = logger;
    this.#profiles = profiles;
    this.#store = options.store ?? new MemoryStore();
    this.#events = new EventHub(logger);
    const border = new Border();
    this.#prepare(border);
    const segments = new Segments();
    const turn: Turn = new Turn(this.#store, segments, {
      commitStarted: (next) => {
        deliveries.commitStarted();
        this.#context.router.border.core.setCommit(next);
      },
      committed: (number, reason) => this.#released(number, reason),
      turnEnded: () => this.#context.sessions.freeSlots(),
      commitFailed: (error) => this.#commitFailed(error),
    });
    border.core.setCommit(turn.commit);
    const retained = new RetainedMessages(limits.retainedMessages, limits.retainedBytes);
    const deliveries = new Deliveries(segments, retained, turn, limits, this.#metrics);
    const router = new Router(border, turn, deliveries, limits);
    deliveries.router = router;
    deliveries.onUnsafe = ({ connection }) => {
      if (connection === undefined) return;
      router.whenFree(() =>
        closeConnection(this.#context, connection, ReasonCode.unspecifiedError, "The store failed"),
      );
    };
    const gate = new Gate(logger, this.#metrics);
    deliveries.gate = gate;
    const subscriptions = new Subscriptions(() => router.border);
    const sessions = new SessionRegistry(router, deliveries, subscriptions, turn, limits, this.#metrics);
    const wills = new Wills(router, deliveries, gate);
    sessions.waitingWill = (session) => wills.waitingOf(session);
    wills.onFired = (session) => sessions.record(session);
    segments.onGone = (serial) => turn.batch.segmentGone(serial);
    sessions.onEnd = (session) => {
      wills.sessionEnded(session);
      this.#events.emit("session.ended", { clientId: session.identity.clientId });
    };
    this.#context = {
      router,
      deliveries,
      sessions,
      subscriptions,
      retainedReplay: new RetainedReplay(router, deliveries, gate),
      wills,
      turn,
      gate,
      limits,
      metrics: this.#metrics,
      logger,
      events: this.#events,
      sharedMoveAtDisconnect: options.sharedMoveAtDisconnect ?? false,
      continue: (connection) => this.#dispatch.continue(connection),
    };
    this.#dispatch = new Dispatch(
      this.#context,
      (offender) => this.#rebuild(offender),
      (connection) => this.#connections.delete(connection),
    );
    router.handlers = this.#dispatch;
    this.#local = new LocalSubscribers(router, deliveries, subscriptions, logger);
    this.#source = {
      metrics: this.#metrics,
      context: this.#context,
      connections: this.#connections,
      startedAt: Date.now(),
    };
    const interval = options.sysInterval ?? 10;
    if (interval > 0) {
      this.#system = new SystemTopics(this.#source, interval, (topic, payload) => {
        // A figure that could not be kept, over a limit or for want of a store, is published anew when it changes.
        this.#inject({ topic, payload: Buffer.from(payload), qos: 0, retain: true }).catch((error: unknown) =>
          logger.debug({ err: error, topic }, "a figure was not kept"),
        );
      });
    }
    this.#clock = setInterval(() => this.#tick(), CLOCK_MS);
    this.#clock.unref();
  }

  /** What a fresh core must know before it works. */
  #prepare(border: Border): void {
    border.core.setMaxLevels(this.limits.topicLevels);
    border.core.setPropertyLimit(this.limits.propertiesPerPacket);
    border.core.setAliasByteLimit(this.limits.topicAliasBytes);
    border.core.setShareStrategy(this.#options.sharedStrategy === "hash" ? 1 : 0);
    for (const reason of REASONS) if (reason.code >= 0x80) border.setReasonText(reason.code, reason.text);
  }

  /** Takes back what the store kept. Called once by createBroker(), before any listener opens. */
  async restore(): Promise<void> {
    const { router, sessions, subscriptions, deliveries, wills, turn } = this.#context;
    for (const listener of this.#options.listeners ?? []) this.#profiles.policy(listener);
    sessions.policyOf = (name) => this.#profiles.ofNamespace(name);
    deliveries.wake = (slot) => sessions.wakeSlot(slot);
    const restorer = new Restorer(sessions, subscriptions, deliveries, wills, Date.now(), (slot, position) =>
      router.border.core.setPosition(slot, position),
    );
    await this.#store.load(restorer);
    restorer.finish();
    for (const session of restorer.ended) turn.batch.sessionEnded(session);
    for (const { session, packetId, message } of restorer.undelivered) {
      message.writeUInt32LE(session.slot, 8); // its sender had another slot in the process before [MQTT-3.8.3-3]
      if (viewMessage(message, 0).retain) deliveries.storeRetained(message);
      router.inject(message);
      turn.batch.delivered(session, packetId);
    }
    if (!turn.batch.empty) turn.touch();
    if (restorer.sessions > 0) {
      this.#logger.info(
        { sessions: restorer.sessions, messages: restorer.messages, store: this.#store.name },
        "restored",
      );
    }
  }

  // ---- listeners and streams ----

  /** Open listeners, each with the URL and port that were bound. */
  get listeners(): readonly Listener[] {
    return this.#listeners.map(({ listener }) => listener);
  }

  /** Opens one more listener. */
  async listen(options: BrokerListener): Promise<Listener> {
    const policy = this.#profiles.policy(options);
    const { profile: _profile, anonymous: _anonymous, kind = "tcp", ...rest } = options;
    const listenerOptions: ListenerOptions = { kind, ...rest };
    const listener = await listen(
      listenerOptions,
      this.#transportLimits(),
      this.#observer(listenerOptions),
      (stream) => this.#accept(stream, policy, options),
    );
    this.#listeners.push({ listener, options });
    return listener;
  }

  #transportLimits(): TransportLimits {
    const { limits } = this;
    return {
      webSocketMaxPayload: limits.webSocketMaxPayload,
      handshakeTimeoutMs: limits.handshakeTimeout,
      maxHandshakes: limits.maxHandshakes,
      maxConnections: limits.maxConnections,
      maxConnectionRate: limits.maxConnectionRate,
    };
  }

  #observer(options: ListenerOptions): TransportObserver {
    return {
      refused: (reason, info) => {
        this.#metrics.limit(`refused.${reason}`);
        this.#logger.debug(
          { listener: options.kind, port: options.port, reason, info },
          "connection refused",
        );
      },
    };
  }

  #accept(stream: ByteStream, policy: Policy, options: BrokerListener | undefined): void {
    if (this.#closing !== undefined) {
      stream.destroy();
      return;
    }
    const connection = new Connection(stream, policy, this.#dispatch, Date.now(), options);
    this.#connections.add(connection);
    stream.open(connection);
  }

  /** Serves a client on a stream the embedder brings. `loopback` decides about anonymous clients as a bind address would. */
  handle(duplex: Duplex, options: Pick<BrokerListener, "profile" | "anonymous"> = {}): void {
    this.#accept(foreignStream(duplex), this.#profiles.policy({ anonymous: true, ...options }), undefined);
  }

  // ---- messages of the embedder ----

  /**
   * Publishes from the server's side. Resolves by the same promise as a PUBACK: QoS 1 and 2 and retained messages when the
   * store has committed them for every session that must have them; QoS 0 when it is on its way.
   * Rejects with TypeError for an invalid topic, and where the store fails.
   */
  async publish(message: PublishOptions): Promise<void> {
    if (this.#closing !== undefined) throw new Error("the broker is closed");
    const { topic, qos = 0, retain = false, properties } = message;
    const payload = typeof message.payload === "string" ? Buffer.from(message.payload) : message.payload;
    await this.#inject({ topic, payload, qos, retain, properties });
  }

  #inject(message: Message): Promise<void> {
    const { router, deliveries, turn } = this.#context;
    return new Promise((resolve, reject) => {
      router.whenFree(() => {
        // Not before: looking at a topic disturbs a fan-out that is only interrupted.
        if (router.border.checkTopic(message.topic) !== 0) {
          reject(new TypeError(`publish: "${message.topic}" is not a valid topic name`));
          return;
        }
        let canonical: Buffer;
        try {
          canonical = canonicalMessage(message, NO_SLOT, Date.now());
        } catch (error) {
          reject(error);
          return;
        }
        // The bound that a client's packet has as well: without its payload a message lies in the core as a whole.
        const head = messageParts(viewMessage(canonical, 0)).payload;
        if (head > INPUT_SIZE) {
          reject(new RangeError(`publish: topic and properties of ${head} bytes are too long`));
          return;
        }
        try {
          let kept = true;
          if (message.retain) kept = deliveries.storeRetained(canonical);
          router.inject(canonical);
          if (!kept) {
            reject(new Error("the retained message was not kept: a limit is reached"));
            return;
          }
        } catch (error) {
          reject(error);
          throw error;
        }
        if (message.qos === 0 && !message.retain) resolve();
        else
          turn.afterCommit((reason) =>
            reason === 0 ? resolve() : reject(new Error("the store failed; see the log")),
          );
      });
    });
  }

  /** Receives messages in this process; resolves to a function that ends the subscription. */
  async subscribe(
    filter: string,
    listener: (message: Message) => void,
    options: { readonly qos?: 0 | 1 | 2 } = {},
  ): Promise<() => void> {
    return this.#local.subscribe(filter, listener, options.qos ?? 2);
  }

  /** Adds interceptors: what may connect, publish, subscribe. Call the result to take them away. */
  use(hooks: AccessHooks): () => void {
    const remove = this.#profiles.use(hooks);
    this.#refreshGrants();
    return () => {
      remove();
      this.#refreshGrants();
    };
  }

  on<Name extends keyof BrokerEvents>(name: Name, listener: (event: BrokerEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /** Grants may have changed: cached verdicts are void, and nobody is allowed everything until asked again. */
  #refreshGrants(): void {
    const { router } = this.#context;
    router.whenFree(() => {
      router.border.core.forgetVerdicts();
      for (const connection of this.#connections) {
        if (connection.session?.connection === connection) {
          router.border.core.setSlotFlags(connection.slot, 0, SLOT_ALLOW_ALL);
        }
      }
    });
  }

  // ---- the clock ----

  #tick(): void {
    const { router } = this.#context;
    router.whenFree(() => this.#everySecond(Date.now()));
  }

  #everySecond(now: number): void {
    const { sessions, wills, limits } = this.#context;
    const { generation } = this.#profiles;
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.#refreshGrants();
    }
    for (const connection of this.#connections) this.#checkConnection(connection, now, limits);
    wills.sweep(now);
    sessions.sweep(now);
    this.#sweepRetained(now);
  }

  #checkConnection(connection: Connection, now: number, limits: Limits): void {
    switch (connection.state) {
      case WAITING:
      case AUTHENTICATING:
      case CONNECTING:
        if (now - connection.openedAt >= limits.connectTimeout) {
          this.#metrics.limit("closed.connect_timeout");
          connection.destroy();
        }
        return;
      case ONLINE:
        // 1.5 times Keep Alive without a packet [MQTT-3.1.2-22]; while we keep it waiting its clock stands still.
        if (
          connection.keepAliveMs > 0 &&
          !connection.paused &&
          now - connection.lastSeen > connection.keepAliveMs
        ) {
          closeConnection(this.#context, connection, ReasonCode.keepAliveTimeout, "Keep Alive timeout");
          return;
        }
    }
    this.#checkProgress(connection, now, limits);
  }

  /** A client that takes no byte for too long is closed, whatever is owed to it. */
  #checkProgress(connection: Connection, now: number, limits: Limits): void {
    const { pendingBytes } = connection.stream;
    if (pendingBytes === 0 || pendingBytes < connection.stuckBytes) {
      connection.stuckSince = 0;
    } else if (connection.stuckSince === 0) {
      connection.stuckSince = now;
    } else if (now - connection.stuckSince >= limits.slowClientTimeout) {
      this.#metrics.limit("closed.slow_client");
      this.#logger.info({ client: connection.clientId }, "closing: the client takes no bytes");
      if (connection.state < CLOSING)
        closeConnection(this.#context, connection, ReasonCode.quotaExceeded, "no byte taken");
      connection.destroy();
    }
    connection.stuckBytes = pendingBytes;
    // Acknowledgements are never dropped: a client that sends and does not read is bounded here.
    if (connection.state === ONLINE && connection.outbox.pending > limits.outgoingBytes * 2) {
      this.#metrics.limit("closed.slow_client");
      closeConnection(
        this.#context,
        connection,
        ReasonCode.quotaExceeded,
        "too many bytes wait for this client",
      );
      connection.destroy();
    }
  }

  #sweepRetained(now: number): void {
    if (this.#sweep === undefined) {
      if (now - this.#lastSweep < SWEEP_EVERY_MS) return;
      this.#sweep = this.#context.deliveries.retained.sweep(() => Date.now());
    }
    for (let i = 0; i < SWEEP_STEPS; i++) {
      const { done, value: expired } = this.#sweep.next();
      if (!done) {
        if (expired !== undefined) this.#context.deliveries.clearRetained(expired);
        continue;
      }
      this.#sweep = undefined;
      this.#lastSweep = now;
      return;
    }
  }

  // ---- the store ----

  #released(number: number, reason: number): void {
    const { router } = this.#context;
    router.whenFree(() => {
      router.complete(router.border.releaseAcks(number, reason));
      router.settle();
    });
  }

  #commitFailed(error: unknown): void {
    this.#metrics.commitFailures++;
    this.#logger.error(
      { err: error, store: this.#store.name },
      "the store could not commit; clients are refused",
    );
  }

  // ---- after a trap ----

  #rebuild(offender: Connection | undefined): void {
    const { turn } = this.#context;
    const border = new Border();
    this.#prepare(border);
    border.core.setCommit(turn.commit);
    recover(this.#context, this.#local, offender, border);
  }

  /** For tests of the recovery: makes the core trap in the middle of its work. */
  get core(): Border["core"] {
    return this.#context.router.border.core;
  }

  // ---- reload, metrics, end ----

  /**
   * Takes new options without dropping a client. Certificates, password file and ACL apply at once; the rest is named
   * under `restart`.
   */
  async reload(
    options: Partial<BrokerOptions>,
  ): Promise<{ applied: string[]; unchanged: string[]; restart: string[] }> {
    const applied: string[] = [];
    const unchanged: string[] = [];
    const restart: string[] = [];
    for (const key of Object.keys(options) as (keyof BrokerOptions)[]) {
      if (key === "logger" || key === "devices" || key === "store") continue;
      if (key === "passwordFile" || key === "aclFile") {
        await this.#reloadFile(key, options[key], applied, restart);
      } else if (key === "listeners")
        this.#reloadListeners(options.listeners ?? [], applied, unchanged, restart);
      else if (same(options[key], this.#options[key])) unchanged.push(key);
      else restart.push(key);
    }
    if (applied.length > 0) this.#refreshGrants();
    return { applied, unchanged, restart };
  }

  async #reloadFile(
    key: "passwordFile" | "aclFile",
    path: string | undefined,
    applied: string[],
    restart: string[],
  ): Promise<void> {
    if (path !== this.#options[key] || path === undefined) {
      if (path !== this.#options[key]) restart.push(key);
      return;
    }
    await this.#profiles.reload(key, path);
    applied.push(key);
  }

  #reloadListeners(
    next: readonly BrokerListener[],
    applied: string[],
    unchanged: string[],
    restart: string[],
  ): void {
    for (const [i, { listener, options }] of this.#listeners.entries()) {
      const wanted = next[i];
      const name = `listeners.${i}`;
      if (wanted === undefined || !same(withoutTls(wanted), withoutTls(options))) restart.push(name);
      else if (wanted.tls === undefined || same(wanted.tls, options.tls)) unchanged.push(name);
      else {
        listener.reloadTls(wanted.tls);
        this.#listeners[i] = { listener, options: wanted };
        applied.push(`${name}.tls`);
      }
    }
    if (next.length > this.#listeners.length) restart.push("listeners");
  }

  /** Counters and gauges by name. */
  metrics(): Record<string, number> {
    return snapshot(this.#source);
  }

  /** Rebinds nothing: stops accepting, lets clients take what is theirs for `drainMs` (default 2,000), closes all. */
  close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#shutDown(options.drainMs ?? 2_000);
    return this.#closing;
  }

  async #shutDown(drainMs: number): Promise<void> {
    clearInterval(this.#clock);
    this.#system?.stop();
    const listeners = this.#listeners.map(({ listener }) => listener.close());
    await this.#context.turn.settled();
    // Not in the middle of a fan-out: what it still needs hangs on the connections.
    await new Promise<void>((resolve) => this.#context.router.whenFree(() => resolve(this.#closeAll())));
    await this.#drained(drainMs);
    for (const connection of this.#connections) connection.destroy();
    await Promise.all(listeners);
    await this.#context.turn.settled();
    await this.#store.close();
    this.#events.emit("closed", {});
  }

  #closeAll(): void {
    for (const connection of this.#connections) {
      // Wills at shutdown only by option: clients come back, and nobody's device has died.
      if (!this.#options.willsAtShutdown) connection.willCancelled = true;
      if (connection.state === ONLINE)
        closeConnection(this.#context, connection, ReasonCode.serverShuttingDown, "Server shutting down");
      else connection.destroy();
    }
  }

  /** Resolves when every stream is closed, at the latest after `ms`. */
  #drained(ms: number): Promise<void> {
    if (this.#connections.size === 0 || ms === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const until = Date.now() + ms;
      const timer = setInterval(() => {
        if (this.#connections.size > 0 && Date.now() < until) return;
        clearInterval(timer);
        resolve();
      }, 10);
    });
  }
}

const SWEEP_EVERY_MS = 60_000;
/** Retained topics looked at per second of a sweep. */
const SWEEP_STEPS = 20_000;

function limitsOf(options: BrokerOptions): Limits {
  try {
    return resolveLimits(options.limits);
  } catch (error) {
    throw new ConfigError("LIMIT_INVALID", "limits", (error as Error).message);
  }
}

function withoutTls(listener: BrokerListener): object {
  const { tls, ...rest } = listener;
  if (tls === undefined) return rest;
  const { key: _key, cert: _cert, ca: _ca, ...options } = tls;
  return { ...rest, tls: options };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}
