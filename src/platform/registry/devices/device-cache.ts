// The devices asked for last, so that a busy one is not read and decoded each time. Bounded in bytes. Found by the two names as
// they come: no key is made, so that a question costs no new text.
import type { DeviceId } from "../../names/user-name.ts";
import type { Device } from "./device.ts";

/** Of about 16,000 devices that have little besides their names. */
const CACHED_BYTES = 8_388_608;
/** A device without its texts: two objects and a place in a map. */
const OVERHEAD = 320;

interface Entry {
  device: Device;
  bytes: number;
  /** Neighbours in the order of the last question. */
  older: Entry | undefined;
  newer: Entry | undefined;
}

export class DeviceCache {
  readonly #maxBytes: number;
  /** By ProductKey, then by DeviceName. */
  readonly #products = new Map<string, Map<string, Entry>>();
  #oldest: Entry | undefined;
  #newest: Entry | undefined;
  #size = 0;
  #bytes = 0;

  constructor(maxBytes: number = CACHED_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(productKey: string, deviceName: string): Device | undefined {
    // Asked for again while its sign-in goes on: its texts are the same ones.
    const last = this.#newest?.device;
    if (last !== undefined && last.deviceName === deviceName && last.productKey === productKey) return last;
    const entry = this.#products.get(productKey)?.get(deviceName);
    if (entry === undefined) return undefined;
    this.#unlink(entry);
    this.#append(entry);
    return entry.device;
  }

  set(device: Device): void {
    const { productKey, deviceName } = device;
    const bytes = costOf(device);
    let devices = this.#products.get(productKey);
    if (devices === undefined) {
      devices = new Map();
      this.#products.set(productKey, devices);
    }
    let entry = devices.get(deviceName);
    if (entry === undefined) {
      entry = { device, bytes, older: undefined, newer: undefined };
      devices.set(deviceName, entry);
      this.#size++;
    } else {
      this.#unlink(entry);
      this.#bytes -= entry.bytes;
      entry.device = device;
      entry.bytes = bytes;
    }
    this.#append(entry);
    this.#bytes += bytes;
    while (this.#bytes > this.#maxBytes && this.#oldest !== undefined) this.delete(this.#oldest.device);
  }

  delete({ productKey, deviceName }: DeviceId): void {
    const devices = this.#products.get(productKey);
    const entry = devices?.get(deviceName);
    if (devices === undefined || entry === undefined) return;
    devices.delete(deviceName);
    if (devices.size === 0) this.#products.delete(productKey);
    this.#unlink(entry);
    this.#size--;
    this.#bytes -= entry.bytes;
  }

  clear(): void {
    this.#products.clear();
    this.#oldest = undefined;
    this.#newest = undefined;
    this.#size = 0;
    this.#bytes = 0;
  }

  #append(entry: Entry): void {
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink(entry: Entry): void {
    const { older, newer } = entry;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    entry.older = undefined;
    entry.newer = undefined;
  }
}

function costOf(device: Device): number {
  const { productKey, deviceName, deviceSecret, iotId, nickname, tags, tokens } = device;
  let bytes = OVERHEAD + productKey.length + deviceName.length + deviceSecret.length + iotId.length;
  bytes += 2 * nickname.length + (device.certificate?.length ?? 0);
  if (tags.length > 0) for (const [name, value] of tags) bytes += 64 + 2 * (name.length + value.length);
  if (tokens.length > 0)
    for (const { clientId, deviceToken } of tokens) bytes += 64 + clientId.length + deviceToken.length;
  return bytes;
}
