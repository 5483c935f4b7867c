// What versions and steps make of the state of a device's firmware.
import { expect, test } from "vitest";
import {
  decodeFirmware,
  encodeFirmware,
  type Firmware,
  informed,
  NO_FIRMWARE,
  progressed,
  pushed,
} from "../../../../src/platform/services/ota/firmware-state.ts";

const firmware: Firmware = { version: "2", url: "u", size: 1, sign: "0".repeat(64), signMethod: "SHA256" };

test("an upgrade: told, under way, failed, told again, done", () => {
  const before = informed(NO_FIRMWARE, "default", "1", 1);
  expect(informed(before, "default", "1", 2)).toBe(before);
  const told = pushed(before, firmware, 3);
  const of = (state: typeof told) => state.upgrades.get("default");
  expect(of(told)).toMatchObject({ state: "pushed", from: "1", step: undefined, time: 3 });
  expect(of(progressed(told, "default", 50, "half", 4))).toMatchObject({
    state: "progress",
    step: 50,
    desc: "half",
  });
  expect(of(progressed(told, "default", -3, undefined, 5))).toMatchObject({ state: "failed", step: -3 });
  expect(of(informed(told, "default", "1.5", 6))?.state).toBe("pushed");
  const done = informed(told, "default", "2", 7);
  expect([of(done)?.state, done.versions.get("default")]).toEqual(["done", "2"]);
  expect(progressed(done, "default", 10, undefined, 8)).toBe(done);
  expect(progressed(told, "MCU", 10, undefined, 8)).toBe(told);
  expect(decodeFirmware(encodeFirmware(done)).versions).toEqual(done.versions);
  expect(decodeFirmware(encodeFirmware(done)).upgrades.get("default")).toMatchObject({
    state: "done",
    firmware,
  });
});
