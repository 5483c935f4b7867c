// A PUBLISH longer than a run: what the core is given of it, and that its memory serves again only when nobody reads it.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Connection } from "../../../src/connection/connection.ts";
import { Outbox } from "../../../src/connection/outbox.ts";
import { encodePublish } from "../../../src/protocol/packet-encoder.ts";
import { INPUT_SIZE } from "../../../src/core/generated/abi.ts";
import { headLength, LargeInput } from "../../../src/routing/delivery/large-input.ts";
import type { ByteStream } from "../../../src/transport/streams/stream.ts";

class Stream implements ByteStream {
  readonly info = {} as ByteStream["info"];
  readonly written: Uint8Array[] = [];
  pendingBytes = 0;
  readonly takesAtOnce: boolean;
  readonly slow: boolean;
  constructor(takesAtOnce: boolean, slow: boolean) {
    this.takesAtOnce = takesAtOnce;
    this.slow = slow;
  }
  write(bytes: Uint8Array): void {
    this.written.push(bytes);
    if (this.slow) this.pendingBytes += bytes.length;
  }
  open(): void {}
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

function connectionOn(stream: Stream): Connection {
  const keeper = { turn: 1, held: { outboxes: 0 }, flushLater(): void {}, holdBack: () => false };
  return { outbox: new Outbox({ outboxEmpty(): void {} }, stream, keeper) } as Connection;
}

/** Collects a packet with this head, sends it once with the head the core has made, and ends its run. */
function sendOne(input: LargeInput, stream: Stream, own: string, made: string): Buffer {
  const packet = input.collect(100_000);
  packet.fill("x");
  packet.write(own);
  input.begin(packet, own.length);
  const memory = Buffer.from(`....${made}....`);
  input.send(connectionOn(stream), memory, 4, made.length);
  input.end();
  return packet;
}

describe("the head of a large packet", () => {
  test("ends where the payload begins", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(4 as const, 5 as const),
        fc.constantFrom(0 as const, 1 as const, 2 as const),
        fc.string({ minLength: 1, maxLength: 300 }),
        fc.array(fc.tuple(fc.string({ maxLength: 100 }), fc.string({ maxLength: 100 })), { maxLength: 20 }),
        fc.integer({ min: 1, max: 100_000 }),
        (level, qos, topic, userProperties, length) => {
          const packet = encodePublish({
            level,
            topic,
            qos,
            packetId: qos === 0 ? undefined : 7,
            retain: false,
            payload: Buffer.alloc(length),
            properties: level === 5 ? { userProperties } : undefined,
          });
          expect(headLength(Buffer.from(packet), level)).toBe(packet.length - length);
        },
      ),
    );
  });

  test.each([
    ["another packet", Buffer.concat([Buffer.from([0x82, 0xf0, 0xa2, 4]), Buffer.alloc(70_000)]), 4],
    ["properties longer than it", Buffer.from([0x30, 9, 0, 1, 97, 0xff, 0xff, 0xff, 0x7f, 1, 2]), 5],
    ["properties without end", Buffer.from([0x30, 6, 0, 1, 97, 0xff, 0xff, 0xff]), 5],
    ["a topic longer than it", Buffer.from([0x30, 4, 0xff, 0xff, 97, 98]), 4],
  ])("%s: all of it is for the core", (_, packet, level) => {
    expect(headLength(packet, level)).toBe(packet.length);
  });

  test("is no longer than what the core takes", () => {
    const packet = Buffer.alloc(400_000);
    packet.set([0x30, 0xfc, 0xb4, 0x18, 0, 1, 97, 0xff, 0xff, 0x7f]);
    expect(headLength(packet, 5)).toBe(INPUT_SIZE);
  });
});

describe("a large packet", () => {
  test.each([
    ["as it came, where the core has made the same head", "head", ["head"]],
    ["as head and payload, where it has made another", "HEAD!", ["HEAD!", "x"]],
    ["as head and payload, where that is of the same length", "HEAD", ["HEAD", "x"]],
  ])("is sent %s", (_, made, begins) => {
    const stream = new Stream(false, false);
    sendOne(new LargeInput(), stream, "head", made);
    expect(stream.written.map((bytes) => Buffer.from(bytes).toString("latin1").replace(/xx+$/, "x"))).toEqual(
      begins.length === 1 ? ["headx"] : begins,
    );
    expect(stream.written.reduce((sum, { length }) => sum + length, 0)).toBe(100_000 - 4 + made.length);
  });

  test("is collected in memory that serves again, where the stream has taken it", () => {
    const input = new LargeInput();
    const first = sendOne(input, new Stream(true, false), "head", "head");
    expect(input.collect(90_000).buffer).toBe(first.buffer);
  });

  test.each([
    ["has not taken everything", new Stream(true, true)],
    ["may look at the bytes later", new Stream(false, false)],
  ])("is left to a stream that %s", (_, stream) => {
    const input = new LargeInput();
    const first = sendOne(input, stream, "head", "head");
    expect(input.collect(90_000).buffer).not.toBe(first.buffer);
    const second = sendOne(input, stream, "head", "HEAD");
    expect(input.collect(90_000).buffer).not.toBe(second.buffer);
  });

  test("one slow receiver among fast ones keeps it", () => {
    for (const order of [0, 1, 2]) {
      const input = new LargeInput();
      const packet = input.collect(70_000);
      input.begin(packet, 4);
      const memory = Buffer.from("abcd");
      for (let at = 0; at < 3; at++)
        input.send(connectionOn(new Stream(true, at === order)), memory, 0, memory.length);
      input.end();
      expect(input.collect(70_000).buffer).not.toBe(packet.buffer);
    }
  });

  test("whoever takes it over keeps it", () => {
    const input = new LargeInput();
    const packet = input.collect(70_000);
    input.begin(packet, 4);
    expect(input.keep()).toBe(packet);
    input.end();
    expect(input.payload).toBeUndefined();
    expect(input.collect(70_000).buffer).not.toBe(packet.buffer);
  });
});
