// The half of the registry that reads. Products are in memory; devices are read from the table when asked for, through a
// bounded cache: what a question costs does not depend on how many devices there are.
import { EventHub } from "../../events.ts";
import type { Logger } from "../../logger.ts";
import type { DeviceId } from "../names/user-name.ts";
import type { Device, DeviceState } from "./devices/device.ts";
import { DeviceCache } from "./devices/device-cache.ts";
import { isStaged, readDevice } from "./changes/edits.ts";
import {
  certificateKey,
  countKey,
  decodeId,
  devicesPrefix,
  IMPORTS,
  iotIdKey,
  markKey,
  modelKey,
  PRODUCTS,
  subDeviceKey,
  subDevicesPrefix,
} from "./table/keys.ts";
import { Presence } from "./presence/presence.ts";
import type { Product } from "./devices/product.ts";
import { decodeDevice, decodeProduct } from "./table/records.ts";
import { Documents } from "./table/documents.ts";
import { Changes, type Entry, type Table } from "./table/table.ts";

/** Told after the change holds. Deleted: what it was. */
export interface RegistryEvents {
  "product.created": Product;
  /** Its fields, topic classes or thing model. */
  "product.changed": Product;
  "product.deleted": Product;
  "device.created": Device;
  "device.changed": Device;
  "device.enabled": Device;
  "device.disabled": Device;
  "device.reset": Device;
  "device.deleted": Device;
  /** Reset or deleted: what it was, with the tokens it no longer has. */
  "device.tokensGone": Device;
  /** It was bound to another certificate, and is bound to that no more [AUTH-11]. */
  "device.certificateGone": Device;
  /** A device has connected that was disabled or deleted while it signed in. */
  "device.late": { readonly id: DeviceId; readonly why: Revocation };
  /** Instead of device.created for each of them; products that came with them have had theirs. */
  "devices.imported": { readonly count: number; readonly devices: () => AsyncIterable<Device> };
}

/** Why a device's connection must end. */
export type Revocation = "disabled" | "deleted" | "reset";

export interface PageOptions {
  /** DeviceName behind which the page begins. */
  readonly after?: string;
  /** Default and most 1,000. */
  readonly limit?: number;
}

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const PAGE = 1_000;

export class RegistryReader {
  /** What services keep of their own. */
  readonly documents: Documents;
  protected readonly table: Table;
  protected readonly changes: Changes;
  protected readonly productsByKey = new Map<string, Product>();
  /** ProductKeys by name. */
  protected readonly names = new Map<string, string>();
  protected readonly cache = new DeviceCache();
  protected readonly presence: Presence;
  protected readonly events: EventHub<RegistryEvents>;
  protected readonly logger: Logger;
  /** Imports whose rows do not count yet. */
  protected readonly staging = new Set<number>();
  protected currentGeneration = 1;

  constructor(table: Table, logger: Logger = SILENT) {
    this.table = table;
    this.logger = logger;
    this.changes = new Changes(table);
    this.documents = new Documents(table, this.changes);
    this.events = new EventHub(logger);
    this.presence = new Presence(table, (work) => this.changes.make(work, () => {}));
    for (const { key } of this.entries(IMPORTS)) this.staging.add(Number(key.slice(IMPORTS.length)));
    for (const { key, value } of this.entries(PRODUCTS)) {
      const found = decodeProduct(key.slice(PRODUCTS.length), value);
      if (!isStaged(found.import, this.staging)) this.remember(found.product);
    }
  }

  /** All entries of few. */
  protected *entries(prefix: string): Generator<Entry> {
    let after: string | undefined;
    for (;;) {
      const page = this.table.page(prefix, after, PAGE);
      yield* page;
      if (page.length < PAGE) return;
      after = page[page.length - 1].key;
    }
  }

  protected remember(product: Product): void {
    this.forget(product.productKey);
    this.productsByKey.set(product.productKey, product);
    this.names.set(product.name, product.productKey);
  }

  protected forget(productKey: string): void {
    const known = this.productsByKey.get(productKey);
    if (known === undefined) return;
    this.productsByKey.delete(productKey);
    this.names.delete(known.name);
  }

  /** Adds a listener; call the result to take it away. */
  on<Name extends keyof RegistryEvents>(
    name: Name,
    listener: (event: RegistryEvents[Name]) => void,
  ): () => void {
    return this.events.on(name, listener);
  }

