// A session that comes back: what was in flight goes out again as it was, then what waited, within the window its new
// connection asks for; what has expired meanwhile does not.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openPolicy } from "../support/policy.ts";
import type { RawClient } from "../support/raw-client.ts";
import { TestServer, unique } from "../support/server.ts";
import { leap } from "../support/time.ts";

let server: TestServer;
beforeEach(async () => {
  server = new TestServer({ sysInterval: 0 });
  await server.start();
});
afterEach(() => server.stop());

const kept = (clientId: string, receiveMaximum?: number) => ({
  clientId,
  clean: false,
  properties: {
    sessionExpiryInterval: 1_000,
    ...(receiveMaximum === undefined ? {} : { receiveMaximum }),
  },
});
const texts = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `${from + i}`);

async function publish(count: number, qos: 0 | 1 | 2, from = 0): Promise<void> {
  for (const payload of texts(count, from)) await server.broker.publish({ topic: "t", payload, qos });
}

/** Opens a connection for a session without reading anything but its CONNACK. */
async function resume(clientId: string, receiveMaximum?: number): Promise<RawClient> {
  const client = await server.connect(5, kept(clientId, receiveMaximum));
  expect(client.connack.sessionPresent).toBe(true);
  return client;
}

describe.each([1, 2] as const)("QoS %i", (qos) => {
  test("twenty in flight, resumed with Receive Maximum 3: never more than three, all in order, each once", async () => {
    const id = unique();
    const first = await server.connect(5, kept(id, 20));
    await first.subscribe([{ filter: "t", qos }]);
    await publish(30, qos);
    const sent = [];
    for (let i = 0; i < 20; i++) sent.push(await first.next("publish"));
    await first.expectNothing();
    first.destroy();
    const second = await resume(id, 3);
    const seen: string[] = [];
    while (seen.length < 30) {
      const batch = (await second.fence()).filter((packet) => packet.type === "publish");
      expect(batch.length).toBeLessThanOrEqual(3);
      for (const message of batch) {
        const before = sent.find((one) => one.text === message.text);
        expect(message.dup).toBe(before !== undefined);
        if (before !== undefined) expect(message.id).toBe(before.id);
        seen.push(message.text);
      }
      for (const message of batch) await second.acknowledge(message);
    }
    expect(seen).toEqual(texts(30));
    await second.expectNothing();
  });

  test("three connections in a row, nothing acknowledged: the same identifiers each time", async () => {
    const id = unique();
    let client = await server.connect(5, kept(id));
    await client.subscribe([{ filter: "t", qos }]);
    await publish(5, qos);
    const ids: number[][] = [];
    for (let round = 0; round < 3; round++) {
      const received = [];
      for (let i = 0; i < 5; i++) received.push(await client.next("publish"));
      expect(received.map((one) => one.text)).toEqual(texts(5));
      expect(received.every((one) => one.dup === round > 0)).toBe(true);
      ids.push(received.map((one) => one.id));
      client.destroy();
      client = await resume(id);
    }
    expect(ids[1]).toEqual(ids[0]);
    expect(ids[2]).toEqual(ids[0]);
  });

  test("what comes while a resumed session is still behind waits its turn", async () => {
    const id = unique();
    const first = await server.connect(5, kept(id, 10));
    await first.subscribe([{ filter: "t", qos }]);
    await publish(10, qos);
    for (let i = 0; i < 10; i++) await first.next("publish");
    first.destroy();
    await publish(10, qos, 10);
    const second = await resume(id, 2);
    await publish(10, qos, 20);
    const seen: string[] = [];
    for (let i = 0; i < 30; i++) seen.push((await second.receive()).text);
    expect(seen).toEqual(texts(30));
    await second.expectNothing();
  });
});

