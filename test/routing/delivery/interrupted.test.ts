// A fan-out too large for its slice of time is interrupted. What arrives meanwhile waits, and is then taken as if it had
// come afterwards: questions, large packets and control packets included.
import { duplexPair } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RawClient } from "../../support/raw-client.ts";
import { TestServer, unique } from "../../support/server.ts";
import { connectInMemory, dropMemoryClients, openInMemory } from "../memory-client.ts";

const RECEIVERS = 60;
let server: TestServer;
let receivers: RawClient[];
let publisher: RawClient;

beforeEach(async () => {
  server = new TestServer({ sysInterval: 0 });
  await server.start();
  receivers = [];
  for (let i = 0; i < RECEIVERS; i++) {
    const client = await connectInMemory(server.broker, 4);
    await client.subscribe([{ filter: "wide", qos: 1 }]);
    receivers.push(client);
  }
  publisher = await connectInMemory(server.broker, 5);
});
afterEach(async () => {
  vi.restoreAllMocks();
  dropMemoryClients();
  await server.stop();
});

/** Begins a fan-out of more than the arenas hold, each stop of which is over its time. */
function interrupt(id = 1): void {
  let clock = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    clock += 100;
    return clock;
  });
  publisher.send(publisher.wire.publish("wide", Buffer.alloc(60_000, id), { qos: 1, id }));
}

/** The fan-out came to its end for everybody, once. */
async function expectFanout(id = 1): Promise<void> {
  expect(await publisher.of("puback", id)).toMatchObject({ id });
  for (const client of receivers) {
    const message = await client.receive();
    expect(message.payload.length).toBe(60_000);
    expect(message.payload[59_999]).toBe(id);
  }
}

test("the interruption is real: the sender's acknowledgement comes in a later turn", async () => {
  interrupt();
  await Promise.resolve();
  expect(publisher.pending()).toEqual([]);
  await expectFanout();
  for (const client of receivers) await client.expectNothing();
});

test("two chunks of a client whose first one raises a question", async () => {
  const asked: string[] = [];
  let answer = (): void => undefined;
  const client = await connectInMemory(server.broker, 5);
  const watcher = await connectInMemory(server.broker, 5);
  await watcher.subscribe([{ filter: "q/#", qos: 1 }]);
  server.broker.use({
    authorizePublish: ({ topic, identity }) => {
      if (!topic.startsWith("q/")) return undefined;
      asked.push(`${topic} of ${identity.clientId === client.connack.properties.assignedClientIdentifier}`);
      if (topic !== "q/1") return undefined;
      return new Promise((resolve) => {
        answer = () => resolve(undefined);
      });
    },
  });
  interrupt();
  const { wire } = client;
  client.send(wire.publish("q/1", "1", { qos: 1, id: 1 }), wire.publish("q/2", "2", { qos: 1, id: 2 }));
  client.send(wire.publish("q/3", "3", { qos: 1, id: 3 }));
  client.send(wire.publish("q/4", "4", { qos: 1, id: 4 }).subarray(0, 5));
  await expectFanout();
  await watcher.expectNothing();
  expect(asked).toHaveLength(1);
  answer();
  client.send(wire.publish("q/4", "4", { qos: 1, id: 4 }).subarray(5));
  for (let id = 1; id <= 4; id++) {
    expect(await client.next("puback")).toMatchObject({ id });
    expect(await watcher.receive()).toMatchObject({ text: `${id}` });
  }
  expect(asked).toHaveLength(4);
  await watcher.expectNothing();
});

describe.each([100_000, 300_000])("a PUBLISH of %i bytes", (size) => {
  test("in chunks that all arrive meanwhile", async () => {
    const client = await connectInMemory(server.broker, 4);
    const watcher = await connectInMemory(server.broker, 4);
    await watcher.subscribe([{ filter: "large", qos: 1 }]);
    const payload = Buffer.alloc(size, 7);
    const bytes = Buffer.concat([
      client.wire.publish("large", "before", { qos: 1, id: 1 }),
      client.wire.publish("large", payload, { qos: 1, id: 2 }),
      client.wire.publish("large", "behind", { qos: 1, id: 3 }),
    ]);
    interrupt();
    for (let at = 0; at < bytes.length; at += 10_000) client.send(bytes.subarray(at, at + 10_000));
    await expectFanout();
    for (let id = 1; id <= 3; id++) expect(await client.next("puback")).toMatchObject({ id });
    expect(await watcher.receive()).toMatchObject({ text: "before" });
    expect((await watcher.receive()).payload.equals(payload)).toBe(true);
    expect(await watcher.receive()).toMatchObject({ text: "behind" });
    await watcher.expectNothing();
  });
});

