// createBroker() as an embedder sees it: publish, subscribe, foreign streams, hooks and events.
import { duplexPair } from "node:stream";
import { describe, expect } from "vitest";
import { eventually, ours, TestServer, unique, useServer } from "../../support/server.ts";
import { RawClient } from "../../support/raw-client.ts";
import type { Version } from "../../support/wire.ts";

const server = useServer();
const text = (payload: Uint8Array): string => Buffer.from(payload).toString();

describe("broker.publish", () => {
  ours("reaches subscribers with QoS, RETAIN and every property", async () => {
    const topic = unique("api");
    const client = await server.connect(5);
    await client.subscribe([{ filter: topic, qos: 2, retainAsPublished: true }]);
    const properties = {
      payloadFormatIndicator: 1 as const,
      messageExpiryInterval: 60,
      contentType: "text/plain",
      responseTopic: "answer",
      correlationData: Buffer.from([1, 2, 3]),
      userProperties: [
        ["a", "1"],
        ["a", "2"],
      ] as [string, string][],
    };
    for (const qos of [0, 1, 2] as const) {
      await server.broker.publish({ topic, payload: "hello", qos, retain: qos === 1, properties });
      expect(await client.receive()).toMatchObject({
        text: "hello",
        qos,
        retain: qos === 1,
        properties: {
          payloadFormatIndicator: 1,
          messageExpiryInterval: 60,
          contentType: "text/plain",
          responseTopic: "answer",
          correlationData: Buffer.from([1, 2, 3]),
          userProperty: [
            ["a", "1"],
            ["a", "2"],
          ],
        },
      });
    }
    const late = await server.connect(4);
    await late.subscribe(topic);
    expect(await late.next("publish")).toMatchObject({ text: "hello", retain: true });
  });

  ours("a resolved promise means that a session that is away has the message", async () => {
    const topic = unique("api");
    const options = { clientId: unique(), clean: false };
    const sleeper = await server.connect(4, options);
    await sleeper.subscribe([{ filter: topic, qos: 1 }]);
    await sleeper.disconnect();
    await server.broker.publish({ topic, payload: Buffer.from("kept"), qos: 1 });
    const awake = await server.connect(4, options);
    expect(await awake.receive()).toMatchObject({ text: "kept", qos: 1 });
  });

  ours.each(["", "a/#", "a/+", "a\0b"])("refuses the topic %j", async (topic) => {
    await expect((async () => server.broker.publish({ topic, payload: "x" }))()).rejects.toThrow();
  });

  ours("big payloads", async () => {
    const topic = unique("api");
    const client = await server.connect(5);
    await client.subscribe([{ filter: topic, qos: 1 }]);
    const payload = Buffer.alloc(1_000_000, 7);
    await server.broker.publish({ topic, payload, qos: 1 });
    expect((await client.receive()).payload.equals(payload)).toBe(true);
  });
});

describe("broker.subscribe", () => {
  ours("gets messages of clients and of the broker, in order, until stopped", async () => {
    const root = unique("api");
    const seen: string[] = [];
    const stop = await server.broker.subscribe(
      `${root}/#`,
      (message) => void seen.push(`${message.topic} ${text(message.payload)} ${message.qos}`),
    );
    const client = await server.connect(5);
    await client.publish(`${root}/a`, "1");
    await client.publish(`${root}/b`, "2", { qos: 1 });
    await client.publish(`${root}/c`, "3", { qos: 2 });
    await server.broker.publish({ topic: `${root}/d`, payload: "4" });
    await eventually(() => seen.length >= 4, "four messages");
    expect(seen.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
      `${root}/a 1`,
      `${root}/b 2`,
      `${root}/c 3`,
      `${root}/d 4`,
    ]);
    await stop();
    await client.publish(`${root}/a`, "5", { qos: 1 });
    await client.fence();
    expect(seen).toHaveLength(4);
  });

  ours("gets properties", async () => {
    const topic = unique("api");
    const seen: unknown[] = [];
    await server.broker.subscribe(topic, (message) => void seen.push(message.properties));
    const client = await server.connect(5);
    await client.publish(topic, "x", { properties: { contentType: "t", userProperty: [["a", "b"]] } });
    await eventually(() => seen.length > 0, "the message");
    expect(seen[0]).toMatchObject({ contentType: "t", userProperties: [["a", "b"]] });
  });

  ours("a listener that throws disturbs nobody", async () => {
    const topic = unique("api");
    await server.broker.subscribe(topic, () => {
      throw new Error("a listener's own fault");
    });
    const client = await server.connect(5);
    await client.subscribe(topic);
    await client.publish(topic, "x", { qos: 1 });
    expect(await client.next("publish")).toMatchObject({ text: "x" });
  });

  ours("a listener may publish: no recursion, and the order is kept", async () => {
    const [from, to] = [unique("api"), unique("api")];
    await server.broker.subscribe(from, (message) => {
      void server.broker.publish({ topic: to, payload: message.payload });
    });
    const client = await server.connect(5);
    await client.subscribe(to);
    client.send(...Array.from({ length: 100 }, (_, index) => client.wire.publish(from, `${index}`)));
    for (let index = 0; index < 100; index++) expect((await client.next("publish")).text).toBe(`${index}`);
  });
});

