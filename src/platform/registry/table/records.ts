// Values of the table: JSON with the names of the fields below, so that a field that is new needs no new format. What has
// the value of a new product or device is left out. Key parts are not repeated.
import type { DeviceId } from "../../names/user-name.ts";
import type { Device } from "../devices/device.ts";
import { decodeId, encodeId } from "./keys.ts";
import { type Product, withDefaults } from "../devices/product.ts";

/** A row of an import belongs to it: while that is under way the row does not count. */
export interface Staged {
  readonly import: number | undefined;
}

interface ProductRecord extends Partial<Omit<Product, "productKey" | "createdAt">> {
  readonly productSecret: string;
  readonly createdAt: number;
  readonly import?: number;
}

export function encodeProduct(product: Product, importNumber?: number): string {
  const { productKey, name, ...rest } = product;
  const record: ProductRecord = {
    name: name === productKey ? undefined : name,
    ...rest,
    import: importNumber,
  };
  return JSON.stringify(record);
}

export function decodeProduct(productKey: string, text: string): { product: Product } & Staged {
  const record = JSON.parse(text) as ProductRecord;
  return { product: withDefaults({ ...record, productKey }), import: record.import };
}

/** Short names: there may be millions. */
interface DeviceRecord {
  readonly s: string;
  readonly i: string;
  readonly c: number;
  readonly n?: string;
  /** 1: disabled. */
  readonly x?: 1;
  readonly a?: number;
  readonly f?: "3.x" | "5";
  readonly t?: Device["tags"];
  readonly z?: string;
  readonly g?: string;
  readonly v?: string;
  readonly k?: Device["tokens"];
  readonly b?: number;
}

export function encodeDevice(device: Device, importNumber?: number): string {
  const record: DeviceRecord = {
    s: device.deviceSecret,
    i: device.iotId,
    c: device.createdAt,
    n: device.nickname || undefined,
    x: device.enabled ? undefined : 1,
    a: device.activatedAt,
    f: device.protocolFamily,
    t: device.tags.length === 0 ? undefined : device.tags,
    z: device.certificate,
    g: device.gateway && encodeId(device.gateway),
    v: device.firmwareVersion,
    k: device.tokens.length === 0 ? undefined : device.tokens,
    b: importNumber,
  };
  return JSON.stringify(record);
}

const NONE: readonly never[] = [];

export function decodeDevice(id: DeviceId, text: string): { device: Device } & Staged {
  const record = JSON.parse(text) as DeviceRecord;
  const device: Device = {
    productKey: id.productKey,
    deviceName: id.deviceName,
    deviceSecret: record.s,
    iotId: record.i,
    nickname: record.n ?? "",
    enabled: record.x !== 1,
    createdAt: record.c,
    activatedAt: record.a,
    protocolFamily: record.f,
    tags: record.t ?? NONE,
    certificate: record.z,
    gateway: record.g === undefined ? undefined : decodeId(record.g),
    firmwareVersion: record.v,
    tokens: record.k ?? NONE,
  };
  return { device, import: record.b };
}

/** When it came last (ms since the epoch), and from where; when it went is a number alone. */
/** Times are ms since the epoch. */
export interface LastConnection {
  readonly at: number;
  readonly address: string | undefined;
  /** undefined: it has not. */
  readonly endedAt: number | undefined;
}

export function encodeConnection(at: number, address: string | undefined, endedAt?: number): string {
  return endedAt === undefined ? `${at} ${address ?? ""}` : `${at} ${address ?? ""} ${endedAt}`;
}

export function decodeConnection(text: string): LastConnection {
  const [at, address, endedAt] = text.split(" ");
  return {
    at: Number(at),
    address: address || undefined,
    endedAt: endedAt === undefined ? undefined : Number(endedAt),
  };
}
