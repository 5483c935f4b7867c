// Which devices are online, and when each came and went. Online lives in memory: nobody is after a restart. Times go to the
// table a second later at most, many in one commit: a connection waits for no disk here.
import type { DeviceId } from "../user-name.ts";
import type { Device, DeviceState } from "./device.ts";
import { encodeId, timesKey } from "./keys.ts";
import { decodeTimes, encodeTimes, type Times } from "./records.ts";
import type { Draft, Table } from "./table.ts";

/** ms until times are written. */
const FLUSH_MS = 1_000;
/** Devices whose times wait, at which they are written before that. */
const FLUSH_AT = 4_096;
const NEVER: Times = { online: 0, offline: 0, address: undefined };

interface Recent {
  readonly id: DeviceId;
  online: number;
  offline: number;
  address: string | undefined;
}

export class Presence {
  /** Connections of each device that has one: while one takes over from another there may be two for a moment. */
  readonly #online = new Map<string, number>();
  #recent = new Map<string, Recent>();
  /** On their way to the table. */
  #leaving: ReadonlyMap<string, Recent> = new Map();
  #timer: NodeJS.Timeout | undefined;
  readonly #table: Pick<Table, "get">;
  readonly #write: (work: (draft: Draft) => void) => Promise<void>;

  constructor(table: Pick<Table, "get">, write: (work: (draft: Draft) => void) => Promise<void>) {
    this.#table = table;
    this.#write = write;
  }

  isOnline(id: DeviceId): boolean {
    return this.#online.has(encodeId(id));
  }

  get onlineCount(): number {
    return this.#online.size;
  }

  connected(id: DeviceId, address: string | undefined, now: number): void {
    const key = encodeId(id);
    this.#online.set(key, (this.#online.get(key) ?? 0) + 1);
    const recent = this.#recentOf(key, id);
    recent.online = now;
    recent.address = address;
  }

  disconnected(id: DeviceId, now: number): void {
    const key = encodeId(id);
    const count = this.#online.get(key) ?? 0;
    if (count > 1) this.#online.set(key, count - 1);
    else this.#online.delete(key);
    this.#recentOf(key, id).offline = now;
  }

  /** The device is gone. */
  forget(id: DeviceId): void {
    this.#recent.delete(encodeId(id));
  }

  stateOf(device: Device): DeviceState {
    const key = encodeId(device);
    const text = this.#table.get(timesKey(device));
    let times = text === undefined ? NEVER : decodeTimes(text);
    for (const recent of [this.#leaving.get(key), this.#recent.get(key)])
      if (recent !== undefined) times = merge(times, recent);
    return {
      status: !device.enabled
        ? "DISABLE"
        : device.activatedAt === undefined
          ? "UNACTIVE"
          : this.#online.has(key)
            ? "ONLINE"
            : "OFFLINE", // [STATUS-2]
      lastOnlineAt: times.online || undefined,
      lastOfflineAt: times.offline || undefined,
      remoteAddress: times.address,
    };
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const leaving = this.#recent;
    if (leaving.size === 0) return;
    this.#recent = new Map();
    this.#leaving = leaving;
    await this.#write((draft) => {
      for (const recent of leaving.values()) {
        const key = timesKey(recent.id);
        const text = draft.get(key);
        draft.put(key, encodeTimes(merge(text === undefined ? NEVER : decodeTimes(text), recent)));
      }
    });
    if (this.#leaving === leaving) this.#leaving = new Map();
  }

  #recentOf(key: string, id: DeviceId): Recent {
    let recent = this.#recent.get(key);
    if (recent === undefined) {
      recent = { id, online: 0, offline: 0, address: undefined };
      this.#recent.set(key, recent);
      if (this.#recent.size >= FLUSH_AT) this.#flushLater(0);
      else if (this.#timer === undefined) this.#flushLater(FLUSH_MS);
    }
    return recent;
  }

  #flushLater(ms: number): void {
    clearTimeout(this.#timer);
    // The registry has said what failed; times that could not be written are old ones soon.
    this.#timer = setTimeout(() => void this.flush().catch(() => undefined), ms).unref();
  }
}

function merge(times: Times, { online, offline, address }: Recent): Times {
  return {
    online: online || times.online,
    offline: offline || times.offline,
    address: online > 0 ? address : times.address,
  };
}
