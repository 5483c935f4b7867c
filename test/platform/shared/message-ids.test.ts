// Numbers of messages: unique and growing whatever the clock does.
import { expect, test } from "vitest";
import { MessageIds } from "../../../src/platform/shared/message-ids.ts";

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
