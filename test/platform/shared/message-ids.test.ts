// Numbers of messages beside the same arithmetic in BigInt.
import fc from "fast-check";
import { expect, test } from "vitest";
import { MessageIds } from "../../../src/platform/shared/message-ids.ts";

test("milliseconds in the upper bits, a count in the lower 20", () => {
  fc.assert(
    fc.property(fc.nat(4_000_000_000), fc.integer({ min: 1, max: 2000 }), (start, factor) => {
      const ms = start * factor; // up to the year 2223
      const ids = new MessageIds(() => ms);
      for (let count = 0n; count < 3n; count++)
        expect(ids.next()).toBe(String(BigInt(ms) * 1_048_576n + (ms === 0 ? count + 1n : count)));
    }),
  );
});

test("each is greater than the one before: in one millisecond, past a full count, when the clock goes back", () => {
  let now = 1_800_000_000_000;
  const ids = new MessageIds(() => now);
  let last = 0n;
  const next = (): bigint => {
    const id = BigInt(ids.next());
    expect(id > last).toBe(true);
    last = id;
    return id;
  };
  const first = next();
  now -= 5_000;
  next();
  for (let i = 2; i < 1_048_577; i++) last = BigInt(ids.next());
  expect(last - first).toBe(1_048_576n);
  next();
  now += 10_000;
  expect(next()).toBe(BigInt(now) * 1_048_576n);
  now = 0.5; // parts of milliseconds are dropped
  next();
});

test("decimal, 64 bits, growing: in one millisecond, over a step back of the clock, after a restart", () => {
  let now = 1_700_000_000_000;
  const ids = new MessageIds(() => now);
  const seen = Array.from({ length: 5_000 }, () => ids.next());
  now -= 60_000;
  seen.push(ids.next());
  now += 120_000;
  seen.push(ids.next(), new MessageIds(() => now + 1).next());
  for (let i = 1; i < seen.length; i++) expect(BigInt(seen[i])).toBeGreaterThan(BigInt(seen[i - 1]));
  expect(BigInt(seen.at(-1) ?? "0")).toBeLessThan(1n << 63n);
  expect(seen[0]).toMatch(/^\d{19}$/);
});