test("QoS 2: what was received is not sent again, its PUBREL is, in the order of the messages", async () => {
  const id = unique();
  const first = await server.connect(5, kept(id));
  await first.subscribe([{ filter: "t", qos: 2 }]);
  await publish(4, 2);
  const sent = [];
  for (let i = 0; i < 4; i++) sent.push(await first.next("publish"));
  first.send(first.wire.pubrec(sent[0].id), first.wire.pubrec(sent[2].id));
  await first.of("pubrel", sent[0].id);
  await first.of("pubrel", sent[2].id);
  first.destroy();
  const second = await resume(id);
  expect(await second.next("pubrel")).toMatchObject({ id: sent[0].id });
  expect(await second.next("publish")).toMatchObject({ id: sent[1].id, dup: true });
  expect(await second.next("pubrel")).toMatchObject({ id: sent[2].id });
  expect(await second.next("publish")).toMatchObject({ id: sent[3].id, dup: true });
  second.send(second.wire.pubcomp(sent[0].id), second.wire.pubcomp(sent[2].id));
  await second.expectNothing();
  second.destroy();
  const third = await resume(id);
  expect(await third.next("publish")).toMatchObject({ id: sent[1].id });
  expect(await third.next("publish")).toMatchObject({ id: sent[3].id });
  await third.expectNothing();
});

test("what expires while it waits is not sent; what was sent before is sent again", async () => {
  const id = unique();
  const first = await server.connect(5, kept(id, 1));
  await first.subscribe([{ filter: "t", qos: 1 }]);
  const properties = { messageExpiryInterval: 1 };
  await server.broker.publish({ topic: "t", payload: "sent", qos: 1, properties });
  await server.broker.publish({ topic: "t", payload: "waits", qos: 1, properties });
  await server.broker.publish({ topic: "t", payload: "stays", qos: 1 });
  expect(await first.next("publish")).toMatchObject({ text: "sent" });
  first.destroy();
  await leap(1_100);
  const second = await resume(id);
  expect(await second.next("publish")).toMatchObject({ text: "sent", dup: true });
  expect(await second.next("publish")).toMatchObject({ text: "stays", dup: false });
  await second.expectNothing();
  expect(server.broker.metrics()["expired.queue"]).toBe(1);
});

test("a queue of nothing but expired messages leaves a session that works", async () => {
  const id = unique();
  const first = await server.connect(5, kept(id));
  await first.subscribe([{ filter: "t", qos: 1 }]);
  await first.disconnect();
  for (let i = 0; i < 300; i++)
    await server.broker.publish({
      topic: "t",
      payload: `${i}`,
      qos: 1,
      properties: { messageExpiryInterval: 1 },
    });
  await leap(1_100);
  const second = await resume(id);
  await second.expectNothing();
  await publish(3, 1);
  for (const text of texts(3)) expect(await second.receive()).toMatchObject({ text });
  await second.fence();
  expect(server.broker.metrics()["stored.bytes"]).toBe(0);
});

test("a policy that throws when it is asked about a queued message keeps it from its client, and nothing else", async () => {
  await server.stop();
  server = new TestServer({
    sysInterval: 0,
    profile: openPolicy({
      override: {
        authorizeDelivery: (_identity, topic) => {
          if (topic === "t/bad") throw new Error("the policy's own bug");
          return true;
        },
      },
    }),
  });
  await server.start();
  const id = unique();
  const first = await server.connect(5, kept(id));
  await first.subscribe([{ filter: "t/#", qos: 1 }]);
  await first.disconnect();
  for (const topic of ["t/1", "t/bad", "t/2"]) await server.broker.publish({ topic, payload: "x", qos: 1 });
  const second = await resume(id);
  expect(await second.receive()).toMatchObject({ topic: "t/1" });
  expect(await second.receive()).toMatchObject({ topic: "t/2" });
  await second.expectNothing();
  const metrics = server.broker.metrics();
  expect(metrics["errors.trap"]).toBe(0);
  expect(metrics["errors.hook"]).toBeGreaterThan(0);
});
