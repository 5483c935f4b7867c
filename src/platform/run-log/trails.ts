// What the run log holds in memory of each device, one record each: its newest entries, and how many it has had in this tick.
// So many entries of one device, and so many bytes of all. Who is silent keeps his, however much others have to tell, until
// the bytes are used up; then those go whose device has been silent longest.
import { type DeviceId, NamedDevice } from "../names/user-name.ts";

/** Bytes an entry costs besides its text. */
const OVERHEAD = 96;

/** What is kept: a text, or what a text can be made of. */
export interface Kept {
  /** Characters of its text. */
  readonly length: number;
}

/** A device in the run log. Counts hold for the tick they were begun in, see budgetOf(). */
export class Trail<T extends Kept> {
  readonly key: string;
  readonly device: DeviceId;
  tick = 0;
  entries = 0;
  /** Comings and goings have a budget of their own: a flood must not hide why it ended. */
  behaviours = 0;
  omitted = 0;
  throttled = false;
  /** Oldest first. Of most there is one: it needs no array. */
  kept: T | T[] | undefined;
  /** Neighbours in the order of the last entry; only with entries. */
  older: Trail<T> | undefined;
  newer: Trail<T> | undefined;

  constructor(key: string, device: DeviceId) {
    this.key = key;
    this.device = device;
  }
}

export class Trails<T extends Kept> {
  readonly #perDevice: number;
  readonly #maxBytes: number;
  readonly #devices = new Map<string, Trail<T>>();
  /** The device that has been silent longest, and the one that has told something last. */
  #oldest: Trail<T> | undefined;
  #newest: Trail<T> | undefined;
  #bytes = 0;
  #tick = 1;
  /** Without an entry: kept until the end of the tick, because they count. */
  #bare: Trail<T>[] = [];

  constructor(perDevice: number, maxBytes: number) {
    this.#perDevice = perDevice;
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Devices there is a record of. */
  get size(): number {
    return this.#devices.size;
  }

  /** The record of a device, whose counts are those of this tick. */
  budgetOf(key: string, device: DeviceId): Trail<T> {
    const { productKey, deviceName } = device;
    let trail = this.#devices.get(key);
    if (trail === undefined) {
      trail = new Trail(key, device instanceof NamedDevice ? device : { productKey, deviceName });
      this.#devices.set(key, trail);
      this.#bare.push(trail);
    }
    if (trail.tick !== this.#tick) {
      trail.tick = this.#tick;
      trail.entries = 0;
      trail.behaviours = 0;
      trail.omitted = 0;
      trail.throttled = false;
    }
    return trail;
  }

  /** Budgets begin anew. */
  nextTick(): void {
    this.#tick++;
    const bare = this.#bare;
    if (bare.length === 0) return;
    this.#bare = [];
    for (const trail of bare) if (trail.kept === undefined) this.#devices.delete(trail.key);
  }

  add(trail: Trail<T>, entry: T): void {
    const { kept } = trail;
    if (kept === undefined) trail.kept = entry;
    else if (Array.isArray(kept)) kept.push(entry);
    else trail.kept = [kept, entry];
    this.#bytes += OVERHEAD + entry.length;
    if (this.#newest !== trail) {
      this.#unlink(trail);
      this.#append(trail);
    }
    if (countOf(trail) > this.#perDevice) this.#dropFirst(trail);
    while (this.#bytes > this.#maxBytes && this.#oldest !== undefined) this.#dropFirst(this.#oldest);
  }

  /** Oldest first. */
  of(key: string): readonly T[] {
    const kept = this.#devices.get(key)?.kept ?? [];
    return Array.isArray(kept) ? kept : [kept];
  }

  *all(): Generator<T> {
    for (const key of this.#devices.keys()) yield* this.of(key);
  }

  #append(trail: Trail<T>): void {
    trail.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = trail;
    else this.#newest.newer = trail;
    this.#newest = trail;
  }

  #unlink(trail: Trail<T>): void {
    const { older, newer } = trail;
    if (older !== undefined) older.newer = newer;
    else if (this.#oldest === trail) this.#oldest = newer;
    if (newer !== undefined) newer.older = older;
    else if (this.#newest === trail) this.#newest = older;
    trail.older = undefined;
    trail.newer = undefined;
  }

  #dropFirst(trail: Trail<T>): void {
    const { kept } = trail;
    const first = Array.isArray(kept) ? kept.shift() : kept;
    if (first !== undefined) this.#bytes -= OVERHEAD + first.length;
    if (Array.isArray(kept) && kept.length > 0) return;
    trail.kept = undefined;
    this.#unlink(trail);
    // What it has had in this tick counts on.
    if (trail.tick === this.#tick) this.#bare.push(trail);
    else this.#devices.delete(trail.key);
  }
}

function countOf({ kept }: Trail<Kept>): number {
  if (kept === undefined) return 0;
  return Array.isArray(kept) ? kept.length : 1;
}
