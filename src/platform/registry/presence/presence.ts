// Which devices are online, and when each came and went. Who is online is known in memory only: after a restart nobody is.
// Times are written to the table within a second, many in one commit, so that no connection waits for the disk. Lists of who
// came online (rolls.ts), and every few seconds the time, are written too: from them the start behind a killed broker knows
// which devices were online, and until when.
import { type DeviceId, keyOf } from "../../names/user-name.ts";
import type { Device, DeviceState } from "../devices/device.ts";
import { ALIVE, connectionKey } from "../table/keys.ts";
import { decodeConnection, encodeConnection, type LastConnection } from "../table/records.ts";
import type { Draft, Table } from "../table/table.ts";
import { type Listed, openConnections, type OpenConnection, type Roll, Rolls } from "./rolls.ts";

/** ms after which times are written. */
const FLUSH_MS = 1_000;
/** So many devices with times to write are written at once. */
const FLUSH_AT = 4_096;
/** While devices are online, the table is told so often that the broker runs, ms. */
const ALIVE_MS = 5_000;

const NEVER: LastConnection = { at: 0, address: undefined, endedAt: undefined };

/** What is known of a device that is online, or whose times are not in the table yet. */
class Attendance implements Listed {
  readonly id: DeviceId;
  /** While one connection takes over from another there may be two for a moment. */
  connections = 0;
  /** ms since the epoch; 0: not known here, see the table. */
  cameAt = 0;
  wentAt = 0;
  address: string | undefined;
  /** `cameAt`, `wentAt` are newer than in the table. */
  came = false;
  went = false;
  roll: Roll | undefined;
  /** Is in #waiting. */
  waits = false;

  constructor(id: DeviceId) {
    this.id = id;
  }
}

export class Presence {
  readonly #devices = new Map<string, Attendance>();
  #online = 0;
  #waiting: Attendance[] = [];
  #timer: NodeJS.Timeout | undefined;
  #alive: NodeJS.Timeout | undefined;
  readonly #table: Pick<Table, "get" | "page">;
  readonly #write: (work: (draft: Draft) => void) => Promise<void>;
  readonly #rolls = new Rolls();
  /** Connections that a killed broker left open in the table, not ended yet; undefined: not read yet. */
  #left: ReadonlyMap<string, OpenConnection> | undefined;

  constructor(table: Pick<Table, "get" | "page">, write: (work: (draft: Draft) => void) => Promise<void>) {
    this.#table = table;
    this.#write = write;
  }

  isOnline(id: DeviceId): boolean {
    return (this.#devices.get(keyOf(id))?.connections ?? 0) > 0;
  }

  get onlineCount(): number {
    return this.#online;
  }

  connected(id: DeviceId, address: string | undefined, now: number): void {
    const device = this.#attendanceOf(id);
    if (device.connections++ === 0) this.#online++;
    device.cameAt = now;
    device.address = address;
    this.#alive ??= setInterval(() => this.#sayAlive(), ALIVE_MS).unref();
    device.came = true;
    this.#wait(device);
  }

  disconnected(id: DeviceId, now: number): void {
    const device = this.#attendanceOf(id);
    if (device.connections > 0 && --device.connections === 0) this.#online--;
    device.wentAt = now;
    device.went = true;
    this.#wait(device);
  }

  /** The device was deleted, and its times with it: what is not written yet never is. */
  forget(id: DeviceId): void {
    const device = this.#devices.get(keyOf(id));
    if (device === undefined) return;
    device.cameAt = 0;
    device.wentAt = 0;
    device.came = false;
    device.went = false;
    this.#rolls.leave(device);
    this.#drop(device);
  }

  stateOf(device: Device): DeviceState {
    const row = this.#table.get(connectionKey(device));
    const last = row === undefined ? NEVER : decodeConnection(row);
    const present = this.#devices.get(keyOf(device));
    this.#left ??= openConnections(this.#table);
    let { at: online, address } = this.#left.get(keyOf(device)) ?? last;
    let offline = last.endedAt ?? 0;
    if (present !== undefined && present.cameAt > 0) ({ cameAt: online, address } = present);
    if (present !== undefined && present.wentAt > 0) offline = present.wentAt;
    // Times older than the device are of an earlier one with its name.
    const known = online >= device.createdAt;
    return {
      status: !device.enabled
        ? "DISABLE"
        : device.activatedAt === undefined
          ? "UNACTIVE"
          : (present?.connections ?? 0) > 0
            ? "ONLINE"
            : "OFFLINE", // [STATUS-2]
      lastOnlineAt: known ? online || undefined : undefined,
      lastOfflineAt: offline >= device.createdAt ? offline || undefined : undefined,
      remoteAddress: known ? address : undefined,
    };
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const leaving = this.#waiting;
    if (leaving.length === 0) return;
    this.#waiting = [];
    for (const device of leaving) device.waits = false;
    try {
      await this.#write((draft) => {
        const came = leaving.filter(isNewcomer);
        for (const device of leaving) this.#writeEnd(draft, device);
        this.#rolls.write(draft, came);
        draft.put(ALIVE, String(Date.now()));
      });
    } finally {
      for (const device of leaving) this.#drop(device);
    }
  }

  /** What an earlier broker left open has been ended. */
  begin(): void {
    this.#left = new Map();
  }

  /** Stops telling the table that the broker runs. */
  close(): void {
    clearInterval(this.#alive);
    this.#alive = undefined;
  }

  #sayAlive(): void {
    if (this.#online > 0)
      // A failure costs nothing: the next one comes soon.
      this.#write((draft) => draft.put(ALIVE, String(Date.now()))).catch(() => undefined);
    else this.close();
  }

  #writeEnd(draft: Draft, device: Attendance): void {
    const { id, cameAt, wentAt, address, went, connections } = device;
    if (connections === 0) this.#rolls.leave(device);
    // Another connection of it is left, and only the newest one's beginning is known.
    const ended =
      connections > 0 ? encodeConnection(0, undefined, wentAt) : encodeConnection(cameAt, address, wentAt);
    if (went && cameAt > 0) draft.put(connectionKey(id), ended);
    device.came = false;
    device.went = false;
  }

  #attendanceOf(id: DeviceId): Attendance {
    const key = keyOf(id);
    let device = this.#devices.get(key);
    if (device === undefined) {
      device = new Attendance(id);
      this.#devices.set(key, device);
    }
    return device;
  }

  /** Forgets the device, unless it is online or has times to write. */
  #drop(device: Attendance): void {
    if (device.connections > 0 || device.waits) return;
    const key = keyOf(device.id);
    if (this.#devices.get(key) === device) this.#devices.delete(key);
  }

  #wait(device: Attendance): void {
    if (device.waits) return;
    device.waits = true;
    if (this.#waiting.push(device) === FLUSH_AT) this.#flushLater(0);
    else if (this.#timer === undefined) this.#flushLater(FLUSH_MS);
  }

  #flushLater(ms: number): void {
    clearTimeout(this.#timer);
    // The registry has logged the failure; times that could not be written are soon replaced by newer ones.
    this.#timer = setTimeout(() => void this.flush().catch(() => undefined), ms).unref();
  }
}

/** Must it stand on the next roll? It came, is still there, and was not forgotten meanwhile. */
function isNewcomer({ came, cameAt, connections }: Attendance): boolean {
  return came && cameAt > 0 && connections > 0;
}
