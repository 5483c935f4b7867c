// Limits of sessions and of retained messages.
import { describe, expect, test } from "vitest";
import { BOTH, unique } from "../support/server.ts";
import { AROUND, limited } from "./limited.ts";

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const v5 = version === 5;
  const kept = (sessionExpiryInterval: number) => ({
    clientId: unique(),
    clean: false,
    ...(v5 ? { properties: { sessionExpiryInterval } } : {}),
  });

  test.each(AROUND)("sessions 3, %i beyond", (beyond) =>
    limited({ sessions: 3 }, async (server) => {
      const away = kept(1_000);
      await (await server.connect(version, away)).disconnect(); // one that is away counts as well
      for (let i = 0; i < 1 + beyond; i++) await server.connect(version);
      const last = await server.open(version);
      last.send(last.wire.connect({ clientId: unique() }));
      if (beyond > 0) await last.expectRefusal(3, 0x97);
      else await last.next("connack");
      await server.connect(version, away); // and coming back is nothing new
      await server.counted("sessions", beyond > 0 ? 1 : 0);
    }),
  );

  test.each(AROUND)("sessionExpiry 50, %i beyond", (beyond) =>
    limited({ sessionExpiry: 50 }, async (server) => {
      const client = await server.connect(version, kept(50 + beyond));
      if (v5) expect(client.connack.properties.sessionExpiryInterval).toBe(beyond > 0 ? 50 : undefined);
      // Before 5.0 a session that is kept is kept for ever, which is always beyond.
      await server.counted("sessionExpiry", v5 && beyond <= 0 ? 0 : 1);
    }),
  );

  test.each(AROUND)("retainedMessages 2, %i beyond", (beyond) =>
    limited({ retainedMessages: 2 }, async (server) => {
      const client = await server.connect(version);
      for (let i = 0; i < 2 + beyond; i++) {
        const answer = await client.publish(`r/${i}`, "x", { qos: 1, retain: true });
        if (v5) expect((answer?.reason ?? 0) >= 0x80).toBe(i >= 2);
      }
      await client.publish("r/0", "replaced", { qos: 1, retain: true });
      await server.counted("retainedMessages", beyond > 0 ? 1 : 0);
      await client.subscribe("r/#");
      const texts = (await client.fence()).map((packet) => (packet.type === "publish" ? packet.text : ""));
      expect(texts).toEqual(["replaced", "x"].slice(0, Math.min(2, 2 + beyond)));
    }),
  );

  test.each(AROUND)("retainedBytes of two messages, %i beyond", (beyond) => {
    // One costs its canonical form (32 + 2 + topic + 1 + payload) and 200 bytes, a level that both share 80.
    const cost = 32 + 2 + 3 + 1 + 100 + 200;
    return limited({ retainedBytes: 2 * cost + 80 }, async (server) => {
      const client = await server.connect(version);
      await client.publish("r/0", "a".repeat(100), { qos: 1, retain: true });
      const second = await client.publish("r/1", "b".repeat(100 + beyond), { qos: 1, retain: true });
      if (v5) expect((second?.reason ?? 0) >= 0x80).toBe(beyond > 0);
      await server.counted("retainedBytes", beyond > 0 ? 1 : 0);
      await client.subscribe("r/#");
      expect(await client.fence()).toHaveLength(beyond > 0 ? 1 : 2);
      // What is cleared makes room.
      await client.publish("r/0", "", { qos: 1, retain: true });
      await client.publish("r/2", "c".repeat(100), { qos: 1, retain: true });
      await server.counted("retainedBytes", beyond > 0 ? 1 : 0);
    });
  });
});

test.each(AROUND)("keepAlive 50, %i beyond", (beyond) =>
  limited({ keepAlive: 50 }, async (server) => {
    const client = await server.connect(5, { keepAlive: 50 + beyond });
    expect(client.connack.properties.serverKeepAlive).toBe(beyond > 0 ? 50 : undefined);
    await server.counted("keepAlive", beyond > 0 ? 1 : 0);
  }),
);

test("keepAlive 50: no Keep Alive at all is beyond any", () =>
  limited({ keepAlive: 50 }, async (server) => {
    const client = await server.connect(5, { keepAlive: 0 });
    expect(client.connack.properties.serverKeepAlive).toBe(50);
    await server.counted("keepAlive", 1);
  }));
