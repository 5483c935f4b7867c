// The registry kept in one JSON file, `devices.json` of the data directory: read at start, replaced as a whole at each
// change, readable by its owner only. A change holds in memory at once and on disk when its promise resolves.
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, writeFileAtomic } from "../access/atomic-file.ts";
import { ConfigError, OperationError } from "../errors.ts";
import {
  type Device,
  type DeviceRegistry,
  MemoryRegistry,
  type NewDevice,
  type NewProduct,
  type Product,
} from "./registry.ts";

const VERSION = 1;

export class FileRegistry implements DeviceRegistry {
  readonly path: string;
  /** The file was missing when the registry was opened. */
  readonly isNew: boolean;
  readonly #memory: MemoryRegistry;
  /** The write that is running, and the one that will follow and hold everything changed meanwhile. */
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  private constructor(path: string, memory: MemoryRegistry, isNew: boolean) {
    this.path = path;
    this.#memory = memory;
    this.isNew = isNew;
  }

  /** A missing file is an empty registry; it is written at the first change. */
  static async open(path: string): Promise<FileRegistry> {
    let text: string;
    try {
      text = await readFile(path, "utf8");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT")
        return new FileRegistry(path, new MemoryRegistry(), true);
      throw new OperationError("REGISTRY_READ", `${path}: cannot be read: ${messageOf(cause)}`, { cause });
    }
    return new FileRegistry(path, parseRegistry(text, path), false);
  }

  get generation(): number {
    return this.#memory.generation;
  }
  get products(): readonly Product[] {
    return this.#memory.products;
  }
  devicesOf(productKey: string): readonly Device[] {
    return this.#memory.devicesOf(productKey);
  }
  findProduct(productKey: string): Product | undefined {
    return this.#memory.findProduct(productKey);
  }
  findDevice(productKey: string, deviceName: string): Device | undefined {
    return this.#memory.findDevice(productKey, deviceName);
  }

  /** Several changes made in one turn are one write. */
  async putProduct(fields: NewProduct): Promise<Product> {
    const product = this.#memory.putProduct(fields);
    await this.#save();
    return product;
  }
  async putDevice(fields: NewDevice): Promise<Device> {
    const device = this.#memory.putDevice(fields);
    await this.#save();
    return device;
  }
  async removeDevice(productKey: string, deviceName: string): Promise<boolean> {
    const removed = this.#memory.removeDevice(productKey, deviceName);
    if (removed) await this.#save();
    return removed;
  }
  async removeProduct(productKey: string): Promise<boolean> {
    const removed = this.#memory.removeProduct(productKey);
    if (removed) await this.#save();
    return removed;
  }

  #save(): Promise<void> {
    this.#next ??= (this.#running ?? Promise.resolve())
      .catch(() => undefined) // whoever asked for that write has been told
      .then(() => {
        this.#running = this.#next;
        this.#next = undefined;
        return this.#write();
      });
    return this.#next;
  }

  async #write(): Promise<void> {
    const directory = dirname(this.path);
    await mkdir(directory, { recursive: true, mode: 0o700 }).catch((cause) => {
      throw new OperationError("FILE_WRITE", `${directory}: cannot be made: ${messageOf(cause)}`, { cause });
    });
    await writeFileAtomic(this.path, formatRegistry(this.#memory));
  }
}

function formatRegistry(registry: MemoryRegistry): string {
  const products = registry.products.map((product) => ({
    ...product,
    devices: registry.devicesOf(product.productKey).map(({ productKey: _, ...device }) => device),
  }));
  return `${JSON.stringify({ version: VERSION, products }, null, 2)}\n`;
}

function parseRegistry(text: string, path: string): MemoryRegistry {
  const registry = new MemoryRegistry();
  const root = asObject(parseJson(text, path), path, "the file");
  if (root["version"] !== VERSION)
    throw bad(path, "version", `is ${JSON.stringify(root["version"])}, this program reads ${VERSION}`);
  for (const [i, productValue] of asArray(root["products"], path, "products").entries()) {
    const at = `products[${i}]`;
    const fields = asObject(productValue, path, at);
    const product = {
      productKey: asText(fields["productKey"], path, `${at}.productKey`),
      productSecret: asText(fields["productSecret"], path, `${at}.productSecret`),
      topicClasses: asArray(fields["topicClasses"], path, `${at}.topicClasses`).map((value, j) => {
        const entry = asObject(value, path, `${at}.topicClasses[${j}]`);
        return {
          suffix: asText(entry["suffix"], path, `${at}.topicClasses[${j}].suffix`),
          permission: asText(entry["permission"], path, `${at}.topicClasses[${j}].permission`) as
            | "PUB"
            | "SUB"
            | "ALL",
        };
      }),
    };
    if (registry.findProduct(product.productKey))
      throw bad(path, `${at}.productKey`, "stands twice: delete one of the two");
    located(path, at, () => registry.putProduct(product));
    for (const [j, deviceValue] of asArray(fields["devices"], path, `${at}.devices`).entries()) {
      const where = `${at}.devices[${j}]`;
      const entry = asObject(deviceValue, path, where);
      const device = {
        productKey: product.productKey,
        deviceName: asText(entry["deviceName"], path, `${where}.deviceName`),
        deviceSecret: asText(entry["deviceSecret"], path, `${where}.deviceSecret`),
        status: asText(entry["status"], path, `${where}.status`) as Device["status"],
      };
      if (registry.findDevice(device.productKey, device.deviceName))
        throw bad(path, `${where}.deviceName`, "stands twice: delete one of the two");
      located(path, where, () => registry.putDevice(device));
    }
  }
  return registry;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw bad(
      path,
      "the file",
      `is not JSON: ${messageOf(error)}. Restore it, or move it away to start empty`,
    );
  }
}

function located(path: string, at: string, add: () => void): void {
  try {
    add();
  } catch (error) {
    if (error instanceof ConfigError) throw bad(path, `${at}.${error.path}`, error.message);
    throw error;
  }
}

function asObject(value: unknown, path: string, at: string): { readonly [key: string]: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw bad(path, at, "is not an object");
  return value as { readonly [key: string]: unknown };
}

function asArray(value: unknown, path: string, at: string): readonly unknown[] {
  if (!Array.isArray(value)) throw bad(path, at, "is not a list");
  return value;
}

function asText(value: unknown, path: string, at: string): string {
  if (typeof value !== "string") throw bad(path, at, "is not a text");
  return value;
}

function bad(path: string, at: string, message: string): ConfigError {
  return new ConfigError("REGISTRY_FILE", at, `${path}: ${at}: ${message}`);
}
