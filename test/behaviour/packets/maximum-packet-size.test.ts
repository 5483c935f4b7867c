// Maximum Packet Size both ways: what the client does not take is not sent [MQTT-3.1.2-24] and counts as delivered
// [MQTT-3.1.2-25]; what the server does not take ends the connection with 0x95.
import { describe, expect, test } from "vitest";
import { BOTH, ours, unique, useServer } from "../../support/server.ts";

const server = useServer();

describe("the client's Maximum Packet Size, MQTT 5.0", () => {
  test.each([0, 1, 2] as const)("QoS %i: n-1 and n are sent, n+1 is not", async (qos) => {
    const topic = unique("size");
    const maximumPacketSize = 100;
    const client = await server.connect(5, { properties: { maximumPacketSize } });
    await client.subscribe([{ filter: topic, qos }]);
    const publisher = await server.connect(5);
    const overhead = publisher.wire.publish(topic, "", { qos }).length;
    for (const total of [99, 100, 101, 50])
      await publisher.publish(topic, "x".repeat(total - overhead), { qos });
    const sizes: number[] = [];
    for (let index = 0; index < 3; index++) sizes.push((await client.receive()).bytes.length);
    expect(sizes).toEqual([99, 100, 50]);
    await client.expectNothing();
  });

  test("a message too large counts as delivered: it does not come after a reconnect, and takes no window", async () => {
    const topic = unique("size");
    const clientId = unique();
    const options = {
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100, maximumPacketSize: 64, receiveMaximum: 1 },
    };
    const first = await server.connect(5, options);
    await first.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await server.connect(5);
    await publisher.publish(topic, "x".repeat(200), { qos: 1 });
    await publisher.publish(topic, "small", { qos: 1 });
    expect(await first.receive()).toMatchObject({ text: "small" });
    await first.disconnect();
    const second = await server.connect(5, { ...options, properties: { sessionExpiryInterval: 100 } });
    await second.expectNothing();
  });

  test("messages queued for a session that comes back with a smaller maximum are left out", async () => {
    const topic = unique("size");
    const clientId = unique();
    const first = await server.connect(5, {
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100 },
    });
    await first.subscribe([{ filter: topic, qos: 1 }]);
    await first.disconnect();
    const publisher = await server.connect(5);
    for (const text of ["a", "x".repeat(200), "b"]) await publisher.publish(topic, text, { qos: 1 });
    const second = await server.connect(5, {
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100, maximumPacketSize: 64 },
    });
    expect(await second.receive()).toMatchObject({ text: "a" });
    expect(await second.receive()).toMatchObject({ text: "b" });
    await second.expectNothing();
  });

  test("retained messages too large are left out of the replay", async () => {
    const root = unique("size");
    const publisher = await server.connect(5);
    await publisher.publish(`${root}/big`, "x".repeat(200), { retain: true });
    await publisher.publish(`${root}/small`, "x", { retain: true });
    const client = await server.connect(5, { properties: { maximumPacketSize: 64 } });
    await client.subscribe(`${root}/#`);
    expect(await client.next("publish")).toMatchObject({ topic: `${root}/small` });
    await client.expectNothing();
  });

  test("other receivers of the same message get it", async () => {
    const topic = unique("size");
    const limited = await server.connect(5, { properties: { maximumPacketSize: 64 } });
    const free = await server.connect(5);
    const old = await server.connect(4);
    for (const client of [limited, free, old]) await client.subscribe(topic);
    await free.publish(topic, "x".repeat(100));
    expect(await free.next("publish")).toMatchObject({ topic });
    expect(await old.next("publish")).toMatchObject({ topic });
    await limited.expectNothing();
  });

  test("the size counts as it is sent to this client: without the alias, with the Subscription Identifier", async () => {
    const topic = unique("size");
    const maximumPacketSize = 60;
    const publisher = await server.connect(5);
    const overhead = publisher.wire.publish(topic, "").length;
    const plain = await server.connect(5, { properties: { maximumPacketSize } });
    const identified = await server.connect(5, { properties: { maximumPacketSize } });
    await plain.subscribe(topic);
    await identified.subscribe(topic, { subscriptionIdentifier: 1 });
    await publisher.publish(topic, "x".repeat(maximumPacketSize - overhead));
    expect((await plain.next("publish")).bytes.length).toBe(60);
    await identified.expectNothing();
    await publisher.publish(topic, "x".repeat(maximumPacketSize - overhead - 2));
    expect((await identified.next("publish")).bytes.length).toBe(60);
  });
});

describe.each(BOTH)("the server's Maximum Packet Size, MQTT %s", (_name, version) => {
  const small = useServer({ limits: { maxPacketSize: 1_000 }, mosquitto: ["max_packet_size 1000"] });

  test("is announced in 5.0", async () => {
    const client = await small.connect(version);
    expect(client.connack.properties.maximumPacketSize).toBe(version === 5 ? 1_000 : undefined);
  });

  test.each([999, 1_000, 1_001])("a PUBLISH of %i bytes", async (total) => {
    const topic = unique("limit");
    const client = await small.connect(version);
    const watcher = await small.connect(version);
    await watcher.subscribe(topic);
    const payload = "x".repeat(total - client.wire.publish(topic, "x".repeat(900), { qos: 1 }).length + 900);
    const bytes = client.wire.publish(topic, payload, { qos: 1 });
    expect(bytes.length).toBe(total);
    client.send(bytes);
    if (total > 1_000) {
      await client.expectEnd(0x95);
      await watcher.expectNothing();
    } else {
      expect(await client.next("puback")).toMatchObject({ id: 1 });
      expect((await watcher.next("publish")).payload.length).toBe(payload.length);
    }
  });

  ours("is enforced as soon as the length is announced", async () => {
    const client = await small.connect(version);
    client.send(Buffer.from([0x30, 0xff, 0xff, 0x7f]));
    await client.expectEnd(0x95, 2_000);
  });

  test("holds for every packet", async () => {
    const client = await small.connect(version);
    client.send(
      client.wire.subscribe(
        1,
        Array.from({ length: 50 }, (_, index) => `some/long/filter/number/${index}`),
      ),
    );
    await client.expectEnd(0x95);
  });
});
