// How often a session may publish: exact in every window of time, on a clock that the test sets.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as abi from "../../../../src/core/generated/abi.ts";
import { BUILDS, RouteCore } from "../core.ts";

type Qos = 0 | 1 | 2;

describe.each(BUILDS)("%s build", (build) => {
  function start(qos0: number, qos12: number, windowMs = 1_000, beyond = 0, version: 4 | 5 = 4) {
    const core = new RouteCore(build);
    const watcher = core.open();
    core.subscribe(watcher, "#");
    const slot = core.open({ version });
    expect(core.core.setRates(slot, qos0, qos12, windowMs, beyond)).toBe(1);
    let id = 0;
    /** Publishes at a time; true where the watcher got it. */
    const passes = (now: number, qos: Qos = 0): boolean => {
      core.now = now;
      id = (id % 60_000) + 1;
      expect(core.route(slot, core.wire(slot).publish("t", "", qos ? { qos, id } : {}))).toBe(abi.STOP_DONE);
      return core.take(watcher).length === 1;
    };
    return { core, slot, passes };
  }

  test.each([
    [0, 3],
    [1, 2],
    [2, 2],
  ] as [Qos, number][])("QoS %i: n-1, n, n+1 messages in a window", (qos, n) => {
    const { core, slot, passes } = start(3, 2);
    for (let i = 0; i < n; i++) expect(passes(1_000 + i, qos)).toBe(true);
    expect(passes(1_999, qos)).toBe(false);
    // The first one is a window old, the second is not.
    expect(passes(2_000, qos)).toBe(true);
    expect(passes(2_000, qos)).toBe(false);
    expect(passes(2_001, qos)).toBe(true);
    expect(core.word(abi.H_LIMITED)).toBe(2);
    const answers = core.take(slot).filter((packet) => packet.type !== "publish");
    expect(answers.length).toBe(qos === 0 ? 0 : n + 2);
  });

  test("QoS 0 is counted apart from QoS 1 and 2", () => {
    const { passes } = start(1, 1);
    expect([passes(1, 0), passes(1, 1), passes(1, 0), passes(1, 1), passes(1, 2)]).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  test("one kind may be free", () => {
    const { passes } = start(0, 1);
    for (let i = 0; i < 100; i++) expect(passes(1, 0)).toBe(true);
    expect([passes(1, 1), passes(1, 1)]).toEqual([true, false]);
  });

  test("never more than the limit in any window, never fewer than would fit", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.nat(20), { maxLength: 60 }),
        (limit, windowMs, gaps) => {
          const { passes } = start(limit, 0, windowMs);
          const passed: number[] = [];
          let now = 5_000;
          for (const gap of gaps) {
            now += gap;
            const recent = passed.filter((time) => now - time < windowMs).length;
            expect(passes(now)).toBe(recent < limit);
            if (recent < limit) passed.push(now);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([4, 5] as const)(
    "MQTT %i: beyond it nothing is acknowledged, and it is told once per call and meter",
    (version) => {
      const { core, slot } = start(0, 1, 1_000, 0, version);
      const wire = core.wire(slot);
      core.route(
        slot,
        wire.publish("t", "", { qos: 1, id: 1 }),
        wire.publish("t", "", { qos: 1, id: 2 }),
        wire.publish("t", "", { qos: 2, id: 3 }),
      );
      expect(core.take(slot)).toMatchObject([{ type: "puback", id: 1 }]);
      expect(core.takeRecords().map(([kind, who, meter]) => [kind, who, meter])).toEqual([
        [abi.R_LIMITED, slot, 0],
      ]);
      core.route(slot, wire.publish("t", "", { qos: 1, id: 2 }));
      expect(core.takeRecords().length).toBe(1);
      // The identifiers are free.
      core.now += 1_000;
      core.route(slot, wire.publish("t", "", { qos: 2, id: 3 }));
      expect(core.take(slot)).toMatchObject([{ type: "pubrec", id: 3 }]);
    },
  );

  test("a reason code beyond is for those who have a place for it", () => {
    for (const version of [4, 5] as const) {
      const { core, slot } = start(1, 1, 1_000, 0x97, version);
      const wire = core.wire(slot);
      for (let i = 0; i < 2; i++)
        core.route(
          slot,
          wire.publish("t", ""),
          wire.publish("t", "", { qos: 1, id: 1 }),
          wire.publish("t", "", { qos: 2, id: 2 }),
        );
      const refused = [
        { type: "pubrec", id: 2, reason: 0x97 },
        { type: "puback", id: 1, reason: 0x97 },
        { type: "pubrec", id: 2, reason: 0x97 },
      ];
      expect(core.take(slot)).toMatchObject([{ type: "puback", id: 1 }, ...(version === 5 ? refused : [])]);
    }
  });

  test("all together: n-1, n, n+1 in a window, whoever sends them; those that do not count for it are free", () => {
    const { core, slot } = start(3, 0);
    const other = core.open();
    const free = core.open();
    expect(core.core.setRateOfAll(4, 1_000)).toBe(1);
    expect(core.core.setRates(slot, 3, 0, 1_000, 0, 1)).toBe(1);
    expect(core.core.setRates(other, 0, 0, 1_000, 0, 1)).toBe(1);
    const passes = (sender: number, now: number, qos: Qos = 0): boolean => {
      core.now = now;
      const before = core.word(abi.H_LIMITED);
      core.route(sender, core.wire(sender).publish("t", "", qos ? { qos, id: 1 } : {}));
      return core.word(abi.H_LIMITED) === before;
    };
    for (let i = 0; i < 3; i++) expect(passes(slot, 1_000 + i)).toBe(true);
    // Over its own rate: not counted for all.
    expect(passes(slot, 1_003)).toBe(false);
    expect(passes(other, 1_004, 1)).toBe(true);
    expect([passes(other, 1_005), passes(slot, 1_005, 1)]).toEqual([false, false]);
    expect(passes(free, 1_006)).toBe(true);
    expect(passes(other, 1_999)).toBe(false);
    expect([passes(other, 2_000), passes(other, 2_000)]).toEqual([true, false]);
    // Refused for all it was not counted for itself: the second of its three is old now.
    expect(passes(slot, 2_000)).toBe(false);
    expect(passes(slot, 2_001)).toBe(true);
    core.core.setRateOfAll(4, 1_000);
    expect(passes(other, 2_001)).toBe(false);
    core.core.setRateOfAll(0, 1_000);
    expect(passes(other, 2_001)).toBe(true);
  });

  test("the meter outlives the connection, not the slot", () => {
    const { core, slot, passes } = start(1, 0);
    expect(passes(1)).toBe(true);
    core.core.goOffline(slot);
    core.online(slot);
    core.core.setRates(slot, 1, 0, 1_000, 0);
    expect(passes(2)).toBe(false);
    const heap = core.core.heapUsed();
    core.core.closeSlot(slot);
    expect(core.core.openSlot(0)).toBe(slot);
    core.online(slot);
    expect(core.core.heapUsed()).toBeLessThanOrEqual(heap);
    expect(passes(3)).toBe(true);
    expect(passes(3)).toBe(true);
  });

  test("other numbers begin anew, none are no limit", () => {
    const { core, slot, passes } = start(1, 0);
    expect([passes(1), passes(1)]).toEqual([true, false]);
    core.core.setRates(slot, 2, 0, 1_000, 0);
    expect([passes(1), passes(1), passes(1)]).toEqual([true, true, false]);
    core.core.setRates(slot, 0, 0, 1_000, 0);
    expect([passes(1), passes(1), passes(1)]).toEqual([true, true, true]);
  });

  test("a verdict may name another meter", () => {
    const { core, slot } = start(1, 1);
    core.core.setSlotFlags(slot, 0, abi.SLOT_ALLOW_ALL);
    const meters = Array.from({ length: 20 }, () => core.core.addMeter(slot));
    expect(meters).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    const wire = core.wire(slot);
    const send = (meter: number): number => {
      const before = core.word(abi.H_LIMITED);
      core.core.setOnceVerdict(abi.VERDICT_ALLOW | (meter << abi.VERDICT_METER_SHIFT));
      core.route(slot, wire.publish("t", ""));
      return core.word(abi.H_LIMITED) - before;
    };
    for (const meter of [0, ...meters]) expect([meter, send(meter), send(meter)]).toEqual([meter, 0, 1]);
    // Unknown ones are the slot's own.
    expect(send(77)).toBe(1);
    core.core.setRates(slot, 1, 1, 1_000, 0);
    expect(core.core.addMeter(slot)).toBe(1);
    expect([send(1), send(1)]).toEqual([0, 1]);
  });

  test("whose meter it is stands in the record; the same one after the other is told once", () => {
    const { core, slot } = start(0, 1);
    core.core.setSlotFlags(slot, 0, abi.SLOT_ALLOW_ALL);
    const wire = core.wire(slot);
    const topics = ["own", "one", "two"];
    for (const [meter, topic] of topics.entries()) {
      if (meter > 0) expect(core.core.addMeter(slot)).toBe(meter);
      expect(core.route(slot, wire.publish(topic, "", { qos: 1, id: 1 }))).toBe(abi.STOP_VERDICT);
      core.core.rememberVerdict(slot, abi.VERDICT_ALLOW | (meter << abi.VERDICT_METER_SHIFT));
      core.route(slot, wire.publish(topic, "", { qos: 1, id: 1 }));
    }
    core.takeRecords();
    const sent = ["one", "one", "own", "own", "one", "two", "two"];
    core.route(slot, ...sent.map((topic, i) => wire.publish(topic, "", { qos: 1, id: 10 + i })));
    expect(core.takeRecords().map(([kind, who, meter]) => [kind, who, meter])).toEqual(
      [1, 0, 1, 2].map((meter) => [abi.R_LIMITED, slot, meter]),
    );
  });

  test("meters end at their number, and give all memory back", () => {
    const core = new RouteCore(build);
    const slot = core.open();
    expect(core.core.addMeter(slot)).toBe(0);
    const before = core.core.heapUsed();
    core.core.setRates(slot, 2, 2, 1_000, 0);
    for (let i = 1; i <= abi.MAX_METERS; i++) expect(core.core.addMeter(slot)).toBe(i);
    expect(core.core.addMeter(slot)).toBe(0);
    core.core.setRates(slot, 0, 0, 0, 0);
    expect(core.core.heapUsed()).toBe(before);
  });

  test("a clock that is put back lets pass", () => {
    const { passes } = start(1, 0);
    expect([passes(100_000), passes(100_000), passes(50_000), passes(50_500)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});
