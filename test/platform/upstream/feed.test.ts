// Readers of the upstream feed: order, bounds at n and n + 1, loss, ends.
import { describe, expect, test } from "vitest";
import { UpstreamFeed } from "../../../src/platform/upstream/feed.ts";
import {
  costOf,
  type UpstreamMessage,
  upstreamLine,
} from "../../../src/platform/upstream/upstream-message.ts";

function message(text: string, productKey = "pk"): UpstreamMessage {
  const payload = Buffer.from(text);
  const device = { productKey, deviceName: "dev1" };
  return { kind: "data", device, topic: "t", payload, qos: 0, properties: {}, messageId: text, time: 1 };
}

function setup(maxReaders = 2) {
  const state = { changed: 0, lost: 0 };
  const feed = new UpstreamFeed({
    readerBytes: 1_000_000,
    maxReaders,
    opened: () => {},
    changed: () => state.changed++,
    lost: (count) => {
      state.lost += count;
    },
  });
  return { feed, state };
}

async function take(reader: AsyncIterable<UpstreamMessage>, count: number): Promise<string[]> {
  const taken: string[] = [];
  for await (const one of reader) {
    taken.push(one.messageId);
    if (taken.length === count) break;
  }
  return taken;
}

describe("readers", () => {
  test("each gets every message in order, one product's only where it asked for that", async () => {
    const { feed, state } = setup();
    const all = feed.read();
    const one = feed.read({ productKey: "pk2" });
    expect(state.changed).toBe(1);
    for (let i = 0; i < 3_000; i++) feed.offer(message(`${i}`, i % 2 === 0 ? "pk" : "pk2"));
    expect(await take(all, 3_000)).toEqual(Array.from({ length: 3_000 }, (_, i) => `${i}`));
    expect(await take(one, 2)).toEqual(["1", "3"]);
    expect(feed.active).toBe(false);
    expect(state.changed).toBe(2);
  });

  test("a queue of n bytes holds n; one byte more drops the oldest, which is counted", async () => {
    const { feed, state } = setup();
    const cost = costOf(message("a"));
    const reader = feed.read({ maxBytes: 3 * cost });
    for (const text of ["a", "b", "c"]) feed.offer(message(text));
    expect(reader.lost).toBe(0);
    feed.offer(message("d"));
    expect([reader.lost, state.lost]).toEqual([1, 1]);
    expect(await take(reader, 3)).toEqual(["b", "c", "d"]);
  });

  test("what is larger than the queue is lost alone", async () => {
    const { feed } = setup();
    const reader = feed.read({ maxBytes: 300 });
    feed.offer(message("x".repeat(500)));
    feed.offer(message("y"));
    expect(reader.lost).toBe(1);
    expect(await take(reader, 1)).toEqual(["y"]);
  });

  test("n readers, not n + 1; one that waits is woken, one that is closed ends behind what it has", async () => {
    const { feed } = setup();
    const waiting = feed.read();
    feed.read();
    expect(() => feed.read()).toThrow(expect.objectContaining({ code: "UPSTREAM_READERS" }));
    const taken = take(waiting, 5);
    feed.offer(message("a"));
    await Promise.resolve();
    feed.offer(message("b"));
    feed.close();
    expect(await taken).toEqual(["a", "b"]);
    expect(feed.active).toBe(false);
  });
});

describe("the line for a person", () => {
  test("bytes that are no text are Base64", () => {
    const line = JSON.parse(upstreamLine({ ...message("x"), payload: Buffer.from([255, 0]) })) as object;
    expect(line).toMatchObject({ payloadBase64: "/wA=", productKey: "pk", topic: "t" });
    expect(line).not.toHaveProperty("payload");
  });
});
