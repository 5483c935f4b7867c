// What one change of a product or device writes: the record and every index that names it, so that they never disagree.
// Throws before it writes anything that would be wrong. Events, memory and order are the registry's.
import { OperationError } from "../../../errors.ts";
import type { DeviceId } from "../../names/user-name.ts";
import { checkDevice, type Device, type DeviceChanges } from "../devices/device.ts";
import {
  certificateKey,
  connectionKey,
  countKey,
  decodeId,
  deviceKey,
  encodeId,
  endedKey,
  iotIdKey,
  modelKey,
  nameKey,
  productKeyOf,
  removalKey,
  subDeviceKey,
} from "../table/keys.ts";
import type { Product } from "../devices/product.ts";
import { decodeDevice, decodeProduct, encodeDevice, encodeProduct } from "../table/records.ts";
import type { Draft } from "../table/table.ts";

/** Numbers of the imports whose rows do not count yet. */
export type Staging = ReadonlySet<number>;

export function isStaged(number: number | undefined, staging: Staging): boolean {
  return number !== undefined && staging.has(number);
}

// ---- products ----

export function needProduct(draft: Draft, productKey: string, staging: Staging): Product {
  const text = draft.get(productKeyOf(productKey));
  const found = text === undefined ? undefined : decodeProduct(productKey, text);
  if (found !== undefined && isStaged(found.import, staging)) throw imported(`product ${productKey}`);
  if (found === undefined) throw missingProduct(productKey);
  return found.product;
}

export function insertProduct(draft: Draft, product: Product, importNumber?: number): void {
  const { productKey } = product;
  if (draft.get(removalKey(productKey)) !== undefined) {
    const message = `productKey: the devices of an older product ${productKey} are still being removed: try again soon`;
    throw new OperationError("REGISTRY_BUSY", message);
  }
  if (draft.get(productKeyOf(productKey)) !== undefined) {
    const message = `productKey: product ${productKey} exists already: choose another, or update it`;
    throw new OperationError("REGISTRY_EXISTS", message);
  }
  writeName(draft, undefined, product);
  draft.put(productKeyOf(productKey), encodeProduct(product, importNumber));
  draft.put(countKey(productKey), "0");
}

export function replaceProduct(draft: Draft, before: Product, after: Product): void {
  writeName(draft, before, after);
  draft.put(productKeyOf(after.productKey), encodeProduct(after));
}

/** Names are unique; a product without one is called by its key, which needs no entry. */
function writeName(draft: Draft, before: Product | undefined, { name, productKey }: Product): void {
  if (before?.name === name) return;
  const owner = draft.get(nameKey(name));
  if (owner !== undefined && owner !== productKey) {
    const message = `name: "${name}" is the name of product ${owner}: choose another`;
    throw new OperationError("REGISTRY_EXISTS", message);
  }
  if (before !== undefined && before.name !== productKey) draft.remove(nameKey(before.name));
  if (name !== productKey) draft.put(nameKey(name), productKey);
}

/** The product is gone at once; what is left of its devices is removed later, `removalKey` remembers that. */
export function eraseProduct(draft: Draft, { productKey, name }: Product): void {
  if (name !== productKey) draft.remove(nameKey(name));
  draft.remove(productKeyOf(productKey));
  draft.remove(modelKey(productKey));
  draft.remove(countKey(productKey));
  draft.put(removalKey(productKey), "");
}

export function addToCount(draft: Draft, productKey: string, by: number): void {
  draft.put(countKey(productKey), String(Number(draft.get(countKey(productKey)) ?? 0) + by));
}

// ---- devices ----

export function readDevice(
  draft: Pick<Draft, "get">,
  id: DeviceId,
  staging: Staging,
): Device | "staged" | undefined {
  const text = draft.get(deviceKey(id));
  if (text === undefined) return undefined;
  const found = decodeDevice(id, text);
  return isStaged(found.import, staging) ? "staged" : found.device;
}

export function needDevice(draft: Draft, id: DeviceId, staging: Staging): Device {
  needProduct(draft, id.productKey, staging);
  const found = readDevice(draft, id, staging);
  if (found === "staged") throw imported(`device ${id.deviceName}`);
  if (found === undefined) throw missingDevice(id);
  return found;
}

/** Everything but the product's count. The name must be free. */
export function insertDevice(draft: Draft, device: Device, importNumber?: number): void {
  if (draft.get(iotIdKey(device.iotId)) !== undefined) {
    const message = `iotId: ${device.iotId} is another device's: leave it out to have one made`;
    throw new OperationError("REGISTRY_EXISTS", message);
  }
  draft.put(deviceKey(device), encodeDevice(device, importNumber));
  draft.put(iotIdKey(device.iotId), encodeId(device));
  writeCertificate(draft, undefined, device);
  writeGateway(draft, undefined, device);
}

export function replaceDevice(draft: Draft, before: Device, after: Device): void {
  draft.put(deviceKey(after), encodeDevice(after));
  if (before.iotId !== after.iotId) {
    draft.remove(iotIdKey(before.iotId));
    draft.put(iotIdKey(after.iotId), encodeId(after));
  }
  writeCertificate(draft, before, after);
  writeGateway(draft, before, after);
}

/** Everything but the product's count. */
export function eraseDevice(draft: Draft, device: Device): void {
  draft.remove(deviceKey(device));
  draft.remove(iotIdKey(device.iotId));
  draft.remove(connectionKey(device));
  draft.remove(endedKey(device));
  if (device.certificate !== undefined) draft.remove(certificateKey(device.certificate));
  if (device.gateway !== undefined) draft.remove(subDeviceKey(device.gateway, device));
}

/** A device with changes, checked. */
export function changedDevice(before: Device, changes: DeviceChanges): Device {
  const after: Device = { ...before, ...changes };
  checkDevice(after);
  return after;
}

/** A certificate belongs to exactly one device [AUTH-11]. */
function writeCertificate(draft: Draft, before: Device | undefined, after: Device): void {
  if (before?.certificate === after.certificate) return;
  if (before?.certificate !== undefined) draft.remove(certificateKey(before.certificate));
  if (after.certificate === undefined) return;
  const owner = draft.get(certificateKey(after.certificate));
  if (owner !== undefined && owner !== encodeId(after)) {
    const { productKey, deviceName } = decodeId(owner);
    const message = `certificate: is bound to ${deviceName} of product ${productKey} already: bind another to that device first, or delete it`;
    throw new OperationError("REGISTRY_EXISTS", message);
  }
  draft.put(certificateKey(after.certificate), encodeId(after));
}

function writeGateway(draft: Draft, before: Device | undefined, after: Device): void {
  const [old, now] = [before?.gateway, after.gateway];
  if (old !== undefined) draft.remove(subDeviceKey(old, after));
  if (now !== undefined) draft.put(subDeviceKey(now, after), "");
}

// ---- errors ----

export function missingProduct(productKey: string): OperationError {
  const message = `productKey: "${productKey}": there is no such product; add the product first`;
  return new OperationError("REGISTRY_MISSING", message);
}

export function missingDevice({ productKey, deviceName }: DeviceId): OperationError {
  const message = `deviceName: product ${productKey} has no device "${deviceName}"; create it first`;
  return new OperationError("REGISTRY_MISSING", message);
}

export function imported(what: string): OperationError {
  const message = `${what} stands in an import that is under way: try again when that has ended`;
  return new OperationError("REGISTRY_BUSY", message);
}
