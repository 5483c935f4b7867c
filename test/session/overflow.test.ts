// A full queue: what is given up, that it is counted, and that a queue which overflows for ever does not grow.
import { afterEach, describe, expect, test, vi } from "vitest";
import { SessionQueue } from "../../src/session/queue.ts";
import { openPolicy } from "../support/policy.ts";
import type { RawClient } from "../support/raw-client.ts";
import { TestServer, unique } from "../support/server.ts";

let server: TestServer | undefined;
afterEach(async () => {
  vi.restoreAllMocks();
  await server?.stop();
});

async function start(
  queueOverflow: "newest" | "oldest",
  limits: Record<string, number>,
): Promise<TestServer> {
  server = new TestServer({
    sysInterval: 0,
    profile: openPolicy({ capabilities: { queueOverflow } }),
    limits,
  });
  await server.start();
  return server;
}

const kept = (clientId: string) => ({
  clientId,
  clean: false,
  properties: { sessionExpiryInterval: 1_000 },
});

async function away(on: TestServer, clientId: string, qos: 1 | 2 = 1): Promise<void> {
  const client = await on.connect(5, kept(clientId));
  await client.subscribe([{ filter: "t", qos }]);
  await client.disconnect();
}

async function publish(on: TestServer, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await on.broker.publish({ topic: "t", payload: `${i}`, qos: 1 });
}

async function receiveAll(client: RawClient, count: number): Promise<string[]> {
  const texts: string[] = [];
  for (let i = 0; i < count; i++) texts.push((await client.receive()).text);
  await client.expectNothing();
  return texts;
}

const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `${from + i}`);

describe.each(["newest", "oldest"] as const)("a session that is away gives up the %s", (overflow) => {
  test.each([9, 10, 11, 3_000])("queuedMessages 10, %i messages", async (count) => {
    const on = await start(overflow, { queuedMessages: 10 });
    const id = unique();
    await away(on, id);
    const push = vi.spyOn(SessionQueue.prototype, "push");
    await publish(on, 0, count);
    const [queue] = push.mock.contexts as SessionQueue[];
    expect(queue.length).toBeLessThanOrEqual(11);
    expect(queue.count).toBe(Math.min(count, 10));
    expect(on.broker.metrics()["dropped.queue"]).toBe(Math.max(0, count - 10));
    const client = await on.connect(5, kept(id));
    const left =
      overflow === "newest" ? range(0, Math.min(count, 10)) : range(Math.max(0, count - 10), count);
    expect(await receiveAll(client, left.length)).toEqual(left);
    // And from here on it is a session like any other.
    await publish(on, 5_000, 5_020);
    expect(await receiveAll(client, 20)).toEqual(range(5_000, 5_020));
  });

  test("many messages of one run", async () => {
    const on = await start(overflow, { queuedMessages: 10 });
    const id = unique();
    await away(on, id);
    const push = vi.spyOn(SessionQueue.prototype, "push");
    const publisher = await on.connect(5);
    for (let round = 0; round < 10; round++) {
      const packets = range(round * 90, round * 90 + 90).map((text, i) =>
        publisher.wire.publish("t", text, { qos: 1, id: i + 1 }),
      );
      publisher.send(...packets);
      for (let i = 1; i <= 90; i++)
        expect(await publisher.next("puback")).toMatchObject({ id: i, reason: 0 });
    }
    const [queue] = push.mock.contexts as SessionQueue[];
    expect(queue.length).toBeLessThanOrEqual(11);
    const client = await on.connect(5, kept(id));
    expect(await receiveAll(client, 10)).toEqual(overflow === "newest" ? range(0, 10) : range(890, 900));
  });

  test.each([-1, 0, 1])("queuedBytes of three messages, %i byte beyond", async (beyond) => {
    // A message costs its canonical form (32 + 2 + topic + 1 + payload) and 20 bytes of queue.
    const on = await start(overflow, { queuedBytes: 3 * (32 + 2 + 1 + 1 + 100 + 20) });
    const id = unique();
    await away(on, id);
    for (const [name, size] of [
      ["a", 100],
      ["b", 100],
      ["c", 100 + beyond],
    ] as const)
      await on.broker.publish({ topic: "t", payload: name.repeat(size), qos: 1 });
    expect(on.broker.metrics()["dropped.queue"]).toBe(beyond > 0 ? 1 : 0);
    const client = await on.connect(5, kept(id));
    const names = beyond <= 0 ? ["a", "b", "c"] : overflow === "newest" ? ["a", "b"] : ["b", "c"];
    expect((await receiveAll(client, names.length)).map((text) => text[0])).toEqual(names);
  });

  test("a message larger than the whole queue is dropped alone", async () => {
    const on = await start(overflow, { queuedBytes: 1_000 });
    const id = unique();
    await away(on, id);
    await publish(on, 0, 2);
    await on.broker.publish({ topic: "t", payload: "x".repeat(2_000), qos: 1 });
    await publish(on, 2, 4);
    const client = await on.connect(5, kept(id));
    expect(await receiveAll(client, 4)).toEqual(range(0, 4));
  });

  test("an online session whose window is full", async () => {
    const on = await start(overflow, { queuedMessages: 5 });
    const client = await on.connect(5, { properties: { receiveMaximum: 2 } });
    await client.subscribe([{ filter: "t", qos: 1 }]);
    await publish(on, 0, 20);
    expect(on.broker.metrics()["dropped.queue"]).toBe(13);
    // Besides the two in flight.
    const left = overflow === "newest" ? range(0, 7) : ["0", "1", ...range(15, 20)];
    expect(await receiveAll(client, 7)).toEqual(left);
    await publish(on, 20, 25);
    expect(await receiveAll(client, 5)).toEqual(range(20, 25));
  });
});

test("where nothing may wait, a session still gets what comes while it can take it", async () => {
  const on = await start("newest", { queuedMessages: 0 });
  const id = unique();
  await away(on, id);
  await publish(on, 0, 3);
  const client = await on.connect(5, {
    ...kept(id),
    properties: { sessionExpiryInterval: 9, receiveMaximum: 1 },
  });
  await client.expectNothing();
  for (let i = 10; i < 13; i++) {
    await publish(on, i, i + 1);
    await publish(on, 100, 103);
    expect(await client.receive()).toMatchObject({ text: `${i}` });
    await client.expectNothing();
  }
});

test("the publisher of a message that is dropped for everybody is acknowledged", async () => {
  const on = await start("newest", { queuedMessages: 1 });
  await away(on, unique());
  await publish(on, 0, 1);
  const publisher = await on.connect(5);
  expect(await publisher.publish("t", "x", { qos: 1 })).toMatchObject({ reason: 0 });
  expect(await publisher.publish("t", "x", { qos: 2 })).toMatchObject({ reason: 0 });
});

test("ending a session with holes in a long queue", async () => {
  const on = await start("newest", { sendWindow: 5_000 });
  const client = await on.connect(5, { properties: { receiveMaximum: 5_000 } });
  await client.subscribe([{ filter: "t", qos: 1 }]);
  await publish(on, 0, 3_000);
  const ids: number[] = [];
  for (let i = 0; i < 3_000; i++) ids.push((await client.next("publish")).id);
  client.send(...ids.slice(1).map((id) => client.wire.puback(id)));
  await client.expectNothing();
  await client.disconnect();
  const again = await on.connect(5);
  await again.expectNothing();
  expect(on.broker.metrics()["errors.trap"]).toBe(0);
  expect(on.broker.metrics()["stored.bytes"]).toBe(0);
});
