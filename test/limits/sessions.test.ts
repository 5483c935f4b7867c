// Limits of sessions and of retained messages.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { BOTH, unique } from "../support/server.ts";
import { AROUND, type Limited, limited } from "./limited.ts";

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

  test.each(AROUND)("subscriptionBytes of two filters, %i beyond", (beyond) =>
    // One costs its text and 200 bytes; bytes, not characters.
    limited({ subscriptionBytes: 2 * (200 + 100) }, async (server) => {
      const client = await server.connect(version);
      const first = "é".repeat(50);
      const last = "$share/g/".padEnd(100 + beyond, "x");
      expect((await client.subscribe(first)).reasons).toEqual([0]);
      expect((await client.subscribe([first, last, first])).reasons).toEqual([
        0,
        beyond <= 0 ? 0 : v5 ? 0x97 : 0x80,
        0,
      ]);
      await server.counted("subscriptionBytes", beyond > 0 ? 1 : 0);
      // What is given up makes room.
      await client.unsubscribe(first);
      expect((await client.subscribe("y".repeat(99))).reasons).toEqual([0]);
      await server.counted("subscriptionBytes", beyond > 0 ? 1 : 0);
    }),
  );

  test.each(AROUND)("subscriptionBytes count over a restart and a return, %i beyond", async (beyond) => {
    const away = kept(1_000);
    const directory = mkdtempSync(join(tmpdir(), "millrace-limits-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const limits = { subscriptionBytes: 2 * (200 + 100) };
    const refused = beyond <= 0 ? 0 : v5 ? 0x97 : 0x80;
    const come = async (server: Limited, filter: string, reason: number): Promise<void> => {
      const client = await server.connect(version, away);
      expect((await client.subscribe([{ filter, qos: 0 }])).reasons).toEqual([reason]);
      await client.disconnect();
    };
    const first = { store: await openStore({ directory, level: "process" }) };
    await limited(limits, (server) => come(server, "a".repeat(100), 0), first);
    await limited(
      limits,
      async (server) => {
        await come(server, "b".repeat(100 + beyond), refused);
        await come(server, "c".repeat(100 - beyond), beyond > 0 ? 0 : v5 ? 0x97 : 0x80);
      },
      { store: await openStore({ directory, level: "process" }) },
    );
  });

  test.each(AROUND)("sessionExpiry 50, %i beyond", (beyond) =>
    limited({ sessionExpiry: 50 }, async (server) => {
      const client = await server.connect(version, kept(50 + beyond));
      if (v5) expect(client.connack.properties.sessionExpiryInterval).toBe(beyond > 0 ? 50 : undefined);
      // Before 5.0 a session that is kept is kept for ever, which is always beyond.
      await server.counted("sessionExpiry", v5 && beyond <= 0 ? 0 : 1);
    }),
  );

  test.each(AROUND)("pendingRemovalBytes 640, %i beyond", async (beyond) => {
    const store = Object.assign(new MemoryStore(), { pendingRemovalBytes: 0 });
    await limited(
      { pendingRemovalBytes: 640 },
      async (server) => {
        const [known, replaced] = [kept(100), kept(100)];
        await (await server.connect(version, known)).disconnect();
        await (await server.connect(version, replaced)).disconnect();
        const publisher = await server.connect(version);
        await publisher.publish("old", "x", { qos: 1, retain: true });
        store.pendingRemovalBytes = 640 + beyond;
        const over = beyond >= 0;
        const refusal = over ? { reason: v5 ? 0x97 : 3 } : { reason: 0 };
        // What begins anew is refused before anything is done for it.
        const client = await server.open(version);
        client.send(client.wire.connect(kept(100)));
        expect(await client.next("connack")).toMatchObject(refusal);
        if (v5) {
          const clean = await server.open(version);
          clean.send(clean.wire.connect({ ...replaced, clean: true }));
          expect(await clean.next("connack")).toMatchObject(refusal);
        }
        for (const qos of [0, 1] as const)
          publisher.send(publisher.wire.publish(`new/${qos}`, "x", { qos, retain: true, id: 50 + qos }));
        await publisher.publish("last", "", { qos: 1 });
        const answers = (await publisher.fence()).map((packet) =>
          "reason" in packet ? packet.reason : undefined,
        );
        expect(answers).toEqual(over ? (v5 ? [0x97] : []) : [v5 ? 0x10 : 0]);
        await server.counted("pendingRemovalBytes", over ? (v5 ? 4 : 3) : 0);
        // What is there already goes on: sessions, and what clears a topic.
        expect((await server.connect(version, known)).connack.sessionPresent).toBe(true);
        await publisher.publish("old", "", { qos: 1, retain: true });
        await publisher.subscribe("#");
        const topics = (await publisher.fence()).map((packet) =>
          packet.type === "publish" ? packet.topic : "",
        );
        expect(topics.sort()).toEqual(over ? [] : ["new/0", "new/1"]);
      },
      { store },
    );
  });

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
