// The face of the registry: what the platform policy asks of one, and the registries there are. An embedder who keeps
// devices elsewhere writes a DeviceRegistry; everything else of the platform works on a Registry.
import type { Logger } from "../../logger.ts";
import type { Device, DeviceToken, ProtocolFamily } from "./devices/device.ts";
import { migrateDevicesFile } from "./devices-file.ts";
import { FileTable } from "./table/file-table.ts";
import type { Product } from "./devices/product.ts";
import { Registry } from "./registry.ts";
import type { Revocation } from "./registry-reader.ts";
import type { DeviceId } from "../names/user-name.ts";

export type {
  Device,
  DeviceChanges,
  DeviceState,
  DeviceStatus,
  DeviceToken,
  NewDevice,
  ProtocolFamily,
} from "./devices/device.ts";
export type { BadRow, DeviceImport, ImportResult, ImportRow } from "./changes/device-import.ts";
export { nothingImported } from "./changes/device-import.ts";
export { MemoryRegistry } from "./memory-registry.ts";
export { registryDirectory } from "./table/file-table.ts";
export type { NewProduct, Product, ProductChanges } from "./devices/product.ts";
export { hasRegistry, requireNoRegistry, restoreRegistry } from "./registry-backup.ts";
export { Registry } from "./registry.ts";
export type { PageOptions, RegistryEvents, Revocation } from "./registry-reader.ts";

/** What a product must have for its devices to sign in; what is left out is as in a new product. */
export type KnownProduct = Pick<Product, "productKey" | "productSecret" | "topicClasses"> & Partial<Product>;
/** What a device must have to sign in. */
export type KnownDevice = Pick<Device, "productKey" | "deviceName" | "deviceSecret" | "enabled"> &
  Partial<Device>;

/** What the platform policy asks. */
export interface DeviceRegistry {
  /** Products are few and asked for at every decision: always at hand. */
  findProduct(productKey: string): KnownProduct | undefined;
  /** Devices may live elsewhere. */
  findDevice(
    productKey: string,
    deviceName: string,
  ): KnownDevice | undefined | Promise<KnownDevice | undefined>;
  /** The device a client certificate is bound to, by SHA-256 fingerprint in lower-case hex [AUTH-11]. */
  findByCertificate?(fingerprint: string): KnownDevice | undefined | Promise<KnownDevice | undefined>;
  /** Counts up when a product's topic classes or free topics change. */
  readonly generation: number;
  /** A device has connected, after its CONNACK [AUTH-14]. */
  connected?(id: DeviceId, family: ProtocolFamily | undefined, remoteAddress?: string): void;
  /** Makes one more pair for a device, and the device where there is none; undefined: it has all it may have [DYN-4]. */
  issueToken?(id: DeviceId): Promise<DeviceToken | undefined>;
  /** Its connection is gone. */
  disconnected?(id: DeviceId): void;
  /** Tells of devices whose connection must end [AUTH-13]; call the result to be told no more. */
  onRevoked?(listener: (id: DeviceId, why: Revocation) => void): () => void;
}

/**
 * Opens or makes the registry of a data directory, which nobody else may have open. Takes over the `devices.json` of an
 * older release.
 */
export async function openRegistry(dataDirectory: string, logger?: Logger): Promise<Registry> {
  const registry = new Registry(await FileTable.open(dataDirectory), logger);
  try {
    await migrateDevicesFile(registry, dataDirectory, logger);
  } catch (error) {
    await registry.close();
    throw error;
  }
  registry.cleanUp();
  return registry;
}
