// Desired properties: versions, also over a deletion, and the bounds.
import { expect, test } from "vitest";
import { MemoryRegistry } from "../../../../src/platform/registry/index.ts";
import { DesiredProperties } from "../../../../src/platform/services/thing-model/desired-properties.ts";

const device = { productKey: "a1EXAMPLE01", deviceName: "device1" };
const setup = () =>
  new DesiredProperties({
    documents: new MemoryRegistry().documents,
    maxProperties: 3,
    maxPropertyBytes: 200,
  });
const set = (desired: DesiredProperties, values: object, versions: Record<string, number> = {}) =>
  desired.set(device, new Map(Object.entries(values)), new Map(Object.entries(versions)));

test("versions grow by one, each property's its own; an old one changes nothing at all", async () => {
  const desired = setup();
  expect(await set(desired, { a: 1, b: 2 }, { a: 0 })).toEqual({ a: 1, b: 1 });
  expect(await set(desired, { a: 5 }, { a: 1 })).toEqual({ a: 2 });
  await expect(set(desired, { b: 9, a: 9 }, { a: 1 })).rejects.toMatchObject({ code: "THING_VERSION" });
  expect(desired.get(device)).toEqual({ a: { value: 5, version: 2 }, b: { value: 2, version: 1 } });
  expect(Object.keys(desired.get(device, ["b", "c"]))).toEqual(["b"]);
});

test("who deletes an old wish does not take the new one; versions go on behind a deletion", async () => {
  const desired = setup();
  await set(desired, { a: 1 });
  await set(desired, { a: 2 });
  await desired.delete(device, new Map([["a", 1]]));
  expect(desired.get(device)).toEqual({ a: { value: 2, version: 2 } });
  await desired.delete(
    device,
    new Map([
      ["a", undefined],
      ["b", undefined],
    ]),
  );
  expect(desired.get(device)).toEqual({});
  expect(await set(desired, { a: 3 }, { a: 2 })).toEqual({ a: 3 });
});

test("bounded in count and bytes; of two changes at once none is lost", async () => {
  const desired = setup();
  await Promise.all(["a", "b", "c"].map((id) => set(desired, { [id]: 1 })));
  expect(Object.keys(desired.get(device)).sort()).toEqual(["a", "b", "c"]);
  await expect(set(desired, { d: 1 })).rejects.toMatchObject({ code: "THING_SIZE" });
  await expect(set(desired, { a: "x".repeat(200) })).rejects.toMatchObject({ code: "THING_SIZE" });
  expect(desired.get(device).a).toEqual({ value: 1, version: 1 });
});
