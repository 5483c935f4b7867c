// Which sub-devices belong to which gateway [GW-1], and their registration by the gateway [GW-2]. The relation is kept in the
// registry; who is logged in at present is sub-sessions.ts.
import { OperationError } from "../../../errors.ts";
import type { Device, Registry } from "../../registry/index.ts";
import type { PlatformSettings } from "../../settings/settings.ts";
import type { DeviceId } from "../../names/user-name.ts";
import {
  type AlinkReply,
  type AlinkRequest,
  MALFORMED,
  methodOf,
  parseAlink,
  UNPARSED,
} from "../alink/envelope.ts";
import { sendReply } from "../alink/replies.ts";
import { isObject } from "../../shared/json.ts";
import type { DeviceMessage, Devices, Route, Service } from "../../contract/service.ts";
import { isSignedWith, subDeviceOf } from "./sub-device-request.ts";

export interface TopologyParts {
  readonly devices: Pick<Devices, "push">;
  readonly registry: Registry;
  readonly settings: PlatformSettings["gateway"];
  /** Counts a request that is no Alink object. */
  readonly malformed: () => void;
  /** Sub-devices joined or left the gateway. */
  readonly changed: (action: "add" | "delete", gateway: DeviceId, subDevices: readonly DeviceId[]) => void;
  /** What a request was answered, for the run log. */
  readonly answered?: (message: DeviceMessage, operation: string, code: number) => void;
}

type Handler = (gateway: DeviceId, items: readonly unknown[], request: AlinkRequest) => Promise<AlinkReply>;

/** Thrown inside to end a request with a code. */
class Refusal {
  readonly code: number;
  constructor(code: number) {
    this.code = code;
  }
}

export class Topology implements Service {
  readonly routes: readonly Route[];
  readonly #parts: TopologyParts;

