// The platform in a broker: policy, sign-in and run log from the start, its parts once the broker is there. What the policy leaves
// to services, a message or who comes and goes, is handed to them here; what each makes of it is in its own file.
import type { Identity, Policy, ServeResult } from "../access/policy.ts";
import type { PublishedMessage } from "../access/published-message.ts";
import type { Limits } from "../limits.ts";
import type { Logger } from "../logger.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import type { PlatformHost } from "./contract/host.ts";
import { namesOf } from "./contract/device-data.ts";
import { addressOf, onlineDevice } from "./connections/online-device.ts";
import { makeParts, type Parts } from "./parts.ts";
import { createPlatformPolicy, deviceOf, type ServiceDesk } from "./policy/platform-policy.ts";
import { type DeviceRegistry, MemoryRegistry, Registry } from "./registry/index.ts";
import type { Documents } from "./registry/table/documents.ts";
import type { Things } from "./services/things.ts";
import type { Broadcasts } from "./services/broadcast.ts";
import { DeviceLog } from "./run-log/device-log.ts";
import { loggedPolicy } from "./run-log/logged-policy.ts";
import { RunLog } from "./run-log/run-log.ts";
import type { ServerCalls } from "./server-calls.ts";
import { UpstreamFeed } from "./upstream/feed.ts";
import { MessageIds } from "./shared/message-ids.ts";
import type { Rrpc } from "./services/rrpc.ts";
import type { Shadows } from "./services/shadow/shadow.ts";
import { SignIn } from "./sign-in/sign-in.ts";
import type { DeviceMessage, PushMessage, Route } from "./contract/service.ts";
import { type PlatformOverrides, type PlatformSettings, resolveSettings } from "./settings/settings.ts";
import type { DeviceId } from "./names/user-name.ts";

export interface PlatformOptions {
  readonly registry: DeviceRegistry;
  readonly limits: Limits;
  readonly logger: Logger;
  readonly settings?: PlatformOverrides;
  /** Where the run log is kept. Default: in memory only. */
  readonly runLogDirectory?: string;
}

export class Platform implements ServiceDesk {
  readonly policy: Policy;
  readonly signIn: SignIn;
  readonly ids = new MessageIds();
  /** What goes up to the business side. */
  readonly upstream: UpstreamFeed;
  /** What happened to devices [LOG-1]. Services write to it. */
  readonly runLog: RunLog;
  readonly #deviceLog: DeviceLog;
  readonly #options: PlatformOptions;
  readonly #settings: PlatformSettings;
  readonly #documents: Documents;
  #parts: Parts | undefined;
  #host: PlatformHost | undefined;

  constructor(options: PlatformOptions) {
    this.#options = options;
    const { registry, limits, logger } = options;
    const settings = resolveSettings(options.settings);
    this.#settings = settings;
    this.upstream = new UpstreamFeed({
      ...settings.upstream,
      changed: () => this.#host?.interestChanged(),
      opened: (productKey) =>
        void this.#parts?.notices
          .unseen(productKey)
          .catch((error: unknown) => logger.error({ err: error }, "ends of connections are not told")),
      lost: (count) => logger.warn({ count }, "a reader of the upstream feed is slow and lost messages"),
    });
    // Who keeps devices elsewhere has documents in memory.
    this.#documents = (registry instanceof Registry ? registry : new MemoryRegistry()).documents;
    this.signIn = new SignIn({
      registry,
      settings,
      logger: {
        // A stranger causes it, before he has proved anything.
        info: (fields, message) => this.#host?.notice("noted.secure_mode", fields, message),
        warn: (fields, message) => logger.warn(fields, message),
      },
      mqtt5: settings.mqtt5.enabled,
    });
    this.runLog = new RunLog({
      settings: settings.runLog,
      ids: this.ids,
      logger,
      directory: options.runLogDirectory,
    });
    this.#deviceLog = new DeviceLog(this.runLog, registry, (metric) => this.#host?.count(metric));
    this.policy = loggedPolicy({
      policy: createPlatformPolicy({ registry, limits, logger, settings, signIn: this.signIn, desk: this }),
      log: this.runLog,
      events: this.#deviceLog,
      speakerIn: this.speakerIn.bind(this),
    });
  }

