// Takes triples over in bulk, all or nothing. Rows are written as they come, marked with the number of the import, and do
// not count while that is under way; one commit lets all of them count. What is given up or cut off is removed later.
import { ConfigError, OperationError } from "../../../errors.ts";
import { completeDevice, type Device } from "../devices/device.ts";
import { addToCount, insertDevice, insertProduct } from "./edits.ts";
import {
  decodeId,
  devicesPrefix,
  deviceKey,
  importKey,
  LAST_IMPORT,
  productKeyOf,
  touchedKey,
} from "../table/keys.ts";
import { type Access, removeRows } from "./leftovers.ts";
import { completeProduct, invalidEntry, type Product } from "../devices/product.ts";
import { decodeDevice, encodeProduct } from "../table/records.ts";
import type { Draft } from "../table/table.ts";

export interface ImportRow {
  /** Where it stands in its source, for whoever reads what is bad. */
  readonly line: number;
  readonly productKey: string;
  readonly deviceName: string;
  readonly deviceSecret: string;
  /** A product that is not there yet is created; without a secret one is made. */
  readonly productSecret?: string;
  readonly nickname?: string;
}

export interface BadRow {
  readonly line: number;
  readonly message: string;
}

export interface ImportResult {
  /** Devices that are new. */
  readonly added: number;
  /** Devices that were there with the same secret. */
  readonly unchanged: number;
  /** Products that are new. */
  readonly products: number;
}

/** What it needs of the registry. */
export interface ImportAccess extends Access {
  readonly staging: Set<number>;
  readonly products: ReadonlyMap<string, Product>;
  /** It is over; the rows count, or there are none. */
  readonly ended: (products: readonly Product[], count: number, devices: () => AsyncIterable<Device>) => void;
  readonly clean: (work: () => Promise<void>) => Promise<void>;
}

interface Touched {
  product: Product;
  readonly isNew: boolean;
  /** Some row gave the ProductSecret of a new product. */
  secretGiven: boolean;
  added: number;
}

/** What is said where a row is bad. */
export function nothingImported(bad: number, rows: number): string {
  const which = `${bad} of ${rows} ${rows === 1 ? "row" : "rows"}`;
  return `nothing was imported: ${which} ${bad === 1 ? "is bad; correct it" : "are bad; correct them"} and import again`;
}

/** Rows written in one commit: what the event loop is held for. */
const CHUNK = 500;

export class DeviceImport {
  readonly #access: ImportAccess;
  readonly #touched = new Map<string, Touched>();
  #number = 0;
  #rows = 0;
  #bad = 0;
  #unchanged = 0;
  #over = false;

  constructor(access: ImportAccess) {
    this.#access = access;
  }

