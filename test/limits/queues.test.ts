// Limits of what waits for a client, online or not.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../support/raw-client.ts";
import { BOTH, eventually, keptSession, unique } from "../support/server.ts";
import { connectInMemory, dropMemoryClients } from "../routing/memory-client.ts";
import { AROUND, type Limited, limited, timeOf } from "./limited.ts";

describe.each(BOTH)("MQTT %s", (_name, version) => {
  async function away(server: Limited): Promise<() => Promise<RawClient>> {
    const options = keptSession();
    const client = await server.connect(version, options);
    await client.subscribe([{ filter: "t", qos: 1 }]);
    await client.disconnect();
    return () => server.connect(version, options);
  }

  async function publish(server: Limited, count: number, payload: string | Buffer = ""): Promise<void> {
    for (let i = 0; i < count; i++) await server.broker.publish({ topic: "t", payload, qos: 1 });
  }

  async function receive(client: RawClient): Promise<number> {
    let count = 0;
    for (;;) {
      const messages = (await client.fence()).filter((packet) => packet.type === "publish");
      if (messages.length === 0) return count;
      count += messages.length;
      for (const message of messages) await client.acknowledge(message);
    }
  }

  test.each(AROUND)("outgoingBytes of ten messages, %i beyond", (beyond) =>
    limited({ outgoingBytes: 10_000 + beyond }, async (server) => {
      const client = await connectInMemory(server.broker, version);
      await client.subscribe("t");
      await client.fence();
      const head = client.wire.publish("t", Buffer.alloc(900)).length - 900;
      // The streams' own callbacks have run: nothing is pending.
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
      client.stream.pause();
      // It may be given more as long as less than the limit waits.
      for (let i = 0; i < 15; i++)
        await server.broker.publish({ topic: "t", payload: Buffer.alloc(1_000 - head) });
      const taken = beyond > 0 ? 11 : 10;
      await server.counted("outgoingBytes", 15 - taken);
      client.stream.resume();
      expect(await receive(client)).toBe(taken);
      // Once it has taken them it gets everything again.
      for (let i = 0; i < 5; i++) await server.broker.publish({ topic: "t", payload: Buffer.alloc(100) });
      expect(await receive(client)).toBe(5);
      dropMemoryClients();
    }),
  );

  test.each(AROUND)("sendWindow 3, %i beyond", (beyond) =>
    limited({ sendWindow: 3 }, async (server) => {
      const client = await server.connect(version);
      await client.subscribe([{ filter: "t", qos: 1 }]);
      await publish(server, 3 + beyond);
      const sent = await client.fence();
      expect(sent).toHaveLength(Math.min(3, 3 + beyond));
      await server.counted("sendWindow", beyond > 0 ? 1 : 0);
      for (const packet of sent) if (packet.type === "publish") await client.acknowledge(packet);
      expect(await receive(client)).toBe(Math.max(0, beyond));
    }),
  );

  test.each(AROUND)("queuedMessages 5, %i beyond", (beyond) =>
    limited({ queuedMessages: 5 }, async (server) => {
      const back = await away(server);
      await publish(server, 5 + beyond);
      await server.counted("queuedMessages", beyond > 0 ? 1 : 0);
      expect(await receive(await back())).toBe(Math.min(5, 5 + beyond));
    }),
  );

  test.each(AROUND)("queuedBytes of two messages, %i beyond", (beyond) =>
    // One costs its canonical form (32 + 2 + topic + 1 + payload) and 20 bytes.
    limited({ queuedBytes: 2 * (32 + 2 + 1 + 1 + 100 + 20) }, async (server) => {
      const back = await away(server);
      await publish(server, 1, Buffer.alloc(100));
      await publish(server, 1, Buffer.alloc(100 + beyond));
      await server.counted("queuedBytes", beyond > 0 ? 1 : 0);
      expect(await receive(await back())).toBe(beyond > 0 ? 1 : 2);
    }),
  );

  // A turn's messages lie in one segment (128 bytes, its messages rounded up to 8); the new one counts as in its queue.
  const two = 128 + (32 + 2 + 1 + 1 + 100) + (32 + 2 + 1 + 1 + 100 + 20);

  test.each(AROUND)("brokerBytes of two messages, %i beyond", (beyond) =>
    limited({ brokerBytes: two }, async (server) => {
      const back = await away(server);
      await publish(server, 1, Buffer.alloc(100));
      expect(server.broker.metrics()["stored.bytes"]).toBe(128 + 136);
      const second = publish(server, 1, Buffer.alloc(100 + beyond));
      if (beyond > 0) await expect(second).rejects.toMatchObject({ code: "BROKER_FULL" });
      else await second;
      await server.counted("brokerBytes", beyond > 0 ? 1 : 0);
      expect(await receive(await back())).toBe(beyond > 0 ? 1 : 2);
    }),
  );

  describe.each([1, 2] as const)("QoS %i", (qos) => {
    const answer = qos === 1 ? "puback" : "pubrec";

    test.each(AROUND)("brokerBytes: its publisher knows of a message that is not kept, %i beyond", (beyond) =>
      limited({ brokerBytes: two }, async (server) => {
        const back = await away(server);
        const watcher = await server.connect(version);
        await watcher.subscribe("t");
        const sender = await server.connect(version);
        const { wire } = sender;
        await sender.publish("t", Buffer.alloc(100), { qos });
        sender.send(
          wire.publish("t", Buffer.alloc(100 + beyond), { qos, id: 101 }),
          wire.publish("elsewhere", "", { qos, id: 102 }),
        );
        // 3.x has no way to say no: there is no answer, and the next one does not wait for it.
        if (beyond <= 0) expect(await sender.next(answer)).toMatchObject({ id: 101, reason: 0 });
        else if (version === 5) expect(await sender.next(answer)).toMatchObject({ id: 101, reason: 0x97 });
        expect(await sender.next(answer)).toMatchObject({ id: 102 });
        await server.counted("brokerBytes", beyond > 0 ? 1 : 0);
        // Who could be given it at once has it all the same.
        expect(await watcher.receive()).toBeDefined();
        expect(await watcher.receive()).toBeDefined();
        expect(await receive(await back())).toBe(beyond > 0 ? 1 : 2);
        if (qos === 2 && beyond <= 0) {
          sender.send(wire.pubrel(101));
          await sender.next("pubcomp");
        }
        // There is room again, and the id is free.
        sender.send(wire.publish("t", "again", { qos, id: 101 }));
        expect(await sender.next(answer)).toMatchObject({ id: 101, reason: 0 });
        expect(await watcher.receive()).toMatchObject({ text: "again" });
      }),
    );

    test("brokerBytes: a session that is kept is refused as well, before its message is taken over", () =>
      limited({ brokerBytes: two }, async (server) => {
        const back = await away(server);
        const sender = await server.connect(version, keptSession());
        await sender.publish("t", Buffer.alloc(100), { qos });
        sender.send(sender.wire.publish("t", Buffer.alloc(101), { qos, id: 101 }), sender.wire.pingreq());
        if (version === 5) expect(await sender.of(answer, 101)).toMatchObject({ reason: 0x97 });
        await sender.of("pingresp");
        expect(await receive(await back())).toBe(1);
        sender.send(sender.wire.publish("t", "again", { qos, id: 101 }));
        expect(await sender.next(answer)).toMatchObject({ id: 101, reason: 0 });
        expect(sender.pending()).toEqual([]);
      }));
  });

  test.each(AROUND)("brokerBytes: Wills count, %i beyond", (beyond) =>
    // A Will costs its canonical form and 200 bytes.
    limited({ brokerBytes: 2 * (32 + 2 + 1 + 1 + 100 + 200) }, async (server) => {
      const first = await server.connect(version, { will: { topic: "t", payload: "a".repeat(100) } });
      const second = async () => {
        const client = await server.open(version);
        const will = { topic: "t", payload: "b".repeat(100 + beyond) };
        client.send(client.wire.connect({ clientId: unique(), will }));
        return client;
      };
      const client = await second();
      if (beyond > 0) await client.expectRefusal(3, 0x97);
      else expect(await client.next("connack")).toMatchObject({ reason: 0 });
      await server.counted("brokerBytes", beyond > 0 ? 1 : 0);
      // One that is gone makes room.
      await first.disconnect();
      await first.closed();
      await eventually(async () => (await (await second()).next("connack")).reason === 0, "there is room");
    }),
  );

  test("brokerBytes: who is behind is held back when the bound is reached, who keeps up is not", () =>
    limited({ brokerBytes: 2_000_000 }, async (server) => {
      const reader = await connectInMemory(server.broker, version);
      const behind: RawClient[] = [];
      for (let i = 0; i < 4; i++) behind.push(await connectInMemory(server.broker, version));
      for (const client of [reader, ...behind]) await client.subscribe("t");
      for (const client of behind) client.stream.pause();
      const held = () => server.broker.metrics()["held.bytes"];
      for (let i = 0; i < 100; i++) {
        await server.broker.publish({ topic: "t", payload: Buffer.alloc(50_000) });
        await reader.receive();
        // What waits is counted when a turn ends, and what one turn brings to each of them may be over.
        await new Promise((resolve) => setImmediate(resolve));
        expect(held()).toBeLessThan(2_000_000 + 5 * 65_536);
      }
      expect(held()).toBeGreaterThan(1_500_000);
      expect(server.broker.metrics()["dropped.broker_bytes"]).toBeGreaterThan(0);
      expect(server.broker.metrics()["dropped.qos0"]).toBeGreaterThan(200);
      // Those who catch up get everything again.
      for (const client of behind) {
        client.stream.resume();
        while ((await client.fence()).length > 0);
      }
      expect(held()).toBe(0);
      await server.broker.publish({ topic: "t", payload: "again" });
      for (const client of [reader, ...behind])
        expect(await client.receive()).toMatchObject({ text: "again" });
      dropMemoryClients();
    }));

  test.each(AROUND)("brokerBytes 500,000: a large PUBLISH, %i beyond", (beyond) =>
    limited({ brokerBytes: 500_000 }, async (server) => {
      const client = await server.connect(version);
      const head = client.wire.publish("t", Buffer.alloc(400_000), { qos: 1, id: 1 }).length - 400_000;
      client.send(client.wire.publish("t", Buffer.alloc(500_000 - head + beyond), { qos: 1, id: 1 }));
      if (beyond > 0) await client.expectEnd(0x97);
      else await client.next("puback");
      await server.counted("brokerBytes", beyond > 0 ? 1 : 0);
    }),
  );

  test("the defaults keep 1,000 messages of 1 KiB for each of 20 sessions that are away", () =>
    limited({}, async (server) => {
      const back: (() => Promise<RawClient>)[] = [];
      for (let i = 0; i < 20; i++) back.push(await away(server));
      await Promise.all(
        Array.from({ length: 1_000 }, () =>
          server.broker.publish({ topic: "t", payload: Buffer.alloc(1_024), qos: 1 }),
        ),
      );
      expect(server.broker.metrics()["stored.messages"]).toBe(20_000);
      for (const come of back) expect(await receive(await come())).toBe(1_000);
    }));

  test("slowClientTimeout 1,500: who takes no byte is closed, not earlier, and nobody else", () =>
    limited({ slowClientTimeout: 1_500, outgoingBytes: 4_000_000 }, async (server) => {
      const reader = await server.connect(version);
      const stalled = await server.connect(version, { keepAlive: 0 });
      for (const client of [reader, stalled]) await client.subscribe("t");
      stalled.stream.pause();
      for (let i = 0; i < 400; i++)
        await server.broker.publish({ topic: "t", payload: Buffer.alloc(65_536) });
      const gone = new Promise<void>((resolve) => {
        const stop = server.broker.on("client.disconnected", () => {
          stop();
          resolve();
        });
      });
      const elapsed = await timeOf(gone);
      expect(elapsed).toBeGreaterThan(1_000);
      expect(elapsed).toBeLessThan(6_000);
      await server.counted("slowClientTimeout", 1);
      await reader.fence();
    }));
});
