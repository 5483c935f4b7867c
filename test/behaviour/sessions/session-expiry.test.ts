// Session Expiry Interval [MQTT-3.1.2-23]: when a session ends, and changing it at DISCONNECT.
import { describe, expect, test } from "vitest";
import { eventually, PEER, unique, useServer } from "../../support/server.ts";
import { leap, secondsPass, useManualClock } from "../../support/time.ts";

useManualClock();
const server = useServer();
const present = async (clientId: string): Promise<boolean> => {
  const client = await server.connect(5, {
    clientId,
    clean: false,
    properties: { sessionExpiryInterval: 100 },
  });
  return client.connack.sessionPresent;
};

describe("MQTT 5.0", () => {
  test("absent or 0: the session ends with the connection", async () => {
    for (const properties of [{}, { sessionExpiryInterval: 0 }]) {
      const clientId = unique();
      const client = await server.connect(5, { clientId, properties });
      await client.disconnect();
      expect(await present(clientId)).toBe(false);
    }
  });

  test("absent: the session ends with a connection that is lost, subscriptions and all", async () => {
    const clientId = unique();
    const topic = unique("gone");
    const client = await server.connect(5, { clientId });
    await client.subscribe([{ filter: topic, qos: 1 }]);
    client.destroy();
    const other = await server.connect(5);
    await eventually(
      async () => (await other.publish(topic, "x", { qos: 1 }))?.reason === (PEER ? 0 : 0x10),
      "the subscription is gone",
    );
    expect(await present(clientId)).toBe(false);
  });

  test("0xFFFFFFFF: the session does not expire", async () => {
    const clientId = unique();
    await (
      await server.connect(5, { clientId, properties: { sessionExpiryInterval: 0xffff_ffff } })
    ).disconnect();
    expect(await present(clientId)).toBe(true);
  });

  test("the session is gone when the interval has passed, and kept before", async () => {
    const clientId = unique();
    const properties = { sessionExpiryInterval: 1 };
    await (await server.connect(5, { clientId, properties })).disconnect();
    const again = await server.connect(5, { clientId, clean: false, properties });
    expect(again.connack.sessionPresent).toBe(true);
    const topic = unique("expires");
    await again.subscribe([{ filter: topic, qos: 1 }]);
    await again.disconnect();
    const watcher = await server.connect(5);
    await secondsPass(2);
    // No Matching Subscribers is how a client sees that the session has ended.
    const told = await watcher.publish(topic, "x", { qos: 1 });
    expect(told?.reason).toBe(PEER ? 0 : 0x10);
    expect(await present(clientId)).toBe(false);
  });

  test("DISCONNECT may shorten the interval to 0", async () => {
    const clientId = unique();
    const client = await server.connect(5, { clientId, properties: { sessionExpiryInterval: 100 } });
    await client.disconnect(0, { sessionExpiryInterval: 0 });
    expect(await present(clientId)).toBe(false);
  });

  test("DISCONNECT may lengthen a non-zero interval", async () => {
    const clientId = unique();
    const client = await server.connect(5, { clientId, properties: { sessionExpiryInterval: 1 } });
    await client.disconnect(0, { sessionExpiryInterval: 1_000 });
    await leap(1_500);
    expect(await present(clientId)).toBe(true);
  });

  test("DISCONNECT may not make 0 non-zero: Protocol Error [MQTT-3.14.2-2]", async () => {
    const clientId = unique();
    const client = await server.connect(5, { clientId });
    client.send(client.wire.disconnect(0, { sessionExpiryInterval: 10 }));
    await client.expectEnd(0x82);
    expect(await present(clientId)).toBe(false);
  });

  test("DISCONNECT may name 0 where it was 0", async () => {
    const client = await server.connect(5);
    client.send(client.wire.disconnect(0, { sessionExpiryInterval: 0 }));
    await client.expectClosed();
  });

  test("resuming takes the interval of the new CONNECT", async () => {
    const clientId = unique();
    await (await server.connect(5, { clientId, properties: { sessionExpiryInterval: 1_000 } })).disconnect();
    const again = await server.connect(5, { clientId, clean: false });
    expect(again.connack.sessionPresent).toBe(true);
    await again.disconnect();
    expect(await present(clientId)).toBe(false);
  });

  test("Clean Start 1 with an interval starts a session that is kept", async () => {
    const clientId = unique();
    await (
      await server.connect(5, { clientId, clean: true, properties: { sessionExpiryInterval: 100 } })
    ).disconnect();
    expect(await present(clientId)).toBe(true);
  });
});

describe("MQTT 3.1.1", () => {
  test("Clean Session 1 after Clean Session 0 discards what was kept [MQTT-3.1.2-6]", async () => {
    const clientId = unique();
    await (await server.connect(4, { clientId, clean: false })).disconnect();
    await (await server.connect(4, { clientId, clean: true })).disconnect();
    expect((await server.connect(4, { clientId, clean: false })).connack.sessionPresent).toBe(false);
  });
});
