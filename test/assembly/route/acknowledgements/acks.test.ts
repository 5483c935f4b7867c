// Acknowledgements that wait for commits, against one list per client: they leave as a completed prefix, in order.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as abi from "../../../../src/core/generated/abi.ts";
import type { Acknowledgement } from "../../../support/packet.ts";
import { BUILDS, RouteCore } from "../core.ts";

const TYPES = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 } as const;
type Type = keyof typeof TYPES;
type Step =
  | { kind: "owe"; slot: number; type: Type; id: number; ahead: number }
  | { kind: "release"; fail: boolean }
  | { kind: "commit" }
  | { kind: "reconnect"; slot: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("owe" as const),
      slot: fc.nat(2),
      type: fc.constantFrom<Type>("puback", "pubrec", "pubrel", "pubcomp"),
      id: fc.integer({ min: 1, max: 65_535 }),
      ahead: fc.constantFrom(-1, 0), // -1: needs no commit
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("release" as const), fail: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("commit" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reconnect" as const), slot: fc.nat(2) }) },
);

interface Waiting {
  type: Type;
  id: number;
  commit: number;
}

describe.each(BUILDS)("%s build", (build) => {
  test.each([1, 0xfffffff0])("rings agree with lists, commits counted from %i", (first) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const core = new RouteCore(build);
        const versions = [4, 5, 5] as const;
        const slots = versions.map((version) => core.open({ version }));
        let lists: Waiting[][] = [[], [], []];
        let commit = first;
        let released = (first - 1) >>> 0;
        const next = (n: number): number => (n + 1) >>> 0 || 1;
        for (const one of steps) {
          const expected: { type: Type; id: number; reason: number }[][] = [[], [], []];
          if (one.kind === "owe") {
            const needs = one.ahead < 0 ? 0 : commit;
            core.owe(slots[one.slot], TYPES[one.type], one.id, 0, needs);
            if (needs === 0 && lists[one.slot].length === 0)
              expected[one.slot].push({ type: one.type, id: one.id, reason: 0 });
            else lists[one.slot].push({ type: one.type, id: one.id, commit: needs });
          } else if (one.kind === "commit") commit = next(commit);
          else if (one.kind === "reconnect") {
            const slot = slots[one.slot];
            core.core.goOffline(slot);
            core.online(slot, { version: versions[one.slot] });
            lists[one.slot] = [];
          } else if (released !== commit) {
            released = next(released);
            if (released === commit) commit = next(commit);
            core.release(released, one.fail ? 0x80 : 0);
            lists = lists.map((list, i) => {
              let n = 0;
              while (n < list.length && (list[n].commit === 0 || ((list[n].commit - released) | 0) <= 0)) n++;
              for (const { type, id, commit: needs } of list.slice(0, n)) {
                const failed = one.fail && needs === released;
                if (!failed) expected[i].push({ type, id, reason: 0 });
                else if (versions[i] === 5 && (type === "puback" || type === "pubrec"))
                  expected[i].push({ type, id, reason: 0x80 });
              }
              return list.slice(n);
            });
          }
          for (const [i, slot] of slots.entries()) {
            const sent = core.take(slot).map((packet) => {
              if (!("id" in packet) || !("reason" in packet)) throw new Error(`a ${packet.type}`);
              return { type: packet.type, id: packet.id, reason: packet.reason };
            });
            expect(sent).toEqual(expected[i]);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  test("more than the arenas hold: 200,000 of 20 clients leave in one release, in order", () => {
    const core = new RouteCore(build);
    const slots = Array.from({ length: 20 }, (_, i) => core.open({ version: i % 2 === 0 ? 4 : 5 }));
    const each = 10_000;
    for (let id = 1; id <= each; id++) for (const slot of slots) core.core.oweAck(slot, 0x40, id, 0, 1);
    expect(core.release(1)).toBe(abi.STOP_DONE);
    expect(core.stops).toBeGreaterThan(1);
    for (const slot of slots) {
      const ids = core.take(slot).map((packet) => ("id" in packet ? packet.id : 0));
      expect(ids).toHaveLength(each);
      for (const [i, id] of ids.entries()) if (id !== i + 1) throw new Error(`PUBACK ${id} at place ${i}`);
    }
  });

  test("Reason Strings go to clients that want them, and fit their Maximum Packet Size", () => {
    const core = new RouteCore(build);
    core.setReasonText(0x87, "not for you");
    const flags = abi.SLOT_ALLOW_ALL | abi.SLOT_REASON_STRINGS;
    const cases: [number, string | undefined][] = [
      [core.open({ version: 5, flags }), "not for you"],
      [core.open({ version: 5 }), undefined],
      [core.open({ version: 5, flags, maxPacket: 10 }), undefined],
      [core.open({ version: 4, flags }), undefined],
    ];
    for (const [slot, text] of cases) {
      core.owe(slot, 0x40, 9, 0x87);
      const [packet] = core.take(slot);
      expect(packet).toMatchObject({ type: "puback", id: 9 });
      expect(packet.properties.reasonString).toBe(text);
    }
  });

  test("an answer owed to a client that is away is forgotten, not kept for its next connection", () => {
    const core = new RouteCore(build);
    const slot = core.open();
    core.core.goOffline(slot);
    core.owe(slot, 0x40, 1, 0, 1);
    core.online(slot);
    core.release(1);
    expect(core.take(slot)).toEqual([]);
  });

  test.each([
    [5, 1],
    [5, 2],
    [4, 1],
    [4, 2],
  ] as const)(
    "a message the host could not keep is refused to its sender, level %i, QoS %i",
    (version, qos) => {
      const core = new RouteCore(build);
      const away = core.core.openSlot(abi.SLOT_PERSISTENT);
      core.subscribe(away, "t", 2);
      const sender = core.open({ version });
      const wire = core.wire(sender);
      core.route(sender, wire.publish("t", "1", { qos, id: 7 }), wire.publish("t", "2", { qos, id: 8 }));
      expect(core.takeStored().map(({ senderId }) => senderId)).toEqual([7, 8]);
      core.core.refuseMessage(sender, 7);
      core.release(1);
      const type = qos === 1 ? "puback" : "pubrec";
      expect(
        core
          .take(sender)
          .map((packet) => [packet.type, (packet as Acknowledgement).id, (packet as Acknowledgement).reason]),
      ).toEqual(
        version === 5
          ? [
              [type, 7, 0x97],
              [type, 8, 0],
            ]
          : [[type, 8, 0]],
      );
      // The id is free: what comes under it is another message.
      core.route(sender, wire.publish("t", "3", { qos, id: 7 }));
      expect(core.takeStored().map(({ payload }) => payload)).toEqual(["3"]);
    },
  );
});
