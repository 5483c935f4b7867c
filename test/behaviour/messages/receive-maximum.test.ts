// Flow control both ways: the server's Receive Maximum is enforced, the client's is respected [MQTT-3.3.4-7] [MQTT-3.3.4-9].
import { describe, expect, test } from "vitest";
import type { Publish } from "../../support/packet.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { BOTH, ours, unique, useServer } from "../../support/server.ts";

const server = useServer({ mosquitto: ["max_queued_messages 0"] });

describe("the client's Receive Maximum, MQTT 5.0", () => {
  test.each([1, 2, 7])(
    "%i: no more QoS 1 messages are in flight, the next comes with each PUBACK",
    async (receiveMaximum) => {
      const topic = unique("flow");
      const client = await server.connect(5, { properties: { receiveMaximum } });
      await client.subscribe([{ filter: topic, qos: 1 }]);
      const publisher = await server.connect(5);
      const count = 20;
      for (let index = 0; index < count; index++) await publisher.publish(topic, `${index}`, { qos: 1 });
      const flight = (await client.fence()).flatMap((packet) => (packet.type === "publish" ? [packet] : []));
      expect(flight.map((packet) => packet.text)).toEqual(
        Array.from({ length: receiveMaximum }, (_, i) => `${i}`),
      );
      for (let next = receiveMaximum; next < count; next++) {
        const oldest = flight.shift();
        client.send(client.wire.puback(oldest?.id ?? 0));
        const message = await client.next("publish");
        expect(message.text).toBe(`${next}`);
        flight.push(message);
        if (next % 5 === 0) await client.expectNothing();
      }
    },
  );

  describe("QoS 2 is in flight until PUBCOMP", () => {
    /** Two messages for a client that takes one at a time; the first one is there. */
    async function two(): Promise<[RawClient, Publish]> {
      const topic = unique("flow");
      const client = await server.connect(5, { properties: { receiveMaximum: 1 } });
      await client.subscribe([{ filter: topic, qos: 2 }]);
      const publisher = await server.connect(5);
      await publisher.publish(topic, "one", { qos: 2 });
      await publisher.publish(topic, "two", { qos: 2 });
      return [client, await client.next("publish")];
    }

    test("PUBREC does not make room", async () => {
      const [client, one] = await two();
      client.send(client.wire.pubrec(one.id));
      expect(await client.next("pubrel")).toMatchObject({ id: one.id });
      await client.expectNothing();
      client.send(client.wire.pubcomp(one.id));
      expect(await client.receive()).toMatchObject({ text: "two" });
    });

    test("PUBREC with 0x80 or more does", async () => {
      const [client, one] = await two();
      client.send(client.wire.pubrec(one.id, 0x83));
      expect(await client.receive()).toMatchObject({ text: "two" });
      await client.expectNothing();
    });
  });

  test("QoS 0 is not held back", async () => {
    const topic = unique("flow");
    const client = await server.connect(5, { properties: { receiveMaximum: 1 } });
    await client.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await server.connect(5);
    await publisher.publish(topic, "held", { qos: 1 });
    await publisher.publish(topic, "waits", { qos: 1 });
    for (let index = 0; index < 10; index++) await publisher.publish(topic, `${index}`);
    const texts = (await client.fence()).flatMap((packet) =>
      packet.type === "publish" ? [packet.text] : [],
    );
    expect(texts).toEqual(["held", ..."0123456789"]);
  });

  test("a slow window does not stop the client's own publishing or pings", async () => {
    const topic = unique("flow");
    const client = await server.connect(5, { properties: { receiveMaximum: 1 } });
    await client.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await server.connect(5);
    for (let index = 0; index < 50; index++) await publisher.publish(topic, "x", { qos: 1 });
    expect((await client.publish(unique(), "y", { qos: 1 }))?.type).toBe("puback");
    expect((await client.publish(unique(), "y", { qos: 2 }))?.type).toBe("pubcomp");
  });

  test("the window of the new connection counts after a reconnect", async () => {
    const topic = unique("flow");
    const clientId = unique();
    const first = await server.connect(5, {
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100, receiveMaximum: 10 },
    });
    await first.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await server.connect(5);
    for (let index = 0; index < 10; index++) await publisher.publish(topic, `${index}`, { qos: 1 });
    expect(await first.fence()).toHaveLength(10);
    first.destroy();
    const second = await server.connect(5, {
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100, receiveMaximum: 2 },
    });
    expect(await second.fence()).toHaveLength(2);
  });
});

describe.each(BOTH)("the server's Receive Maximum, MQTT %s", (_name, version) => {
  const small = useServer({ limits: { receiveMaximum: 5 }, mosquitto: ["max_inflight_messages 5"] });

  ours("is announced in 5.0", async () => {
    const client = await small.connect(version);
    expect(client.connack.properties.receiveMaximum).toBe(version === 5 ? 5 : undefined);
  });

  ours.each([4, 5, 6])(
    "%i QoS 2 messages without PUBREL: more than 5 end a 5.0 connection with 0x93, 3.x is not told of a limit",
    async (count) => {
      const client = await small.connect(version);
      const topic = unique("server-flow");
      client.send(
        ...Array.from({ length: count }, (_, index) =>
          client.wire.publish(topic, "x", { qos: 2, id: index + 1 }),
        ),
      );
      if (count > 5 && version === 5) {
        const packets = await client.closed();
        expect(packets.pop()).toMatchObject({ type: "disconnect", reason: 0x93 });
        // What was within the limit has been acknowledged.
        expect(packets.map((packet) => packet.type)).toEqual(Array.from({ length: 5 }, () => "pubrec"));
      } else {
        for (let id = 1; id <= count; id++) expect(await client.next("pubrec")).toMatchObject({ id });
        await client.expectNothing();
      }
    },
  );

  ours("PUBREL makes room again", async () => {
    const client = await small.connect(version);
    const topic = unique("server-flow");
    for (let index = 0; index < 20; index++) {
      const id = index + 1;
      client.send(client.wire.publish(topic, "x", { qos: 2, id }));
      await client.of("pubrec", id);
      if (id > 4) {
        client.send(client.wire.pubrel(id - 4));
        await client.of("pubcomp", id - 4);
      }
    }
    await client.expectNothing();
  });

  ours("an acknowledged QoS 1 message takes no room: many times the limit, one after the other", async () => {
    const client = await small.connect(version);
    for (let index = 0; index < 30; index++) await client.publish(unique(), "x", { qos: 1 });
  });
});

describe.each(BOTH)("the server's own send window, MQTT %s", (_name, version) => {
  const narrow = useServer({ limits: { sendWindow: 3 } });
  ours("no more than 3 unacknowledged messages, whatever the client would take", async () => {
    const topic = unique("window");
    const client = await narrow.connect(version);
    await client.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await narrow.connect(version);
    for (let index = 0; index < 10; index++) await publisher.publish(topic, `${index}`, { qos: 1 });
    const flight = await client.fence();
    expect(flight).toHaveLength(3);
    for (const packet of flight) if (packet.type === "publish") client.send(client.wire.puback(packet.id));
    for (let index = 3; index < 10; index++)
      expect(await client.receive()).toMatchObject({ text: `${index}` });
    await client.expectNothing();
  });
});
