// [AUTH-13] A stranger cannot probe for names: the work done for a CONNECT that is refused does not depend on whether the
// device exists or is disabled; only a right signature ends it early. Counted, not timed.
import { createHmac } from "node:crypto";
import { beforeEach, describe, expect, it, vi } from "vitest";

vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>();
  return { ...crypto, createHmac: vi.fn(crypto.createHmac) };
});
vi.mock("../../../src/platform/sign-in/hmac-sha256.ts", async (original) => {
  const own = await original<typeof import("../../../src/platform/sign-in/hmac-sha256.ts")>();
  return { ...own, hmacSha256: vi.fn(own.hmacSha256) };
});
const { hmacSha256 } = await import("../../../src/platform/sign-in/hmac-sha256.ts");
const { cSdkRequest, exampleRegistry, PK, platformPolicy, SECRET } = await import("../devices.ts");
const { sign } = await import("../../../src/platform/sign-in/signature.ts");

const policy = platformPolicy();
const disabled = platformPolicy({ registry: exampleRegistry("disabled") });
/** Whoever computes them. */
const count = (): number => vi.mocked(createHmac).mock.calls.length + vi.mocked(hmacSha256).mock.calls.length;
function clear(): void {
  vi.mocked(createHmac).mockClear();
  vi.mocked(hmacSha256).mockClear();
}

describe("[AUTH-13] signatures computed per CONNECT", () => {
  const plain = sign("hmacsha256", SECRET, `deviceNamedevice1productKey${PK}`);
  beforeEach(clear);

  it.each([
    ["wrong", policy, { password: "00".repeat(32) }],
    ["wrong, device disabled", disabled, { password: "00".repeat(32) }],
    ["not hex", policy, { password: "x" }],
    ["none sent", policy, { password: undefined }],
    ["unknown device", policy, { username: `device9&${PK}` }],
    ["unknown product", policy, { username: "device1&a1NOBODY" }],
  ] as const)("%s: as many as texts could have been signed [AUTH-6]", async (_, on, overrides) => {
    await on.connect(cSdkRequest(overrides));
    expect(count()).toBe(4);
    clear();
    // Without a timestamp there are two.
    await on.connect(cSdkRequest({ ...overrides, clientId: "any|signmethod=hmacsha256|" }));
    expect(count()).toBe(2);
  });

  it.each([
    ["everything", 1, policy, {}],
    ["everything, device disabled", 1, disabled, {}],
    ["nothing optional", 4, policy, { password: plain }],
  ] as const)("right, signed is %s: %i", async (_, times, on, overrides) => {
    await on.connect(cSdkRequest(overrides));
    expect(count()).toBe(times);
  });
});
