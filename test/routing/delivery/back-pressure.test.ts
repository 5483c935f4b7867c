// A client that does not read costs the others nothing and the broker a bounded amount; what it is owed and may be kept
// waits for it, in order.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Publish } from "../../support/packet.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { BOTH, eventually, TestServer, unique } from "../../support/server.ts";
import type { Version } from "../../support/wire.ts";

const BUDGET = 400_000;
let server: TestServer;
beforeEach(async () => {
  server = new TestServer({ sysInterval: 0, limits: { outgoingBytes: BUDGET } });
  await server.start();
});
afterEach(() => server.stop());

const kept = (version: Version, clientId = unique()) => ({
  clientId,
  clean: false,
  keepAlive: 0,
  ...(version === 5 ? { properties: { sessionExpiryInterval: 1_000 } } : {}),
});

/** Publishes numbered messages; the fence keeps the publisher from running ahead of the broker. */
async function flood(
  publisher: RawClient,
  topic: string,
  from: number,
  to: number,
  size: number,
  qos: 0 | 1,
) {
  for (let i = from; i < to; i++) {
    const payload = Buffer.alloc(size);
    payload.writeUInt32BE(i);
    publisher.send(publisher.wire.publish(topic, payload, { qos, id: (i % 1_000) + 1 }));
    if (i % 20 === 19) await publisher.fence();
  }
  await publisher.fence();
}

const numberOf = (message: Publish): number => message.payload.readUInt32BE();

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("one of 20 stalls under a flood of QoS 0: the others miss nothing, its losses are counted", async () => {
    const members = await Promise.all(Array.from({ length: 20 }, () => server.connect(version)));
    await Promise.all(members.map((member) => member.subscribe("flood")));
    const [stalled, ...others] = members;
    const publisher = await server.connect(version);
    stalled.stream.pause();
    const count = 600;
    const size = 20_000;
    await flood(publisher, "flood", 0, count, size, 0);
    await Promise.all(
      others.map(async (other) => {
        for (let i = 0; i < count; i++) expect(numberOf((await other.next("publish")) as Publish)).toBe(i);
      }),
    );
    const dropped = server.broker.metrics()["dropped.qos0"];
    // Of 12 MB it is owed the budget and what the kernel holds.
    expect((count - dropped) * size).toBeLessThan(BUDGET + 8_000_000);
    stalled.stream.resume();
    const got = (await stalled.fence()).filter((packet): packet is Publish => packet.type === "publish");
    expect(got).toHaveLength(count - dropped);
    const numbers = got.map(numberOf);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    // And from here on it gets everything again.
    await flood(publisher, "flood", count, count + 10, size, 0);
    for (let i = count; i < count + 10; i++)
      expect(numberOf((await stalled.next("publish")) as Publish)).toBe(i);
    expect(server.broker.metrics()["dropped.qos0"]).toBe(dropped);
  }, 60_000);

  test("QoS 1 for a kept session that stalls is queued, then delivered, once and in order", async () => {
    const client = await server.connect(version, kept(version));
    await client.subscribe([{ filter: "queue", qos: 1 }]);
    const publisher = await server.connect(version);
    client.stream.pause();
    const count = 800;
    await flood(publisher, "queue", 0, count, 10_000, 1);
    expect(server.broker.metrics()["stored.bytes"]).toBeGreaterThan(BUDGET);
    client.stream.resume();
    for (let i = 0; i < count; i++) expect(numberOf((await client.receive()) as Publish)).toBe(i);
    await client.expectNothing();
    expect(server.broker.metrics()["stored.bytes"]).toBe(0);
  }, 60_000);

  test("it stalls, goes, and comes back: nothing is missing", async () => {
    const options = kept(version);
    const client = await server.connect(version, options);
    await client.subscribe([{ filter: "queue", qos: 1 }]);
    const publisher = await server.connect(version);
    client.stream.pause();
    await flood(publisher, "queue", 0, 300, 10_000, 1);
    client.destroy();
    await eventually(() => server.broker.metrics()["clients.connected"] === 1, "it is gone");
    await flood(publisher, "queue", 300, 400, 10_000, 1);
    const again = await server.connect(version, options);
    for (let i = 0; i < 400; i++) expect(numberOf((await again.receive()) as Publish)).toBe(i);
    await again.expectNothing();
  }, 60_000);

  test("a burst beyond the budget that the kernel takes at once does not leave the client starved", async () => {
    await server.stop();
    server = new TestServer({ sysInterval: 0, limits: { outgoingBytes: 20_000 } });
    await server.start();
    const client = await server.connect(version);
    await client.subscribe([{ filter: "burst", qos: 1 }]);
    const publisher = await server.connect(version);
    for (let round = 0; round < 20; round++) {
      publisher.send(
        ...Array.from({ length: 30 }, () => publisher.wire.publish("burst", Buffer.alloc(2_000))),
      );
      await publisher.fence();
      const messages = (await client.fence()).filter((packet) => packet.type === "publish");
      expect(messages.length).toBeGreaterThanOrEqual(10);
      publisher.send(publisher.wire.publish("burst", "last", { qos: 1, id: 1 }));
      expect(await client.receive()).toMatchObject({ text: "last" });
    }
  }, 30_000);

  test("a goodbye comes behind everything that was owed, however much that is", async () => {
    await server.stop();
    server = new TestServer({ sysInterval: 0 });
    await server.start();
    const client = await server.connect(version);
    await client.subscribe("much");
    const publisher = await server.connect(version);
    client.stream.pause();
    for (let i = 0; i < 100; i++) await publisher.publish("much", Buffer.alloc(60_000, i));
    let gone = 0;
    server.broker.on("client.disconnected", () => gone++);
    publisher.send(publisher.wire.connect({ clientId: unique() })); // a second CONNECT: closed
    client.send(client.wire.publish("much", "x"), client.wire.connect({ clientId: unique() }));
    await eventually(() => gone === 2, "the broker has said goodbye to both");
    client.stream.resume();
    const packets = await client.closed();
    const messages = packets.filter((packet): packet is Publish => packet.type === "publish");
    expect(messages).toHaveLength(101);
    for (let i = 0; i < 100; i++) expect(messages[i].payload[0]).toBe(i);
    if (version === 5) expect(packets.at(-1)).toMatchObject({ type: "disconnect", reason: 0x82 });
  }, 30_000);
});
