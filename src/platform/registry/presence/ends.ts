// Devices that were online when the broker was killed. The next start ends their connections, with the time at which that broker
// last told the table that it ran; the first reader of the upstream feed is told of them.
import type { DeviceId } from "../../names/user-name.ts";
import { ALIVE, connectionKey, decodeId, deviceKey, ENDED, endedKey, endedPrefix } from "../table/keys.ts";
import { decodeConnection, decodeDevice, encodeConnection } from "../table/records.ts";
import type { Changes, Table } from "../table/table.ts";
import { newestRoll, type OpenConnection } from "./rolls.ts";

/** The end of a connection, which no broker was there to see. */
export interface UnseenEnd {
  readonly device: DeviceId;
  /** The last moment at which it was certainly online, ms since the epoch. */
  readonly at: number;
  readonly address: string | undefined;
}

/** Rows read at a time. */
const PAGE = 4_096;

/** Ends the connections on the newest roll; undefined: there is none. Called until there is none, before devices are let in. */
export async function endPresent(table: Table, changes: Changes): Promise<readonly UnseenEnd[] | undefined> {
  const roll = newestRoll(table);
  if (roll === undefined) return undefined;
  const alive = Number(table.get(ALIVE) ?? 0);
  const open = roll.open.filter((connection) => isOfDevice(table, connection));
  const ends = open.map(({ device, at, address }) => ({ device, at: Math.max(alive, at), address }));
  await changes.make(
    (draft) => {
      draft.remove(roll.key);
      open.forEach(({ device, at, address }, i) => {
        draft.put(connectionKey(device), encodeConnection(at, address, ends[i].at));
        draft.put(endedKey(device), encodeConnection(ends[i].at, address));
      });
    },
    () => {},
  );
  return ends;
}

/** The device exists, and did when this connection began. */
function isOfDevice(table: Table, { device, at }: OpenConnection): boolean {
  const row = table.get(deviceKey(device));
  return row !== undefined && decodeDevice(device, row).device.createdAt <= at;
}

/** Takes the next ends that no reader was told of, those of one product or of all; empty: there are no more. */
export async function takeEnds(
  table: Table,
  changes: Changes,
  productKey: string | undefined,
): Promise<readonly UnseenEnd[]> {
  const prefix = productKey === undefined ? ENDED : endedPrefix(productKey);
  const page = table.page(prefix, undefined, PAGE);
  if (page.length === 0) return [];
  await changes.make(
    (draft) => {
      for (const { key } of page) draft.remove(key);
    },
    () => {},
  );
  return page.map(({ key, value }) => ({
    device: decodeId(key.slice(ENDED.length)),
    ...decodeConnection(value),
  }));
}
