// Subscription Identifiers (5.0): returned with each message, all of them where subscriptions overlap [MQTT-3.8.4].
import { describe, expect, test } from "vitest";
import { unique, useServer, keptSession } from "../../support/server.ts";

const server = useServer();

describe("MQTT 5.0", () => {
  test("a message carries the identifier of the subscription it matched [MQTT-3.3.4-3]", async () => {
    const topic = unique();
    const client = await server.connect(5);
    await client.subscribe(topic, { subscriptionIdentifier: 1 });
    for (const qos of [0, 1, 2] as const) {
      await client.publish(topic, "x", { qos });
      expect((await client.receive()).properties.subscriptionIdentifier).toEqual([1]);
    }
  });

  test("the largest identifier, 268,435,455, comes back", async () => {
    const topic = unique();
    const client = await server.connect(5);
    await client.subscribe(topic, { subscriptionIdentifier: 268_435_455 });
    await client.publish(topic, "x");
    expect((await client.receive()).properties.subscriptionIdentifier).toEqual([268_435_455]);
  });

  test("one copy carries the identifiers of all subscriptions that match [MQTT-3.3.4-4]", async () => {
    const root = unique();
    const client = await server.connect(5);
    await client.subscribe(`${root}/#`, { subscriptionIdentifier: 11 });
    await client.subscribe(`${root}/+`, { subscriptionIdentifier: 22 });
    await client.subscribe(`${root}/a`, { subscriptionIdentifier: 300 });
    await client.subscribe(`+/a`);
    await client.publish(`${root}/a`, "x", { qos: 1 });
    const message = await client.receive();
    expect(message.properties.subscriptionIdentifier?.toSorted((a, b) => a - b)).toEqual([11, 22, 300]);
    await client.expectNothing();
  });

  test("subscribing again replaces the identifier, or removes it", async () => {
    const topic = unique();
    const client = await server.connect(5);
    await client.subscribe(topic, { subscriptionIdentifier: 1 });
    await client.subscribe(topic, { subscriptionIdentifier: 2 });
    await client.publish(topic, "x");
    expect((await client.receive()).properties.subscriptionIdentifier).toEqual([2]);
    await client.subscribe(topic);
    await client.publish(topic, "x");
    expect((await client.receive()).properties).toEqual({});
  });

  test("the identifiers of a message that was queued come with it", async () => {
    const root = unique();
    const options = keptSession();
    const first = await server.connect(5, options);
    await first.subscribe([{ filter: `${root}/#`, qos: 1 }], { subscriptionIdentifier: 5 });
    await first.subscribe([{ filter: `${root}/a`, qos: 1 }], { subscriptionIdentifier: 6 });
    await first.disconnect();
    const publisher = await server.connect(5);
    await publisher.publish(`${root}/a`, "x", { qos: 1 });
    await publisher.publish(`${root}/b`, "y", { qos: 1 });
    const second = await server.connect(5, options);
    expect((await second.receive()).properties.subscriptionIdentifier?.toSorted()).toEqual([5, 6]);
    expect((await second.receive()).properties.subscriptionIdentifier).toEqual([5]);
  });

  test("a shared subscription has its identifier too", async () => {
    const topic = unique();
    const client = await server.connect(5);
    await client.subscribe(`$share/g/${topic}`, { subscriptionIdentifier: 9 });
    await client.publish(topic, "x");
    expect((await client.receive()).properties.subscriptionIdentifier).toEqual([9]);
  });

  test("receivers of one message each get their own identifiers", async () => {
    const topic = unique();
    const one = await server.connect(5);
    const two = await server.connect(5);
    const none = await server.connect(5);
    await one.subscribe(topic, { subscriptionIdentifier: 1 });
    await two.subscribe(topic, { subscriptionIdentifier: 200 });
    await none.subscribe(topic);
    await none.publish(topic, "x", { properties: { userProperty: [["k", "v"]] } });
    expect((await one.receive()).properties).toEqual({
      userProperty: [["k", "v"]],
      subscriptionIdentifier: [1],
    });
    expect((await two.receive()).properties).toEqual({
      userProperty: [["k", "v"]],
      subscriptionIdentifier: [200],
    });
    expect((await none.receive()).properties).toEqual({ userProperty: [["k", "v"]] });
  });

  test("a client that sends one in PUBLISH breaks the protocol [MQTT-3.3.4-6]", async () => {
    const client = await server.connect(5);
    client.send(client.wire.publish("a", "x", { properties: { subscriptionIdentifier: 1 } }));
    await client.expectEnd(0x82);
  });
});
