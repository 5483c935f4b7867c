// Who is online, and the times that go to the table: once each, and none of a device that is gone.
import { expect, test } from "vitest";
import { completeDevice } from "../../../../src/platform/registry/devices/device.ts";
import { connectionKey, ROLLS } from "../../../../src/platform/registry/table/keys.ts";
import { MemoryTable } from "../../../../src/platform/registry/table/memory-table.ts";
import { Presence } from "../../../../src/platform/registry/presence/presence.ts";
import { Changes } from "../../../../src/platform/registry/table/table.ts";

const device = completeDevice({ productKey: "pk", deviceName: "dev1", createdAt: 1, activatedAt: 2 });

/** Lines of all rolls, the newest roll first. */
function listed(table: MemoryTable): string[] {
  return table.page(ROLLS, undefined, 1_000).flatMap(({ value }) => value.split("\n"));
}

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
  expect(listed(table)).toEqual(["pk\0dev1 10 ::1"]);
  expect(table.get(connectionKey(device))).toBeUndefined();
  expect(presence.stateOf(device)).toEqual(online);
  presence.disconnected(device, 20);
  const offline = { ...online, status: "OFFLINE", lastOfflineAt: 20 };
  const written = presence.flush();
  expect(presence.stateOf(device)).toEqual(offline);
  await written;
  expect(table.get(connectionKey(device))).toBe("10 ::1 20");
  expect(listed(table)).toEqual([]);
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
  expect(listed(table)).toEqual(["pk\0dev1 30 ::2"]);
  expect(presence.stateOf(device)).toMatchObject({ lastOnlineAt: 30, lastOfflineAt: 20 });
});

test("nothing is written of a device that is gone", async () => {
  const { presence, table } = open();
  presence.connected(device, "::1", 10);
  presence.disconnected(device, 20);
  presence.forget(device);
  await presence.flush();
  expect(table.get(connectionKey(device))).toBeUndefined();
  expect(listed(table)).toEqual([]);
  expect(presence.stateOf(device).lastOnlineAt).toBeUndefined();
});

test("times that could not be written do not keep the device", async () => {
  const presence = new Presence(new MemoryTable(), () => Promise.reject(new Error("full")));
  presence.connected(device, "::1", 10);
  presence.disconnected(device, 20);
  await expect(presence.flush()).rejects.toThrow("full");
  expect(presence.stateOf(device).lastOnlineAt).toBeUndefined();
});
