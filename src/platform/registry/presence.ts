// Which devices are online, and when each came and went. Online lives in memory: nobody is after a restart. Times go to the
// table a second later at most, many in one commit: a connection waits for no disk here.
import type { DeviceId } from "../user-name.ts";
import type { Device, DeviceState } from "./device.ts";
import { encodeId, offlineKey, onlineKey } from "./keys.ts";
import { decodeConnection, encodeConnection } from "./records.ts";
import type { Draft, Table } from "./table.ts";

/** ms until times are written. */
const FLUSH_MS = 1_000;
/** Devices whose times wait, at which they are written before that. */
const FLUSH_AT = 4_096;

interface Recent {
  readonly id: DeviceId;
  /** ms since the epoch, 0: not lately. */
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
    const kept = this.#table.get(onlineKey(device));
    let { at: online, address } = kept === undefined ? { at: 0, address: undefined } : decodeConnection(kept);
    let offline = Number(this.#table.get(offlineKey(device)) ?? 0);
    for (const recent of [this.#leaving.get(key), this.#recent.get(key)]) {
      if (recent === undefined) continue;
      if (recent.online > 0) ({ online, address } = recent);
      offline = recent.offline || offline;
    }
    // What is older than the device is another one's of that name.
    const known = online >= device.createdAt;
    return {
      status: !device.enabled
        ? "DISABLE"
        : device.activatedAt === undefined
          ? "UNACTIVE"
          : this.#online.has(key)
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
    const leaving = this.#recent;
    if (leaving.size === 0) return;
    this.#recent = new Map();
    this.#leaving = leaving;
    await this.#write((draft) => {
      for (const { id, online, offline, address } of leaving.values()) {
        if (online > 0) draft.put(onlineKey(id), encodeConnection(online, address));
        if (offline > 0) draft.put(offlineKey(id), String(offline));
      }
    });
    if (this.#leaving === leaving) this.#leaving = new Map();
  }

  #recentOf(key: string, id: DeviceId): Recent {
    let recent = this.#recent.get(key);
    if (recent === undefined) {
      recent = { id, online: 0, offline: 0, address: undefined };
      this.#recent.set(key, recent);
      if (this.#recent.size === FLUSH_AT) this.#flushLater(0);
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
