// Products and devices that were deleted while no broker ran. A broker keeps things of them that the registry does not know
// (sessions, retained messages): the next broker is told what was deleted, and forgets those.
import type { Device } from "../devices/device.ts";
import { decodeId, UNTOLD, UNTOLD_PRODUCTS } from "../table/keys.ts";
import type { Product } from "../devices/product.ts";
import { decodeDevice, decodeProduct, encodeProduct } from "../table/records.ts";
import type { Changes, Draft, Entry, Table } from "../table/table.ts";

/** Rows told of at a time. */
const PAGE = 1_000;

/** Who is told. */
export interface Heir {
  product(product: Product): void;
  device(device: Device): void;
}

export function noteDeletedProduct(draft: Draft, product: Product): void {
  draft.put(`${UNTOLD_PRODUCTS}${product.productKey}`, encodeProduct(product));
}

export async function tellUntold(table: Table, changes: Changes, heir: Heir): Promise<void> {
  await tellEach(table, changes, UNTOLD_PRODUCTS, ({ key, value }) =>
    heir.product(decodeProduct(key.slice(UNTOLD_PRODUCTS.length), value).product),
  );
  await tellEach(table, changes, UNTOLD, ({ key, value }) =>
    heir.device(decodeDevice(decodeId(key.slice(UNTOLD.length)), value).device),
  );
}

async function tellEach(
  table: Table,
  changes: Changes,
  prefix: string,
  tell: (entry: Entry) => void,
): Promise<void> {
  for (;;) {
    const page = table.page(prefix, undefined, PAGE);
    if (page.length === 0) return;
    for (const entry of page) tell(entry);
    await changes.make(
      (draft) => {
        for (const { key } of page) draft.remove(key);
      },
      () => {},
    );
  }
}
