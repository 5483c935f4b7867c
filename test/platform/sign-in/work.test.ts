// [AUTH-13] A stranger cannot probe for names: the work done for a CONNECT does not depend on whether the device exists,
// is disabled, or which of the four texts was signed [AUTH-6]. Counted, not timed.
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
    ["right, everything signed", policy, {}],
    ["right, nothing optional signed", policy, { password: plain }],
    ["wrong", policy, { password: "00".repeat(32) }],
    ["not hex", policy, { password: "x" }],
    ["none sent", policy, { password: undefined }],
    ["unknown device", policy, { username: `device9&${PK}` }],
    ["unknown product", policy, { username: "device1&a1NOBODY" }],
    ["disabled device", disabled, {}],
  ] as const)("%s: four", async (_, on, overrides) => {
    await on.connect(cSdkRequest(overrides));
    expect(count).toHaveBeenCalledTimes(4);
  });
});
