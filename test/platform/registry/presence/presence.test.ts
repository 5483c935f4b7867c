// Who is online, and the times that go to the table: once each, and none of a device that is gone.
import { expect, test } from "vitest";
import { completeDevice } from "../../../src/platform/registry/device.ts";
import { offlineKey, onlineKey, presentKey } from "../../../src/platform/registry/keys.ts";
import { MemoryTable } from "../../../src/platform/registry/memory-table.ts";
import { Presence } from "../../../src/platform/registry/presence.ts";
import { Changes } from "../../../src/platform/registry/table.ts";

const device = completeDevice({ productKey: "pk", deviceName: "dev1", createdAt: 1, activatedAt: 2 });

function open() {
  const table = new MemoryTable();
  const changes = new Changes(table);
  return { table, presence: new Presence(table, (work) => changes.make(work, () => {})) };
}

test("while one connection takes over from another the device is online, and counted once", () => {
  const { presence } = open();
  presence.connected(device, "::1", 10);
  presence.connected(device, "::2", 20);
  expect(presence.onlineCount).toBe(1);
  presence.disconnected(device, 30);
  expect(presence.isOnline(device)).toBe(true);
  expect(presence.stateOf(device)).toMatchObject({ status: "ONLINE", lastOnlineAt: 20, lastOfflineAt: 30 });
  presence.disconnected(device, 40);
  presence.disconnected(device, 50);
  expect([presence.isOnline(device), presence.onlineCount]).toEqual([false, 0]);
});

test("times are the same before they are written, when they are, and afterwards", async () => {
  const { presence, table } = open();
  presence.connected(device, "::1", 10);
  const online = { status: "ONLINE", lastOnlineAt: 10, lastOfflineAt: undefined, remoteAddress: "::1" };
  expect(presence.stateOf(device)).toEqual(online);
  await presence.flush();
  expect(table.get(presentKey(device))).toBe("10 ::1");
  expect(table.get(onlineKey(device))).toBeUndefined();
  expect(presence.stateOf(device)).toEqual(online);
  presence.disconnected(device, 20);
  const offline = { ...online, status: "OFFLINE", lastOfflineAt: 20 };
  const written = presence.flush();
  expect(presence.stateOf(device)).toEqual(offline);
  await written;
  expect(table.get(onlineKey(device))).toBe("10 ::1 20");
  expect(table.get(presentKey(device))).toBeUndefined();
  expect(presence.stateOf(device)).toEqual(offline);
});

test("one that comes back while its times are written is online, and its new time is written too", async () => {
  const { presence, table } = open();
  presence.connected(device, "::1", 10);
  presence.disconnected(device, 20);
  const written = presence.flush();
  presence.connected(device, "::2", 30);
  await written;
  expect(presence.isOnline(device)).toBe(true);
  await presence.flush();
  expect(table.get(presentKey(device))).toBe("30 ::2");
  expect(presence.stateOf(device)).toMatchObject({ lastOnlineAt: 30, lastOfflineAt: 20 });
});

test("rows of an earlier version say the same, and one without an address too", async () => {
  const { presence, table } = open();
  table.commit(
    new Map([
      [onlineKey(device), "10 ::1"],
      [offlineKey(device), "20"],
    ]),
  );
  const seen = { status: "OFFLINE", lastOnlineAt: 10, lastOfflineAt: 20, remoteAddress: "::1" };
  expect(presence.stateOf(device)).toEqual(seen);
  presence.connected(device, undefined, 30);
  await presence.flush();
  expect(presence.stateOf(device)).toMatchObject({ lastOnlineAt: 30, lastOfflineAt: 20 });
  presence.disconnected(device, 40);
  await presence.flush();
  expect(presence.stateOf(device)).toEqual({
    ...seen,
    lastOnlineAt: 30,
    lastOfflineAt: 40,
    remoteAddress: undefined,
  });
});

test("what a killed broker left says when the device came", async () => {
  const { presence, table } = open();
  table.commit(
    new Map([
      [onlineKey(device), "10 ::1 20"],
      [presentKey(device), "30 ::2"],
    ]),
  );
  expect(presence.stateOf(device)).toMatchObject({
    lastOnlineAt: 30,
    lastOfflineAt: 20,
    remoteAddress: "::2",
  });
});

test("nothing is written of a device that is gone", async () => {
  const { presence, table } = open();
  presence.connected(device, "::1", 10);
  presence.disconnected(device, 20);
  presence.forget(device);
  await presence.flush();
  expect(table.get(onlineKey(device))).toBeUndefined();
  expect(table.get(presentKey(device))).toBeUndefined();
  expect(presence.stateOf(device).lastOnlineAt).toBeUndefined();
});

test("times that could not be written do not keep the device", async () => {
  const presence = new Presence(new MemoryTable(), () => Promise.reject(new Error("full")));
  presence.connected(device, "::1", 10);
  presence.disconnected(device, 20);
  await expect(presence.flush()).rejects.toThrow("full");
  expect(presence.stateOf(device).lastOnlineAt).toBeUndefined();
});