  /** Called by the registry. */
  async begin(): Promise<void> {
    await this.#access.changes.make(
      (draft) => {
        const number = Number(draft.get(LAST_IMPORT) ?? 0) + 1;
        draft.put(LAST_IMPORT, String(number));
        draft.put(importKey(number), "");
        return number;
      },
      (number) => {
        this.#number = number;
        this.#access.staging.add(number);
      },
    );
  }

  /** Takes rows; resolves to those that cannot be imported. Call it again when it has resolved. */
  async add(rows: readonly ImportRow[]): Promise<readonly BadRow[]> {
    if (this.#over) throw new OperationError("REGISTRY_IMPORT", "the import is over");
    const bad: BadRow[] = [];
    for (let from = 0; from < rows.length; from += CHUNK) {
      const chunk = rows.slice(from, from + CHUNK);
      await this.#access.changes.make(
        (draft) => {
          for (const row of chunk) {
            try {
              this.#put(draft, row);
            } catch (error) {
              if (!(error instanceof ConfigError || error instanceof OperationError)) throw error;
              bad.push({ line: row.line, message: error.message });
            }
          }
        },
        () => {},
      );
      // Others get their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#rows += rows.length;
    this.#bad += bad.length;
    return bad;
  }

  #put(draft: Draft, row: ImportRow): void {
    const device = completeDevice({
      productKey: row.productKey,
      deviceName: row.deviceName,
      deviceSecret: row.deviceSecret,
      nickname: row.nickname,
    });
    const touched = this.#productOf(draft, row);
    const text = draft.get(deviceKey(device));
    if (text === undefined) {
      insertDevice(draft, device, this.#number);
      touched.added++;
      return;
    }
    const { device: found, import: number } = decodeDevice(device, text);
    if (number === this.#number)
      throw invalidEntry("deviceName", `"${row.deviceName}" stands in an earlier line too`);
    if (found.deviceSecret !== row.deviceSecret)
      throw invalidEntry(
        "deviceSecret",
        `"${row.deviceName}" exists already with another secret: delete it first`,
      );
    if (row.nickname !== undefined && row.nickname !== found.nickname)
      throw invalidEntry("nickname", `"${row.deviceName}" exists already with another nickname`);
    this.#unchanged++;
  }

  #productOf(draft: Draft, { productKey, productSecret }: ImportRow): Touched {
    let touched = this.#touched.get(productKey);
    if (touched === undefined) {
      const existing = this.#access.products.get(productKey);
      const product = existing ?? completeProduct({ productKey, productSecret });
      if (existing === undefined) insertProduct(draft, product, this.#number);
      touched = {
        product,
        isNew: existing === undefined,
        secretGiven: productSecret !== undefined,
        added: 0,
      };
      draft.put(touchedKey(this.#number, productKey), "");
      this.#touched.set(productKey, touched);
    }
    if (productSecret === undefined || productSecret === touched.product.productSecret) return touched;
    if (!touched.isNew)
      throw invalidEntry(
        "productSecret",
        `product ${productKey} exists already with another one: leave it out`,
      );
    if (touched.secretGiven)
      throw invalidEntry("productSecret", `product ${productKey} has another one in an earlier line`);
    const product = completeProduct({ ...touched.product, productSecret });
    draft.put(productKeyOf(productKey), encodeProduct(product, this.#number));
    touched.product = product;
    touched.secretGiven = true;
    return touched;
  }

  /** Lets the rows count. Where one was bad nothing is imported. */
  async finish(): Promise<ImportResult> {
    if (this.#over) throw new OperationError("REGISTRY_IMPORT", "the import is over");
    if (this.#bad > 0) {
      await this.abort();
      throw new OperationError("REGISTRY_IMPORT", nothingImported(this.#bad, this.#rows));
    }
    this.#over = true;
    const { changes, staging, ended } = this.#access;
    const created: Product[] = [];
    let added = 0;
    try {
      await changes.make(
        (draft) => {
          draft.remove(importKey(this.#number));
          for (const [productKey, touched] of this.#touched) {
            draft.remove(touchedKey(this.#number, productKey));
            if (touched.added > 0) addToCount(draft, productKey, touched.added);
            if (touched.isNew) created.push(touched.product);
            added += touched.added;
          }
        },
        () => {
          staging.delete(this.#number);
          ended(created, added, () => this.#devices());
        },
      );
    } catch (error) {
      this.#over = false;
      await this.abort().catch(() => undefined); // tried again at the next start
      throw error;
    }
    return { added, unchanged: this.#unchanged, products: created.length };
  }

  /** Gives it up; resolves when its rows are removed. Nothing happens where it is over. */
  async abort(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    const { clean, ended } = this.#access;
    try {
      await clean(() => removeRows(this.#number, this.#access));
    } finally {
      ended([], 0, () => this.#devices());
    }
  }

  async *#devices(): AsyncGenerator<Device> {
    const { table, stopped } = this.#access;
    for (const productKey of this.#touched.keys()) {
      const prefix = devicesPrefix(productKey);
      let after: string | undefined;
      for (;;) {
        const page = stopped() ? [] : table.page(prefix, after, CHUNK);
        if (page.length === 0) break;
        after = page[page.length - 1].key;
        for (const { key, value } of page) {
          const { device, import: number } = decodeDevice(decodeId(key.slice(1)), value);
          if (number === this.#number) yield device;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }
}
