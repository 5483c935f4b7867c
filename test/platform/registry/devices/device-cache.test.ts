// The cache of devices: found by their names, bounded in bytes, the one not asked for longest goes first.
import { expect, test } from "vitest";
import { completeDevice, type NewDevice } from "../../../../src/platform/registry/devices/device.ts";
import { DeviceCache } from "../../../../src/platform/registry/devices/device-cache.ts";

const device = (deviceName: string, more: Partial<NewDevice> = {}) =>
  completeDevice({ productKey: "pk", deviceName, deviceSecret: "secret", iotId: "iot", ...more });
const one = costOf(device("dev1"));

function costOf(cached: ReturnType<typeof device>): number {
  const cache = new DeviceCache();
  cache.set(cached);
  return cache.bytes;
}

test("beyond the bytes the device goes that was not asked for longest", () => {
  const cache = new DeviceCache(3 * one);
  for (const name of ["dev1", "dev2", "dev3"]) cache.set(device(name));
  expect(cache.bytes).toBe(3 * one);
  expect(cache.get("pk", "dev1")?.deviceName).toBe("dev1");
  cache.set(device("dev4"));
  expect(cache.size).toBe(3);
  expect(cache.get("pk", "dev2")).toBeUndefined();
  for (const name of ["dev1", "dev3", "dev4"]) expect(cache.get("pk", name)?.deviceName).toBe(name);
});

test("a device that is set again replaces what was there, with its bytes", () => {
  const cache = new DeviceCache(3 * one);
  cache.set(device("dev1"));
  const tagged = device("dev1", { tags: [["colour", "green"]] });
  cache.set(tagged);
  expect(cache.size).toBe(1);
  expect(cache.bytes).toBe(costOf(tagged));
  expect(cache.bytes).toBeGreaterThan(one);
  expect(cache.get("pk", "dev1")).toBe(tagged);
  // One that is larger than all there may be is not kept, and neither are others for its sake.
  cache.set(device("dev2", { tags: [["colour", "x".repeat(128)]], nickname: "n".repeat(64) }));
  expect(cache.bytes).toBeLessThanOrEqual(3 * one);
});

test("equal names of two products are two devices; what is deleted or cleared is not found", () => {
  const cache = new DeviceCache();
  cache.set(device("dev1"));
  cache.set(device("dev1", { productKey: "other", deviceSecret: "another" }));
  expect(cache.get("pk", "dev1")?.deviceSecret).toBe("secret");
  expect(cache.get("other", "dev1")?.deviceSecret).toBe("another");
  cache.delete({ productKey: "other", deviceName: "dev1" });
  cache.delete({ productKey: "nobody", deviceName: "dev1" });
  expect(cache.get("other", "dev1")).toBeUndefined();
  expect(cache.size).toBe(1);
  expect(cache.bytes).toBe(one);
  cache.clear();
  expect([cache.size, cache.bytes, cache.get("pk", "dev1")]).toEqual([0, 0, undefined]);
});
