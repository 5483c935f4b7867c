// Who has come online, on the disk: not a row for each device but one for all that came within a second, so that a fleet that
// signs in costs a few rows. A roll is called off when half of it has gone: who is still there moves to the next one. Whom a roll
// names has gone all the same where the device's own row says that this connection, or a later one, has ended.
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
  /** The newest one it is on. */
  roll: Roll | undefined;
}

class Roll {
  readonly number: number;
  readonly names: readonly Listed[];
  /** Of these. */
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
  /** Somebody has left them since they were looked at. */
  readonly #thinner = new Set<Roll>();

  /** It has gone, or stands on a newer one soon. */
  leave(device: Listed): void {
    const { roll } = device;
    if (roll === undefined) return;
    device.roll = undefined;
    roll.present--;
    this.#thinner.add(roll);
  }

  /** Those who came, on a new roll, with those of rolls that are not worth keeping. */
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

/** The newest roll: its key, and those on it who have not gone. */
export function newestRoll(
  table: Pick<Table, "get" | "page">,
): { key: string; open: readonly OpenConnection[] } | undefined {
  const [row] = table.page(ROLLS, undefined, 1);
  return row && { key: row.key, open: openOn(table, row.value) };
}

/** All who have not gone, by keyOf(). */
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