  constructor(parts: TopologyParts) {
    this.#parts = parts;
    this.routes = [
      this.#route("thing/topo/add", (gateway, items) => this.#add(gateway, items)),
      this.#route("thing/topo/delete", (gateway, items) => this.#delete(gateway, items)),
      this.#route("thing/topo/get", async (gateway) => this.#get(gateway)),
      this.#route("thing/sub/register", (gateway, items) => this.#register(gateway, items)),
      this.#route("thing/proxy/provisioning/product_register", (gateway, _items, request) =>
        this.#registerWithProductSecret(gateway, request),
      ),
    ];
  }

  #route(path: string, handler: Handler): Route {
    return {
      pattern: `/sys/{pk}/{dn}/${path}`,
      consumes: true,
      handle: (message) => this.#answer(message, path, handler),
    };
  }

  async #answer(message: DeviceMessage, path: string, handler: Handler): Promise<void> {
    const request = parseAlink(message.payload);
    if (request === undefined) this.#parts.malformed();
    const reply = request === undefined ? MALFORMED : await this.#handled(message.device, request, handler);
    this.#parts.answered?.(message, path, reply.code);
    await sendReply(this.#parts.devices, message, request ?? UNPARSED, methodOf(path), reply);
  }

  async #handled(gateway: DeviceId, request: AlinkRequest, handler: Handler): Promise<AlinkReply> {
    const { params } = request;
    try {
      return await handler(gateway, Array.isArray(params) ? params : [], request);
    } catch (error) {
      if (error instanceof Refusal) return { code: error.code };
      if (error instanceof OperationError) return { code: 500, message: "system error" };
      throw error;
    }
  }

  async #add(gateway: DeviceId, items: readonly unknown[]): Promise<AlinkReply> {
    const { registry, settings } = this.#parts;
    const wanted = this.#few(items, settings.maxBatch);
    const added = wanted.map((item) => {
      const id = subDeviceOf(item);
      if (id === undefined || !isObject(item)) throw new Refusal(460);
      if (isSame(id, gateway)) throw new Refusal(6402);
      const device = registry.findDevice(id.productKey, id.deviceName);
      if (device === undefined) throw new Refusal(6100);
      if (this.#hasCertificate(id) || !isSignedWith(device.deviceSecret, item)) throw new Refusal(401);
      if (device.gateway !== undefined && !isSame(device.gateway, gateway)) throw new Refusal(6619);
      return device;
    });
    this.#requireRoom(gateway, added);
    await this.#bindAll(added, gateway);
    this.#parts.changed("add", gateway, added.map(idOf));
    return { code: 200, data: added.map(idOf) };
  }

  async #delete(gateway: DeviceId, items: readonly unknown[]): Promise<AlinkReply> {
    const { registry, settings } = this.#parts;
    const wanted = this.#few(items, settings.maxBatch);
    const gone = wanted.map((item) => {
      const id = subDeviceOf(item);
      if (id === undefined) throw new Refusal(460);
      const device = registry.findDevice(id.productKey, id.deviceName);
      if (device === undefined) throw new Refusal(6100);
      if (device.gateway === undefined || !isSame(device.gateway, gateway)) throw new Refusal(6401);
      return device;
    });
    for (const device of gone) await this.#unbind(device, gateway);
    this.#parts.changed("delete", gateway, gone.map(idOf));
    return { code: 200, data: gone.map(idOf) };
  }

  #get(gateway: DeviceId): AlinkReply {
    const { registry, settings } = this.#parts;
    return { code: 200, data: registry.subDevicesOf(gateway, undefined, settings.maxSubDevices).map(idOf) };
  }

  /** Sub-devices whose product lets them register get their secrets over the gateway [GW-2]. */
  async #register(gateway: DeviceId, items: readonly unknown[]): Promise<AlinkReply> {
    const { registry, settings } = this.#parts;
    const ids = this.#few(items, settings.maxRegistrations).map((item) => {
      const id = subDeviceOf(item);
      if (id === undefined) throw new Refusal(460);
      const code = this.#registrable(id, gateway);
      if (code !== 200) throw new Refusal(code);
      return id;
    });
    const registered: Device[] = [];
    for (const { productKey, deviceName } of ids) {
      registered.push(
        registry.findDevice(productKey, deviceName) ??
          (await registry.createDevice({ productKey, deviceName })),
      );
    }
    return { code: 200, data: registered.map(withSecret) };
  }

  /** The same for sub-devices that prove that they know their product's secret; each succeeds or fails alone. */
  async #registerWithProductSecret(gateway: DeviceId, { params }: AlinkRequest): Promise<AlinkReply> {
    const { registry, settings } = this.#parts;
    const list = isObject(params) ? params["proxieds"] : undefined;
    const items = this.#few(Array.isArray(list) ? list : [], settings.maxRegistrations);
    const successes: object[] = [];
    const failures: object[] = [];
    for (const item of items) {
      const id = subDeviceOf(item);
      if (id === undefined || !isObject(item)) throw new Refusal(460);
      let code = this.#registrable(id, gateway);
      const product = registry.findProduct(id.productKey);
      if (code === 200 && !isSignedWith(product?.productSecret ?? "", item)) code = 6600;
      if (code !== 200) {
        failures.push({ ...id, code });
        continue;
      }
      const { productKey, deviceName } = id;
      const device =
        registry.findDevice(productKey, deviceName) ??
        (await registry.createDevice({ productKey, deviceName }));
      successes.push(withSecret(device));
    }
    return { code: 200, data: { failures, successes } };
  }

  #registrable(id: DeviceId, gateway: DeviceId): number {
    const { registry } = this.#parts;
    // Secrets go to gateways alone [GW-2].
    if (registry.findProduct(gateway.productKey)?.nodeType !== "gateway") return 6401;
    const product = registry.findProduct(id.productKey);
    if (product === undefined) return 6250;
    if (!product.dynamicRegistration || product.authType === "x509") return 6288; // as for itself [DYN-1]
    const device = registry.findDevice(id.productKey, id.deviceName);
    if (device?.gateway !== undefined && !isSame(device.gateway, gateway)) return 6619;
    return device?.activatedAt === undefined ? 200 : 6289;
  }

  /** Then no secret speaks for it [AUTH-11]. */
  #hasCertificate({ productKey }: DeviceId): boolean {
    return this.#parts.registry.findProduct(productKey)?.authType === "x509";
  }

  #few(items: readonly unknown[], most: number): readonly unknown[] {
    if (items.length === 0 || items.length > most) throw new Refusal(460); // [LIMIT-6]
    return items;
  }

  #requireRoom(gateway: DeviceId, added: readonly Device[]): void {
    const { registry, settings } = this.#parts;
    const now = registry.subDevicesOf(gateway, undefined, settings.maxSubDevices + 1).length;
    const more = added.filter((device) => device.gateway === undefined).length;
    if (now + more > settings.maxSubDevices) throw new Refusal(6400); // [LIMIT-6]
  }

  /** All of them, or none where another gateway has been faster with one. */
  async #bindAll(devices: readonly Device[], gateway: DeviceId): Promise<void> {
    const bound: Device[] = [];
    try {
      for (const device of devices) {
        await this.#bind(device, gateway);
        if (device.gateway === undefined) bound.push(device);
      }
    } catch (error) {
      for (const device of bound) await this.#unbind(device, gateway);
      throw error;
    }
  }

  async #bind({ productKey, deviceName }: DeviceId, gateway: DeviceId): Promise<void> {
    try {
      await this.#parts.registry.updateDevice(productKey, deviceName, (before) => {
        if (before.gateway !== undefined && !isSame(before.gateway, gateway)) throw new Refusal(6619);
        return { gateway };
      });
    } catch (error) {
      // Its product is none of gateways.
      if (error instanceof Error && "code" in error && error.code === "REGISTRY_ENTRY")
        throw new Refusal(6401);
      throw error;
    }
  }

  async #unbind({ productKey, deviceName }: DeviceId, gateway: DeviceId): Promise<void> {
    await this.#parts.registry.updateDevice(productKey, deviceName, (before) =>
      before.gateway !== undefined && isSame(before.gateway, gateway) ? { gateway: undefined } : {},
    );
  }
}

function isSame(a: DeviceId, b: DeviceId): boolean {
  return a.productKey === b.productKey && a.deviceName === b.deviceName;
}

function idOf({ productKey, deviceName }: DeviceId): DeviceId {
  return { productKey, deviceName };
}

function withSecret({ iotId, productKey, deviceName, deviceSecret }: Device): object {
  return { iotId, productKey, deviceName, deviceSecret };
}
