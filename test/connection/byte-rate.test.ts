// How many bytes a second a connection may bring, on a clock of the test.
import { expect, test } from "vitest";
import { ByteRate } from "../../src/connection/byte-rate.ts";

test("n-1 bytes wait for nothing, n and n+1 until they keep to the rate", () => {
  expect(new ByteRate(1_000).take(999, 5_000)).toBe(0);
  expect(new ByteRate(1_000).take(1_000, 5_000)).toBe(1_000);
  expect(new ByteRate(1_000).take(1_001, 5_000)).toBe(1_001);
});

test("bytes of one second count together, those of the next anew", () => {
  const rate = new ByteRate(1_000);
  expect(rate.take(600, 5_000)).toBe(0);
  expect(rate.take(600, 5_400)).toBe(800);
  // Read again when 1,200 bytes have had their 1,200 ms.
  expect(rate.take(999, 6_200)).toBe(0);
  expect(rate.take(1, 6_300)).toBe(900);
});

test("much at once waits for as long as it takes, and a clock put back begins anew", () => {
  const rate = new ByteRate(1_000);
  expect(rate.take(10_000, 5_000)).toBe(10_000);
  expect(rate.take(999, 4_000)).toBe(0);
});
