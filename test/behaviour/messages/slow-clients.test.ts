// A client that does not read costs the others nothing, loses QoS 0 beyond its budget, and is closed in the end.
import { describe, expect } from "vitest";
import { BOTH, eventually, ours, TestServer, unique } from "../../support/server.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { timePasses } from "../../support/time.ts";

/** Publishes until `done`: 64 KiB messages fill the kernel's buffers soon. */
async function flood(publisher: RawClient, topic: string, messages: number, payload: Buffer): Promise<void> {
  for (let index = 0; index < messages; index++) {
    publisher.send(publisher.wire.publish(topic, payload));
    if (index % 8 === 7) await publisher.fence();
  }
  await publisher.fence();
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  ours(
    "one stalled subscriber among 200 does not delay the others, and QoS 0 is dropped for it alone",
    async () => {
      const server = new TestServer({ limits: { outgoingBytes: 262_144 } });
      await server.start();
      const root = unique("stall");
      const members = await Promise.all(Array.from({ length: 200 }, () => server.connect(version)));
      const [stalled, ...others] = members;
      await stalled.subscribe(`${root}/#`);
      await Promise.all(others.map((other) => other.subscribe(`${root}/all`)));
      const publisher = await server.connect(version);
      const payload = Buffer.alloc(256, 1);
      const messages = 200;
      const round = async (): Promise<number> => {
        const start = performance.now();
        publisher.send(
          ...Array.from({ length: messages }, () => publisher.wire.publish(`${root}/all`, payload)),
        );
        await Promise.all(
          others.map(async (other) => {
            for (let index = 0; index < messages; index++) await other.next("publish");
          }),
        );
        return performance.now() - start;
      };
      const fast = Math.min(await round(), await round(), await round());
      await stalled.fence();
      stalled.stream.pause();
      // More than the kernel holds and the budget allows: from here on nothing more can be given to it.
      const flooded = 800;
      await flood(publisher, `${root}/alone`, flooded, Buffer.alloc(32_768, 2));
      const slow = Math.min(await round(), await round(), await round());
      stalled.stream.resume();
      const got = (await stalled.fence()).length;
      expect(got).toBeGreaterThan(0);
      expect(got).toBeLessThan(flooded);
      // It is served again.
      await publisher.publish(`${root}/alone`, "again");
      expect(await stalled.next("publish")).toMatchObject({ text: "again" });
      // Loose, because other tests share the machine; waiting for the stalled client would take for ever.
      expect(slow).toBeLessThan(fast * 3 + 200);
      await server.stop();
    },
    60_000,
  );

  ours(
    "QoS 1 beyond the budget is queued, not lost",
    async () => {
      const server = new TestServer({ limits: { outgoingBytes: 131_072 } });
      await server.start();
      const topic = unique("queue");
      const client = await server.connect(version);
      await client.subscribe([{ filter: topic, qos: 1 }]);
      client.stream.pause();
      const publisher = await server.connect(version);
      const count = 400;
      const payload = Buffer.alloc(32_768, 2);
      for (let index = 0; index < count; index++) {
        payload.writeUInt32BE(index);
        await publisher.publish(topic, payload, { qos: 1 });
      }
      client.stream.resume();
      for (let index = 0; index < count; index++)
        expect((await client.receive()).payload.readUInt32BE()).toBe(index);
      await client.expectNothing();
      await server.stop();
    },
    60_000,
  );

  ours(
    "a client that takes no byte for slowClientTimeout is closed; its Will says so",
    async () => {
      const server = new TestServer({ limits: { slowClientTimeout: 500, outgoingBytes: 262_144 } });
      await server.start();
      const topic = unique("slow");
      const watcher = await server.connect(version);
      await watcher.subscribe("wills/slow");
      const client = await server.connect(version, {
        keepAlive: 0,
        will: { topic: "wills/slow", payload: "closed" },
      });
      await client.subscribe(topic);
      client.stream.pause();
      const publisher = await server.connect(version);
      await flood(publisher, topic, 400, Buffer.alloc(32_768, 3));
      expect(await watcher.next("publish")).toMatchObject({ text: "closed" });
      client.stream.resume();
      await client.closed().catch(() => undefined);
      await eventually(
        () => client.stream.destroyed || client.stream.readableEnded,
        "the connection is gone",
      );
      await server.stop();
    },
    30_000,
  );

  ours(
    "a client that reads slowly but steadily stays",
    async () => {
      const server = new TestServer({ limits: { slowClientTimeout: 500, outgoingBytes: 1_048_576 } });
      await server.start();
      const topic = unique("steady");
      const client = await server.connect(version);
      await client.subscribe(topic);
      client.stream.pause();
      const publisher = await server.connect(version);
      await flood(publisher, topic, 400, Buffer.alloc(32_768, 3));
      for (let turn = 0; turn < 12; turn++) {
        // Slower than the sender, and never as long as slowClientTimeout without a byte.
        await timePasses(100);
        client.stream.resume();
        await new Promise((resolve) => client.stream.once("data", resolve));
        client.stream.pause();
      }
      client.stream.resume();
      await client.fence();
      await server.stop();
    },
    30_000,
  );
});
