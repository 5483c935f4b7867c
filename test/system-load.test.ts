import { expect, test } from "vitest";
import { LoadAverage } from "../src/system-load.ts";

test("a steady rate is told after a while, by the short average first", () => {
  const load = new LoadAverage();
  let count = 0;
  for (let second = 0; second < 60; second += 10) {
    count += 50; // five a second: 300 a minute
    load.update(count, 10);
  }
  const [one, five, fifteen] = load.values;
  // 1 - 1/e of it after as long as the average is wide.
  expect(one).toBeCloseTo(300 * (1 - Math.exp(-1)), 6);
  expect(five).toBeCloseTo(300 * (1 - Math.exp(-1 / 5)), 6);
  expect(fifteen).toBeCloseTo(300 * (1 - Math.exp(-1 / 15)), 6);
});

test("it falls again, and the length of the interval does not matter", () => {
  const coarse = new LoadAverage();
  const fine = new LoadAverage();
  coarse.update(600, 60);
  for (let i = 1; i <= 60; i++) fine.update(i * 10, 1);
  for (const [i, value] of fine.values.entries()) expect(value).toBeCloseTo(coarse.values[i], 6);
  coarse.update(600, 600);
  expect(coarse.values[0]).toBeLessThan(0.1);
  expect(coarse.values[2]).toBeGreaterThan(1);
});

test("two updates at one moment do not divide by nothing", () => {
  const load = new LoadAverage();
  load.update(5, 0);
  expect(load.values).toEqual([0, 0, 0]);
});
