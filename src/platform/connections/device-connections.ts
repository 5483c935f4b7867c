// Which connections reach which device: its own, or that of a gateway that speaks for it [GW-4]. Told by the policy's
// notices of who came and went; sends through the host. Holds what is online only, nothing of it outlives the process.
import { ReasonCode } from "../../protocol/reason-codes.ts";
import type { HeldSubscription, PlatformHost } from "../contract/host.ts";
import type { Devices, OnlineDevice, PushMessage, PushNeeds, PushOutcome } from "../contract/service.ts";
import type { Device } from "../registry/devices/device.ts";
import { tokenSessionKey } from "../sign-in/token.ts";
import { ownerIn } from "../names/topic-bounds.ts";
import { type DeviceId, keyOf } from "../names/user-name.ts";

/** Best first: what is told of a push that went to several sessions. */
const OUTCOMES: readonly PushOutcome[] = ["sent", "queued", "throttled", "busy", "unsubscribed", "offline"];

export type Reachable = Pick<OnlineDevice, "device" | "sessionKey">;

export class DeviceConnections implements Devices {
  readonly #host: PlatformHost;
  readonly #keptSessions: (device: DeviceId) => readonly string[];
  readonly #pushed: (device: DeviceId, message: PushMessage, outcome: PushOutcome) => void;
  /** By session key. */
  readonly #online = new Map<string, OnlineDevice>();
  /** Session keys of a device's connections with tokens; the key of its other one is its own [SESS-0]. */
  readonly #tokens = new Map<string, Set<string>>();
  /** The gateway session that speaks for a sub-device. */
  readonly #gateways = new Map<string, string>();
  /** The sub-devices a gateway session speaks for. */
  readonly #subDevices = new Map<string, Map<string, DeviceId>>();

  /** Counts logins and logouts of sub-devices, all of them. */
  #changes = 0;
  /** Count at the last one of a gateway session. */
  readonly #changedAt = new Map<string, number>();

  /** `keptSessions`: keys of sessions a device may have while it is offline. `pushed` is told what became of each push. */
  constructor(
    host: PlatformHost,
    keptSessions: (device: DeviceId) => readonly string[] = (id) => [keyOf(id)],
    pushed: (device: DeviceId, message: PushMessage, outcome: PushOutcome) => void = () => {},
  ) {
    this.#host = host;
    this.#keptSessions = keptSessions;
    this.#pushed = pushed;
  }

  // ---- who came and went ----

  /** True: the device had no connection of its own before. */
  connected(online: OnlineDevice): boolean {
    const key = keyOf(online.device);
    const tokens = this.#tokens.size === 0 ? undefined : this.#tokens.get(key);
    if (online.sessionKey === key) {
      const { size } = this.#online;
      this.#online.set(key, online);
      return this.#online.size > size && tokens === undefined;
    }
    const first = tokens === undefined && !this.#online.has(key);
    this.#online.set(online.sessionKey, online);
    if (tokens === undefined) this.#tokens.set(key, new Set([online.sessionKey]));
    else tokens.add(online.sessionKey);
    return first;
  }

  /** Returns the sub-devices that went offline with it. */
  disconnected(device: DeviceId, sessionKey: string): readonly DeviceId[] {
    this.#online.delete(sessionKey);
    const key = keyOf(device);
    if (sessionKey !== key) {
      const tokens = this.#tokens.get(key);
      if (tokens?.delete(sessionKey) && tokens.size === 0) this.#tokens.delete(key);
    }
    const subDevices = this.subDevicesOf(sessionKey);
    for (const subDevice of subDevices) this.unlink(subDevice);
    this.#changedAt.delete(sessionKey);
    return subDevices;
  }

  /** One of its own, by its secret or with a token. */
  hasConnection(device: DeviceId): boolean {
    const key = keyOf(device);
    return this.#online.has(key) || this.#tokens.has(key);
  }

  /** From now on this gateway's session speaks for the sub-device. */
  link(subDevice: DeviceId, gatewaySession: string): void {
    this.unlink(subDevice);
    this.#gateways.set(keyOf(subDevice), gatewaySession);
    this.#host.paceFor(gatewaySession, keyOf(subDevice), true); // [SESS-3]
    this.#changedAt.set(gatewaySession, ++this.#changes);
    const linked = this.#subDevices.get(gatewaySession);
    if (linked === undefined) this.#subDevices.set(gatewaySession, new Map([[keyOf(subDevice), subDevice]]));
    else linked.set(keyOf(subDevice), subDevice);
  }

