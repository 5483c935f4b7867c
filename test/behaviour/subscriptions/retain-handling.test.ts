// Retain Handling 0, 1, 2 and Retain As Published (5.0), and none to shared subscriptions.
import { describe, expect, test } from "vitest";
import { unique, useServer, keptSession } from "../../support/server.ts";
import { leap } from "../../support/time.ts";

const server = useServer();

describe("MQTT 5.0", () => {
  test("0: retained messages are sent at every SUBSCRIBE [MQTT-3.3.1-9]", async () => {
    const topic = unique();
    const client = await server.connect(5);
    await client.publish(topic, "x", { retain: true });
    for (let turn = 0; turn < 2; turn++) {
      await client.subscribe([{ filter: topic, retainHandling: 0 }]);
      expect(await client.next("publish")).toMatchObject({ retain: true });
    }
  });

  test("1: only where the subscription did not exist [MQTT-3.3.1-10]", async () => {
    const topic = unique();
    const client = await server.connect(5);
    await client.publish(topic, "x", { retain: true });
    await client.subscribe([{ filter: topic, retainHandling: 1 }]);
    expect(await client.next("publish")).toMatchObject({ retain: true });
    await client.subscribe([{ filter: topic, retainHandling: 1, qos: 1 }]);
    await client.expectNothing();
    await client.unsubscribe(topic);
    await client.subscribe([{ filter: topic, retainHandling: 1 }]);
    expect(await client.next("publish")).toMatchObject({ retain: true });
  });

  test("1: a resumed session's subscription exists", async () => {
    const topic = unique();
    const options = keptSession();
    const first = await server.connect(5, options);
    await first.publish(topic, "x", { retain: true });
    await first.subscribe([{ filter: topic, retainHandling: 2 }]);
    await first.disconnect();
    const second = await server.connect(5, options);
    await second.subscribe([{ filter: topic, retainHandling: 1 }]);
    await second.expectNothing();
  });

  test("2: never [MQTT-3.3.1-11]", async () => {
    const topic = unique();
    const client = await server.connect(5);
    await client.publish(topic, "x", { retain: true });
    await client.subscribe([{ filter: topic, retainHandling: 2 }]);
    await client.expectNothing();
    await client.publish(topic, "live", { retain: true });
    expect(await client.next("publish")).toMatchObject({ text: "live", retain: false });
  });

  // Mosquitto 2.0.11 calls it malformed (0x81); 3.8.3.1 names it a Protocol Error.
  test("3 is a Protocol Error", async () => {
    const client = await server.connect(5);
    client.send(client.wire.subscribe(1, [{ filter: "a", retainHandling: 3 as 2 }]));
    await client.expectEnd(0x82);
  });

  test("Retain As Published 1 keeps the RETAIN flag, 0 clears it [MQTT-3.3.1-12] [MQTT-3.3.1-13]", async () => {
    const topic = unique();
    const keeping = await server.connect(5);
    const clearing = await server.connect(5);
    await keeping.subscribe([{ filter: topic, retainAsPublished: true }]);
    await clearing.subscribe([{ filter: topic }]);
    for (const retain of [true, false]) {
      await keeping.publish(topic, "x", { retain });
      expect(await keeping.next("publish")).toMatchObject({ retain });
      expect(await clearing.next("publish")).toMatchObject({ retain: false });
    }
  });

  test("Retain As Published holds for queued messages", async () => {
    const topic = unique();
    const options = keptSession();
    const first = await server.connect(5, options);
    await first.subscribe([{ filter: topic, qos: 1, retainAsPublished: true }]);
    await first.disconnect();
    const publisher = await server.connect(5);
    await publisher.publish(topic, "r", { qos: 1, retain: true });
    await publisher.publish(topic, "n", { qos: 1 });
    const second = await server.connect(5, options);
    expect(await second.receive()).toMatchObject({ text: "r", retain: true });
    expect(await second.receive()).toMatchObject({ text: "n", retain: false });
  });

  test("the replay has RETAIN 1 whatever Retain As Published says", async () => {
    const topic = unique();
    const client = await server.connect(5);
    await client.publish(topic, "x", { retain: true });
    for (const retainAsPublished of [true, false]) {
      await client.subscribe([{ filter: topic, retainAsPublished }]);
      expect(await client.next("publish")).toMatchObject({ retain: true });
    }
  });

  // Mosquitto 2.0.11 sends them, though 4.8.2 says they are not sent when a session first subscribes to a shared subscription.
  test("a shared subscription gets no retained messages [MQTT-4.8.2]", async () => {
    const topic = unique();
    const client = await server.connect(5);
    await client.publish(topic, "x", { retain: true });
    await client.subscribe(`$share/group/${topic}`);
    await client.expectNothing();
  });

  test("No Local keeps a live retained message from the one who sent it", async () => {
    const topic = unique();
    const client = await server.connect(5);
    await client.subscribe([{ filter: topic, noLocal: true }]);
    await client.publish(topic, "own", { retain: true });
    await client.expectNothing();
  });

  test("the replay carries properties and the Subscription Identifier", async () => {
    const topic = unique();
    const publisher = await server.connect(5);
    await publisher.publish(topic, "x", {
      retain: true,
      properties: {
        contentType: "text/plain",
        userProperty: [
          ["a", "1"],
          ["a", "2"],
        ],
      },
    });
    const client = await server.connect(5);
    await client.subscribe(topic, { subscriptionIdentifier: 77 });
    const message = await client.next("publish");
    expect(message.properties).toEqual({
      contentType: "text/plain",
      userProperty: [
        ["a", "1"],
        ["a", "2"],
      ],
      subscriptionIdentifier: [77],
    });
  });

  test("a retained message that expired is not replayed, one that has not carries what is left [MQTT-3.3.2-6]", async () => {
    const short = unique();
    const long = unique();
    const publisher = await server.connect(5);
    await publisher.publish(short, "x", { retain: true, properties: { messageExpiryInterval: 1 } });
    await publisher.publish(long, "y", { retain: true, properties: { messageExpiryInterval: 100 } });
    await leap(2_100);
    const client = await server.connect(5);
    await client.subscribe([short, long]);
    const message = await client.next("publish");
    expect(message.text).toBe("y");
    expect(message.properties.messageExpiryInterval).toBeGreaterThanOrEqual(97);
    expect(message.properties.messageExpiryInterval).toBeLessThanOrEqual(98);
    await client.expectNothing();
  });
});
