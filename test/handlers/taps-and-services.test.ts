// Messages a policy wants to see (tap) or to deal with itself (host): what it gets, in which order, and who is told what.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Identity, Policy, PublishVerdict, ServeResult } from "../../src/access/policy.ts";
import type { PublishedMessage } from "../../src/access/published-message.ts";
import type { Broker } from "../../src/broker.ts";
import { openPolicy } from "../support/policy.ts";
import { BOTH, eventually, TestServer, unique, keptSession } from "../support/server.ts";
import { HeldStore } from "../store/held-store.ts";

type Serve = (message: PublishedMessage, identity: Identity) => ServeResult | PromiseLike<ServeResult>;

let server: TestServer;
let held: HeldStore;
/** What the policy got, in order: "tap TOPIC TEXT" or "serve TOPIC TEXT". */
let seen: string[];
let messages: PublishedMessage[];
let asked: string[];
let serve: Serve;

const text = (message: PublishedMessage): string => Buffer.from(message.payload).toString();

/** Topics say what becomes of them: tap/…, host/…, both/…, deny/…. */
function verdictOf(topic: string): PublishVerdict {
  if (topic.startsWith("deny/")) return { allow: false };
  return {
    allow: true,
    tap: topic.startsWith("tap/"),
    host: topic.startsWith("host/"),
    cacheable: !topic.includes("once"),
  };
}

const policy: Policy = openPolicy({
  override: {
    authorizePublish: (_identity, topic) => {
      asked.push(topic);
      return verdictOf(topic);
    },
    tapped: (_identity, message) => {
      seen.push(`tap ${message.topic} ${text(message)}`);
      messages.push(message);
    },
    serve: (identity, message) => {
      seen.push(`serve ${message.topic} ${text(message)}`);
      messages.push(message);
      return serve(message, identity);
    },
  },
});

