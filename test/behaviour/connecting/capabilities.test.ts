// What a policy says its clients may not use: announced in CONNACK to 5.0 clients, enforced for all.
import { afterAll, beforeAll, describe, expect } from "vitest";
import { openPolicy } from "../../support/policy.ts";
import { ALL, BOTH, ours, PEER, TestServer, unique } from "../../support/server.ts";
import type { Version } from "../../support/wire.ts";

const restricted = openPolicy({
  capabilities: {
    maximumQos: 1,
    retain3: false,
    retain5: false,
    wildcardSubscriptions: false,
    subscriptionIdentifiers: false,
    sharedSubscriptions3: false,
    sharedSubscriptions5: false,
    receiveMaximum: 7,
    topicAliasMaximum: 3,
    maximumPacketSize: 5_000,
  },
});
let server: TestServer;
beforeAll(async () => {
  server = new TestServer({
    listeners: [
      { port: 0, profile: restricted },
      { port: 0, profile: openPolicy({ capabilities: { announceAll: true } }) },
      { port: 0, profile: openPolicy({ capabilities: { mqtt5: false } }) },
    ],
  });
  if (!PEER) await server.start();
});
afterAll(() => server.stop());
const at = (index: number): { port: number } => ({ port: server.broker.listeners[index].port });

describe("announced in 5.0", () => {
  ours("only what differs from the standard's defaults", async () => {
    const client = await server.connect(5);
    expect(client.connack.properties).toEqual({
      receiveMaximum: 7,
      maximumQos: 1,
      retainAvailable: 0,
      maximumPacketSize: 5_000,
      topicAliasMaximum: 3,
      wildcardSubscriptionAvailable: 0,
      subscriptionIdentifierAvailable: 0,
      sharedSubscriptionAvailable: 0,
    });
  });

  ours("all of it where the policy wants that", async () => {
    const client = await server.connect(5, {}, at(1));
    expect(client.connack.properties).toMatchObject({
      sessionExpiryInterval: 0,
      retainAvailable: 1,
      wildcardSubscriptionAvailable: 1,
      subscriptionIdentifierAvailable: 1,
      sharedSubscriptionAvailable: 1,
    });
    // There is no value that says 2 [MQTT-3.2.2.3.4].
    expect(client.connack.properties).not.toHaveProperty("maximumQos");
  });
});

describe.each(ALL)("enforced, MQTT %s", (_name, version) => {
  const codes = (code5: number): number => (version === 5 ? code5 : version === 4 ? 0x80 : 0);

  ours("a PUBLISH above the Maximum QoS ends the connection [MQTT-3.2.2-11]", async () => {
    const client = await server.connect(version);
    client.send(client.wire.publish(unique(), "x", { qos: 2, id: 1 }));
    await client.expectEnd(0x9b);
  });

  ours("SUBSCRIBE is granted no more than the Maximum QoS [MQTT-3.2.2-10]", async () => {
    const client = await server.connect(version);
    expect((await client.subscribe({ filter: unique(), qos: 2 })).reasons).toEqual([1]);
  });

  ours("wildcards and shared subscriptions are refused filter by filter", async () => {
    const client = await server.connect(version);
    const { reasons } = await client.subscribe(["a/+", "a/#", "$share/g/a", "a/b"]);
    expect(reasons).toEqual([codes(0xa2), codes(0xa2), codes(0x9e), 0]);
    await client.publish("a/b", "x");
    expect(await client.receive()).toMatchObject({ topic: "a/b" });
    await client.expectNothing();
  });

  ours(version === 5 ? "RETAIN ends the connection [MQTT-3.2.2-14]" : "RETAIN keeps nothing", async () => {
    const client = await server.connect(version);
    const topic = unique();
    client.send(client.wire.publish(topic, "x", { qos: 1, id: 1, retain: true }));
    if (version === 5) {
      await client.expectEnd(0x9a);
      return;
    }
    await client.of("puback", 1);
    await client.subscribe(topic);
    await client.expectNothing();
  });

  ours.each([
    ["QoS", { qos: 2 }, 0x9b],
    ["Retain", { retain: true }, 0x9a],
  ] as const)(
    "a Will with a %s that is not supported [MQTT-3.2.2-12] [MQTT-3.2.2-13]",
    async (what, will, reason) => {
      const client = await server.open(version);
      client.send(client.wire.connect({ clientId: unique(), will: { topic: "w", ...will } }));
      // Before 5.0 retained Wills could not be announced away: they are published and not kept.
      if (what === "Retain" && version !== 5)
        expect(await client.next("connack")).toMatchObject({ reason: 0 });
      else await client.expectRefusal(5, reason);
    },
  );

  ours.each([4_999, 5_000, 5_001])("Maximum Packet Size 5,000: a PUBLISH of %i bytes", async (total) => {
    const client = await server.connect(version);
    const topic = unique();
    const head = 3 + 2 + topic.length + 2 + (version === 5 ? 1 : 0);
    const bytes = client.wire.publish(topic, "x".repeat(total - head), { qos: 1, id: 1 });
    expect(bytes.length).toBe(total);
    client.send(bytes);
    if (total > 5_000) await client.expectEnd(0x95);
    else await client.of("puback", 1);
  });
});

describe("enforced, MQTT 5.0", () => {
  ours("a Subscription Identifier ends the connection [MQTT-3.2.2.3.12]", async () => {
    const client = await server.connect(5);
    client.send(client.wire.subscribe(1, "a", { subscriptionIdentifier: 1 }));
    await client.expectEnd(0xa1);
  });

  ours.each([3, 4])("Topic Alias Maximum 3: alias %i", async (topicAlias) => {
    const client = await server.connect(5);
    client.send(client.wire.publish("a", "x", { qos: 1, id: 1, properties: { topicAlias } }));
    if (topicAlias > 3) await client.expectEnd(0x94);
    else await client.of("puback", 1);
  });
});

describe("a policy without 5.0", () => {
  ours.each(BOTH)("MQTT %s", async (_name, version: Version) => {
    const client = await server.open(version, at(2));
    client.send(client.wire.connect({ clientId: unique() }));
    if (version === 5) await client.expectRefusal(undefined, 0x84);
    else expect(await client.next("connack")).toMatchObject({ reason: 0 });
  });
});
