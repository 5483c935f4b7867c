// Removes, chunk by chunk, rows that nobody sees any more: those of a product that was deleted, and those of an import that
// was given up or cut off. Whoever opens the registry after a crash goes on.
import type { Device } from "../devices/device.ts";
import { eraseDevice, readDevice } from "./edits.ts";
import {
  decodeId,
  devicesPrefix,
  importKey,
  modelKey,
  countKey,
  productKeyOf,
  touchedKey,
  touchedPrefix,
} from "../table/keys.ts";
import { decodeDevice, decodeProduct } from "../table/records.ts";
import type { Changes, Draft, Table } from "../table/table.ts";

/** Rows looked at in one turn of the event loop. */
const CHUNK = 1_000;
const NOBODY: ReadonlySet<number> = new Set();

export interface Access {
  readonly table: Table;
  readonly changes: Changes;
  /** True: somebody closes the registry, the rest waits for the next start. */
  readonly stopped: () => boolean;
  /** Of a device people have seen. */
  readonly erase: (draft: Draft, device: Device) => void;
}

export async function removeDevices(
  productKey: string,
  access: Access,
  removed: (device: Device) => void,
): Promise<void> {
  await sweep(productKey, access, () => true, removed, access.erase);
}

/** The rows of an import, the products that came with it, and then the mark that hides them. */
export async function removeRows(number: number, access: Access): Promise<void> {
  const { table, changes } = access;
  for (;;) {
    const [touched] = table.page(touchedPrefix(number), undefined, 1);
    if (touched === undefined) break;
    const productKey = touched.key.slice(touchedPrefix(number).length);
    await sweep(
      productKey,
      access,
      (_, row) => row === number,
      () => {},
      eraseDevice,
    );
    await changes.make(
      (draft) => {
        draft.remove(touchedKey(number, productKey));
        const text = draft.get(productKeyOf(productKey));
        if (text === undefined || decodeProduct(productKey, text).import !== number) return;
        draft.remove(productKeyOf(productKey));
        draft.remove(modelKey(productKey));
        draft.remove(countKey(productKey));
      },
      () => {},
    );
  }
  await changes.make(
    (draft) => draft.remove(importKey(number)),
    () => {},
  );
}

async function sweep(
  productKey: string,
  { table, changes, stopped }: Access,
  chosen: (device: Device, importNumber: number | undefined) => boolean,
  removed: (device: Device) => void,
  erase: (draft: Draft, device: Device) => void,
): Promise<void> {
  const prefix = devicesPrefix(productKey);
  let after: string | undefined;
  for (;;) {
    if (stopped()) throw new Error("the registry is closed");
    const page = table.page(prefix, after, CHUNK);
    if (page.length === 0) return;
    after = page[page.length - 1].key;
    const devices: Device[] = [];
    for (const { key, value } of page) {
      const { device, import: number } = decodeDevice(decodeId(key.slice(1)), value);
      if (chosen(device, number)) devices.push(device);
    }
    if (devices.length > 0) {
      await changes.make(
        (draft) => {
          for (const device of devices) {
            // As it is now: somebody may have changed it on the way here.
            const found = readDevice(draft, device, NOBODY);
            if (found !== undefined && found !== "staged") erase(draft, found);
          }
        },
        () => {
          for (const device of devices) removed(device);
        },
      );
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
