// [AUTH-13] A stranger cannot probe for names: the work done for a CONNECT that is refused does not depend on whether the
// device exists or is disabled; only a right signature ends it early. Counted, not timed.
import { createHmac } from "node:crypto";
import { beforeEach, describe, expect, it, vi } from "vitest";

vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>();
  return { ...crypto, createHmac: vi.fn(crypto.createHmac) };
});
const { cSdkRequest, exampleRegistry, PK, platformPolicy, SECRET } = await import("../devices.ts");
const { sign } = await import("../../../src/platform/sign-in/signature.ts");

const policy = platformPolicy();
const disabled = platformPolicy({ registry: exampleRegistry("disabled") });
const count = vi.mocked(createHmac);

describe("[AUTH-13] signatures computed per CONNECT", () => {
  const plain = sign("hmacsha256", SECRET, `deviceNamedevice1productKey${PK}`);
  beforeEach(() => {
    count.mockClear();
  });

  it.each([
    ["wrong", policy, { password: "00".repeat(32) }],
    ["wrong, device disabled", disabled, { password: "00".repeat(32) }],
    ["not hex", policy, { password: "x" }],
    ["none sent", policy, { password: undefined }],
    ["unknown device", policy, { username: `device9&${PK}` }],
    ["unknown product", policy, { username: "device1&a1NOBODY" }],
  ] as const)("%s: as many as texts could have been signed [AUTH-6]", async (_, on, overrides) => {
    await on.connect(cSdkRequest(overrides));
    expect(count).toHaveBeenCalledTimes(4);
    count.mockClear();
    // Without a timestamp there are two.
    await on.connect(cSdkRequest({ ...overrides, clientId: "any|signmethod=hmacsha256|" }));
    expect(count).toHaveBeenCalledTimes(2);
  });

  it.each([
    ["everything", 1, policy, {}],
    ["everything, device disabled", 1, disabled, {}],
    ["nothing optional", 4, policy, { password: plain }],
  ] as const)("right, signed is %s: %i", async (_, times, on, overrides) => {
    await on.connect(cSdkRequest(overrides));
    expect(count).toHaveBeenCalledTimes(times);
  });
});
