// Gateways and their sub-devices, put together: topology and sessions, and what each change means for presence, rights and
// notices [GW-1] to [GW-5].
import type { Identity } from "../../../access/policy.ts";
import type { DeviceConnections } from "../../connections/device-connections.ts";
import type { PlatformHost } from "../../contract/host.ts";
import type { Registry } from "../../registry/index.ts";
import type { PlatformSettings } from "../../settings/settings.ts";
import type { DeviceNotices } from "../../upstream/device-notices.ts";
import { ownerIn } from "../../names/topic-bounds.ts";
import { type DeviceId, keyOf } from "../../names/user-name.ts";
import type { DeviceMessage, Service } from "../../contract/service.ts";
import { MALFORMED_METRIC } from "../alink/envelope.ts";
import { SubSessions } from "./sub-sessions.ts";
import { Topology } from "./topology.ts";

export interface GatewayParts {
  readonly host: Pick<PlatformHost, "grantsChanged" | "connectionOf" | "count" | "park" | "unpark">;
  readonly connections: DeviceConnections;
  readonly registry: Registry;
  readonly notices: DeviceNotices;
  readonly settings: PlatformSettings["gateway"];
  readonly log?: GatewayLog;
}

/** For the run log. */
export interface GatewayLog {
  /** `code`: why its session over the gateway has ended [GW-4]; undefined: it logged out, or the gateway is gone. */
  subDevice(change: "online" | "offline", subDevice: DeviceId, gatewaySession: string, code?: number): void;
  /** What a request of the gateway was answered. */
  topology(message: DeviceMessage, operation: string, code: number): void;
}

export class Gateways {
  readonly services: readonly Service[];
  readonly #parts: GatewayParts;
  readonly #sessions: SubSessions;
  readonly #unfollow: (() => void)[];
  /** Sub-devices that logged in with cleanSession false: what is for them is kept when they go [GW-3]. */
  readonly #kept = new Set<string>();

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    const { connections, registry, settings, notices, host, log } = parts;
    const malformed = (): void => host.count(MALFORMED_METRIC);
    const answered = (message: DeviceMessage, operation: string, code: number): void =>
      log?.topology(message, operation, code);
    this.#sessions = new SubSessions({
      connections,
      registry,
      settings,
      malformed,
      cameOnline: (subDevice, gateway, clean) => this.#cameOnline(subDevice, gateway.sessionKey, clean),
      told: (subDevice, gateway, clean) => host.unpark(keyOf(subDevice), gateway.sessionKey, clean), // [GW-3]
      wentOffline: (subDevice, session, code) => this.#wentOffline(subDevice, session, code),
      answered,
    });
    const topology = new Topology({
      devices: connections,
      registry,
      settings,
      malformed,
      changed: (action, gateway, subDevices) => {
        notices.topology(action, gateway, subDevices);
        if (action === "delete") for (const subDevice of subDevices) this.#sessions.leave(subDevice, 6401);
      },
      answered,
    });
    this.services = [topology, this.#sessions];
    this.#unfollow = [
      registry.on("device.deleted", (device) => this.#sessions.leave(device, 521)),
      registry.on("device.disabled", (device) => this.#sessions.leave(device, 522)),
    ];
  }

  close(): void {
    for (const unfollow of this.#unfollow) unfollow();
  }

  /** The device has a connection of its own, or is about to have one: its gateway speaks for it no longer [GW-4]. */
  connectedItself(device: DeviceId): void {
    this.#sessions.leave(device, 427);
  }

  /** The gateway's connection is gone, and these sub-devices with it. */
  lost(subDevices: readonly DeviceId[], gatewaySession: string): void {
    if (subDevices.length === 0) return;
    this.#park(subDevices, gatewaySession);
    for (const subDevice of subDevices) this.#wentOffline(subDevice, gatewaySession);
  }

  /** A gateway used a topic it has no right to. True where that is one of a sub-device of its own that is not logged in [GW-4]. */
  refused(gatewaySession: string, gateway: DeviceId, topic: string): boolean {
    const { registry } = this.#parts;
    if (registry.findProduct(gateway.productKey)?.nodeType !== "gateway") return false;
    const levels = topic.split("/");
    for (let i = 1; i + 1 < levels.length; i++) {
      const device = registry.findDevice(levels[i], levels[i + 1]);
      const bound = device?.gateway;
      if (device === undefined || bound === undefined) continue;
      if (bound.productKey !== gateway.productKey || bound.deviceName !== gateway.deviceName) continue;
      if (this.#parts.connections.gatewayOf(device) === gatewaySession) return false;
      this.#sessions.tellError(gatewaySession, 520, device);
      return true;
    }
    return false;
  }

  #cameOnline(subDevice: DeviceId, gatewaySession: string, clean: boolean): void {
    if (!clean) this.#kept.add(keyOf(subDevice));
    const { host, registry, notices, log } = this.#parts;
    log?.subDevice("online", subDevice, gatewaySession);
    const connection = host.connectionOf(gatewaySession);
    const address = connection?.remoteAddress ?? "";
    const known = registry.findDevice(subDevice.productKey, subDevice.deviceName);
    const lastTime = known && registry.stateOf(known).lastOfflineAt;
    notices.status("online", subDevice, lastTime ?? Date.now(), address);
    registry.connected(subDevice, connection?.level === 5 ? "5" : "3.x", address);
    // What the core remembers as refused is allowed now.
    host.grantsChanged();
  }

  #wentOffline(subDevice: DeviceId, gatewaySession: string, code?: number): void {
    const { host, registry, notices, log } = this.#parts;
    log?.subDevice("offline", subDevice, gatewaySession, code);
    const connection = host.connectionOf(gatewaySession);
    notices.status(
      "offline",
      subDevice,
      connection?.lastPacketAt ?? Date.now(),
      connection?.remoteAddress ?? "",
    );
    registry.disconnected(subDevice);
    if (code === 521) this.#kept.delete(keyOf(subDevice));
    this.#park([subDevice], gatewaySession);
    host.grantsChanged();
  }

  /** What is to be kept for them, into the sessions they have when they connect themselves [SESS-0]; before their rights end. */
  #park(subDevices: readonly DeviceId[], gatewaySession: string): void {
    const owners = new Map<string, Identity>();
    for (const subDevice of subDevices) {
      const sessionKey = keyOf(subDevice);
      if (!this.#kept.delete(sessionKey)) continue;
      const username = `${subDevice.deviceName}&${subDevice.productKey}`;
      owners.set(sessionKey, { clientId: sessionKey, username, sessionKey });
    }
    if (owners.size > 0) this.#parts.host.park(gatewaySession, (topic) => owners.get(ownerIn(topic) ?? ""));
  }
}
