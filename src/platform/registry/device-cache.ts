// The devices asked for last, so that a busy one is not read and decoded each time. Bounded by count.
import type { DeviceId } from "../user-name.ts";
import type { Device } from "./device.ts";
import { encodeId } from "./keys.ts";

/** About 400 bytes each. */
export const CACHED_DEVICES = 16_384;

export class DeviceCache {
  readonly #most: number;
  /** The older half first: what is asked for there moves over, what is not goes with it. */
  #older = new Map<string, Device>();
  #newer = new Map<string, Device>();

  constructor(most: number = CACHED_DEVICES) {
    this.#most = most;
  }

  get size(): number {
    return this.#older.size + this.#newer.size;
  }

  get(id: DeviceId): Device | undefined {
    const key = encodeId(id);
    const found = this.#newer.get(key);
    if (found !== undefined) return found;
    const old = this.#older.get(key);
    if (old !== undefined) {
      this.#older.delete(key);
      this.#put(key, old);
    }
    return old;
  }

  set(device: Device): void {
    const key = encodeId(device);
    this.#older.delete(key);
    this.#put(key, device);
  }

  #put(key: string, device: Device): void {
    this.#newer.set(key, device);
    if (this.#newer.size < this.#most / 2) return;
    this.#older = this.#newer;
    this.#newer = new Map();
  }

  delete(id: DeviceId): void {
    const key = encodeId(id);
    this.#older.delete(key);
    this.#newer.delete(key);
  }

  clear(): void {
    this.#older.clear();
    this.#newer.clear();
  }
}
