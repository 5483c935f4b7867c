// What the run log holds in memory of each device, one record each: its newest lines, and how many it has had in this tick.
// So many entries of one device, and so many bytes of all. Who is silent keeps his, however much others have to tell, until
// the bytes are used up; then those go whose device has been silent longest.
import { Cells, type Line } from "./cells.ts";
import { type DeviceId, NamedDevice } from "../names/user-name.ts";

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
  /** The oldest and the newest one, and how many. */
  first: Line = 0;
  last: Line = 0;
  count = 0;
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
  readonly #cells: Cells;
  readonly #devices = new Map<string, Trail>();
  /** The device that has been silent longest, and the one that has told something last. */
  #oldest: Trail | undefined;
  #newest: Trail | undefined;
  #tick = 1;
  /** Without a line: kept until the end of the tick, because they count. */
  #bare: Trail[] = [];

  constructor(perDevice: number, maxBytes: number) {
    this.#perDevice = perDevice;
    this.#cells = new Cells(maxBytes);
  }

  get bytes(): number {
    return this.#cells.bytes;
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
    for (const trail of bare) if (trail.count === 0) this.#devices.delete(trail.key);
  }

  /** Bytes [from, to) as the newest line. One that is longer than all there is for lines is not kept. */
  add(trail: Trail, bytes: Uint8Array, from: number, to: number): void {
    const cells = this.#cells;
    if (!cells.couldHold(to - from)) return;
    if (trail.count >= this.#perDevice) this.#dropFirst(trail);
    // It is the last to lose for this line.
    if (trail.count > 0 && this.#newest !== trail) {
      this.#unlink(trail);
      this.#append(trail);
    }
    while (!cells.hasRoom(to - from) && this.#oldest !== undefined) this.#dropFirst(this.#oldest);
    const line = cells.put(bytes, from, to);
    if (trail.count > 0) cells.putBehind(line, trail.last);
    else {
      trail.first = line;
      this.#append(trail);
    }
    trail.count++;
    trail.last = line;
  }

  /** Oldest first. */
  of(key: string): readonly string[] {
    const trail = this.#devices.get(key);
    const lines: string[] = [];
    for (let line = trail?.first ?? 0; line !== 0; line = this.#cells.behind(line))
      lines.push(this.#cells.text(line));
    return lines;
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
    const { first } = trail;
    trail.first = this.#cells.behind(first);
    this.#cells.free(first);
    if (--trail.count > 0) return;
    trail.first = 0;
    trail.last = 0;
    this.#unlink(trail);
    // What it has had in this tick counts on.
    if (trail.tick === this.#tick) this.#bare.push(trail);
    else this.#devices.delete(trail.key);
  }
}
