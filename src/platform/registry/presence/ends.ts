// What a broker that was killed left behind: devices that were online then. At the next start they went when that broker last
// said that it ran, and who reads the business side is told once he is there.
import type { DeviceId } from "../../names/user-name.ts";
import { ALIVE, connectionKey, decodeId, deviceKey, ENDED, endedKey, endedPrefix } from "../table/keys.ts";
import { decodeConnection, decodeDevice, encodeConnection } from "../table/records.ts";
import type { Changes, Table } from "../table/table.ts";
import { newestRoll, type OpenConnection } from "./rolls.ts";

/** The end of a connection nobody saw. */
export interface UnseenEnd {
  readonly device: DeviceId;
  /** When it was there for certain, ms since the epoch. */
  readonly at: number;
  readonly address: string | undefined;
}

/** Read at a time. */
const PAGE = 4_096;

/** Ends those on the newest roll; undefined: there is none. Before anybody is let in. */
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

/** The device is there, and was when this connection began. */
function isOfDevice(table: Table, { device, at }: OpenConnection): boolean {
  const row = table.get(deviceKey(device));
  return row !== undefined && decodeDevice(device, row).device.createdAt <= at;
}

/** Takes the next of those nobody was told of, of a product or of all; empty: no more. */
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