  /** Session of the gateway that spoke for it; undefined: none did. */
  unlink(subDevice: DeviceId): string | undefined {
    const key = keyOf(subDevice);
    const gateway = this.#gateways.get(key);
    if (gateway === undefined) return undefined;
    this.#gateways.delete(key);
    this.#host.paceFor(gateway, key, false);
    this.#changedAt.set(gateway, ++this.#changes);
    const linked = this.#subDevices.get(gateway);
    if (linked?.delete(key) && linked.size === 0) this.#subDevices.delete(gateway);
    return gateway;
  }

  /** Less than 1, and another number after each login or logout over the session; 0: there was none on this connection. */
  linkVersion(sessionKey: string): number {
    return (this.#changedAt.get(sessionKey) ?? 0) / 2 ** 40;
  }

  gatewayOf(subDevice: DeviceId): string | undefined {
    return this.#gateways.get(keyOf(subDevice));
  }

  subDevicesOf(gatewaySession: string): readonly DeviceId[] {
    return [...(this.#subDevices.get(gatewaySession)?.values() ?? [])];
  }

  subDeviceCount(gatewaySession: string): number {
    return this.#subDevices.get(gatewaySession)?.size ?? 0;
  }

  /** The sub-device whose names stand in a topic, where the session speaks for it [GW-4]; else its own device [TOPIC-1]. */
  speakerIn(topic: string, own: DeviceId, sessionKey: string): DeviceId {
    const levels = topic.split("/");
    for (let i = 1; i + 1 < levels.length; i++) {
      const other = { productKey: levels[i], deviceName: levels[i + 1] };
      if (other.productKey === own.productKey && other.deviceName === own.deviceName) return own;
      if (this.#gateways.get(keyOf(other)) === sessionKey) return other;
    }
    return levels[1] === "broadcast" && levels[2] !== own.productKey
      ? (this.#subDeviceOf(levels[2], sessionKey) ?? own)
      : own;
  }

  /** A sub-device of the product, any of those the session speaks for: what is a product's is each device's [TOPIC-9]. */
  #subDeviceOf(productKey: string, sessionKey: string): DeviceId | undefined {
    for (const subDevice of this.#subDevices.get(sessionKey)?.values() ?? [])
      if (subDevice.productKey === productKey) return subDevice;
    return undefined;
  }

  /** What its own session holds, and its gateway's on its topics [SUB-4]. */
  subscriptionsOf(device: DeviceId): readonly HeldSubscription[] {
    const held = [...this.#sessionsOf(device)].flatMap((key) => this.#host.subscriptionsOf(key));
    const own = keyOf(device);
    const gateway = this.gatewayOf(device);
    if (gateway === undefined || gateway === own) return held;
    const others = this.#host.subscriptionsOf(gateway);
    return [...held, ...others.filter(({ filter }) => ownerIn(filter) === own)];
  }

  /**
   * Subscribes for a device that is online, in each of its connections and in its gateway's [SUB-4]. Of each filter the highest
   * granted QoS, or where none has granted it the first one's reason code. undefined: it is offline.
   */
  async subscribe(
    device: DeviceId,
    filters: readonly string[],
    qos: 0 | 1 | 2,
  ): Promise<readonly number[] | undefined> {
    const answers = await this.#answersOf(device, (key) => this.#host.subscribe(key, filters, qos));
    return answers && filters.map((_, i) => bestGrant(answers.map((codes) => codes[i])));
  }

  /**
   * Ends subscriptions where subscribe() makes them. Of each filter the first reason code that says it may stand still, else
   * success where one was ended, else that there was none. undefined: it is offline.
   */
  async unsubscribe(device: DeviceId, filters: readonly string[]): Promise<readonly number[] | undefined> {
    const answers = await this.#answersOf(device, (key) => this.#host.unsubscribe(key, filters));
    return answers && filters.map((_, i) => worstEnd(answers.map((codes) => codes[i])));
  }

  /** Of each session over which the device is online. */
  async #answersOf(
    device: DeviceId,
    ask: (sessionKey: string) => Promise<readonly number[]> | undefined,
  ): Promise<readonly (readonly number[])[] | undefined> {
    const asked = this.onlineOf(device).map(({ sessionKey }) => ask(sessionKey));
    const answers = (await Promise.all(asked)).filter((codes) => codes !== undefined);
    return answers.length === 0 ? undefined : answers;
  }

  // ---- Devices ----

  onlineOf(device: DeviceId): readonly OnlineDevice[] {
    const found: OnlineDevice[] = [];
    for (const key of this.reach(device)) {
      const online = this.#online.get(key);
      if (online !== undefined) found.push(online);
    }
    return found;
  }

  /** The live connection of a session. */
  onlineIn(sessionKey: string): OnlineDevice | undefined {
    return this.#online.get(sessionKey);
  }

  /** Every device that is online, with the session it is reached over: its own or its gateway's [GW-4]. One by one. */
  *reachable(): Generator<Reachable> {
    for (const { device, sessionKey } of this.#online.values()) yield { device, sessionKey };
    for (const [sessionKey, linked] of this.#subDevices)
      for (const device of linked.values()) yield { device, sessionKey };
  }

  async push(
    device: DeviceId,
    message: PushMessage,
    needs: PushNeeds,
    sessionKey?: string,
  ): Promise<PushOutcome> {
    const keys = sessionKey === undefined ? this.reach(device) : [sessionKey];
    const outcomes = await Promise.all(
      keys.map((key) => this.#host.push(key, message, this.#implied(key, needs))),
    );
    const best = OUTCOMES.find((outcome) => outcomes.includes(outcome)) ?? "offline";
    this.#pushed(device, message, best);
    return best;
  }

  disconnect(device: DeviceId, reason: number, reasonString: string): number {
    let ended = 0;
    for (const key of this.#sessionsOf(device)) if (this.#host.disconnect(key, reason, reasonString)) ended++;
    return ended;
  }

  /** Ends its sessions with what is kept for them. */
  forget(device: DeviceId): void {
    for (const key of this.#sessionsOf(device)) this.#host.endSession(key);
  }

  /** Ends the sessions of tokens a device no longer has [AUTH-10]. */
  forgetTokens(device: DeviceId & Pick<Device, "tokens">): void {
    for (const { clientId } of device.tokens) {
      const key = tokenSessionKey(device, clientId);
      this.#host.disconnect(key, ReasonCode.administrativeAction, "The token is gone");
      this.#host.endSession(key);
    }
  }

  /** Keys of its own sessions, online or kept; also of one that is about to be told of as connected. */
  #sessionsOf(device: DeviceId): ReadonlySet<string> {
    const keys = this.#ownSessions(keyOf(device));
    for (const kept of this.#keptSessions(device)) keys.add(kept);
    return keys;
  }

  /** Of those that are online. */
  #ownSessions(key: string): Set<string> {
    const keys = new Set(this.#tokens.get(key));
    if (this.#online.has(key)) keys.add(key);
    return keys;
  }

  #implied(sessionKey: string, needs: PushNeeds): boolean {
    if (needs === "always") return true;
    return needs === "declared" && this.#online.get(sessionKey)?.extensions.get("_ss") === "1"; // [SUB-5]
  }

  /** Keys of sessions a message to the device goes to; online ones of its own, its gateway's, and kept ones. */
  reach(device: DeviceId): readonly string[] {
    const key = keyOf(device);
    const keys = this.#ownSessions(key);
    const gateway = this.#gateways.get(key);
    if (gateway !== undefined) keys.add(gateway);
    else for (const kept of this.#keptSessions(device)) keys.add(kept);
    return [...keys];
  }
}

function isRefusal(code: number): boolean {
  return code >= 0x80;
}

function bestGrant(codes: readonly number[]): number {
  const granted = codes.filter((code) => !isRefusal(code));
  return granted.length > 0 ? Math.max(...granted) : codes[0];
}

function worstEnd(codes: readonly number[]): number {
  return codes.find(isRefusal) ?? Math.min(...codes);
}
