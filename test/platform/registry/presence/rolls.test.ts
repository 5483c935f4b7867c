// What a killed broker leaves behind, at any moment, beside a naive list of who was online; and that rolls do not pile up.
import fc from "fast-check";
import { expect, test } from "vitest";
import { completeDevice, type Device } from "../../../../src/platform/registry/devices/device.ts";
import { MemoryTable } from "../../../../src/platform/registry/table/memory-table.ts";
import { ALIVE, deviceKey, ROLLS } from "../../../../src/platform/registry/table/keys.ts";
import { encodeDevice } from "../../../../src/platform/registry/table/records.ts";
import { endPresent, takeEnds } from "../../../../src/platform/registry/presence/ends.ts";
import { Presence } from "../../../../src/platform/registry/presence/presence.ts";
import { Changes } from "../../../../src/platform/registry/table/table.ts";

const make = (deviceName: string, createdAt = 1): Device =>
  completeDevice({ productKey: "pk", deviceName, createdAt, activatedAt: 2 });
const fleet = Array.from({ length: 6 }, (_, i) => make(`dev${i}`));

function open(devices: readonly Device[] = fleet) {
  const table = new MemoryTable();
  table.commit(new Map(devices.map((device) => [deviceKey(device), encodeDevice(device)])));
  const changes = new Changes(table);
  const presence = new Presence(table, (work) => changes.make(work, () => {}));
  return { table, changes, presence };
}

/** As the next broker does at its start. */
async function endAll(table: MemoryTable, changes: Changes) {
  const all = [];
  for (
    let ends = await endPresent(table, changes);
    ends !== undefined;
    ends = await endPresent(table, changes)
  )
    all.push(...ends);
  return all;
}

/** What comes at each step: a device comes (0), goes (1), is deleted and made anew (2), or all is written (3). */
const steps = fc.array(fc.tuple(fc.nat(fleet.length - 1), fc.nat(3)), { maxLength: 60 });

test("who was online when all was last written is ended once, at the right time; nobody else is", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (plan) => {
      const { table, changes, presence } = open();
      const devices = [...fleet];
      const online = new Map<Device, { count: number; came: number }>();
      let written = new Map<string, number>();
      let now = 10;
      for (const [i, what] of plan) {
        now += 10;
        const device = devices[i];
        const { count = 0 } = online.get(device) ?? {};
        if (what === 0 && count < 2) {
          presence.connected(device, "::1", now);
          online.set(device, { count: count + 1, came: now });
        } else if (what === 1 && count > 0) {
          presence.disconnected(device, now);
          online.set(device, { count: count - 1, came: online.get(device)?.came ?? 0 });
        } else if (what === 2) {
          for (let n = count; n > 0; n--) presence.disconnected(device, now);
          presence.forget(device);
          devices[i] = make(device.deviceName, now + 1);
          table.commit(new Map([[deviceKey(device), encodeDevice(devices[i])]]));
          online.delete(device);
          written.delete(device.deviceName);
        } else if (what === 3) {
          await presence.flush();
          const there = [...online].filter(([, { count }]) => count > 0);
          written = new Map(there.map(([{ deviceName }, { came }]) => [deviceName, came]));
        }
      }
      await changes.drain();
      table.commit(new Map([[ALIVE, "5"]]));
      // A command that looks at what is left sees the same times as the broker that comes after.
      const shown = new Presence(table, () => Promise.resolve());
      for (const device of devices)
        expect(shown.stateOf(device).lastOnlineAt ?? 0).toBeGreaterThanOrEqual(
          written.get(device.deviceName) ?? 0,
        );
      const ends = await endAll(table, changes);
      expect(new Map(ends.map(({ device, at }) => [device.deviceName, at]))).toEqual(written);
      expect(ends.length).toBe(written.size);
      expect(table.page(ROLLS, undefined, 10)).toEqual([]);
      expect((await takeEnds(table, changes, undefined)).length).toBe(written.size);
      const next = new Presence(table, () => Promise.resolve());
      for (const device of devices) {
        const at = written.get(device.deviceName);
        if (at !== undefined)
          expect(next.stateOf(device)).toMatchObject({ lastOnlineAt: at, lastOfflineAt: at });
      }
    }),
    { numRuns: 300 },
  );
});

test("a large fleet of which one in a hundred goes at a time moves a few rolls at a time", async () => {
  const devices = Array.from({ length: 20_000 }, (_, i) => make(`dev${i}`));
  const { table, presence } = open(devices);
  const longest = (): number =>
    Math.max(0, ...table.page(ROLLS, undefined, 1_000).map(({ value }) => value.split("\n").length));
  for (let at = 0; at < devices.length; at += 2_000) {
    for (const device of devices.slice(at, at + 2_000)) presence.connected(device, "::1", 10 + at);
    await presence.flush();
  }
  for (let i = 0; i < 100; i++) {
    for (let at = i; at < devices.length; at += 100) presence.disconnected(devices[at], 100_000 + i);
    await presence.flush();
    expect(longest()).toBeLessThanOrEqual(4_096 + 2_000);
  }
  expect(table.page(ROLLS, undefined, 1_000)).toEqual([]);
});

test("a fleet of which a few stay and the others come and go leaves at most twice those who are there", async () => {
  const devices = Array.from({ length: 200 }, (_, i) => make(`dev${i}`));
  const { table, presence } = open(devices);
  let now = 10;
  for (let round = 0; round < 100; round++) {
    const some = devices.filter((_, i) => i % 100 > round);
    for (const device of some) presence.connected(device, "::1", now++);
    await presence.flush();
    // One of each hundred stays.
    for (const device of some.filter((_, i) => i % 100 !== 0)) presence.disconnected(device, now++);
    await presence.flush();
    const lines = table.page(ROLLS, undefined, 1_000).flatMap(({ value }) => value.split("\n"));
    expect(lines.length).toBeLessThanOrEqual(2 * presence.onlineCount);
  }
  expect(presence.onlineCount).toBeGreaterThan(50);
});