  /** Called once, before the first device connects. */
  attach(host: PlatformHost): void {
    this.#host = host;
    const { registry, logger } = this.#options;
    this.#parts = makeParts({
      host,
      registry,
      logger,
      settings: this.#settings,
      documents: this.#documents,
      upstream: this.upstream,
      ids: this.ids,
      log: this.#deviceLog,
    });
  }

  /** Its sessions are back from the store, and nobody is let in yet. */
  async restored(): Promise<void> {
    const { registry } = this.#options;
    if (!(registry instanceof Registry)) return;
    await registry.tellOfDeleted();
    await registry.endPresent(({ device, at }) => this.#deviceLog.unseenEnd(device, at));
  }

  /** Largest body of an HTTP request, bytes. */
  get maxBodyBytes(): number {
    return this.#settings.http.maxBodyBytes;
  }

  get calls(): ServerCalls {
    return this.#attached.calls;
  }

  get rrpc(): Rrpc {
    return this.#attached.rrpc;
  }

  get shadows(): Shadows {
    return this.#attached.shadows;
  }

  get things(): Things {
    return this.#attached.things;
  }

  get broadcasts(): Broadcasts {
    return this.#attached.broadcasts;
  }

  get #attached(): Parts {
    if (this.#parts === undefined) throw new Error("the platform is not attached to a broker");
    return this.#parts;
  }

  async close(): Promise<void> {
    for (const unfollow of this.#parts?.unfollow ?? []) unfollow();
    this.#parts?.notices.close();
    this.#parts?.greetings.close();
    this.#parts?.gateways?.close();
    this.upstream.close();
    for (const service of this.#parts?.services ?? []) await service.close?.();
  }

  /** When the last device has gone. */
  closeRunLog(): Promise<void> {
    return this.runLog.close();
  }

  // ---- what the policy leaves to services ----

  linkVersion(sessionKey: string): number {
    return this.#attached.devices.linkVersion(sessionKey);
  }

  interestIn(topic: string): "host" | "tap" | undefined {
    const found = this.#attached.routes.find(topic);
    if (found === undefined) return this.upstream.active ? "tap" : undefined; // [UP-1]
    return found.route.consumes ? "host" : "tap";
  }

  speakerIn(topic: string, own: DeviceId, sessionKey: string): DeviceId {
    return this.#attached.devices.speakerIn(topic, own, sessionKey);
  }

  refused(identity: Identity, topic: string): boolean {
    const { productKey, deviceName } = deviceOf(identity);
    return this.#attached.gateways?.refused(identity.sessionKey, { productKey, deviceName }, topic) ?? false;
  }

  serve(identity: Identity, message: PublishedMessage): ServeResult | PromiseLike<ServeResult> {
    if (deviceOf(identity).errand) {
      this.#logMessage(identity, message, ReasonCode.notAuthorized);
      return "ignored"; // [DYN-5]
    }
    const found = this.#attached.routes.find(message.topic);
    if (found === undefined) return undefined;
    return this.#hand(found.route, this.#received(identity, found.device, message), found.levels);
  }

  tapped(identity: Identity, message: PublishedMessage, refusal: number): void {
    const found = refusal === 0 ? this.#attached.routes.find(message.topic) : undefined;
    if (found === undefined) {
      if (refusal === 0 && this.upstream.active) this.#offer(identity, message);
      else this.#logMessage(identity, message, refusal);
      return;
    }
    const handled = this.#hand(found.route, this.#received(identity, found.device, message), found.levels);
    handled?.catch((error: unknown) =>
      this.#options.logger.error({ err: error, topic: message.topic }, "a service of the platform failed"),
    );
  }

  /** A message no service takes goes up as it is [UP-1]. */
  #offer(identity: Identity, message: PublishedMessage): void {
    const { productKey, deviceName } = deviceOf(identity);
    const sender = { productKey, deviceName };
    const { device, topic, payload, qos, properties, messageId, time } = this.#received(
      identity,
      this.#attached.devices.speakerIn(message.topic, sender, identity.sessionKey),
      message,
    );
    this.upstream.offer({
      kind: "data",
      device,
      topic: this.things.desk.upstreamTopic(device, topic),
      payload,
      qos,
      properties,
      messageId,
      time,
    });
  }

  /** Of which nobody else wants anything. */
  #logMessage(identity: Identity, message: PublishedMessage, refusal: number): void {
    const { topic, payload, qos, retain, properties, receivedAt: time } = message;
    const device = this.#attached.devices.speakerIn(topic, deviceOf(identity), identity.sessionKey);
    this.#deviceLog.message({ device, topic, size: payload.length, qos, retain, properties, time }, refusal);
  }

  #hand(route: Route, message: DeviceMessage, levels: readonly string[]): Promise<undefined> | undefined {
    const done = route.handle(message, levels);
    return done?.then(() => undefined);
  }

  #received(identity: Identity, device: DeviceId, message: PublishedMessage): DeviceMessage {
    const { productKey, deviceName, level = 4 } = deviceOf(identity);
    const id = this.ids.next();
    const received: DeviceMessage = {
      device,
      sender: { productKey, deviceName },
      sessionKey: identity.sessionKey,
      topic: message.topic,
      // Services keep payloads: a view would keep its neighbours too.
      payload: Buffer.from(message.payload),
      qos: message.qos,
      retain: message.retain,
      level,
      properties: message.properties ?? {},
      messageId: id,
      traceId: id,
      time: message.receivedAt,
    };
    this.#deviceLog.message({ ...received, size: received.payload.length }, 0);
    return received;
  }

  /** When a device was last heard of in a connection before; undefined: never, or not known. */
  #lastHeard(device: DeviceId): number | undefined {
    const { registry } = this.#options;
    if (!(registry instanceof Registry)) return undefined;
    const known = registry.findDevice(device.productKey, device.deviceName);
    return known && registry.stateOf(known).lastOfflineAt;
  }

  /** What its gateway holds for it becomes its own session before it is looked for [SESS-0]. */
  arriving(identity: Identity): void {
    this.#attached.gateways?.connectedItself(namesOf(identity));
  }

  connected(identity: Identity): void {
    const { devices, gateways, notices, followers } = this.#attached;
    const now = Date.now();
    const online = onlineDevice(identity, now);
    // What it takes over from ends first, so that the last notice is the truth [STATUS-2]. Once more: a gateway may have logged it
    // in behind arriving(), while its session waited for the store.
    gateways?.connectedItself(online.device);
    const first = devices.connected(online);
    if (first && notices.active)
      notices.status("online", online.device, this.#lastHeard(online.device) ?? now, addressOf(identity));
    if (this.#settings.connection.clientIdUnique) this.#attached.clientIds.connected(identity); // [CONN-2]
    for (const service of followers) service.online?.(online.device, online.sessionKey);
  }

  greet(sessionKey: string, greeting: PushMessage, errand: boolean): void {
    this.#attached.greetings.greet(sessionKey, greeting, errand);
  }

  left(sessionKey: string): void {
    this.#attached.greetings.left(sessionKey);
  }

  disconnected(identity: Identity, _reason: number, lastSeen = Date.now()): void {
    const { devices, gateways, notices, followers } = this.#attached;
    const { sessionKey } = identity;
    const device = namesOf(identity);
    this.#attached.clientIds.disconnected(identity);
    const subDevices = devices.disconnected(device, sessionKey);
    // With another token it may be there still [SESS-0].
    if (notices.active && !devices.hasConnection(device))
      notices.status("offline", device, lastSeen, addressOf(identity));
    gateways?.lost(subDevices, sessionKey);
    for (const service of followers) {
      for (const subDevice of subDevices) service.offline?.(subDevice, sessionKey);
      service.offline?.(device, sessionKey);
    }
  }
}