  /** Tells of devices whose connection must end [AUTH-13]; call the result to be told no more. */
  onRevoked(listener: (id: DeviceId, why: Revocation) => void): () => void {
    const removers = [
      ...(["disabled", "deleted", "reset"] as const).map((why) =>
        this.on(`device.${why}`, (device) => listener(device, why)),
      ),
      this.on("device.late", ({ id, why }) => listener(id, why)),
    ];
    return () => {
      for (const remove of removers) remove();
    };
  }

  /** Counts up when anything that decides about permissions has changed. */
  get generation(): number {
    return this.currentGeneration;
  }

  /** Whether something that is done once was done, see putAll(). */
  hasMark(name: string): boolean {
    return this.table.get(markKey(name)) !== undefined;
  }

  // ---- products ----

  /** In no particular order. */
  get products(): readonly Product[] {
    return [...this.productsByKey.values()];
  }

  findProduct(productKey: string): Product | undefined {
    return this.productsByKey.get(productKey);
  }

  findProductByName(name: string): Product | undefined {
    const productKey = this.names.get(name);
    return productKey === undefined ? undefined : this.productsByKey.get(productKey);
  }

  /** Its thing model, the text that was given. Read each time: keep what was made of it until "product.changed". */
  findModel(productKey: string): string | undefined {
    return this.productsByKey.has(productKey) ? this.table.get(modelKey(productKey)) : undefined;
  }

  countDevices(productKey: string): number {
    return this.productsByKey.has(productKey) ? Number(this.table.get(countKey(productKey)) ?? 0) : 0;
  }

  // ---- devices ----

  findDevice(productKey: string, deviceName: string): Device | undefined {
    const product = this.productsByKey.get(productKey);
    if (product === undefined) return undefined;
    const cached = this.cache.get(productKey, deviceName);
    if (cached !== undefined) return cached;
    // The product's own text: devices that are kept share it.
    const found = readDevice(this.table, { productKey: product.productKey, deviceName }, this.staging);
    if (found === undefined || found === "staged") return undefined;
    this.cache.set(found);
    return found;
  }

  findByIotId(iotId: string): Device | undefined {
    return this.#indexed(iotIdKey(iotId));
  }

  /** `fingerprint`: SHA-256, lower-case hex. */
  findByCertificate(fingerprint: string): Device | undefined {
    return this.#indexed(certificateKey(fingerprint));
  }

  #indexed(key: string): Device | undefined {
    const text = this.table.get(key);
    if (text === undefined) return undefined;
    const { productKey, deviceName } = decodeId(text);
    return this.findDevice(productKey, deviceName);
  }

  /** A page of a product's devices in the order of their names; the next one begins behind the last of it. Empty: no more. */
  devicesOf(productKey: string, { after, limit = PAGE }: PageOptions = {}): readonly Device[] {
    const devices: Device[] = [];
    if (!this.productsByKey.has(productKey)) return devices;
    const prefix = devicesPrefix(productKey);
    const most = Math.min(limit, PAGE);
    let behind = after === undefined ? undefined : `${prefix}${after}`;
    while (devices.length < most) {
      const page = this.table.page(prefix, behind, most - devices.length);
      for (const { key, value } of page) {
        const { device, import: number } = decodeDevice(decodeId(key.slice(1)), value);
        if (!isStaged(number, this.staging)) devices.push(device);
        behind = key;
      }
      if (page.length === 0) break;
    }
    return devices;
  }

  /** A page of the devices that belong to a gateway; `after`: the last one of the page before. */
  subDevicesOf(gateway: DeviceId, after?: DeviceId, limit: number = PAGE): readonly Device[] {
    const prefix = subDevicesPrefix(gateway);
    const behind = after === undefined ? undefined : subDeviceKey(gateway, after);
    const devices: Device[] = [];
    for (const { key } of this.table.page(prefix, behind, Math.min(limit, PAGE))) {
      const { productKey, deviceName } = decodeId(key.slice(prefix.length));
      const device = this.findDevice(productKey, deviceName);
      if (device !== undefined) devices.push(device);
    }
    return devices;
  }

  /** Status and times of a device [STATUS-2]. */
  stateOf(device: Device): DeviceState {
    return this.presence.stateOf(device);
  }

  /** Whether it has a connection now. */
  isOnline(device: DeviceId): boolean {
    return this.presence.isOnline(device);
  }

  get onlineCount(): number {
    return this.presence.onlineCount;
  }
}
