// The broker: what embedders hold in their hands. Opens listeners, takes their streams, starts and ends everything;
// what it is made of stands in composition.ts.
import type { Duplex } from "node:stream";
import type { AccessHooks } from "./access/hooked-policy.ts";
import type { Policy } from "./access/policy.ts";
import { Clock } from "./clock.ts";
import { compose } from "./composition.ts";
import { Connection, ONLINE } from "./connection/connection.ts";
import type { Border } from "./core/border.ts";
import { messageTopic, viewMessage } from "./core/message-view.ts";
import type { BrokerEvents } from "./events.ts";
import { closeConnection } from "./handlers/context/close.ts";
import type { Context } from "./handlers/context/context.ts";
import type { Dispatch } from "./handlers/dispatch.ts";
import { type Limits, resolveLimits } from "./limits.ts";
import type { BrokerListener, BrokerOptions, Logger } from "./options.ts";
import { Listeners } from "./listeners.ts";
import { Profiles } from "./profiles.ts";
import { ReasonCode } from "./protocol/reason-codes.ts";
import { type Reloaded, reloadOptions } from "./reload.ts";
import type { LocalSubscribers } from "./routing/sessions/local-subscribers.ts";
import type { Message } from "./routing/messages/message.ts";
import { publishFromServer } from "./routing/delivery/server-publish.ts";
import { deliverInbound } from "./routing/delivery/inbound-delivery.ts";
import { keepIn } from "./routing/turn/spaces.ts";
import { Restorer, UNSERVED_EXPIRY_S } from "./routing/sessions/restore.ts";
import { MemoryStore } from "./store/memory-store.ts";
import type { Store } from "./store/contract/store.ts";
import { snapshot, type SystemSource, SystemTopics } from "./system-topics.ts";
import { BrokerHost } from "./platform-host.ts";
import type { RunLog } from "./platform/run-log/run-log.ts";
import type { Platform } from "./platform/platform.ts";
import type { HeldSubscription } from "./platform/contract/host.ts";
import type { SubscribeOptions } from "./platform/server-calls.ts";
import type { RrpcOptions, RrpcResult } from "./platform/services/rrpc.ts";
import type { BroadcastResult } from "./platform/services/broadcast.ts";
import type { Things } from "./platform/services/things.ts";
import type { Shadows } from "./platform/services/shadow/shadow.ts";
import type { ReaderOptions, UpstreamReader } from "./platform/upstream/feed.ts";
import type { DeviceId } from "./platform/names/user-name.ts";
import { foreignStream } from "./transport/streams/socket-stream.ts";
import type { ByteStream, Listener } from "./transport/streams/stream.ts";