test("a client that connects meanwhile, and goes on", async () => {
  const client = openInMemory(server.broker, 4);
  const { wire } = client;
  interrupt();
  client.send(wire.connect({ clientId: unique() }).subarray(0, 9));
  client.send(wire.connect({ clientId: unique() }).subarray(9));
  client.send(wire.subscribe(1, "wide"), wire.publish("own", "x", { qos: 1, id: 1 }));
  client.send(wire.subscribe(2, "own"));
  client.send(wire.publish("own", "y", { qos: 1, id: 2 }));
  await expectFanout();
  expect(await client.next("connack")).toMatchObject({ reason: 0 });
  expect(await client.next("suback")).toMatchObject({ id: 1 });
  expect(await client.next("puback")).toMatchObject({ id: 1 });
  expect(await client.next("suback")).toMatchObject({ id: 2 });
  expect(await client.next("publish")).toMatchObject({ text: "y" });
  expect(await client.next("puback")).toMatchObject({ id: 2 });
});

test("clients that go away, and publishes of the server, meanwhile", async () => {
  const leaving = await connectInMemory(server.broker, 4, {
    will: { topic: "wide", payload: "will", qos: 1 },
  });
  interrupt();
  leaving.stream.end();
  const [gone] = receivers.splice(5, 1);
  gone.stream.end();
  const published = server.broker.publish({ topic: "wide", payload: "server", qos: 1 });
  await expectFanout();
  await published;
  for (const client of receivers) {
    const texts = [(await client.receive()).text, (await client.receive()).text];
    expect(texts.sort()).toEqual(["server", "will"]);
    await client.expectNothing();
  }
});

test("an alias of a receiver is not given to a topic that is only looked at meanwhile", async () => {
  const aliased: RawClient[] = [];
  for (let i = 0; i < 40; i++) {
    const client = await connectInMemory(server.broker, 5, { properties: { topicAliasMaximum: 5 } });
    await client.subscribe(["wide/open", "other/topic"]);
    aliased.push(client);
  }
  let clock = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    clock += 100;
    return clock;
  });
  publisher.send(publisher.wire.publish("wide/open", Buffer.alloc(60_000, 1)));
  const published = server.broker.publish({ topic: "other/topic", payload: "o" });
  const subscribed = server.broker.subscribe("looked/at/#", () => undefined);
  await Promise.all([published, subscribed]);
  publisher.send(publisher.wire.publish("other/topic", "p"));
  for (const client of aliased) {
    const names = new Map<number, string>();
    const topics: (string | undefined)[] = [];
    for (let i = 0; i < 3; i++) {
      const { topic, properties } = await client.next("publish");
      const alias = properties.topicAlias ?? 0;
      if (topic !== "") names.set(alias, topic);
      topics.push(topic === "" ? names.get(alias) : topic);
    }
    expect(topics).toEqual(["wide/open", "other/topic", "other/topic"]);
  }
});

test("a client with a chunk in the queue is not read", async () => {
  const [near, far] = duplexPair();
  server.broker.handle(far);
  const client = new RawClient(near, 4);
  await client.connect({ clientId: unique() });
  interrupt();
  client.send(client.wire.publish("x", "1", { qos: 1, id: 1 }));
  expect(far.isPaused()).toBe(true);
  await expectFanout();
  expect(await client.next("puback")).toMatchObject({ id: 1 });
  expect(far.isPaused()).toBe(false);
  near.end();
});

test("a kept session among the first receivers: the sender is acknowledged though the commit ended meanwhile", async () => {
  dropMemoryClients();
  receivers = [
    await connectInMemory(server.broker, 5, { clean: false, properties: { sessionExpiryInterval: 100 } }),
  ];
  for (let i = 1; i < RECEIVERS; i++) receivers.push(await connectInMemory(server.broker, 4));
  for (const client of receivers) await client.subscribe([{ filter: "wide", qos: 1 }]);
  publisher = await connectInMemory(server.broker, 5);
  interrupt(9);
  await expectFanout(9);
});