describe("broker.handle", () => {
  ours.each([4, 5] as Version[])("serves a foreign duplex stream, level %i", async (version) => {
    const [inside, outside] = duplexPair();
    server.broker.handle(inside);
    const client = new RawClient(outside, version);
    await client.connect({ clientId: unique() });
    expect(client.connack.reason).toBe(0);
    const topic = unique("duplex");
    await client.subscribe([{ filter: topic, qos: 1 }]);
    const other = await server.connect(version);
    await other.publish(topic, "in", { qos: 1 });
    expect(await client.receive()).toMatchObject({ text: "in" });
    await other.subscribe(topic);
    await client.publish(topic, "out", { qos: 1 });
    expect(await other.next("publish")).toMatchObject({ text: "out" });
    await client.disconnect();
  });
});

describe("hooks", () => {
  ours("authorizePublish may veto, at once or later, and order is kept meanwhile", async () => {
    const root = unique("hook");
    const asked: string[] = [];
    const watcher = await server.connect(5);
    await watcher.subscribe(`${root}/#`);
    const stop = server.broker.use({
      async authorizePublish({ topic }) {
        if (!topic.startsWith(root)) return true;
        asked.push(topic);
        // The slow answer comes when another client has been served meanwhile.
        if (topic.endsWith("slow")) await watcher.expectNothing();
        return !topic.endsWith("no");
      },
    });
    try {
      const client = await server.connect(5);
      const { wire } = client;
      client.send(
        wire.publish(`${root}/slow`, "1", { qos: 1, id: 1 }),
        wire.publish(`${root}/no`, "2", { qos: 1, id: 2 }),
        wire.publish(`${root}/yes`, "3", { qos: 1, id: 3 }),
        wire.publish(`${root}/no`, "4"),
        wire.pingreq(),
      );
      expect(await client.next("puback")).toMatchObject({ id: 1, reason: 0 });
      expect(await client.next("puback")).toMatchObject({ id: 2, reason: 0x87 });
      expect(await client.next("puback")).toMatchObject({ id: 3, reason: 0 });
      await client.next("pingresp");
      expect(await watcher.next("publish")).toMatchObject({ text: "1" });
      expect(await watcher.next("publish")).toMatchObject({ text: "3" });
      await watcher.expectNothing();
      expect(asked).toEqual([`${root}/slow`, `${root}/no`, `${root}/yes`, `${root}/no`]);
    } finally {
      stop();
    }
  });

  ours("a hook that throws refuses, and the broker lives on", async () => {
    const root = unique("hook");
    const stop = server.broker.use({
      authorizePublish({ topic }) {
        if (topic.startsWith(root)) throw new Error("a hook's own fault");
        return true;
      },
    });
    try {
      const client = await server.connect(5);
      const ack = await client.publish(root, "x", { qos: 1 });
      expect(ack?.reason).toBeGreaterThanOrEqual(0x80);
      expect((await client.publish(unique(), "x", { qos: 1 }))?.reason).toBeLessThan(0x80);
    } finally {
      stop();
    }
  });

  ours("authorizeSubscribe and authenticate may veto", async () => {
    const name = unique("hook");
    const stop = server.broker.use({
      authenticate: ({ request }) => request.username !== name,
      authorizeSubscribe: ({ request }) => (request.filter === name ? { reason: 0x87 } : true),
    });
    try {
      for (const version of [4, 5] as const) {
        const refused = await server.open(version);
        refused.send(refused.wire.connect({ clientId: unique(), username: name, password: "p" }));
        await refused.closed().then((packets) => {
          expect(packets).toMatchObject([{ type: "connack" }]);
          expect((packets[0] as { reason: number }).reason).not.toBe(0);
        });
        const client = await server.connect(version);
        expect((await client.subscribe([name, "fine"])).reasons).toEqual([version === 5 ? 0x87 : 0x80, 0]);
      }
    } finally {
      stop();
    }
  });
});

describe("events", () => {
  ours("client.connected, client.subscribed, client.disconnected, session.ended", async () => {
    const own = new TestServer();
    await own.start();
    const seen: string[] = [];
    const { broker } = own;
    broker.on(
      "client.connected",
      (client) => void seen.push(`connected ${client.clientId} ${client.protocol}`),
    );
    broker.on(
      "client.subscribed",
      (client) => void seen.push(`subscribed ${client.clientId} ${client.filter} ${client.qos}`),
    );
    broker.on(
      "client.unsubscribed",
      (client) => void seen.push(`unsubscribed ${client.clientId} ${client.filter}`),
    );
    broker.on(
      "client.disconnected",
      (client) => void seen.push(`disconnected ${client.clientId} ${client.reason}`),
    );
    broker.on("session.ended", (session) => void seen.push(`ended ${session.clientId}`));
    const client = await own.connect(5, { clientId: "eve" });
    await client.subscribe([{ filter: "a/#", qos: 1 }]);
    await client.unsubscribe("a/#");
    await client.disconnect();
    await eventually(() => seen.length >= 5, "all events");
    expect(seen).toEqual([
      "connected eve 5",
      "subscribed eve a/# 1",
      "unsubscribed eve a/#",
      "disconnected eve 0",
      "ended eve",
    ]);
    await own.stop();
  });
});

describe("close", () => {
  ours("frees the port, and a second call does no harm", async () => {
    const own = new TestServer();
    await own.start();
    const { port, broker } = own;
    await broker.close();
    await broker.close();
    const again = new TestServer({ listeners: [{ port }] });
    await again.start();
    expect(again.port).toBe(port);
    await again.stop();
    await own.stop();
  });

  ours("two brokers in one process share nothing", async () => {
    const [one, two] = [new TestServer(), new TestServer()];
    await one.start();
    await two.start();
    const a = await one.connect(5, { clientId: "same" });
    const b = await two.connect(5, { clientId: "same" });
    await a.subscribe("t");
    await b.publish("t", "x");
    await a.expectNothing();
    await one.stop();
    await two.stop();
  });
});
