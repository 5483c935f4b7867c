// The platform in a broker: puts policy, registry and services together. Messages of devices come in through the policy's
// seams, what services say goes out through the host. Composition only: what a service does is in its own file.
import type { Identity, Policy, ServeResult } from "../access/policy.ts";
import type { PublishedMessage } from "../access/published-message.ts";
import type { Limits } from "../limits.ts";
import type { Logger } from "../options.ts";
import { DeviceConnections } from "./device-connections.ts";
import type { PlatformHost } from "./host.ts";
import { createPlatformPolicy, type DeviceData, deviceOf, type ServiceDesk } from "./platform-policy.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import { type DeviceRegistry, MemoryRegistry, Registry } from "./registry.ts";
import type { Documents } from "./registry/documents.ts";
import { Broadcasts } from "./services/broadcast.ts";
import { MessageIds } from "./services/message-ids.ts";
import { ntpService } from "./services/ntp.ts";
import { RouteTable } from "./services/route-table.ts";
import { Rrpc } from "./services/rrpc.ts";
import { Shadows } from "./services/shadow/shadow.ts";
import type { DeviceMessage, OnlineDevice, Route, Service } from "./services/service.ts";
import { type PlatformOverrides, type PlatformSettings, resolveSettings } from "./settings.ts";
import type { DeviceId } from "./user-name.ts";

export interface PlatformOptions {
  readonly registry: DeviceRegistry;
  readonly limits: Limits;
  readonly logger: Logger;
  readonly settings?: PlatformOverrides;
}

export class Platform implements ServiceDesk {
  readonly policy: Policy;
  readonly ids = new MessageIds();
  readonly #options: PlatformOptions;
  readonly #settings: PlatformSettings;
  readonly #documents: Documents;
  #parts: Parts | undefined;
  #generation = 0;

  constructor(options: PlatformOptions) {
    this.#options = options;
    const { registry, limits, logger } = options;
    const settings = resolveSettings(options.settings);
    this.#settings = settings;
    // Who keeps devices elsewhere has documents in memory.
    this.#documents = (registry instanceof Registry ? registry : new MemoryRegistry()).documents;
    this.policy = createPlatformPolicy({ registry, limits, logger, settings, desk: this });
  }

  /** Called once, before the first device connects. */
  attach(host: PlatformHost): void {
    const devices = new DeviceConnections(host);
    const rrpc = new Rrpc({
      devices,
      ids: this.ids,
      isHalfOpen: (online) => isHalfOpen(host, online, Date.now()),
      settings: this.#settings.rrpc,
    });
    const shadows = new Shadows({ devices, documents: this.#documents, settings: this.#settings.shadow });
    const broadcasts = new Broadcasts({
      devices,
      ids: this.ids,
      settings: this.#settings.broadcast,
      online: () => devices.all(),
      publish: (message) => host.publish(message),
    });
    const services: Service[] = [rrpc, ntpService(devices), shadows];
    const unfollow = this.#options.registry.onRevoked?.((device, why) => {
      devices.disconnect(device, ReasonCode.administrativeAction, `The device was ${why}`); // [AUTH-13]
      if (why === "deleted") devices.forget(device);
    });
    this.#parts = {
      devices,
      rrpc,
      shadows,
      broadcasts,
      services,
      routes: new RouteTable(services),
      unfollow,
    };
  }

  get rrpc(): Rrpc {
    return this.#attached.rrpc;
  }

  get shadows(): Shadows {
    return this.#attached.shadows;
  }

  get broadcasts(): Broadcasts {
    return this.#attached.broadcasts;
  }

  get #attached(): Parts {
    if (this.#parts === undefined) throw new Error("the platform is not attached to a broker");
    return this.#parts;
  }

  async close(): Promise<void> {
    this.#parts?.unfollow?.();
    for (const service of this.#parts?.services ?? []) await service.close?.();
  }

  // ---- what the policy leaves to services ----

  get generation(): number {
    return this.#generation;
  }

  interestIn(topic: string): "host" | "tap" | undefined {
    const found = this.#attached.routes.find(topic);
    if (found === undefined) return undefined;
    return found.route.consumes ? "host" : "tap";
  }

  speaksFor(sessionKey: string, other: DeviceId): boolean {
    return this.#attached.devices.gatewayOf(other) === sessionKey;
  }

  serve(identity: Identity, message: PublishedMessage): ServeResult | PromiseLike<ServeResult> {
    const found = this.#attached.routes.find(message.topic);
    if (found === undefined) return undefined;
    return this.#hand(found.route, this.#received(identity, found.device, message), found.levels);
  }

  tapped(identity: Identity, message: PublishedMessage): void {
    const found = this.#attached.routes.find(message.topic);
    if (found === undefined) return;
    const handled = this.#hand(found.route, this.#received(identity, found.device, message), found.levels);
    handled?.catch((error: unknown) =>
      this.#options.logger.error({ err: error, topic: message.topic }, "a service of the platform failed"),
    );
  }

  #hand(route: Route, message: DeviceMessage, levels: readonly string[]): Promise<undefined> | undefined {
    const done = route.handle(message, levels);
    return done?.then(() => undefined);
  }

  #received(identity: Identity, device: DeviceId, message: PublishedMessage): DeviceMessage {
    const { productKey, deviceName, level = 4 } = deviceOf(identity);
    const id = this.ids.next();
    return {
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
  }

  connected(identity: Identity): void {
    const { devices, services } = this.#attached;
    const online = onlineDevice(identity, Date.now());
    devices.connected(online);
    for (const service of services) service.online?.(online.device, online.sessionKey);
  }

  disconnected(identity: Identity, _reason: number): void {
    const { devices, services } = this.#attached;
    const { device, sessionKey } = onlineDevice(identity, 0);
    const subDevices = devices.disconnected(device, sessionKey);
    if (subDevices.length > 0) this.#generation++;
    for (const service of services) {
      for (const subDevice of subDevices) service.offline?.(subDevice, sessionKey);
      service.offline?.(device, sessionKey);
    }
  }
}

interface Parts {
  readonly devices: DeviceConnections;
  readonly rrpc: Rrpc;
  readonly shadows: Shadows;
  readonly broadcasts: Broadcasts;
  readonly services: readonly Service[];
  readonly routes: RouteTable;
  /** Hears of revoked devices no longer. */
  readonly unfollow: (() => void) | undefined;
}

function onlineDevice(identity: Identity, connectedAt: number): OnlineDevice {
  const { productKey, deviceName, extensions, userProperties }: DeviceData = deviceOf(identity);
  return {
    device: { productKey, deviceName },
    sessionKey: identity.sessionKey,
    extensions: extensions ?? new Map(),
    userProperties: userProperties ?? [],
    connectedAt,
  };
}

/** [RRPC-5] The socket has failed, or nothing came for a whole Keep Alive. */
function isHalfOpen(host: PlatformHost, { sessionKey }: OnlineDevice, now: number): boolean {
  const connection = host.connectionOf(sessionKey);
  if (connection === undefined || connection.broken) return true;
  return connection.keepAlive > 0 && now - connection.lastPacketAt > connection.keepAlive * 1_000;
}
