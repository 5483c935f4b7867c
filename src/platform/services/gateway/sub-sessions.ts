// Sub-devices that are logged in over their gateway's connection [GW-3], [GW-5]: who may speak for whom, and who is told when
// that ends [GW-4]. Lives as long as the gateway's connection.
import type { DeviceConnections } from "../../connections/device-connections.ts";
import type { Registry } from "../../registry/index.ts";
import type { PlatformSettings } from "../../settings/settings.ts";
import type { DeviceId } from "../../names/user-name.ts";
import {
  ALINK_CODES,
  type AlinkReply,
  type AlinkRequest,
  MALFORMED,
  parseAlink,
  UNPARSED,
} from "../alink/envelope.ts";
import { sendReply } from "../alink/replies.ts";
import { isObject, type JsonObject, own } from "../../shared/json.ts";
import type { DeviceMessage, OnlineDevice, Route, Service } from "../../contract/service.ts";
import { SlidingRates } from "../../shared/sliding-rates.ts";
import { isSignedWith, subDeviceOf, wantsCleanSession } from "./sub-device-request.ts";

/** Taken over: DISCONNECT of a sub-device that had a connection of its own. */
const SESSION_TAKEN_OVER = 0x8e;

export interface SubSessionParts {
  readonly connections: DeviceConnections;
  readonly registry: Registry;
  readonly settings: PlatformSettings["gateway"];
  /** Counts a request that is no Alink object. */
  readonly malformed: () => void;
  /** It is online from now on, over this gateway. `clean`: what was kept for it is not wanted. */
  readonly cameOnline: (subDevice: DeviceId, gateway: OnlineDevice, clean: boolean) => void;
  /** It is still online, and its gateway has the answer to the login: what was kept for it may follow. */
  readonly told: (subDevice: DeviceId, gateway: OnlineDevice, clean: boolean) => void;
  /** `code`: why, where the sub-device did not log out. */
  readonly wentOffline: (subDevice: DeviceId, gatewaySession: string, code?: number) => void;
  /** What a request was answered, for the run log. */
  readonly answered?: (message: DeviceMessage, operation: string, code: number) => void;
}

/** `then`: what is to be done when the answer is on its way. */
type Handle = (message: DeviceMessage, request: AlinkRequest, then: (() => void)[]) => AlinkReply;

export class SubSessions implements Service {
  readonly routes: readonly Route[];
  readonly #parts: SubSessionParts;
  readonly #logins: SlidingRates;

  constructor(parts: SubSessionParts) {
    this.#parts = parts;
    this.#logins = new SlidingRates(parts.settings.loginsPerSecond, 1_000);
    this.routes = [
      this.#route("login", (message, request, then) => this.#login(message, [request.params], {}, then)),
      this.#route("batch_login", (message, request, then) => this.#batchLogin(message, request, then)),
      this.#route("logout", (message, request) => this.#logout(message, [request.params])),
      this.#route("batch_logout", (message, request) => this.#logout(message, request.params)),
    ];
  }

