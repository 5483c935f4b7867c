// How often a slot may be sent to: exact in every window of time, whatever way a message takes, on a clock that the test sets.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as abi from "../../../../src/core/generated/abi.ts";
import { BUILDS, RouteCore } from "../core.ts";

const RATE = abi.UNSENT_RATE;
const RATE_OF_ALL = abi.UNSENT_RATE_OF_ALL;

describe.each(BUILDS)("%s build", (build) => {
  function start() {
    const core = new RouteCore(build);
    const sender = core.open({ version: 5 });
    /** A subscriber of "#" that may be sent `limit` messages in a second. */
    const receiver = (limit: number, ofAll = false, version: 4 | 5 = 5, options = 0): number => {
      const slot = core.open({ version });
      expect(core.core.setPace(slot, limit, 1_000, ofAll ? 1 : 0)).toBe(1);
      core.subscribe(slot, "#", options);
      return slot;
    };
    let id = 0;
    const publish = (now: number, topic = "t", qos: 0 | 1 = 0): void => {
      core.now = now;
      id = (id % 60_000) + 1;
      const packet = core.wire(sender).publish(topic, "", qos ? { qos, id } : {});
      expect(core.route(sender, packet)).toBe(abi.STOP_DONE);
    };
    const got = (slot: number): number => core.take(slot).filter(({ type }) => type === "publish").length;
    const passes = (slot: number, now: number, topic?: string): boolean => {
      publish(now, topic);
      return got(slot) === 1;
    };
    const told = (kind: number): [number, number, number][] =>
      core
        .takeRecords()
        .filter(([what]) => what === kind)
        .map(([, slot, a, b]) => [slot, a, b]);
    return { core, sender, receiver, publish, got, passes, told };
  }

  test.each([
    ["as it came", 5, 0],
    ["encoded", 4, 0],
  ] as [string, 4 | 5, number][])("n-1, n, n+1 messages of QoS 0 in a second, %s", (_how, version) => {
    const { core, receiver, passes } = start();
    const slot = receiver(3, false, version);
    expect([passes(slot, 1_000), passes(slot, 1_001), passes(slot, 1_002)]).toEqual([true, true, true]);
    expect(passes(slot, 1_999)).toBe(false);
    expect(core.word(abi.H_OVER_RATE)).toBe(1);
    // The first one is a second old, the second is not.
    expect([passes(slot, 2_000), passes(slot, 2_000), passes(slot, 2_001)]).toEqual([true, false, true]);
    expect(core.word(abi.H_OVER_RATE)).toBe(2);
    expect(core.word(abi.H_OVER_RATE_OF_ALL)).toBe(0);
    expect(core.word(abi.H_DROPPED)).toBe(0);
  });

  test("QoS 1 beyond waits; the host is told when that is over, once", () => {
    const { core, receiver, publish, got, told } = start();
    const slot = receiver(2, false, 5, 1);
    for (const now of [1_000, 1_400, 1_500, 1_600]) publish(now, "t", 1);
    expect(got(slot)).toBe(2);
    expect(core.takeStored().map(({ position, packetId }) => [position, packetId])).toEqual([
      [0, 0],
      [1, 0],
    ]);
    expect(told(abi.R_PACED)).toEqual([[slot, 500, RATE]]);
    expect(core.word(abi.H_QUEUED_RATE)).toBe(1);
    // What waits is paced by the same meter.
    const waiting = [{ position: 0 }, { position: 1 }, { position: 2 }];
    core.replay(slot, waiting, 1_999);
    expect([core.consumed, got(slot)]).toEqual([0, 0]);
    expect(told(abi.R_PACED)).toEqual([[slot, 1, RATE]]);
    core.replay(slot, waiting, 2_000);
    expect(got(slot)).toBe(1);
    expect(told(abi.R_PACED)).toEqual([[slot, 400, RATE]]);
    expect(core.consumed).toBeGreaterThan(0);
    core.replay(slot, waiting.slice(1), 2_400);
    expect(got(slot)).toBe(1);
  });

  test("retained messages, and those of the server, are counted like all others", () => {
    const { core, receiver, got, told } = start();
    const slot = receiver(2);
    core.replay(slot, [{ qos: 0, flags: abi.E_RETAIN, position: abi.NO_OFFSET }], 1_000);
    core.tell(slot, false, "t", "", 0, 0, 1_000);
    core.tell(slot, true, "t", "", 0, 0, 1_000);
    expect(got(slot)).toBe(2);
    core.replay(slot, [{ qos: 0, flags: abi.E_RETAIN, position: abi.NO_OFFSET }], 1_010);
    expect([core.consumed, got(slot)]).toEqual([0, 0]);
    expect(told(abi.R_PACED)).toEqual([[slot, 990, RATE]]);
    expect(core.word(abi.H_OVER_RATE)).toBe(1);
  });

  test("never more than the limit in any second, never fewer than would fit", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(700), { maxLength: 60 }), (limit, gaps) => {
        const { receiver, passes } = start();
        const slot = receiver(limit);
        const passed: number[] = [];
        let now = 5_000;
        for (const gap of gaps) {
          now += gap;
          const recent = passed.filter((time) => now - time < 1_000).length;
          expect(passes(slot, now)).toBe(recent < limit);
          if (recent < limit) passed.push(now);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("an alias is not given to a message that is dropped", () => {
    const { core, receiver, publish } = start();
    const slot = receiver(1);
    core.online(slot, { version: 5, aliasOutMax: 5 });
    publish(1_000, "a/long/topic");
    publish(1_000, "another/long/topic");
    publish(2_000, "another/long/topic");
    const topics = core.take(slot).flatMap((packet) => (packet.type === "publish" ? [packet.topic] : []));
    expect(topics).toEqual(["a/long/topic", "another/long/topic"]);
  });

  test("a shared subscription prefers a member that may be sent to", () => {
    const { core, publish, got } = start();
    const [a, b] = [core.open(), core.open()];
    for (const slot of [a, b]) {
      expect(core.core.setPace(slot, slot === a ? 1 : 5, 1_000, 0)).toBe(1);
      core.join(0, "s", slot);
    }
    for (let i = 0; i < 6; i++) publish(1_000, "s");
    expect([got(a), got(b), core.word(abi.H_OVER_RATE)]).toEqual([1, 5, 0]);
    publish(1_000, "s");
    expect([got(a), got(b), core.word(abi.H_OVER_RATE)]).toEqual([0, 0, 1]);
  });

  describe("of all together", () => {
    test("n-1, n, n+1; whoever does not count for it is not held up", () => {
      const { core, receiver, passes, got } = start();
      expect(core.core.setPaceOfAll(5, 1_000)).toBe(1);
      const [a, b, free] = [receiver(10, true), receiver(10, true), receiver(10)];
      for (const now of [1_000, 1_001]) expect(passes(a, now)).toBe(true);
      expect(got(b)).toBe(2);
      passes(a, 1_002);
      expect([core.word(abi.H_OVER_RATE_OF_ALL), core.word(abi.H_OVER_RATE)]).toEqual([1, 0]);
      expect(got(free)).toBe(3);
      expect(got(b)).toBe(0);
      expect(passes(a, 2_000)).toBe(true);
      // The same numbers again count on; others begin anew, 0 is no limit.
      expect(core.core.setPaceOfAll(5, 1_000)).toBe(1);
      expect(passes(a, 2_000)).toBe(false);
      expect(core.core.setPaceOfAll(0, 1_000)).toBe(1);
      expect(passes(a, 2_000)).toBe(true);
    });

    test("what a slot's own rate stops is not counted, and a message may be exempt", () => {
      const { core, receiver, passes, told } = start();
      core.core.setPaceOfAll(2, 1_000);
      const slot = receiver(1, true);
      expect([passes(slot, 1_000), passes(slot, 1_000), passes(slot, 1_000)]).toEqual([true, false, false]);
      const other = core.open();
      core.core.setPace(other, 10, 1_000, 1);
      for (let i = 0; i < 2; i++) core.tell(other, true, "t", "", 1, 0, 1_000);
      expect(core.take(other).length).toBe(1);
      expect(told(abi.R_PACED)).toEqual([[other, 1_000, RATE_OF_ALL]]);
      core.tell(other, true, "t", "", 0, 0, 1_000);
      expect(core.word(abi.H_OVER_RATE_OF_ALL)).toBe(1);
      core.tell(other, true, "t", "", 0, abi.M_UNMETERED, 1_000);
      expect(core.take(other).length).toBe(1);
    });
  });

  describe("[GW-4] a slot that speaks for others", () => {
    test("each has the rate for itself, wherever its names stand in a topic", () => {
      const { core, receiver, passes } = start();
      const slot = receiver(2);
      expect(core.pace(slot, "pk/sub1")).toBe(1);
      expect(core.pace(slot, "pk/sub1")).toBe(1);
      expect(core.pace(slot, "pk/sub2")).toBe(1);
      expect([core.pace(slot, "pk"), core.pace(slot, "a/b/c")]).toEqual([0, 0]);
      const burst = (...topics: string[]): number =>
        topics.filter((topic) => passes(slot, 1_000, topic)).length;
      expect(burst("/pk/sub1/a", "/ext/rrpc/1/sys/pk/sub1/b", "/sys/pk/sub1/c")).toBe(2);
      expect(burst("/pk/sub2/a", "/pk/sub2/b", "/pk/sub2/c")).toBe(2);
      expect(burst("/pk/own/a", "/x", "/pk/other/b", "/pk")).toBe(2);
      expect(core.word(abi.H_OVER_RATE)).toBe(4);
      // Of what waits at the host, too.
      core.replay(slot, [{ topic: "/pk/sub2/a", qos: 1 }], 1_500);
      expect(core.consumed).toBe(0);
      core.pace(slot, "pk/sub2", false);
      expect(burst("/pk/sub2/a")).toBe(0);
      core.pace(slot, "pk/sub2");
      expect(burst("/pk/sub2/a")).toBe(1);
    });

    test("many come and go", () => {
      fc.assert(
        fc.property(fc.array(fc.tuple(fc.nat(40), fc.boolean()), { maxLength: 150 }), (changes) => {
          const { core, receiver, publish, got } = start();
          const slot = receiver(1);
          const known = new Set<number>();
          for (const [n, own] of changes) {
            core.pace(slot, `pk/d${n}`, own);
            if (own) known.add(n);
            else known.delete(n);
          }
          // One for each of them, and one for all others together.
          for (let n = 0; n <= 40; n++) publish(1_000, `/pk/d${n}/x`);
          expect(got(slot)).toBe(known.size + (known.size < 41 ? 1 : 0));
          core.core.goOffline(slot);
          core.unsubscribe(slot, "#");
          core.core.closeSlot(slot);
        }),
        { numRuns: 25 },
      );
    });
  });

  test("the same numbers keep what was counted, others do not; rates of publishing leave it alone", () => {
    const { core, receiver, passes } = start();
    const slot = receiver(1);
    expect(passes(slot, 1_000)).toBe(true);
    core.core.setPace(slot, 1, 1_000, 0);
    core.core.setRates(slot, 5, 5, 1_000, 0, 0);
    core.core.setRates(slot, 0, 0, 1_000, 0, 0);
    core.core.goOffline(slot);
    core.online(slot, { version: 5 });
    expect(passes(slot, 1_000)).toBe(false);
    core.core.setPace(slot, 2, 1_000, 0);
    expect([passes(slot, 1_000), passes(slot, 1_000), passes(slot, 1_000)]).toEqual([true, true, false]);
    core.core.setPace(slot, 0, 1_000, 0);
    for (let i = 0; i < 10; i++) expect(passes(slot, 1_000)).toBe(true);
  });

  test("nothing of it stays behind a slot that is closed", () => {
    const { core, receiver } = start();
    const round = (): number => {
      const slot = receiver(50, true);
      for (let i = 0; i < 100; i++) core.pace(slot, `pk/${i}`);
      core.core.setRates(slot, 3, 3, 1_000, 0, 1);
      core.core.goOffline(slot);
      core.unsubscribe(slot, "#");
      core.core.closeSlot(slot);
      return core.core.heapUsed();
    };
    round();
    const used = round();
    for (let i = 0; i < 20; i++) expect(round()).toBe(used);
  });

  test("a dropped message is told once a second for each reason, with a copy, where the slot has samples", () => {
    const { core, receiver, publish, told } = start();
    const slot = receiver(1);
    const burst = (now: number): void => {
      for (let i = 0; i < 3; i++) publish(now);
    };
    burst(1_000);
    expect(told(abi.R_UNSENT)).toEqual([]);
    core.core.setSamples(slot, 5);
    burst(3_000);
    expect(told(abi.R_UNSENT)).toEqual([[slot, RATE, 0]]);
    burst(3_900);
    expect(told(abi.R_UNSENT)).toEqual([]);
    core.core.setCredit(slot, 0);
    burst(3_950);
    expect(told(abi.R_UNSENT)).toEqual([[slot, abi.UNSENT_CREDIT, 0]]);
    core.core.setCredit(slot, 1_000);
    burst(4_000);
    expect(told(abi.R_UNSENT)).toEqual([[slot, RATE, 0]]);
    // Whoever is answered is not told besides.
    core.tell(slot, true, "t", "", 0, abi.M_ANSWERED, 9_000);
    core.tell(slot, true, "t", "", 0, abi.M_ANSWERED, 9_000);
    expect(told(abi.R_UNSENT)).toEqual([]);
  });
});
