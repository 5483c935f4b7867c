// Packets around and far above the sizes at which something changes inside, whole and in pieces.
import { describe, expect, test } from "vitest";
import { BOTH, unique, useServer, keptSession } from "../../support/server.ts";
import type { Publish } from "../../support/packet.ts";

const server = useServer({ mosquitto: ["max_inflight_messages 0"] });

/** Bytes no shift or swap leaves equal. */
function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let index = 0; index < length; index++) bytes[index] = (index * 31 + (index >> 8) * 7) & 255;
  return bytes;
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test.each([127, 128, 8_192, 16_383, 16_384, 65_520, 65_535, 65_536, 65_537, 131_072, 131_100, 1_048_576])(
    "a payload of %i bytes, QoS 0, 1 and 2, small packets around it",
    async (length) => {
      const topic = unique("big");
      const payload = pattern(length);
      const client = await server.connect(version);
      const other = await server.connect(version === 5 ? 4 : 5);
      await client.subscribe([{ filter: topic, qos: 2 }]);
      await other.subscribe([{ filter: topic, qos: 0 }]);
      const publisher = await server.connect(version);
      for (const qos of [0, 1, 2] as const) {
        publisher.send(
          publisher.wire.publish(topic, "before", { qos: 0 }),
          publisher.wire.publish(topic, payload, { qos, id: 10 + qos }),
          publisher.wire.publish(topic, "after", { qos: 0 }),
        );
        if (qos === 1) await publisher.of("puback", 11);
        if (qos === 2) {
          await publisher.of("pubrec", 12);
          publisher.send(publisher.wire.pubrel(12));
          await publisher.of("pubcomp", 12);
        }
        const got: Publish[] = [];
        for (let index = 0; index < 3; index++) {
          const message = await client.of("publish");
          await client.acknowledge(message);
          got.push(message);
        }
        const big = got.find((message) => message.payload.length === length);
        expect(big?.qos).toBe(qos);
        expect(big?.payload.equals(payload)).toBe(true);
        expect(got.filter((message) => message !== big).map((message) => message.text)).toEqual([
          "before",
          "after",
        ]);
        for (let index = 0; index < 3; index++) {
          const message = await other.next("publish");
          if (message.payload.length === length) expect(message.payload.equals(payload)).toBe(true);
        }
      }
      await client.expectNothing();
    },
    30_000,
  );

  test.each([1_000, 65_535, 65_536])(
    "1 MiB in pieces of %i bytes",
    async (size) => {
      const topic = unique("pieces");
      const payload = pattern(1_048_576);
      const client = await server.connect(version);
      await client.subscribe([{ filter: topic, qos: 1 }]);
      const publisher = await server.connect(version);
      await publisher.sendSplit(
        Buffer.concat([
          publisher.wire.publish(topic, payload, { qos: 1, id: 3 }),
          publisher.wire.publish(topic, "after", { qos: 1, id: 4 }),
        ]),
        size,
      );
      await publisher.of("puback", 3);
      await publisher.of("puback", 4);
      expect((await client.receive()).payload.equals(payload)).toBe(true);
      expect(await client.receive()).toMatchObject({ text: "after" });
    },
    30_000,
  );

  test("packets of all sizes in pieces, those of several clients between each other", async () => {
    const publishers = await Promise.all(
      [1, 2, 3].map(async (number) => {
        const topic = unique(`mixed-${number}`);
        const receiver = await server.connect(version);
        await receiver.subscribe(topic);
        const publisher = await server.connect(version);
        const payloads = [3_000, 4_080, 8_192, 20_000, 57_344, 65_000, 1, 66_000, 4_096].map((length) =>
          Buffer.from(pattern(length).map((byte) => byte ^ number)),
        );
        const bytes = Buffer.concat(payloads.map((payload) => publisher.wire.publish(topic, payload)));
        return { receiver, publisher, payloads, bytes };
      }),
    );
    const longest = Math.max(...publishers.map(({ bytes }) => bytes.length));
    const sizes = [5_000, 1, 57_344, 4_096, 9_001];
    for (let at = 0, piece = 0; at < longest; piece++) {
      const size = sizes[piece % sizes.length];
      for (const { publisher, bytes } of publishers)
        if (at < bytes.length) await publisher.sendSplit(bytes.subarray(at, at + size), size);
      at += size;
    }
    for (const { receiver, payloads } of publishers)
      for (const payload of payloads)
        expect((await receiver.next("publish")).payload.equals(payload)).toBe(true);
  });

  test("big packets one behind the other, to receivers of both versions and one that does not read, stay as they were", async () => {
    const topic = unique("again");
    const receivers = await Promise.all(BOTH.map(([, of]) => server.connect(of)));
    const slow = await server.connect(version);
    for (const receiver of [...receivers, slow]) await receiver.subscribe(topic);
    slow.stream.pause();
    const publisher = await server.connect(version);
    const payloads = [70_000, 300_000, 70_001, 262_144, 120_000, 66_000].map((length, number) =>
      Buffer.from(pattern(length).map((byte) => byte ^ number)),
    );
    for (const payload of payloads) publisher.send(publisher.wire.publish(topic, payload));
    const all = async (receiver: (typeof receivers)[number]): Promise<void> => {
      for (const payload of payloads)
        expect((await receiver.next("publish")).payload.equals(payload)).toBe(true);
    };
    await Promise.all(receivers.map(all));
    slow.stream.resume();
    await all(slow);
  });

  test("a big message is retained, queued and retransmitted", async () => {
    const topic = unique("kept");
    const payload = pattern(300_000);
    const options = keptSession();
    const first = await server.connect(version, options);
    await first.subscribe([{ filter: topic, qos: 1 }]);
    await first.disconnect();
    const publisher = await server.connect(version);
    await publisher.publish(topic, payload, { qos: 1, retain: true });
    const second = await server.connect(version, options);
    const once = await second.next("publish");
    expect(once.payload.equals(payload)).toBe(true);
    second.destroy();
    const third = await server.connect(version, options);
    const again = await third.receive();
    expect(again).toMatchObject({ dup: true, id: once.id });
    expect(again.payload.equals(payload)).toBe(true);
    const late = await server.connect(version);
    await late.subscribe(topic);
    expect((await late.next("publish")).payload.equals(payload)).toBe(true);
  });

  test("a connection lost in the middle of a big packet publishes nothing", async () => {
    const topic = unique("cut");
    const watcher = await server.connect(version);
    await watcher.subscribe(topic);
    const will = { topic, payload: "lost" };
    const client = await server.connect(version, { will });
    const bytes = client.wire.publish(topic, pattern(200_000));
    await client.sendSplit(bytes.subarray(0, 150_000), 50_000);
    client.destroy();
    expect(await watcher.next("publish")).toMatchObject({ text: "lost" });
    await watcher.expectNothing();
  });

  test("other connections are served while a big packet trickles in", async () => {
    const topic = unique("trickle");
    const client = await server.connect(version);
    const bytes = client.wire.publish(topic, pattern(500_000), { qos: 1, id: 1 });
    client.send(bytes.subarray(0, 400_000));
    const other = await server.connect(version);
    await other.subscribe(topic);
    await other.publish(topic, "meanwhile");
    expect(await other.next("publish")).toMatchObject({ text: "meanwhile" });
    client.send(bytes.subarray(400_000));
    await client.of("puback", 1);
    expect((await other.next("publish")).payload.length).toBe(500_000);
  });
});
