// The ring of a session's queue against the plainest model of it: a map of positions.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NO_OFFSET } from "../../src/core/generated/abi.ts";
import { Q_RECEIVED, Q_SENT, SessionQueue } from "../../src/session/queue.ts";

interface Entry {
  segment: number;
  offset: number;
  options: number;
  packetId: number;
  ids: number;
  group: number;
  size: number;
}

class Model {
  entries = new Map<number, Entry>();
  head = 0;
  sent = 0;
  tail = 0;
  readonly untaken = new Set<number>();

  settle(): void {
    while (this.head !== this.sent && !this.entries.has(this.head)) this.head = (this.head + 1) >>> 0;
  }
}

type Step =
  | { kind: "push"; entry: Entry }
  | { kind: "hole" }
  | { kind: "untaken" }
  | { kind: "advance" }
  | { kind: "clear"; pick: number }
  | { kind: "clearSent" }
  | { kind: "id"; pick: number; id: number }
  | { kind: "received"; pick: number }
  | { kind: "resume" }
  | { kind: "trim" };

const entry = fc.record({
  segment: fc.integer({ min: 1, max: 0xffffffff }),
  offset: fc.nat(0x7fffffff),
  options: fc.integer({ min: 0, max: 7 }),
  packetId: fc.integer({ min: 0, max: 65_535 }),
  ids: fc.constantFrom(NO_OFFSET, 0, 16, 0x7fffffff),
  group: fc.constantFrom(0, 1, 0xffffff),
  size: fc.integer({ min: 1, max: 100_000 }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: entry.map((one): Step => ({ kind: "push", entry: one })) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "hole" }) },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: "untaken" }) },
  { weight: 6, arbitrary: fc.constant<Step>({ kind: "advance" }) },
  { weight: 3, arbitrary: fc.nat().map((pick): Step => ({ kind: "clear", pick })) },
  { weight: 3, arbitrary: fc.constant<Step>({ kind: "clearSent" }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat(), fc.integer({ min: 1, max: 65_535 }))
      .map(([pick, id]): Step => ({ kind: "id", pick, id })),
  },
  { weight: 1, arbitrary: fc.nat().map((pick): Step => ({ kind: "received", pick })) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "resume" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "trim" }) },
);

function held(model: Model, pick: number): number | undefined {
  const positions = [...model.entries.keys()];
  return positions[pick % Math.max(1, positions.length)];
}

function apply(queue: SessionQueue, model: Model, action: Step): void {
  const clear = (position: number): void => {
    const one = model.entries.get(position) as Entry;
    expect(queue.clear(position, one.size)).toBe(one.segment);
    model.entries.delete(position);
    model.settle();
  };
  switch (action.kind) {
    case "push": {
      const e = action.entry;
      queue.push(e.segment, e.offset, e.options, e.packetId, e.ids, e.group, e.size);
      model.entries.set(model.tail, { ...e });
      model.tail = (model.tail + 1) >>> 0;
      return;
    }
    case "hole":
      queue.push(0, 0, 0, 0, NO_OFFSET, 0, 0);
      model.tail = (model.tail + 1) >>> 0;
      return;
    case "untaken":
      queue.pushUntaken();
      model.untaken.add(model.tail);
      model.tail = (model.tail + 1) >>> 0;
      return;
    case "advance":
      if (model.sent === model.tail) return;
      queue.advance();
      model.sent = (model.sent + 1) >>> 0;
      model.settle();
      return;
    case "clear": {
      const position = held(model, action.pick);
      if (position !== undefined) clear(position);
      return;
    }
    case "clearSent":
      // As acknowledgements do: the oldest of what was sent.
      for (let p = model.head; p !== model.sent; p = (p + 1) >>> 0) {
        if (!model.entries.has(p)) continue;
        clear(p);
        return;
      }
      return;
    case "id": {
      const position = held(model, action.pick);
      if (position === undefined) return;
      queue.setPacketId(position, action.id);
      const one = model.entries.get(position) as Entry;
      one.packetId = action.id;
      one.options |= Q_SENT;
      return;
    }
    case "received": {
      const position = held(model, action.pick);
      if (position === undefined) return;
      queue.addOption(position, Q_RECEIVED);
      (model.entries.get(position) as Entry).options |= Q_RECEIVED;
      return;
    }
    case "resume":
      queue.sent = queue.head;
      model.sent = model.head;
      return;
    case "trim":
      queue.trim();
      while (model.tail !== model.sent && model.untaken.delete((model.tail - 1) >>> 0))
        model.tail = (model.tail - 1) >>> 0;
  }
}