export interface PublishOptions {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly properties?: Message["properties"];
}

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Creates a broker and opens its listeners. Rejects with ConfigError or OperationError, nothing left open. */
export async function createBroker(options: BrokerOptions = {}): Promise<Broker> {
  const logger = options.logger ?? SILENT;
  const limits = resolveLimits(options.limits);
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
  readonly #store: Store;
  readonly #context: Context;
  readonly #dispatch: Dispatch;
  readonly #connections: Set<Connection>;
  readonly #listeners: Listeners;
  readonly #profiles: Profiles;
  readonly #local: LocalSubscribers;
  readonly #source: SystemSource;
  readonly #system: SystemTopics | undefined;
  readonly #clock: Clock;
  #closing: Promise<void> | undefined;

  /** Use createBroker(). */
  constructor(options: BrokerOptions, limits: Limits, logger: Logger, profiles: Profiles) {
    this.#options = options;
    this.limits = limits;
    this.#logger = logger;
    this.#profiles = profiles;
    this.#store = options.store ?? new MemoryStore();
    const { context, dispatch, local, connections } = compose(options, limits, logger, this.#store);
    this.#context = context;
    this.#dispatch = dispatch;
    this.#local = local;
    this.#connections = connections;
    this.#source = { metrics: context.metrics, context, connections, startedAt: Date.now() };
    const interval = options.sysInterval ?? 10;
    if (interval > 0) {
      this.#system = new SystemTopics(this.#source, interval, (topic, payload) => {
        // A figure that could not be kept, over a limit or for want of a store, is published anew when it changes.
        publishFromServer(this.#context, {
          topic,
          payload: Buffer.from(payload),
          qos: 0,
          retain: true,
        }).catch((error: unknown) => logger.debug({ err: error, topic }, "a figure was not kept"));
      });
    }
    profiles.onHookError = () => {
      context.metrics.hookErrors++;
    };
    this.#clock = new Clock(context, connections, profiles);
    this.#listeners = new Listeners(options, context, profiles, (stream, policy) =>
      this.#accept(stream, policy),
    );
    const { platform } = profiles;
    platform?.attach(
      new BrokerHost(context, platform.policy.namespace, (message, how) =>
        publishFromServer(this.#context, message, how),
      ),
    );
  }

  /** Takes back what the store kept. Called once by createBroker(), before any listener opens. */
  async restore(): Promise<void> {
    const { router, sessions, subscriptions, deliveries, wills, turn } = this.#context;
    for (const listener of this.#options.listeners ?? []) this.#profiles.policy(listener);
    sessions.policyOf = (name) => this.#profiles.ofNamespace(name);
    sessions.serves = (name) => this.#profiles.serves(name);
    const { core } = router.border;
    const restorer = new Restorer(sessions, subscriptions, deliveries, wills, Date.now(), core);
    await this.#store.load(restorer);
    restorer.finish();
    for (const session of restorer.ended) turn.batch.sessionEnded(session);
    for (const { session, record } of restorer.changed) turn.batch.session(session, record);
    if (sessions.unserved.size > 0) {
      this.#logger.warn(
        { sessions: sessions.unserved.size, days: UNSERVED_EXPIRY_S / 86_400 },
        "kept sessions of a profile that no listener has: they end in so many days, unless it comes back",
      );
    }
    for (const inbound of restorer.undelivered) {
      const { session, message, reached } = inbound;
      message.writeUInt32LE(session.slot, 8); // its sender had another slot in the process before [MQTT-3.8.3-3]
      const view = viewMessage(message, 0);
      // Spaces are numbered anew in every process.
      const isolated = session.policy.spaces?.covers(messageTopic(view)) === true;
      keepIn(isolated ? session.space : 0, message);
      // It was retained before its first slice, and perhaps replaced since.
      if (view.retain && reached.length === 0) deliveries.retained.store(message, false, session);
      deliverInbound(this.#context, inbound);
    }
    await router.injections.settled();
    await this.#profiles.platform?.restored();
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
    return this.#listeners.open.map(({ listener }) => listener);
  }

  /** Opens one more listener. */
  listen(options: BrokerListener): Promise<Listener> {
    return this.#listeners.listen(options);
  }

  #accept(stream: ByteStream, policy: Policy): void {
    if (this.#closing !== undefined) {
      stream.destroy();
      return;
    }
    const connection = new Connection(stream, policy, this.#dispatch, Date.now());
    this.#connections.add(connection);
    stream.open(connection);
  }

  /** Serves a client on a stream the embedder brings. Anonymous clients are let in unless `anonymous` is false. */
  handle(duplex: Duplex, options: Pick<BrokerListener, "profile" | "anonymous"> = {}): void {
    this.#accept(foreignStream(duplex), this.#listeners.policyOf({ anonymous: true, ...options }));
  }

  // ---- messages of the embedder ----

  /**
   * Publishes from the server's side. Resolves by the same promise as a PUBACK: QoS 1 and 2 and retained messages when the
   * store has committed them for every session that must have them; QoS 0 when it is on its way.
   * Rejects with TypeError for an invalid topic, where the store fails, and where a session that should have the message
   * later missed it because of limits.brokerBytes. platform profile: see ServerCalls.publish().
   */
  async publish(message: PublishOptions): Promise<void> {
    if (this.#closing !== undefined) throw new Error("the broker is closed");
    const { topic, qos = 0, retain = false, properties } = message;
    const payload = typeof message.payload === "string" ? Buffer.from(message.payload) : message.payload;
    const whole = { topic, payload, qos, retain, properties };
    const { platform } = this.#profiles;
    if (platform === undefined) await publishFromServer(this.#context, whole);
    else {
      const send = (given: Message, how: { readonly answered: boolean }) =>
        publishFromServer(this.#context, given, how);
      await platform.calls.publish(whole, send, this.#profiles.serves("standard"));
    }
  }

  /** Receives messages in this process; resolves to a function that ends the subscription. */
  async subscribe(
    filter: string,
    listener: (message: Message) => void,
    options: { readonly qos?: 0 | 1 | 2 } = {},
  ): Promise<() => void> {
    return this.#local.subscribe(filter, listener, options.qos ?? 2);
  }

  /**
   * platform profile: calls a device and waits for its answer [RRPC-1]. Resolves with SUCCESS and the answer's bytes, or with
   * TIMEOUT, OFFLINE or HALFCONN. Rejects with OperationError RRPC_TIMEOUT_VALUE, RRPC_TOPIC, RRPC_BUSY, PLATFORM_MISSING.
   */
  async rrpc(device: DeviceId, payload: Uint8Array | string, options?: RrpcOptions): Promise<RrpcResult> {
    return this.#platform.rrpc.call(
      device,
      typeof payload === "string" ? Buffer.from(payload) : payload,
      options,
    );
  }

  /**
   * platform profile: to every online device of a product [BCAST-1] or, with a topic, to those that subscribed it [BCAST-2].
   * Rejects with OperationError BROADCAST_TOPIC, BROADCAST_SIZE, REGISTRY_MISSING, RATE_LIMIT, PLATFORM_MISSING.
   */
  async broadcast(
    productKey: string,
    payload: Uint8Array | string,
    topic?: string,
  ): Promise<BroadcastResult> {
    const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
    return this.#platform.broadcasts.send(productKey, bytes, topic);
  }

  /**
   * platform profile: subscribes up to ten topics for a device that is online, as if it had [SUB-4]. Resolves with granted QoS or
   * reason codes in their order. Rejects with OperationError SUBSCRIBE_TOPICS, DEVICE_OFFLINE, PLATFORM_MISSING.
   */
  async subscribeDevice(
    device: DeviceId,
    topics: readonly string[],
    options?: SubscribeOptions,
  ): Promise<readonly number[]> {
    return this.#platform.calls.subscribe(device, topics, options);
  }

  /**
   * platform profile: ends up to ten subscriptions of a device that is online, whoever made them [SUB-4]. Resolves with a reason
   * code for each topic, in their order: 0, or 0x11 where there was none. Rejects as subscribeDevice() does.
   */
  async unsubscribeDevice(device: DeviceId, topics: readonly string[]): Promise<readonly number[]> {
    return this.#platform.calls.unsubscribe(device, topics);
  }

  /** platform profile: what a device has subscribed, or somebody for it, and since when [SUB-4]. */
  subscriptionsOf(device: DeviceId): readonly HeldSubscription[] {
    return this.#platform.calls.subscriptionsOf(device);
  }

  /** platform profile: shadows of devices, read and changed from the server's side [SHADOW-1]. */
  get shadows(): Shadows {
    return this.#platform.shadows;
  }

  /**
   * platform profile: what devices reported and what is wanted of them, setting properties, calling services, configuration
   * and firmware.
   */
  get things(): Things {
    return this.#platform.things;
  }

  /**
   * platform profile: what devices send to the business side, and notices about them [UP-1]. Iterate over it; leaving the loop
   * ends it. A reader that is slower than the devices loses the oldest messages, which `lost` counts.
   */
  upstream(options?: ReaderOptions): UpstreamReader {
    return this.#platform.upstream.read(options);
  }

  /** platform profile: what happened to devices, to be searched and followed [LOG-1]. */
  get runLog(): Pick<RunLog, "search" | "follow"> {
    return this.#platform.runLog;
  }

  get #platform(): Platform {
    return this.#profiles.neededPlatform;
  }

  /** Adds interceptors: what may connect, publish, subscribe. Call the result to take them away. */
  use(hooks: AccessHooks): () => void {
    const remove = this.#profiles.use(hooks);
    this.#context.grants.begin(this.#context);
    return () => {
      remove();
      this.#context.grants.begin(this.#context);
    };
  }

  on<Name extends keyof BrokerEvents>(name: Name, listener: (event: BrokerEvents[Name]) => void): () => void {
    return this.#context.events.on(name, listener);
  }

  /** For tests of the recovery: makes the core trap in the middle of its work. */
  get core(): Border["core"] {
    return this.#context.router.border.core;
  }

  // ---- reload, metrics, end ----

  /**
   * Takes new options without dropping a client. Certificates, password file and ACL apply at once; the rest is named
   * under `restart`. Where something cannot be used it rejects, and nothing has changed; that is counted (`errors.reload`), as is a
   * function that fails to read the options.
   */
  async reload(options: Partial<BrokerOptions> | (() => Promise<Partial<BrokerOptions>>)): Promise<Reloaded> {
    try {
      const next = typeof options === "function" ? await options() : options;
      const result = await reloadOptions(next, this.#options, this.#profiles, this.#listeners.open);
      if (result.applied.length > 0) this.#context.grants.begin(this.#context);
      return result;
    } catch (error) {
      this.#context.metrics.failedReloads++;
      throw error;
    }
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
    this.#clock.stop();
    this.#system?.stop();
    await this.#profiles.platform?.close();
    const listeners = this.#listeners.open.map(({ listener }) => listener.close());
    const { router, turn } = this.#context;
    await router.injections.settled();
    await turn.settled();
    // Not in the middle of a fan-out: what it still needs hangs on the connections.
    await new Promise<void>((resolve) => router.whenFree(() => resolve(this.#closeAll())));
    await router.injections.settled(); // Wills, where they are sent at shutdown
    await this.#drained(drainMs);
    for (const connection of this.#connections) connection.destroy();
    await Promise.all(listeners);
    this.#context.notices.renew();
    await turn.settled();
    await this.#profiles.platform?.closeRunLog();
    await this.#store.close();
    this.#context.events.emit("closed", {});
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
