// What a broker that was killed left behind: devices that were online then. At the next start they went when that broker last
// said that it ran, and who reads the business side is told once he is there.
import type { DeviceId } from "../names/user-name.ts";
import { ALIVE, decodeId, ENDED, endedKey, endedPrefix, onlineKey, PRESENT, presentKey } from "./keys.ts";
import { decodeConnection, encodeConnection } from "./records.ts";
import type { Changes, Table } from "./table.ts";

/** The end of a connection nobody saw. */
export interface UnseenEnd {
  readonly device: DeviceId;
  /** When it was there for certain, ms since the epoch. */
  readonly at: number;
  readonly address: string | undefined;
}

/** Devices in one commit, and read at a time. */
const PAGE = 4_096;

/** Ends the next of them; empty: no more. Before anybody is let in. */
export async function endPresent(table: Table, changes: Changes): Promise<readonly UnseenEnd[]> {
  const alive = Number(table.get(ALIVE) ?? 0);
  const ends = table.page(PRESENT, undefined, PAGE).map(({ key, value }): UnseenEnd & { came: number } => {
    const device = decodeId(key.slice(PRESENT.length));
    // Earlier versions had it in the other row.
    const came = value || table.get(onlineKey(device));
    const { at, address } = came === undefined ? { at: 0, address: undefined } : decodeConnection(came);
    return { device, came: at, at: Math.max(alive, at), address };
  });
  if (ends.length === 0) return ends;
  await changes.make(
    (draft) => {
      for (const { device, came, at, address } of ends) {
        draft.remove(presentKey(device));
        draft.put(onlineKey(device), encodeConnection(came, address, at));
        draft.put(endedKey(device), encodeConnection(at, address));
      }
    },
    () => {},
  );
  return ends;
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