function compare(queue: SessionQueue, model: Model): void {
  expect([queue.head, queue.sent, queue.tail]).toEqual([model.head, model.sent, model.tail]);
  expect(queue.length).toBe((model.tail - model.head) >>> 0);
  expect(queue.count).toBe(model.entries.size);
  expect(queue.bytes).toBe([...model.entries.values()].reduce((sum, e) => sum + e.size, 0));
  for (let p = model.head; p !== model.tail; p = (p + 1) >>> 0) {
    const one = model.entries.get(p);
    expect(queue.holds(p)).toBe(one !== undefined);
    expect(queue.segment(p)).toBe(one?.segment ?? 0);
    if (one === undefined) continue;
    expect({
      offset: queue.offset(p),
      options: queue.options(p),
      packetId: queue.packetId(p),
      ids: queue.ids(p),
      group: queue.group(p),
    }).toEqual({
      offset: one.offset,
      options: one.options,
      packetId: one.packetId,
      ids: one.ids,
      group: one.group,
    });
  }
  expect(queue.holds(model.tail)).toBe(false);
  expect(queue.holds((model.head - 1) >>> 0)).toBe(false);
}

describe("SessionQueue", () => {
  test.each([0, 5, 0x7ffffff0, 0xfffffff0, 0xffffffff])("agrees with its model from position %i", (start) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const queue = new SessionQueue();
        const model = new Model();
        queue.reset(start);
        model.head = model.sent = model.tail = start;
        for (const action of steps) {
          apply(queue, model, action);
          compare(queue, model);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("a position is given back only where no entry ever had it: the store may know the one that is gone", () => {
    const queue = new SessionQueue();
    const push = () => queue.push(1, 0, 2, 0, NO_OFFSET, 0, 100);
    push();
    push();
    queue.clear(1, 100);
    queue.pushUntaken();
    queue.pushUntaken();
    queue.trim();
    expect([queue.head, queue.tail]).toEqual([0, 2]);
    push();
    expect(queue.holds(2)).toBe(true);
  });

  test("keeps its order over growth, emptying and growth again", () => {
    const queue = new SessionQueue();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5_000; i++) queue.push(i + 1, i, 1, 0, NO_OFFSET, 0, 10);
      for (let i = 0; i < 5_000; i++) {
        const position = round * 5_000 + i;
        expect(queue.segment(position)).toBe(i + 1);
        queue.advance();
        expect(queue.clear(position, 10)).toBe(i + 1);
      }
      expect(queue).toMatchObject({ length: 0, count: 0, bytes: 0 });
    }
  });

  test("a queue that was emptied in the middle of a walk over it can be walked to its end", () => {
    const queue = new SessionQueue();
    for (let i = 0; i < 2_000; i++) queue.push(1, 0, 1, 0, NO_OFFSET, 0, 10);
    for (let i = 0; i < 2_000; i++) queue.advance();
    for (let p = 1; p < 2_000; p++) queue.clear(p, 10);
    const { tail } = queue;
    const seen: number[] = [];
    for (let p = queue.head; p !== tail; p++) {
      if (queue.segment(p) === 0) continue;
      seen.push(p);
      queue.clear(p, 10);
    }
    expect(seen).toEqual([0]);
  });
});
