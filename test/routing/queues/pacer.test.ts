// Who waits for a rate of deliveries is woken when it is over, in order, by one timer that is there only meanwhile.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { UNSENT_RATE, UNSENT_RATE_OF_ALL } from "../../../src/core/generated/abi.ts";
import type { BrokerSession } from "../../../src/routing/turn/broker-session.ts";
import { Pacer } from "../../../src/routing/queues/pacer.ts";

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

const sessionOf = (slot: number): BrokerSession =>
  ({ slot, paced: false, ended: false, connection: {} }) as BrokerSession;

function setup(onWake: (session: BrokerSession, pacer: Pacer) => void = () => {}) {
  const woken: number[] = [];
  const pacer: Pacer = new Pacer(
    (action) => action(),
    (session) => {
      woken.push(session.slot);
      onWake(session, pacer);
    },
  );
  return { woken, pacer, sessions: Array.from({ length: 5 }, (_, i) => sessionOf(i)) };
}

test("each is woken when its own rate is over, at most 50 ms late, and once", () => {
  const { woken, pacer, sessions } = setup();
  expect(vi.getTimerCount()).toBe(0);
  pacer.wait(sessions[0], 500, UNSENT_RATE);
  pacer.wait(sessions[1], 100, UNSENT_RATE);
  pacer.wait(sessions[0], 500, UNSENT_RATE);
  expect(vi.getTimerCount()).toBe(1);
  expect([sessions[0].paced, sessions[1].paced]).toEqual([true, true]);
  vi.advanceTimersByTime(99);
  expect(woken).toEqual([]);
  vi.advanceTimersByTime(51);
  expect([woken, sessions[1].paced]).toEqual([[1], false]);
  vi.advanceTimersByTime(400);
  expect(woken).toEqual([1, 0]);
  expect(vi.getTimerCount()).toBe(0);
});

test("those that wait for the rate of all go on in their order, until one is told to wait again", () => {
  let left = 0;
  const { woken, pacer, sessions } = setup((session, own) => {
    if (left-- <= 0) own.wait(session, 200, UNSENT_RATE_OF_ALL);
  });
  for (const session of sessions) pacer.wait(session, 100, UNSENT_RATE_OF_ALL);
  left = 2;
  vi.advanceTimersByTime(150);
  expect(woken).toEqual([0, 1, 2]);
  left = 10;
  vi.advanceTimersByTime(250);
  expect(woken).toEqual([0, 1, 2, 3, 4, 2]);
  expect(vi.getTimerCount()).toBe(0);
});

test("who has gone meanwhile is not woken", () => {
  const { woken, pacer, sessions } = setup();
  for (const session of sessions) pacer.wait(session, 100, UNSENT_RATE);
  sessions[0].ended = true;
  sessions[1].connection = undefined;
  vi.advanceTimersByTime(200);
  expect([...woken].sort()).toEqual([2, 3, 4]);
  expect(sessions.map(({ paced }) => paced)).toEqual(Array(5).fill(false));
});

test.each([
  ["its own rate", UNSENT_RATE],
  ["the rate of all", UNSENT_RATE_OF_ALL],
])("one that fails costs the others nothing: %s", (_what, why) => {
  const { woken, pacer, sessions } = setup((session) => {
    if (session.slot === 1) throw new Error("a defect");
  });
  for (const session of sessions) pacer.wait(session, 100, why);
  expect(() => vi.advanceTimersByTime(150)).toThrow("a defect");
  vi.advanceTimersByTime(200);
  expect([...woken].sort()).toEqual([0, 1, 2, 3, 4]);
});

test("nobody waits for a clock that is put back", () => {
  const { woken, pacer, sessions } = setup();
  pacer.wait(sessions[0], 100, UNSENT_RATE);
  vi.setSystemTime(Date.now() - 3_600_000);
  vi.advanceTimersByTime(200);
  expect(woken).toEqual([0]);
});