beforeEach(async () => {
  seen = [];
  messages = [];
  asked = [];
  serve = () => 0;
  held = new HeldStore();
  server = new TestServer({
    profile: policy,
    sysInterval: 0,
    store: held.store,
    limits: { heldTimeout: 300 },
  });
  await server.start();
});
afterEach(async () => {
  held.release();
  await server.stop();
});
const broker = (): Broker => server.broker;

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const v5 = version === 5;

  test("a tapped message is delivered as usual, and a copy comes in order", async () => {
    const watcher = await server.connect(version);
    await watcher.subscribe([{ filter: "#", qos: 2 }]);
    const client = await server.connect(version, { clientId: unique("tapped") });
    const { wire } = client;
    client.send(
      wire.publish("tap/a", "0"),
      wire.publish("free", "1"),
      wire.publish("tap/a", "2", { qos: 1, id: 1 }),
      wire.publish("tap/b", "3", { qos: 2, id: 2 }),
      wire.publish("tap/a", "4", { retain: true }),
    );
    await client.expectAcknowledgements(["puback", 1], ["pubrec", 2]);
    for (const text of ["0", "1", "2", "3", "4"]) expect(await watcher.receive()).toMatchObject({ text });
    expect(seen).toEqual(["tap tap/a 0", "tap tap/a 2", "tap tap/b 3", "tap tap/a 4"]);
    expect(messages.map(({ qos, retain, level }) => [qos, retain, level])).toEqual([
      [0, false, version],
      [1, false, version],
      [2, false, version],
      [0, true, version],
    ]);
    expect(Date.now() - messages[0].receivedAt).toBeLessThan(10_000);
    // One question per topic: the tap is part of the remembered verdict.
    expect(asked).toEqual(["tap/a", "free", "tap/b"]);
  });

  test("QoS 2 of a kept session is tapped once, whatever its client repeats", async () => {
    const clientId = unique("kept");
    const client = await server.connect(version, keptSession(clientId));
    const { wire } = client;
    client.send(
      wire.publish("tap/2", "0", { qos: 2, id: 7 }),
      wire.publish("tap/2", "0", { qos: 2, id: 7, dup: true }),
    );
    await client.next("pubrec");
    await client.next("pubrec");
    await eventually(() => seen.length > 0, "a tap");
    await client.fence();
    expect(seen).toEqual(["tap tap/2 0"]);
  });

  test("large messages are tapped and served whole", async () => {
    const body = Buffer.alloc(700_000, "x");
    body[699_999] = 0x79;
    const client = await server.connect(version);
    const { wire } = client;
    client.send(
      wire.publish("tap/large", body, { qos: 1, id: 1 }),
      wire.publish("host/large", body, { qos: 1, id: 2 }),
      wire.publish("host/small", "s", { qos: 1, id: 3 }),
    );
    for (const id of [1, 2, 3]) expect(await client.next("puback")).toMatchObject({ id });
    expect(seen.map((line) => line.split(" ", 2).join(" "))).toEqual([
      "tap tap/large",
      "serve host/large",
      "serve host/small",
    ]);
    for (const message of messages.slice(0, 2))
      expect(Buffer.compare(Buffer.from(message.payload), body)).toBe(0);
  });

  test("a served message reaches nobody; what is served says how it is acknowledged", async () => {
    const watcher = await server.connect(version);
    await watcher.subscribe([{ filter: "#", qos: 2 }]);
    serve = (message) => (text(message) === "bad" ? 0x97 : undefined);
    const client = await server.connect(version);
    const { wire } = client;
    client.send(
      wire.publish("host/a", "0"),
      wire.publish("host/a", "1", { qos: 1, id: 1 }),
      wire.publish("host/a", "bad", { qos: 1, id: 2 }),
      wire.publish("host/a", "3", { qos: 2, id: 3 }),
      wire.publish("host/a", "3", { qos: 2, id: 3, dup: true }),
      wire.publish("host/a", "bad", { qos: 2, id: 4 }),
      wire.publish("free", "end"),
    );
    expect(await client.next("puback")).toMatchObject({ id: 1, reason: 0 });
    expect(await client.next("puback")).toMatchObject({ id: 2, reason: v5 ? 0x97 : 0 });
    expect(await client.next("pubrec")).toMatchObject({ id: 3, reason: 0 });
    expect(await client.next("pubrec")).toMatchObject({ id: 3, reason: 0 });
    expect(await client.next("pubrec")).toMatchObject({ id: 4, reason: v5 ? 0x97 : 0 });
    client.send(wire.pubrel(3));
    expect(await client.next("pubcomp")).toMatchObject({ id: 3, reason: 0 });
    if (!v5) {
      client.send(wire.pubrel(4));
      expect(await client.next("pubcomp")).toMatchObject({ id: 4 });
    }
    expect(await watcher.receive()).toMatchObject({ text: "end" });
    expect(seen.map((line) => line.split(" ")[2])).toEqual(["0", "1", "bad", "3", "bad"]);
  });

  test("while a service thinks nothing behind is processed; then everything, in order", async () => {
    const watcher = await server.connect(version);
    await watcher.subscribe([{ filter: "#", qos: 2 }]);
    let finish: ((reason: number) => void) | undefined;
    serve = (message) =>
      text(message) === "slow"
        ? new Promise((resolve) => {
            finish = resolve;
          })
        : 0;
    const client = await server.connect(version);
    const { wire } = client;
    client.send(
      wire.publish("tap/x", "0", { qos: 1, id: 1 }),
      wire.publish("host/x", "slow", { qos: 1, id: 2 }),
      wire.publish("tap/x", "1", { qos: 1, id: 3 }),
      wire.publish("host/x", "fast", { qos: 1, id: 4 }),
      wire.pingreq(),
    );
    expect(await client.next("puback")).toMatchObject({ id: 1 });
    await eventually(() => finish !== undefined, "the service is asked");
    expect(await watcher.receive()).toMatchObject({ text: "0" });
    await watcher.expectNothing();
    expect(client.pending()).toEqual([]);
    expect(seen).toEqual(["tap tap/x 0", "serve host/x slow"]);
    finish?.(0);
    await client.expectAcknowledgements(["puback", 2], ["puback", 3], ["puback", 4]);
    await client.next("pingresp");
    expect(seen.slice(2)).toEqual(["tap tap/x 1", "serve host/x fast"]);
  });

  test.each<[string, Serve]>([
    [
      "throws",
      () => {
        throw new Error("the service's own bug");
      },
    ],
    ["rejects", () => Promise.reject(new Error("the service's own bug"))],
    ["answers nonsense", () => 7],
    [
      "answers a thenable that fails",
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about
      () => ({ then: (_ok: unknown, fail: (error: Error) => void) => fail(new Error("no")) }) as never,
    ],
    ["never answers", () => new Promise(() => {})],
  ])("a service that %s refuses that message only", async (how, service) => {
    serve = (message, identity) => (text(message) === "bad" ? service(message, identity) : 0);
    const client = await server.connect(version);
    const { wire } = client;
    client.send(
      wire.publish("host/a", "bad", { qos: 1, id: 1 }),
      wire.publish("host/a", "bad", { qos: 2, id: 2 }),
      wire.publish("host/a", "good", { qos: 1, id: 3 }),
    );
    if (v5) {
      expect(await client.next("puback")).toMatchObject({ id: 1, reason: 0x80 });
      expect(await client.next("pubrec")).toMatchObject({ id: 2, reason: 0x80 });
    }
    // Before 5.0 what is not acknowledged is sent again.
    expect(await client.next("puback")).toMatchObject({ id: 3, reason: 0 });
    const metrics = broker().metrics();
    expect(how === "never answers" ? metrics["closed.held"] : metrics["errors.hook"]).toBe(2);
  });

  test("a service publishes its answer from within, and the client gets it", async () => {
    serve = async (message, identity) => {
      await broker().publish({ topic: `answers/${identity.clientId}`, payload: message.payload, qos: 1 });
      return 0;
    };
    const client = await server.connect(version);
    await client.subscribe([{ filter: "answers/+", qos: 1 }]);
    client.send(client.wire.publish("host/ask", "ping", { qos: 1, id: 9 }));
    expect(await client.of("publish")).toMatchObject({ text: "ping", qos: 1 });
    expect(await client.of("puback")).toMatchObject({ id: 9, reason: 0 });
  });

  test("acknowledgements keep their order behind one that waits for the store", async () => {
    const kept = await server.connect(version, keptSession());
    await kept.subscribe([{ filter: "free", qos: 1 }]);
    held.hold();
    const client = await server.connect(version);
    const { wire } = client;
    client.send(
      wire.publish("free", "stored", { qos: 1, id: 1 }),
      wire.publish("host/a", "served", { qos: 1, id: 2 }),
    );
    await eventually(() => seen.length === 1, "served");
    await held.commits(1);
    expect(await client.fence()).toEqual([]);
    held.release();
    expect(await client.next("puback")).toMatchObject({ id: 1 });
    expect(await client.next("puback")).toMatchObject({ id: 2 });
  });

  test("QoS 2 of a kept session is served once, and acknowledged when its identifier is safe", async () => {
    const session = keptSession();
    const first = await server.connect(version, session);
    held.hold();
    first.send(first.wire.publish("host/2", "once", { qos: 2, id: 5 }));
    await eventually(() => seen.length === 1, "served");
    await held.commits(1);
    expect(await first.fence()).toEqual([]);
    held.release();
    expect(await first.next("pubrec")).toMatchObject({ id: 5, reason: 0 });
    first.stream.destroy();
    await eventually(() => broker().metrics()["clients.connected"] === 0, "the client is gone");
    const second = await server.connect(version, session);
    second.send(second.wire.publish("host/2", "once", { qos: 2, id: 5, dup: true }));
    expect(await second.next("pubrec")).toMatchObject({ id: 5, reason: 0 });
    second.send(second.wire.pubrel(5));
    expect(await second.next("pubcomp")).toMatchObject({ id: 5, reason: 0 });
    expect(seen).toEqual(["serve host/2 once"]);
  });

  test("served while its client went away: not a second time", async () => {
    const session = keptSession();
    let finish: ((reason: number) => void) | undefined;
    serve = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const first = await server.connect(version, session);
    first.send(first.wire.publish("host/2", "x", { qos: 2, id: 5 }));
    await eventually(() => finish !== undefined, "asked");
    first.stream.destroy();
    await eventually(() => broker().metrics()["clients.connected"] === 0, "the client is gone");
    finish?.(0);
    const second = await server.connect(version, session);
    second.send(second.wire.publish("host/2", "x", { qos: 2, id: 5, dup: true }));
    expect(await second.next("pubrec")).toMatchObject({ id: 5, reason: 0 });
    expect(seen).toEqual(["serve host/2 x"]);
  });

  test.each(["tap/will", "host/will"])("a Will on %s takes the same way", async (topic) => {
    const watcher = await server.connect(version);
    await watcher.subscribe("#");
    const client = await server.connect(version, { will: { topic, payload: "gone" } });
    client.stream.destroy();
    await eventually(() => seen.length > 0, "the Will");
    expect(seen).toEqual([`${topic.startsWith("tap") ? "tap" : "serve"} ${topic} gone`]);
    const packets = await watcher.fence();
    expect(packets.length).toBe(topic.startsWith("tap") ? 1 : 0);
  });

  test("a refused message is neither tapped nor served", async () => {
    const client = await server.connect(version);
    client.send(client.wire.publish("deny/a", "0", { qos: 1, id: 1 }));
    expect(await client.next("puback")).toMatchObject({ reason: v5 ? 0x87 : 0 });
    expect(seen).toEqual([]);
  });
});

