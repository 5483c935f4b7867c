// At most n in any window, at n - 1, n and n + 1.
import { expect, test } from "vitest";
import { SlidingRates } from "../../../src/platform/shared/sliding-rates.ts";

test("any window of the length holds n at most; what is refused does not count", () => {
  const rates = new SlidingRates(3, 1_000);
  expect([0, 10, 20, 30, 999].map((now) => rates.admit("a", now))).toEqual([true, true, true, false, false]);
  expect(rates.admit("b", 999)).toBe(true);
  expect(rates.admit("a", 1_000)).toBe(true);
  expect(rates.admit("a", 1_009)).toBe(false);
  expect(rates.admit("a", 1_010)).toBe(true);
});

test("0 is no bound, and remembers nobody", () => {
  const rates = new SlidingRates(0, 1_000);
  for (let i = 0; i < 100; i++) expect(rates.admit(`key${i}`, 0)).toBe(true);
  expect(rates.size).toBe(0);
});

test("keys that have been quiet are forgotten", () => {
  const rates = new SlidingRates(1, 1_000);
  for (let i = 0; i < 1_000; i++) rates.admit(`old${i}`, 0);
  for (let i = 0; i < 1_100; i++) rates.admit(`new${i}`, 5_000);
  expect(rates.size).toBeLessThan(1_200);
});
