// Products and devices that may sign in: what the platform policy asks, and the registry in memory.
// Objects handed out are never changed; a change replaces them and counts the generation up.
import { ConfigError } from "../errors.ts";
import { checkTopicClass, DEFAULT_CLASSES, type TopicClass } from "./topic-classes.ts";
import { type DeviceId, isDeviceName, isProductKey } from "./user-name.ts";

export interface Product {
  readonly productKey: string;
  readonly productSecret: string;
  readonly topicClasses: readonly TopicClass[];
}

export type DeviceStatus = "enabled" | "disabled";

export interface Device extends DeviceId {
  readonly deviceSecret: string;
  readonly status: DeviceStatus;
}

export interface DeviceRegistry {
  /** Products are few and asked for at every decision: always at hand. */
  findProduct(productKey: string): Product | undefined;
  /** Devices may live elsewhere. */
  findDevice(productKey: string, deviceName: string): Device | undefined | Promise<Device | undefined>;
  /** Counts up when a product's topic classes change. */
  readonly generation: number;
}

/** Topic classes default to those of a new product, the status to enabled. */
export type NewProduct = Pick<Product, "productKey" | "productSecret"> & Partial<Product>;
export type NewDevice = Pick<Device, "productKey" | "deviceName" | "deviceSecret"> & Partial<Device>;

export class MemoryRegistry implements DeviceRegistry {
  readonly #products = new Map<string, Product>();
  readonly #devices = new Map<string, Map<string, Device>>();
  #generation = 1;

  get generation(): number {
    return this.#generation;
  }

  get products(): readonly Product[] {
    return [...this.#products.values()];
  }

  devicesOf(productKey: string): readonly Device[] {
    return [...(this.#devices.get(productKey)?.values() ?? [])];
  }

  findProduct(productKey: string): Product | undefined {
    return this.#products.get(productKey);
  }

  findDevice(productKey: string, deviceName: string): Device | undefined {
    return this.#devices.get(productKey)?.get(deviceName);
  }

  /** Adds a product, or replaces it and keeps its devices. */
  putProduct(fields: NewProduct): Product {
    const product: Product = { topicClasses: DEFAULT_CLASSES, ...fields };
    checkProduct(product);
    this.#products.set(product.productKey, product);
    if (!this.#devices.has(product.productKey)) this.#devices.set(product.productKey, new Map());
    this.#generation++;
    return product;
  }

  /** Adds a device to its product, or replaces it. */
  putDevice(fields: NewDevice): Device {
    const device: Device = { status: "enabled", ...fields };
    checkDevice(device);
    const devices = this.#devices.get(device.productKey);
    if (devices === undefined)
      throw invalid("productKey", `"${device.productKey}": no such product; add the product first`);
    devices.set(device.deviceName, device);
    return device;
  }

  removeDevice(productKey: string, deviceName: string): boolean {
    return this.#devices.get(productKey)?.delete(deviceName) ?? false;
  }

  /** Removes the product and its devices. */
  removeProduct(productKey: string): boolean {
    this.#devices.delete(productKey);
    const removed = this.#products.delete(productKey);
    if (removed) this.#generation++;
    return removed;
  }
}

function checkProduct({ productKey, productSecret, topicClasses }: Product): void {
  if (!isProductKey(productKey)) throw invalid("productKey", `"${productKey}": 1 to 32 letters and digits`);
  if (productSecret === "") throw invalid("productSecret", "is empty");
  const seen = new Set<string>();
  for (const topicClass of topicClasses) {
    const defect = checkTopicClass(topicClass);
    if (defect !== undefined) throw invalid("topicClasses", defect);
    if (seen.has(topicClass.suffix))
      throw invalid("topicClasses", `suffix "${topicClass.suffix}" stands twice`);
    seen.add(topicClass.suffix);
  }
}

function checkDevice({ deviceName, deviceSecret, status }: Device): void {
  if (!isDeviceName(deviceName)) {
    throw invalid(
      "deviceName",
      `"${deviceName}": 4 to 32 characters of letters, digits, "-", "_", "@", ".", ":"`,
    ); // [AUTH-4]
  }
  if (deviceSecret === "") throw invalid("deviceSecret", "is empty");
  if (status !== "enabled" && status !== "disabled")
    throw invalid("status", `"${status}": enabled or disabled`);
}

function invalid(path: string, message: string): ConfigError {
  return new ConfigError("REGISTRY_ENTRY", path, `${path}: ${message}`);
}
