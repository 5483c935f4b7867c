// What is read out of a gateway's words about a sub-device, and how they are signed.
import { describe, expect, test } from "vitest";
import {
  isSignedWith,
  subDeviceOf,
  wantsCleanSession,
} from "../../../../src/platform/services/gateway/sub-device-request.ts";

const SECRET = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb";
const ITEM = {
  clientId: "a1EXAMPLE01&sub1",
  deviceName: "sub1",
  productKey: "a1EXAMPLE01",
  timestamp: "1581417203000",
};
const SIGNS = {
  hmacMd5: "A12376C8712EF8D99A97561E7FC28AE7",
  hmacSha1: "3BC28CB53FF0044923F2267091B3970E47BD0008",
  hmacSha256: "82869B4D4F9743AFCE007EC00A1F9FD52E54983D34F11BEFE22D855BB19E3EBD",
};

describe("[GW-3] the signature of a sub-device", () => {
  test.each(Object.entries(SIGNS))("%s, as the worked values have it", (signMethod, sign) => {
    expect(isSignedWith(SECRET, { ...ITEM, signMethod, sign })).toBe(true);
    expect(isSignedWith(SECRET, { ...ITEM, signmethod: signMethod, sign: sign.toLowerCase() })).toBe(true);
    expect(isSignedWith(SECRET, { ...ITEM, timestamp: 1581417203000, signMethod, sign })).toBe(true);
    expect(isSignedWith(SECRET, { ...ITEM, sign }, { signMethod })).toBe(true);
    expect(isSignedWith("another", { ...ITEM, signMethod, sign })).toBe(false);
    expect(isSignedWith(SECRET, { ...ITEM, deviceName: "sub2", signMethod, sign })).toBe(false);
    expect(isSignedWith(SECRET, { ...ITEM, signMethod: "Sha256", sign })).toBe(false);
  });

  test("cleanSession is no part of it, nor the secret that SDKs send along", () => {
    const [signMethod, sign] = Object.entries(SIGNS)[2];
    const item = { ...ITEM, signMethod, sign, cleanSession: "false", deviceSecret: SECRET };
    expect(isSignedWith(SECRET, item)).toBe(true);
    expect(isSignedWith(SECRET, { ...item, further: "x" })).toBe(false);
  });

  test("a field has 256 characters at most, whatever the signature", () => {
    // HMAC-SHA256 of clientId{256 or 257 times "c"}deviceNamesub1productKeya1EXAMPLE01 with the secret.
    const signed = (length: number) => ({
      clientId: "c".repeat(length),
      deviceName: "sub1",
      productKey: "a1EXAMPLE01",
      signMethod: "hmacSha256",
      sign: length === 256 ? SIGN_256 : SIGN_257,
    });
    expect(isSignedWith(SECRET, signed(256))).toBe(true);
    expect(isSignedWith(SECRET, signed(257))).toBe(false);
  });
});

test("[GW-3] names in their form only, cleanSession as a text or not", () => {
  expect(subDeviceOf(ITEM)).toEqual({ productKey: "a1EXAMPLE01", deviceName: "sub1" });
  for (const change of [
    { deviceName: 5 },
    { deviceName: "sub" },
    { productKey: "a/b" },
    { productKey: null },
  ])
    expect(subDeviceOf({ ...ITEM, ...change })).toBeUndefined();
  expect(
    [undefined, true, "true", false, "false"].map((cleanSession) => wantsCleanSession({ cleanSession })),
  ).toEqual([true, true, true, false, false]);
});

const SIGN_256 = "3FABE4CF528A1B3D8BBBECA27A058A442B82E6AE3902F747CC84FC5AD59AC0D5";
const SIGN_257 = "5A0400E98ACC7011C37F1A9EBDB718C3D35F5F0967F7AFF5E60AD7A260A678C9";
