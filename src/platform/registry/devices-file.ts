// Takes over `devices.json`, in which releases before the registry's database kept products and devices: once, all of it in
// one commit, and the file is renamed behind it.
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../access/atomic-file.ts";
import { ConfigError, OperationError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import type { TopicClass } from "../names/topic-classes.ts";
import { completeDevice, type Device } from "./devices/device.ts";
import { completeProduct, type Product } from "./devices/product.ts";
import type { Registry } from "./registry.ts";

const DEVICES_FILE = "devices.json";
const MARK = DEVICES_FILE;
const VERSION = 1;

export interface DevicesFile {
  readonly products: readonly Product[];
  readonly devices: readonly Device[];
}

/** True: it was taken over now. Throws ConfigError REGISTRY_FILE where it cannot be understood; then nothing has changed. */
export async function migrateDevicesFile(
  registry: Registry,
  dataDirectory: string,
  logger?: Logger,
): Promise<boolean> {
  const path = join(dataDirectory, DEVICES_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw new OperationError("REGISTRY_READ", `${path}: cannot be read: ${messageOf(cause)}`, { cause });
  }
  if (registry.hasMark(MARK)) {
    logger?.warn(
      { path },
      "devices.json was taken over before and is not read any more: millrace device import adds devices",
    );
    return false;
  }
  const content = parseDevicesFile(text, path);
  try {
    await registry.putAll(content.products, content.devices, MARK);
  } catch (error) {
    if (error instanceof OperationError && error.code === "REGISTRY_EXISTS")
      throw bad(path, "the file", `cannot be taken over: ${error.message}`);
    throw error;
  }
  await rename(path, `${path}.migrated`);
  logger?.info(
    { path, products: content.products.length, devices: content.devices.length },
    "devices.json was taken over into the registry",
  );
  return true;
}

/** Throws ConfigError with the place inside the file. */
function parseDevicesFile(text: string, path: string): DevicesFile {
  const products: Product[] = [];
  const devices: Device[] = [];
  const root = asObject(parseJson(text, path), path, "the file");
  if (root["version"] !== VERSION)
    throw bad(path, "version", `is ${JSON.stringify(root["version"])}, this program reads ${VERSION}`);
  for (const [i, productValue] of asArray(root["products"], path, "products").entries()) {
    const at = `products[${i}]`;
    const fields = asObject(productValue, path, at);
    const productKey = asText(fields["productKey"], path, `${at}.productKey`);
    const product = {
      productKey,
      productSecret: asText(fields["productSecret"], path, `${at}.productSecret`),
      topicClasses: asArray(fields["topicClasses"], path, `${at}.topicClasses`).map(
        (value, j): TopicClass => {
          const entry = asObject(value, path, `${at}.topicClasses[${j}]`);
          const permission = asText(entry["permission"], path, `${at}.topicClasses[${j}].permission`);
          return {
            suffix: asText(entry["suffix"], path, `${at}.topicClasses[${j}].suffix`),
            permission: permission as TopicClass["permission"],
          };
        },
      ),
    };
    products.push(located(path, at, () => completeProduct(product)));
    for (const [j, deviceValue] of asArray(fields["devices"], path, `${at}.devices`).entries()) {
      const where = `${at}.devices[${j}]`;
      const entry = asObject(deviceValue, path, where);
      const status = asText(entry["status"], path, `${where}.status`);
      if (status !== "enabled" && status !== "disabled")
        throw bad(path, `${where}.status`, `"${status}": enabled or disabled`);
      const device = {
        productKey,
        deviceName: asText(entry["deviceName"], path, `${where}.deviceName`),
        deviceSecret: asText(entry["deviceSecret"], path, `${where}.deviceSecret`),
        enabled: status === "enabled",
      };
      devices.push(located(path, where, () => completeDevice(device)));
    }
  }
  return { products, devices };
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

function located<T>(path: string, at: string, complete: () => T): T {
  try {
    return complete();
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
