// The registry of an embedder without a data directory: gone with the process. What changes needs no waiting, so there are
// short forms that add or replace at once.
import { completeDevice, type Device, type NewDevice } from "./devices/device.ts";
import {
  addToCount,
  eraseDevice,
  insertDevice,
  insertProduct,
  needProduct,
  readDevice,
  replaceProduct,
} from "./changes/edits.ts";
import { MemoryTable } from "./table/memory-table.ts";
import { completeProduct, type NewProduct, type Product } from "./devices/product.ts";
import { Registry } from "./registry.ts";

export class MemoryRegistry extends Registry {
  constructor() {
    super(new MemoryTable());
  }

  /** Adds a product, or replaces it and keeps its devices. */
  putProduct(fields: NewProduct): Product {
    const product = completeProduct(fields);
    const before = this.findProduct(product.productKey);
    this.changes.makeNow(
      (draft) => {
        if (before === undefined) insertProduct(draft, product);
        else replaceProduct(draft, before, product);
      },
      () => this.productSet(product, before === undefined ? "product.created" : "product.changed"),
    );
    return product;
  }

  /** Adds a device to its product, or replaces it. */
  putDevice(fields: NewDevice): Device {
    const before = this.findDevice(fields.productKey, fields.deviceName);
    const device = completeDevice({ iotId: before?.iotId, ...fields });
    this.changes.makeNow(
      (draft) => {
        needProduct(draft, device.productKey, this.staging);
        const found = readDevice(draft, device, this.staging);
        if (found === "staged" || found === undefined) addToCount(draft, device.productKey, 1);
        else eraseDevice(draft, found);
        insertDevice(draft, device);
      },
      () => this.deviceSet(device, before === undefined ? "device.created" : "device.changed"),
    );
    return device;
  }

  /** False: there was none. */
  removeDevice(productKey: string, deviceName: string): boolean {
    const device = this.findDevice(productKey, deviceName);
    if (device === undefined) return false;
    this.changes.makeNow(
      (draft) => {
        eraseDevice(draft, device);
        addToCount(draft, productKey, -1);
      },
      () => this.deviceGone(device),
    );
    return true;
  }
}
