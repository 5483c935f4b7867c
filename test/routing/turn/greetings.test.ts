// When CONNACKs of a rush leave: the first at once, the others together, and none later than it may.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Outbox } from "../../../src/connection/outbox.ts";
import { Turn } from "../../../src/routing/turn/turn.ts";
import { Segments } from "../../../src/session/segments.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { ByteStream } from "../../../src/transport/streams/stream.ts";

let now = 1_000;
let ends: (() => void)[] = [];
beforeEach(() => {
  now += 1_000;
  ends = [];
  vi.spyOn(performance, "now").mockImplementation(() => now);
  vi.stubGlobal("setImmediate", (end: () => void) => ends.push(end));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function open() {
  const nothing = (): void => {};
  const events = {
    committed: nothing,
    commitStarted: nothing,
    turnEnded: nothing,
    commitFailed: nothing,
    actionFailed: nothing,
  };
  const turn = new Turn(new MemoryStore(), new Segments(), events);
  const left: string[] = [];
  const keeper = {
    get turn() {
      return turn.turn;
    },
    held: { outboxes: 0 },
    flushLater: (outbox: Outbox) => turn.flushLater(outbox),
    holdBack: (outbox: Outbox) => turn.holdBack(outbox),
  };
  const client = (name: string): Outbox => {
    const stream = {
      info: {},
      pendingBytes: 0,
      takesAtOnce: true,
      write: (bytes: Uint8Array) => left.push(`${name}${Buffer.from(bytes)}`),
    } as unknown as ByteStream;
    return new Outbox({ outboxEmpty: nothing }, stream, keeper);
  };
  const greet = (name: string): Outbox => {
    const outbox = client(name);
    outbox.greeting(Buffer.from("!"));
    return outbox;
  };
  /** The end of this turn; false: nobody has asked for one. */
  const endTurn = (): boolean => {
    const end = ends.shift();
    end?.();
    return end !== undefined;
  };
  return { left, greet, endTurn };
}

test("who comes alone is greeted at once", () => {
  const { left, greet, endTurn } = open();
  greet("a");
  expect(left).toEqual(["a!"]);
  now += 3;
  greet("b");
  expect(left).toEqual(["a!", "b!"]);
  expect(endTurn()).toBe(false);
});

test("in a rush greetings wait while more clients come, and leave with the first turn that brings none", () => {
  const { left, greet, endTurn } = open();
  for (const name of ["a", "b", "c", "d"]) {
    greet(name);
    now += 0.1;
    if (name !== "a") expect(endTurn()).toBe(true);
  }
  expect(left).toEqual(["a!"]);
  expect(endTurn()).toBe(true);
  expect(left).toEqual(["a!", "b!", "c!", "d!"]);
  expect(endTurn()).toBe(false);
});

test.each([
  [31, false],
  [32, true],
  [33, true],
])("%d greetings that wait leave though more come: %s", (waiting, leave) => {
  const { left, greet, endTurn } = open();
  greet("first");
  for (let i = 1; i <= waiting; i++) {
    greet(`${i}`);
    now += 0.01;
    if (i < 32 || i === waiting) endTurn();
  }
  expect(left.length > 1).toBe(leave);
});

test.each([
  [1.9, false],
  [2, true],
  [2.1, true],
])("the first that waits leaves after %d ms though more come: %s", (ms, leave) => {
  const { left, greet, endTurn } = open();
  greet("first");
  greet("a");
  now += ms;
  greet("b");
  endTurn();
  expect(left.includes("a!")).toBe(leave);
});

test("what is sent behind a greeting that waits does not overtake it", () => {
  const { left, greet, endTurn } = open();
  greet("a");
  const b = greet("b");
  b.packet(Buffer.from("1"));
  b.copy(Buffer.from("2"), 0, 1);
  b.send(Buffer.alloc(20_000, "3"));
  expect(left).toEqual(["a!"]);
  while (endTurn());
  expect(left.slice(1).join("").replaceAll("b", "")).toBe(`!12${"3".repeat(20_000)}`);
});

test("one that has closed meanwhile is passed over", () => {
  const { left, greet, endTurn } = open();
  greet("a");
  greet("b").drop();
  greet("c");
  while (endTurn());
  expect(left).toEqual(["a!", "c!"]);
});
