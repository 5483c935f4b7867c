// Copies of some messages: as many a second as the slot and all slots together may have, on a clock that the test sets;
// what is beyond is counted and nothing else.
import { describe, expect, test } from "vitest";
import * as abi from "../../../../src/core/generated/abi.ts";
import { BUILDS, RouteCore } from "../core.ts";

describe.each(BUILDS)("%s build", (build) => {
  function start(perSecond: number, verdict: number = abi.VERDICT_ALLOW | abi.VERDICT_SAMPLE) {
    const core = new RouteCore(build);
    const watcher = core.open();
    core.subscribe(watcher, "#");
    const client = (): number => {
      const slot = core.open({ version: 5, flags: 0 });
      expect(core.core.setSamples(slot, perSecond)).toBe(1);
      expect(core.route(slot, core.wire(slot).publish("t", ""))).toBe(abi.STOP_VERDICT);
      core.core.rememberVerdict(slot, verdict);
      return slot;
    };
    /** Publishes a number of messages at a time; [kind of record, word 3] of what the host is told. */
    const publish = (slot: number, now: number, count: number): [number, number][] => {
      core.now = now;
      const packets = Array.from({ length: count }, (_, i) => core.wire(slot).publish("t", `${i}`));
      expect(core.route(slot, Buffer.concat(packets))).toBe(abi.STOP_DONE);
      expect(core.take(watcher).length).toBe(verdict & abi.VERDICT_ALLOW ? count : 0);
      return core
        .takeRecords()
        .filter(([, who]) => who === slot)
        .map(([kind, , , reason]) => [kind, reason]);
    };
    return { core, client, publish };
  }
  const tap = (reason = 0): [number, number] => [abi.R_TAP, reason];
  const skipped: [number, number] = [abi.R_SKIPPED, 0];

  test("n-1, n, n+1 in a second; the next second begins anew; the rest is counted and told once", () => {
    const { core, client, publish } = start(3);
    const slot = client();
    expect(publish(slot, 5_000, 2)).toEqual([tap(), tap()]);
    expect(publish(slot, 5_500, 1)).toEqual([tap()]);
    expect(core.core.takeSkipped(slot)).toBe(0);
    expect(publish(slot, 5_999, 100)).toEqual([skipped]);
    expect(publish(slot, 6_000, 5)).toEqual([tap(), tap(), tap()]);
    expect(core.core.takeSkipped(slot)).toBe(102);
    expect(core.core.takeSkipped(slot)).toBe(0);
    expect(publish(slot, 6_001, 1)).toEqual([skipped]);
  });

  test("slots are counted apart, and bounded together", () => {
    const { core, client, publish } = start(3);
    const [a, b, c] = [client(), client(), client()];
    core.core.setSampleLimit(5);
    expect(publish(a, 9_000, 4)).toEqual([tap(), tap(), tap(), skipped]);
    expect(publish(b, 9_100, 4)).toEqual([tap(), tap(), skipped]);
    expect(publish(c, 9_200, 4)).toEqual([skipped]);
    expect(publish(c, 10_100, 1)).toEqual([tap()]);
    expect([a, b, c].map((slot) => core.core.takeSkipped(slot))).toEqual([1, 2, 4]);
  });

  test("what is refused is sampled with its reason, and reaches nobody", () => {
    const { client, publish } = start(2, (0x97 << abi.VERDICT_REASON_SHIFT) | abi.VERDICT_SAMPLE);
    const slot = client();
    expect(publish(slot, 5_000, 3)).toEqual([tap(0x97), tap(0x97), skipped]);
  });

  test("a slot without a number, or with another client, has nothing of it", () => {
    const { core, client, publish } = start(2);
    const slot = client();
    publish(slot, 5_000, 5);
    core.core.setSamples(slot, 0);
    expect(publish(slot, 5_000, 5)).toEqual([]);
    expect(core.core.takeSkipped(slot)).toBe(0);
    core.core.setSamples(slot, 2);
    expect(publish(slot, 5_000, 2)).toEqual([tap(), tap()]);
  });

  test("slots of many pages", () => {
    const { core } = start(2);
    const last = Array.from({ length: 70_000 }, () => core.core.openSlot(0)).at(-1) as number;
    expect(core.core.setSamples(last, 1)).toBe(1);
    expect(core.core.takeSkipped(last)).toBe(0);
    expect(core.core.takeSkipped(last - 5_000)).toBe(0);
  });
});
