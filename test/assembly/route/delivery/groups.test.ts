// Shared subscription groups: each message goes to one member, the next one of those that can take it.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as abi from "../../../../src/core/generated/abi.ts";
import { BUILDS, RouteCore } from "../core.ts";

describe.each(BUILDS)("%s build", (build) => {
  function setup(members: number, online: Parameters<RouteCore["open"]>[0] = {}) {
    const core = new RouteCore(build);
    const from = core.open();
    const slots = Array.from({ length: members }, () => core.open(online));
    for (const slot of slots) core.join(0, "t", slot, 2);
    const publish = (qos: 0 | 1 | 2 = 0, sender = from): number[] => {
      core.route(sender, core.wire(sender).publish("t", "x", { qos, id: 1 }), core.wire(sender).pubrel(1));
      const sent = slots.flatMap((slot) =>
        core
          .take(slot)
          .filter((one) => one.type === "publish")
          .map(() => slot),
      );
      return [
        ...sent,
        ...core
          .takeStored()
          .filter((one) => one.packetId === 0)
          .map((one) => one.slot),
      ];
    };
    return { core, from, slots, publish };
  }

  test("in turn", () => {
    const { slots, publish } = setup(3);
    const picks = Array.from({ length: 9 }, () => publish()[0]);
    expect(picks).toEqual([...slots, ...slots, ...slots]);
  });

  test("by the sender, where that is wanted: always the same one", () => {
    const { core, publish } = setup(5);
    core.core.setShareStrategy(1);
    const senders = Array.from({ length: 8 }, () => core.open());
    const picks = senders.map((sender) => publish(0, sender)[0]);
    for (let round = 0; round < 3; round++)
      expect(senders.map((sender) => publish(0, sender)[0])).toEqual(picks);
    expect(new Set(picks).size).toBeGreaterThan(1);
  });

  test("members that are away, out of credit or with a full window are passed over; QoS 0 needs no window", () => {
    const { core, slots, publish } = setup(4, { sendMax: 1 });
    const [away, poor, full, good] = slots;
    core.core.goOffline(away);
    core.core.setCredit(poor, 0);
    core.core.setSlotFlags(full, abi.SLOT_QUEUED, 0);
    expect(publish(1)).toEqual([good]);
    expect(Array.from({ length: 4 }, () => publish(0)[0]).sort()).toEqual([full, full, good, good].sort());
  });

  test("all busy: one of those that are online queues it; all away: a kept session does; nobody: it is gone", () => {
    const { core, slots, publish } = setup(3, {
      sendMax: 1,
      flags: abi.SLOT_ALLOW_ALL | abi.SLOT_PERSISTENT,
    });
    expect(new Set([publish(1)[0], publish(1)[0], publish(1)[0]])).toEqual(new Set(slots));
    const queued = publish(1);
    expect(queued).toHaveLength(1);
    expect(slots).toContain(queued[0]);
    for (const slot of slots) core.core.goOffline(slot);
    expect(publish(1)).toHaveLength(1);
    core.core.setSlotFlags(slots[0], 0, abi.SLOT_PERSISTENT);
    core.core.setSlotFlags(slots[1], 0, abi.SLOT_PERSISTENT);
    for (let i = 0; i < 3; i++) expect(publish(1)).toEqual([slots[2]]);
    core.core.setSlotFlags(slots[2], 0, abi.SLOT_PERSISTENT);
    expect(publish(1)).toEqual([]);
  });

  test("one group of several that match gets its own copy, beside ordinary subscriptions of the same client", () => {
    const core = new RouteCore(build);
    const from = core.open();
    const [a, b] = [core.open(), core.open()];
    core.subscribe(a, "t", 0);
    core.join(0, "t", a, 0);
    core.join(1, "#", b, 0);
    core.join(2, "+", a, 0);
    core.route(from, core.wire(from).publish("t", "x"));
    expect(core.take(a)).toHaveLength(3);
    expect(core.take(b)).toHaveLength(1);
  });

  test("members that join and leave agree with a set", () => {
    const step = fc.record({
      kind: fc.constantFrom("join", "join", "leave", "publish", "publish", "online"),
      slot: fc.nat(5),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const core = new RouteCore(build);
        const from = core.open();
        const slots = Array.from({ length: 6 }, () => core.open());
        const away = new Set<number>();
        const members = new Set<number>();
        for (const { kind, slot: n } of steps) {
          const slot = slots[n];
          if (kind === "join") {
            expect(core.join(3, "t/#", slot, 0)).toBe(members.has(slot) ? 1 : 0);
            members.add(slot);
          } else if (kind === "leave") {
            members.delete(slot);
            expect(core.leave(3, "t/#", slot)).toBe(members.size);
          } else if (kind === "online") {
            if (away.delete(slot)) core.online(slot);
            else {
              core.core.goOffline(slot);
              away.add(slot);
            }
          } else {
            core.route(from, core.wire(from).publish("t/1", "x"));
            const got = slots.filter((one) => core.take(one).length > 0);
            const able = [...members].filter((one) => !away.has(one));
            expect(got).toHaveLength(able.length > 0 ? 1 : 0);
            if (got.length > 0) expect(able).toContain(got[0]);
          }
        }
        expect(core.core.filterCount()).toBe(members.size > 0 ? 1 : 0);
      }),
      { numRuns: 100 },
    );
  });

  test("everybody gets a fair share of many, whoever comes and goes in between", () => {
    const { core, slots, publish } = setup(7);
    const counts = new Map(slots.map((slot) => [slot, 0]));
    for (let i = 0; i < 700; i++) {
      if (i % 50 === 0) {
        core.leave(0, "t", slots[i % 7]);
        core.join(0, "t", slots[i % 7], 2);
      }
      for (const slot of publish()) counts.set(slot, (counts.get(slot) ?? 0) + 1);
    }
    for (const count of counts.values()) expect(count).toBeGreaterThan(60);
  });
});
