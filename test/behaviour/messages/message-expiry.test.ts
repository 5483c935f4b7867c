// Message Expiry Interval: forwarded less the time waited, and nothing sent that has expired [MQTT-3.3.2-5] [MQTT-3.3.2-6].
import { describe, expect, test } from "vitest";
import { unique, useServer, keptSession } from "../../support/server.ts";
import { leap } from "../../support/time.ts";

const server = useServer();

describe("MQTT 5.0", () => {
  test("a message forwarded at once carries the interval unchanged", async () => {
    const topic = unique("expiry");
    const client = await server.connect(5);
    await client.subscribe([{ filter: topic, qos: 1 }]);
    await client.publish(topic, "x", { qos: 1, properties: { messageExpiryInterval: 60 } });
    expect((await client.receive()).properties).toEqual({ messageExpiryInterval: 60 });
  });

  test("a message without the property is forwarded without it", async () => {
    const topic = unique("expiry");
    const client = await server.connect(5);
    await client.subscribe(topic);
    await client.publish(topic, "x");
    expect((await client.receive()).properties).toEqual({});
  });

  test.each([
    ["5.0", 5],
    ["3.1.1", 4],
  ] as const)(
    "a queued message that has expired is not delivered to a %s session, one that has not is",
    async (_name, version) => {
      const topic = unique("expiry");
      const clientId = unique();
      const sleeper = await server.connect(version, keptSession(clientId));
      await sleeper.subscribe([{ filter: topic, qos: 1 }]);
      await sleeper.disconnect();
      const publisher = await server.connect(5);
      await publisher.publish(topic, "short", { qos: 1, properties: { messageExpiryInterval: 1 } });
      await publisher.publish(topic, "long", { qos: 1, properties: { messageExpiryInterval: 100 } });
      await publisher.publish(topic, "endless", { qos: 1 });
      await leap(2_100);
      const awake = await server.connect(version, keptSession(clientId));
      const long = await awake.receive();
      expect(long.text).toBe("long");
      if (version === 5) {
        // 2.1 s waited: 98 or, where the clock had just ticked, 97.
        expect(long.properties.messageExpiryInterval).toBeGreaterThanOrEqual(97);
        expect(long.properties.messageExpiryInterval).toBeLessThanOrEqual(98);
      }
      const endless = await awake.receive();
      expect(endless).toMatchObject({ text: "endless", properties: {} });
      await awake.expectNothing();
    },
  );

  // Mosquitto 2.0.11 deletes the expired one, and then sends nothing of what waits behind it, although the window is free.
  test("a message waiting for the send window expires too", async () => {
    const topic = unique("expiry");
    const client = await server.connect(5, { properties: { receiveMaximum: 1 } });
    await client.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await server.connect(5);
    await publisher.publish(topic, "in flight", { qos: 1 });
    await publisher.publish(topic, "expires", { qos: 1, properties: { messageExpiryInterval: 1 } });
    await publisher.publish(topic, "stays", { qos: 1 });
    const first = await client.next("publish");
    await leap(2_100);
    client.send(client.wire.puback(first.id));
    expect(await client.receive()).toMatchObject({ text: "stays" });
    await client.expectNothing();
  });

  // Mosquitto 2.0.11 expires it too: onward delivery has begun [MQTT-3.3.2-5], and it must be sent again [MQTT-4.4.0-1].
  test("a message once sent is retransmitted, not expired", async () => {
    const topic = unique("expiry");
    const clientId = unique();
    const client = await server.connect(5, keptSession(clientId));
    await client.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await server.connect(5);
    await publisher.publish(topic, "sent", { qos: 1, properties: { messageExpiryInterval: 1 } });
    await client.next("publish");
    client.destroy();
    await leap(2_100);
    const again = await server.connect(5, keptSession(clientId));
    expect(await again.receive()).toMatchObject({ text: "sent", dup: true });
  });
});
