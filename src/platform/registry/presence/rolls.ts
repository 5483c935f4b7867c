// Lists of devices that came online, in the table: one row, a roll, for all that came within a second, so that a fleet that
// signs in costs a few rows instead of one for each device. When half of a roll has gone it is removed, and those who are still
// online are put on the next one. A device on a roll has gone where its own row says that this connection, or a later one,
// has ended.
import { type DeviceId, keyOf } from "../../names/user-name.ts";
import { connectionKey, decodeId, encodeId, ROLLS, rollKey } from "../table/keys.ts";
import { decodeConnection, encodeConnection } from "../table/records.ts";
import type { Draft, Table } from "../table/table.ts";

/** Names on a new roll, from which on no more are moved to it. */
const MOST_MOVED = 4_096;

/** A device on a roll. */
export interface Listed {
  readonly id: DeviceId;
  /** ms since the epoch */
  readonly cameAt: number;
  readonly address: string | undefined;
  /** The roll it stands on. */
  roll: Roll | undefined;
}

class Roll {
  readonly number: number;
  readonly names: readonly Listed[];
  /** How many of them are online. */
  present: number;

  constructor(number: number, names: readonly Listed[]) {
    this.number = number;
    this.names = names;
    this.present = names.length;
  }
}

export type { Roll };

export class Rolls {
  #last = 0;
  /** Rolls that devices have left since the last write(). */
  readonly #thinner = new Set<Roll>();

  /** The device has gone, or is about to be put on a newer roll. */
  leave(device: Listed): void {
    const { roll } = device;
    if (roll === undefined) return;
    device.roll = undefined;
    roll.present--;
    this.#thinner.add(roll);
  }

  /** Writes a new roll: those who came, and who is left of rolls that are half empty and removed. */
  write(draft: Draft, came: readonly Listed[]): void {
    const names = [...came];
    for (const device of came) this.leave(device);
    for (const roll of this.#thinner) {
      const worthKeeping = roll.present * 2 > roll.names.length;
      // Others move next time: a fleet that goes evenly would move in one row.
      if (!worthKeeping && roll.present > 0 && names.length >= MOST_MOVED) continue;
      this.#thinner.delete(roll);
      if (worthKeeping) continue;
      if (roll.present > 0) for (const device of roll.names) if (device.roll === roll) names.push(device);
      draft.remove(rollKey(roll.number));
    }
    if (names.length === 0) return;
    const roll = new Roll(++this.#last, names);
    for (const device of names) device.roll = roll;
    draft.put(rollKey(roll.number), names.map(lineOf).join("\n"));
  }
}

function lineOf({ id, cameAt, address }: Listed): string {
  return `${encodeId(id)} ${encodeConnection(cameAt, address)}`;
}

/** A connection that has not ended as far as the table knows. */
export interface OpenConnection {
  readonly device: DeviceId;
  /** ms since the epoch */
  readonly at: number;
  readonly address: string | undefined;
}

/** The newest roll: its key, and the connections on it that have not ended. */
export function newestRoll(
  table: Pick<Table, "get" | "page">,
): { key: string; open: readonly OpenConnection[] } | undefined {
  const [row] = table.page(ROLLS, undefined, 1);
  return row && { key: row.key, open: openOn(table, row.value) };
}

/** All connections that have not ended, by keyOf() of their device. */
export function openConnections(table: Pick<Table, "get" | "page">): ReadonlyMap<string, OpenConnection> {
  const found = new Map<string, OpenConnection>();
  for (let after: string | undefined; ; ) {
    const [row] = table.page(ROLLS, after, 1);
    if (row === undefined) return found;
    after = row.key;
    for (const open of openOn(table, row.value)) {
      const key = keyOf(open.device);
      if (!found.has(key)) found.set(key, open);
    }
  }
}

function openOn(table: Pick<Table, "get">, value: string): OpenConnection[] {
  const open: OpenConnection[] = [];
  for (const line of value.split("\n")) {
    const blank = line.indexOf(" ");
    const device = decodeId(line.slice(0, blank));
    const { at, address } = decodeConnection(line.slice(blank + 1));
    const row = table.get(connectionKey(device));
    const last = row === undefined ? undefined : decodeConnection(row);
    if (last?.endedAt === undefined || last.at < at) open.push({ device, at, address });
  }
  return open;
}
