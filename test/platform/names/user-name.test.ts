// The names of a device with the key everybody keeps it under.
import { expect, test } from "vitest";
import { keyOf, NamedDevice, parseUserName } from "../../../src/platform/names/user-name.ts";

test("the key is that of the names, and no part of them", () => {
  const named = new NamedDevice("pk", "dev1");
  expect(keyOf(named)).toBe("pk/dev1");
  expect(keyOf({ productKey: "pk", deviceName: "dev1" })).toBe("pk/dev1");
  expect(JSON.stringify(named)).toBe('{"productKey":"pk","deviceName":"dev1"}');
  expect({ ...named }).toEqual({ productKey: "pk", deviceName: "dev1" });
});

test("[AUTH-4] split at the last ampersand, each part in its letters", () => {
  expect(parseUserName("dev1&pk")).toEqual(new NamedDevice("pk", "dev1"));
  for (const text of [undefined, "", "dev1", "de&v1&pk", "dev&pk", "dev1&p/k", "dev1&"])
    expect(parseUserName(text)).toBeUndefined();
});