  #route(call: string, handle: Handle): Route {
    const single = !call.startsWith("batch");
    return {
      pattern: `/ext/session/{pk}/{dn}/combine/${call}`,
      consumes: true,
      handle: async (message) => {
        const request = parseAlink(message.payload);
        if (request === undefined) this.#parts.malformed();
        const then: (() => void)[] = [];
        const reply = request === undefined ? MALFORMED : handle(message, request, then);
        this.#parts.answered?.(message, `combine/${call}`, reply.code);
        // The single forms answer with the one device, the batch forms with a list.
        const data = single && Array.isArray(reply.data) ? reply.data[0] : reply.data;
        const { connections } = this.#parts;
        const answer = { ...reply, data };
        try {
          await sendReply(connections, message, request ?? UNPARSED, `combine.${call}`, answer);
        } finally {
          for (const act of then) act();
        }
      },
    };
  }

  #batchLogin(message: DeviceMessage, { params }: AlinkRequest, then: (() => void)[]): AlinkReply {
    const list = isObject(params) ? own(params, "deviceList") : undefined;
    return this.#login(message, list, isObject(params) ? params : {}, then);
  }

  /** All of them, or none [GW-5]. */
  #login(
    { sender, sessionKey, time }: DeviceMessage,
    list: unknown,
    shared: JsonObject,
    then: (() => void)[],
  ): AlinkReply {
    const { connections, settings } = this.#parts;
    if (!Array.isArray(list) || list.length === 0 || list.length > settings.maxBatch) return { code: 460 };
    const gateway = connections.onlineOf(sender).find((online) => online.sessionKey === sessionKey);
    if (gateway === undefined) return { code: 520 };
    const entering: { id: DeviceId; clean: boolean }[] = [];
    for (const item of list) {
      const id = subDeviceOf(item);
      if (id === undefined || !isObject(item)) return { code: 460 };
      if (!this.#logins.admit(sessionKey, time)) return { code: 429 }; // [LIMIT-6]
      const code = this.#admits(id, item, shared, sender);
      if (code !== 200) return { code, data: id };
      entering.push({ id, clean: wantsCleanSession(item) });
    }
    const fresh = entering.filter(({ id }) => connections.gatewayOf(id) !== sessionKey).length;
    if (connections.subDeviceCount(sessionKey) + fresh > settings.maxSubDevices) return { code: 428 }; // [LIMIT-6]
    for (const { id, clean } of entering) this.#enter(id, gateway, clean, then);
    return { code: 200, data: entering.map(({ id }) => id) };
  }

  #admits(id: DeviceId, item: JsonObject, shared: JsonObject, gateway: DeviceId): number {
    const device = this.#parts.registry.findDevice(id.productKey, id.deviceName);
    if (device === undefined) return 6100;
    // No secret speaks for a device that has a certificate [AUTH-11].
    const certified = this.#parts.registry.findProduct(id.productKey)?.authType === "x509";
    if (certified || !isSignedWith(device.deviceSecret, item, shared)) return 6287;
    if (!device.enabled) return 522;
    const { gateway: bound } = device;
    const ours = bound?.productKey === gateway.productKey && bound.deviceName === gateway.deviceName;
    return ours ? 200 : 6401;
  }

  #enter(id: DeviceId, gateway: OnlineDevice, clean: boolean, then: (() => void)[]): void {
    const { connections, cameOnline, told } = this.#parts;
    const before = connections.gatewayOf(id);
    if (before === gateway.sessionKey) return; // logged in already: nothing changes
    if (before !== undefined) this.leave(id, 427);
    connections.disconnect(id, SESSION_TAKEN_OVER, "The device logged in over a gateway");
    connections.link(id, gateway.sessionKey);
    cameOnline(id, gateway, clean);
    then.push(() => {
      if (connections.gatewayOf(id) === gateway.sessionKey) told(id, gateway, clean);
    });
  }

  #logout({ sessionKey }: DeviceMessage, list: unknown): AlinkReply {
    const { connections, settings } = this.#parts;
    if (!Array.isArray(list) || list.length === 0 || list.length > settings.maxBatch) return { code: 460 };
    const leaving: DeviceId[] = [];
    for (const item of list) {
      const id = subDeviceOf(item);
      if (id === undefined) return { code: 460 };
      if (connections.gatewayOf(id) !== sessionKey) return { code: 520, data: id };
      leaving.push(id);
    }
    for (const id of leaving) this.leave(id);
    return { code: 200, data: leaving };
  }

  /** The sub-device's session is over; `code`: the gateway is told why [GW-4]. */
  leave(id: DeviceId, code?: number): void {
    const { connections, wentOffline } = this.#parts;
    const gatewaySession = connections.unlink(id);
    if (gatewaySession === undefined) return;
    wentOffline(id, gatewaySession, code);
    if (code !== undefined) this.tellError(gatewaySession, code, id);
  }

  /** On /ext/error of the gateway: something is wrong with a sub-device it speaks for, or would [GW-4]. */
  tellError(gatewaySession: string, code: number, subDevice: DeviceId): void {
    const { connections } = this.#parts;
    const gateway = connections.onlineIn(gatewaySession);
    if (gateway === undefined) return;
    const { productKey, deviceName } = gateway.device;
    const payload = JSON.stringify({
      id: "",
      code,
      message: ALINK_CODES[code] ?? "error",
      data: { productKey: subDevice.productKey, deviceName: subDevice.deviceName },
    });
    const topic = `/ext/error/${productKey}/${deviceName}`;
    connections.push(gateway.device, { topic, payload }, "declared", gatewaySession).catch(() => {});
  }
}
