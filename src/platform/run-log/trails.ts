// What the run log holds in memory of each device, one record each: its newest entries, and how many it has had in this tick.
// So many entries of one device, and so many bytes of all. Who is silent keeps his, however much others have to tell, until
// the bytes are used up; then those go whose device has been silent longest.
import { type DeviceId, NamedDevice } from "../names/user-name.ts";

/** Bytes an entry costs besides its text. */
const OVERHEAD = 96;

/** A device in the run log. Counts hold for the tick they were begun in, see budgetOf(). */
export class Trail {
  readonly key: string;
  readonly device: DeviceId;
  tick = 0;
  entries = 0;
  /** Comings and goings have a budget of their own: a flood must not hide why it ended. */
  behaviours = 0;
  omitted = 0;
  throttled = false;
  /** Oldest first. Of most there is one: it needs no array. */
  lines: string | string[] | undefined;
  /** Neighbours in the order of the last entry; only with lines. */
  older: Trail | undefined;
  newer: Trail | undefined;

  constructor(key: string, device: DeviceId) {
    this.key = key;
    this.device = device;
  }
}

export class Trails {
  readonly #perDevice: number;
  readonly #maxBytes: number;
  readonly #devices = new Map<string, Trail>();
  /** The device that has been silent longest, and the one that has told something last. */
  #oldest: Trail | undefined;
  #newest: Trail | undefined;
  #bytes = 0;
  #tick = 1;
  /** Without a line: kept until the end of the tick, because they count. */
  #bare: Trail[] = [];

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
  budgetOf(key: string, device: DeviceId): Trail {
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
    for (const trail of bare) if (trail.lines === undefined) this.#devices.delete(trail.key);
  }

  add(trail: Trail, line: string): void {
    const { lines } = trail;
    if (lines === undefined) trail.lines = line;
    else if (typeof lines === "string") trail.lines = [lines, line];
    else lines.push(line);
    this.#bytes += OVERHEAD + line.length;
    if (this.#newest !== trail) {
      this.#unlink(trail);
      this.#append(trail);
    }
    if (lengthOf(trail) > this.#perDevice) this.#dropFirst(trail);
    while (this.#bytes > this.#maxBytes && this.#oldest !== undefined) this.#dropFirst(this.#oldest);
  }

  /** Oldest first. */
  of(key: string): readonly string[] {
    const lines = this.#devices.get(key)?.lines ?? [];
    return typeof lines === "string" ? [lines] : lines;
  }

  *all(): Generator<string> {
    for (const key of this.#devices.keys()) yield* this.of(key);
  }

  #append(trail: Trail): void {
    trail.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = trail;
    else this.#newest.newer = trail;
    this.#newest = trail;
  }

  #unlink(trail: Trail): void {
    const { older, newer } = trail;
    if (older !== undefined) older.newer = newer;
    else if (this.#oldest === trail) this.#oldest = newer;
    if (newer !== undefined) newer.older = older;
    else if (this.#newest === trail) this.#newest = older;
    trail.older = undefined;
    trail.newer = undefined;
  }

  #dropFirst(trail: Trail): void {
    const { lines } = trail;
    const first = typeof lines === "string" ? lines : lines?.shift();
    if (first !== undefined) this.#bytes -= OVERHEAD + first.length;
    if (typeof lines === "object" && lines.length > 0) return;
    trail.lines = undefined;
    this.#unlink(trail);
    // What it has had in this tick counts on.
    if (trail.tick === this.#tick) this.#bare.push(trail);
    else this.#devices.delete(trail.key);
  }
}

function lengthOf({ lines }: Trail): number {
  return typeof lines === "string" ? 1 : (lines?.length ?? 0);
}
