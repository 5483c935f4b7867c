// The queue in front of a stream, against a plain concatenation: whatever is handed in, and however slow the stream is,
// the bytes leave once, in order, and in the grain that was promised.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Outbox } from "../../src/connection/outbox.ts";
import type { ByteStream } from "../../src/transport/streams/stream.ts";

/** A stream that takes what it likes: at once, or when it is told to drain. Until then it reads what it was given. */
class FakeStream implements ByteStream {
  readonly info = {} as ByteStream["info"];
  readonly takesAtOnce: boolean;
  readonly #held: Uint8Array[] = [];
  readonly #written: Buffer[] = [];
  pendingBytes = 0;
  slow = false;
  writes = 0;
  constructor(takesAtOnce: boolean) {
    this.takesAtOnce = takesAtOnce;
  }
  open(): void {}
  write(bytes: Uint8Array): void {
    this.writes++;
    if (this.slow) this.pendingBytes += bytes.length;
    else this.#take();
    if (this.slow || !this.takesAtOnce) this.#held.push(bytes);
    else this.#written.push(Buffer.from(bytes));
  }
  drain(): void {
    this.pendingBytes = 0;
    this.#take();
  }
  get written(): Buffer[] {
    return [...this.#written, ...this.#held.map((bytes) => Buffer.from(bytes))];
  }
  #take(): void {
    for (const bytes of this.#held.splice(0)) this.#written.push(Buffer.from(bytes));
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

class Keeper {
  turn = 0;
  readonly held = { outboxes: 0 };
  #listed: Outbox[] = [];
  rush = false;
  flushLater(outbox: Outbox): void {
    this.#listed.push(outbox);
  }
  holdBack(outbox: Outbox): boolean {
    if (this.rush) this.#listed.push(outbox);
    return this.rush;
  }
  end(): void {
    this.turn++;
    for (const outbox of this.#listed.splice(0)) outbox.flush();
  }
}

type Step =
  | { kind: "range" | "copy" | "send" | "greeting" | "held greeting"; length: number }
  | { kind: "turn" }
  | { kind: "slow"; slow: boolean }
  | { kind: "drain" };

const length = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 300 }) },
  { weight: 2, arbitrary: fc.integer({ min: 10_000, max: 70_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 200_000, max: 900_000 }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom("range", "copy", "send", "greeting", "held greeting"),
      length,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("turn" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("slow" as const), slow: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("drain" as const) }) },
);

function setup(takesAtOnce = true) {
  const stream = new FakeStream(takesAtOnce);
  const keeper = new Keeper();
  let empty = 0;
  const outbox = new Outbox({ outboxEmpty: () => empty++ }, stream, keeper);
  return { stream, keeper, outbox, empties: () => empty };
}

describe("Outbox", () => {
  test.each([true, false])("bytes leave once and in order; the stream takes at once: %s", (takesAtOnce) => {
    const source = Buffer.alloc(1_000_000);
    for (let i = 0; i < source.length; i++) source[i] = (i * 7 + (i >> 8)) & 0xff;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { stream, keeper, outbox } = setup(takesAtOnce);
        const given: Buffer[] = [];
        let bytes = 0;
        let at = 0;
        const drain = (): void => {
          stream.drain();
          outbox.flush();
        };
        for (const one of steps) {
          switch (one.kind) {
            case "turn":
              keeper.end();
              break;
            case "slow":
              stream.slow = one.slow;
              if (!one.slow) drain();
              break;
            case "drain":
              drain();
              break;
            default: {
              at = (at + 13) % (source.length - one.length);
              const expected = Buffer.from(source.subarray(at, at + one.length));
              given.push(expected);
              bytes += one.length;
              if (one.kind === "range") {
                // As the router does: the chunk is written anew unless it is said to be read still.
                const chunk = Buffer.from(source.subarray(0, at + one.length));
                if (!outbox.range(chunk, at, one.length)) chunk.fill(0xbb);
              } else if (one.kind === "send") outbox.send(Uint8Array.from(expected));
              else if (one.kind !== "copy") {
                keeper.rush = one.kind === "held greeting";
                outbox.greeting(Uint8Array.from(expected));
              } else {
                // Core memory is written anew as soon as the call is over.
                const memory = Buffer.from(source.subarray(0, at + one.length));
                outbox.copy(memory, at, one.length);
                memory.fill(0xaa);
              }
            }
          }
          const handed = stream.written.reduce((sum, one_) => sum + one_.length, 0);
          expect(outbox.waiting).toBe(bytes - handed);
          expect(outbox.pending).toBe(outbox.waiting + stream.pendingBytes);
        }
        stream.slow = false;
        drain();
        for (let turns = 0; outbox.waiting > 0; turns++) {
          if (turns > 1_000) throw new Error("it never ends");
          keeper.end();
        }
        expect(Buffer.concat(stream.written).equals(Buffer.concat(given))).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test("idle: at once; more of the same turn: one write at its end", () => {
    const { stream, keeper, outbox } = setup();
    const bytes = Buffer.from("x".repeat(100));
    outbox.send(bytes);
    expect(stream.writes).toBe(1);
    for (let i = 0; i < 50; i++) outbox.send(bytes);
    const before = stream.writes;
    keeper.end();
    expect(stream.writes).toBe(before + 1);
    expect(Buffer.concat(stream.written)).toHaveLength(51 * 100);
  });

  test("slow: nothing more is handed over before it has drained, and then in bounded pieces", () => {
    const { stream, keeper, outbox } = setup();
    stream.slow = true;
    outbox.send(Buffer.alloc(1_000));
    for (let i = 0; i < 40; i++) outbox.send(Buffer.alloc(60_000, i));
    for (let i = 0; i < 5; i++) keeper.end();
    expect(stream.pendingBytes).toBe(1_000);
    for (let left = 2_400_000; left > 0; ) {
      stream.drain();
      outbox.flush();
      expect(stream.pendingBytes).toBeGreaterThan(0);
      expect(stream.pendingBytes).toBeLessThan(600_000);
      left -= stream.pendingBytes;
    }
    expect(outbox.waiting).toBe(0);
    expect(keeper.held.outboxes).toBe(0);
  });

  test("says so when everything has left", () => {
    const { stream, keeper, outbox, empties } = setup();
    stream.slow = true;
    outbox.send(Buffer.alloc(10));
    outbox.send(Buffer.alloc(10));
    keeper.end();
    expect(empties()).toBe(0);
    stream.slow = false;
    stream.drain();
    outbox.flush();
    expect(empties()).toBe(1);
  });

  test("a slice of the sender's chunk is not kept while the client is slow", () => {
    const { stream, outbox } = setup();
    stream.slow = true;
    outbox.send(Buffer.alloc(1));
    const chunk = Buffer.from("abcdefgh");
    outbox.range(chunk, 2, 3);
    chunk.fill(0);
    stream.slow = false;
    stream.drain();
    outbox.flush();
    expect(stream.written.at(-1)?.toString()).toBe("cde");
  });
});
