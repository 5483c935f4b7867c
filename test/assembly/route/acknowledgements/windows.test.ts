// Packet identifiers the broker gives out: never 0, never one in flight, back to 1 behind 65,535; and those the client
// gives for QoS 2: a set.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as abi from "../../../../src/core/generated/abi.ts";
import type { Publish } from "../../../support/packet.ts";
import { BUILDS, RouteCore } from "../core.ts";

const publishes = (core: RouteCore, slot: number): Publish[] =>
  core.take(slot).filter((packet): packet is Publish => packet.type === "publish");

describe.each(BUILDS)("%s build", (build) => {
  function pair(sendMax = 65_535): {
    core: RouteCore;
    from: number;
    to: number;
    send: (n: number) => Publish[];
  } {
    const core = new RouteCore(build);
    const from = core.open();
    const to = core.open({ sendMax });
    core.subscribe(to, "t", 1);
    const one = core.wire(from).publish("t", "", { qos: 1, id: 1 });
    return {
      core,
      from,
      to,
      send: (n) => {
        core.route(from, ...Array.from({ length: n }, () => one));
        core.take(from);
        return publishes(core, to);
      },
    };
  }

  test("identifiers count up to 65,535 and begin at 1 again, past those in flight", () => {
    const { core, to, send } = pair();
    const { wire } = { wire: core.wire(to) };
    const held = new Set<number>();
    let before = 0;
    let wraps = 0;
    for (let round = 0; round < 70; round++) {
      const ids = send(1_000).map((message) => message.id);
      expect(ids).toHaveLength(1_000);
      for (const id of ids) {
        if (id < 1 || id > 65_535 || held.has(id)) throw new Error(`identifier ${id}`);
        // One may be passed over whose place in the table is taken, never many.
        const distance = id - before + (id <= before ? 65_535 : 0);
        if (distance > 1 + held.size) throw new Error(`identifier ${id} behind ${before}`);
        if (id <= before) wraps++;
        before = id;
      }
      const kept = ids.filter((id) => round < 60 && id % 1_000 === 7);
      for (const id of kept) held.add(id);
      core.route(to, ...ids.filter((id) => !held.has(id)).map((id) => wire.puback(id)));
      expect(core.core.inflightOf(to)).toBe(held.size);
    }
    expect(wraps).toBe(1);
    expect(held.size).toBeGreaterThan(50);
    core.route(to, ...[...held].map((id) => wire.puback(id)));
    expect(core.core.inflightOf(to)).toBe(0);
  });

  test("as many in flight as there are identifiers, then they queue; one that is free is found", () => {
    const { core, to, send } = pair();
    const ids = new Set<number>();
    while (!(core.slotWord(to, 0) & abi.SLOT_QUEUED)) for (const { id } of send(1_000)) ids.add(id);
    expect(ids.size).toBe(core.core.inflightOf(to));
    expect(ids.size).toBeGreaterThanOrEqual(65_533);
    expect(ids.has(0)).toBe(false);
    core.route(to, core.wire(to).puback(40_000));
    expect(core.takeRecords().filter(([kind]) => kind === abi.R_WINDOW)).toHaveLength(1);
    core.core.setSlotFlags(to, 0, abi.SLOT_QUEUED);
    ids.delete(40_000);
    const [message, ...more] = send(1);
    expect(more).toEqual([]);
    expect(ids.has(message.id)).toBe(false);
  });

  test.each([1, 2, 3, 15, 16, 17])("a window of %i", (sendMax) => {
    const { core, to, send } = pair(sendMax);
    expect(send(sendMax + 3)).toHaveLength(sendMax);
    expect(core.core.inflightOf(to)).toBe(sendMax);
    expect(core.takeStored().map((one) => one.packetId)).toEqual([0, 0, 0]);
    expect(core.word(abi.H_QUEUED)).toBe(3);
  });

  test("the window agrees with a map, whatever is sent, answered, restored", () => {
    type Step = ["send", number] | ["ack", number] | ["pubrec", number] | ["restore", number];
    const step = fc.oneof(
      fc.tuple(fc.constant("send" as const), fc.integer({ min: 1, max: 20 })),
      fc.tuple(fc.constant("ack" as const), fc.nat()),
      fc.tuple(fc.constant("pubrec" as const), fc.nat()),
      fc.tuple(fc.constant("restore" as const), fc.integer({ min: 1, max: 65_535 })),
    ) as fc.Arbitrary<Step>;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(1, 60_000, 65_530), (steps, first) => {
        const { core, to, from } = pair();
        core.subscribe(to, "q", 2);
        core.core.setNextId(to, first);
        const model = new Map<number, "puback" | "pubrec" | "pubcomp">();
        const { wire } = { wire: core.wire(to) };
        const pick = (n: number): number | undefined => [...model.keys()][n % Math.max(1, model.size)];
        for (const [kind, n] of steps) {
          if (kind === "send") {
            const qos = n % 2 === 0 ? 1 : 2;
            core.route(from, core.wire(from).publish("q", "", { qos, id: n }), core.wire(from).pubrel(n));
            const [message] = publishes(core, to);
            expect(model.has(message.id)).toBe(false);
            expect(message.id).toBeGreaterThan(0);
            model.set(message.id, qos === 1 ? "puback" : "pubrec");
          } else if (kind === "restore") {
            const fits = core.core.restoreWindow(to, n, 1, abi.NO_OFFSET) !== 0;
            expect(fits).toBe(!model.has(n));
            if (fits) model.set(n, "puback");
          } else {
            const id = pick(n) ?? 4_242;
            const state = model.get(id);
            core.route(to, kind === "ack" ? wire.puback(id) : wire.pubrec(id));
            const answers = core.take(to);
            if (kind === "ack") {
              expect(answers).toEqual([]);
              if (state === "puback") model.delete(id);
            } else {
              expect(answers).toMatchObject([{ type: "pubrel", id }]);
              if (state === "pubrec") model.set(id, "pubcomp");
              if (state === "pubcomp") {
                core.route(to, wire.pubcomp(id));
                model.delete(id);
              }
            }
          }
          expect(core.core.inflightOf(to)).toBe(model.size);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("a session that comes back has an empty window, and its next identifier goes on", () => {
    const { core, to, send } = pair();
    send(5);
    core.core.goOffline(to);
    core.online(to);
    expect(core.core.inflightOf(to)).toBe(0);
    expect(send(1).map((message) => message.id)).toEqual([6]);
  });

  test("identifiers of the client's QoS 2 messages agree with a set", () => {
    const id = fc.oneof(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 65_535 }),
      fc.integer({ min: 1, max: 127 }).map((n) => n * 512), // many of them begin at the same place
    );
    const step = fc.record({ release: fc.boolean(), id });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const core = new RouteCore(build);
        const from = core.open({ version: 5 });
        const to = core.open();
        core.subscribe(to, "t", 0);
        const wire = core.wire(from);
        const model = new Set<number>();
        for (const one of steps) {
          const before = model.has(one.id);
          core.route(from, one.release ? wire.pubrel(one.id) : wire.publish("t", "", { qos: 2, id: one.id }));
          expect(core.take(from)).toMatchObject([
            one.release
              ? { type: "pubcomp", id: one.id, reason: before ? 0 : 0x92 }
              : { type: "pubrec", id: one.id, reason: 0 },
          ]);
          expect(publishes(core, to)).toHaveLength(one.release || before ? 0 : 1);
          if (one.release) model.delete(one.id);
          else model.add(one.id);
          expect(core.core.holdsInbound(from, one.id) !== 0).toBe(model.has(one.id));
        }
        for (const held of model) expect(core.core.holdsInbound(from, held)).not.toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test("all 65,535 of the client's identifiers at once", () => {
    const core = new RouteCore(build);
    const slot = core.open();
    for (let id = 1; id <= 65_535; id++) if (core.core.holdInbound(slot, id) === 0) throw new Error(`${id}`);
    for (let id = 1; id <= 65_535; id += 2) core.route(slot, core.wire(slot).pubrel(id));
    for (let id = 1; id <= 65_535; id++)
      if ((core.core.holdsInbound(slot, id) !== 0) !== (id % 2 === 0)) throw new Error(`${id}`);
  });
});