test("a tapped function that throws is counted; delivery goes on", async () => {
  const failing = openPolicy({
    override: {
      authorizePublish: () => ({ allow: true, tap: true }),
      tapped: () => {
        throw new Error("the tap's own bug");
      },
    },
  });
  await server.stop();
  server = new TestServer({ profile: failing, sysInterval: 0 });
  await server.start();
  const client = await server.connect(5);
  await client.subscribe("a");
  client.send(client.wire.publish("a", "0"), client.wire.publish("a", "1"));
  expect(await client.receive()).toMatchObject({ text: "0" });
  expect(await client.receive()).toMatchObject({ text: "1" });
  await client.fence();
  expect(broker().metrics()["errors.hook"]).toBe(2);
});

test("every 5.0 property comes through, raw and in order, but the alias", async () => {
  const client = await server.connect(5);
  const properties = {
    topicAlias: 3,
    payloadFormatIndicator: 1,
    messageExpiryInterval: 77,
    contentType: "text/plain",
    responseTopic: "answer/here",
    correlationData: Buffer.from([0, 255, 10, 0]),
    userProperty: [
      ["b", "1"],
      ["a", "2"],
      ["b", "3"],
      ["__proto__", "x"],
    ] as [string, string][],
  };
  for (const topic of ["tap/p", "host/p"]) {
    client.send(client.wire.publish(topic, "p", { properties }));
    client.send(client.wire.publish("", "q", { properties: { topicAlias: 3 } }));
  }
  await client.fence();
  expect(seen).toEqual(["tap tap/p p", "tap tap/p q", "serve host/p p", "serve host/p q"]);
  for (const message of [messages[0], messages[2]]) {
    const { correlationData, ...rest } = message.properties ?? {};
    expect([...(correlationData ?? [])]).toEqual([0, 255, 10, 0]);
    expect(rest).toEqual({
      payloadFormatIndicator: 1,
      messageExpiryInterval: 77,
      contentType: "text/plain",
      responseTopic: "answer/here",
      userProperties: properties.userProperty,
    });
  }
  expect(messages[1].properties).toBeUndefined();
});

test("a verdict of host without serve() refuses, and is counted", async () => {
  await server.stop();
  const deaf = openPolicy({ override: { authorizePublish: () => ({ allow: true, host: true }) } });
  server = new TestServer({ profile: deaf, sysInterval: 0 });
  await server.start();
  const client = await server.connect(5);
  await client.subscribe("#");
  client.send(client.wire.publish("a", "0", { qos: 1, id: 1 }));
  expect(await client.next("puback")).toMatchObject({ reason: 0x80 });
  expect(broker().metrics()["errors.hook"]).toBe(1);
});
