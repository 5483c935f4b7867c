// The core traps in the middle of its work: for everybody but the client whose input did it, nothing has happened.
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Logger } from "../../src/options.ts";
import { Router } from "../../src/routing/delivery/router.ts";
import { useHeldServer } from "../store/held-store.ts";
import type { RawClient } from "../support/raw-client.ts";
import { BOTH, eventually, keptSession } from "../support/server.ts";
import type { Version } from "../support/wire.ts";
import { ACKNOWLEDGEMENTS, commitUnderWay } from "./commit-under-way.ts";
import { trapNext } from "./trap.ts";

const errors: { fields: Record<string, unknown>; message: string }[] = [];
const logger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error: (fields, message) => errors.push({ fields: fields as Record<string, unknown>, message }),
};
const { held, server } = useHeldServer({ logger });
afterEach(() => {
  vi.restoreAllMocks();
  errors.length = 0;
});

async function trapByOffender(version: Version = 4): Promise<void> {
  const offender = await server.connect(version);
  trapNext("route");
  offender.send(offender.wire.publish("offence", "the bytes that did it"));
  await offender.closed();
  expect(server.broker.metrics()["errors.trap"]).toBe(1);
}

test("the offender is closed, its bytes are logged, and the broker goes on", async () => {
  const other = await server.connect(4);
  await other.subscribe("t");
  await trapByOffender();
  const logged = errors.find((one) => typeof one.fields["input"] === "string");
  expect(Buffer.from(logged?.fields["input"] as string, "base64").toString("latin1")).toContain("offence");
  expect(await other.publish("t", "on", { qos: 1 })).toMatchObject({ reason: 0 });
  expect(await other.next("publish")).toMatchObject({ text: "on" });
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("subscriptions of every kind, wildcards, shared groups, in-process subscribers", async () => {
    const local: string[] = [];
    const stop = await server.broker.subscribe("t/#", (message) => local.push(message.topic));
    const plain = await server.connect(version);
    await plain.subscribe([
      { filter: "t/+", qos: 1 },
      { filter: "other", qos: 2 },
    ]);
    const away = keptSession();
    const offline = await server.connect(version, away);
    await offline.subscribe([{ filter: "t/#", qos: 1 }]);
    await offline.disconnect();
    const members = [await server.connect(version), await server.connect(version)];
    for (const member of members) await member.subscribe([{ filter: "$share/g/t/1", qos: 0 }]);
    await trapByOffender(version);
    const publisher = await server.connect(version);
    await publisher.publish("t/1", "a", { qos: 1 });
    await publisher.publish("other", "b", { qos: 2 });
    expect(await plain.receive()).toMatchObject({ topic: "t/1", qos: 1 });
    expect(await plain.receive()).toMatchObject({ topic: "other", qos: 2 });
    const shared = [...(await members[0].fence()), ...(await members[1].fence())];
    expect(shared).toHaveLength(1);
    await eventually(() => local.length === 1, "the in-process subscriber has it");
    stop();
    const back = await server.connect(version, away);
    expect(await back.receive()).toMatchObject({ topic: "t/1" });
    await plain.unsubscribe("t/+");
    await publisher.publish("t/1", "c");
    await plain.expectNothing();
  });

  test("messages in flight of others, both ways, QoS 1 and 2, kept sessions and not", async () => {
    const subscribers: RawClient[] = [];
    for (const options of [{}, keptSession()]) {
      const client = await server.connect(version, options);
      await client.subscribe([{ filter: "t", qos: 2 }]);
      subscribers.push(client);
    }
    const publisher = await server.connect(version);
    await publisher.publish("t", "one", { qos: 1 });
    await publisher.publish("t", "two", { qos: 2 });
    await publisher.publish("t", "three", { qos: 2 });
    publisher.send(publisher.wire.publish("u", "held", { qos: 2, id: 900 }));
    await publisher.next("pubrec");
    const messages = [];
    for (const client of subscribers) {
      const [one, two, three] = [
        await client.next("publish"),
        await client.next("publish"),
        await client.next("publish"),
      ];
      client.send(client.wire.pubrec(three.id));
      await client.of("pubrel", three.id);
      messages.push([one, two, three]);
    }
    await trapByOffender(version);
    for (const [i, client] of subscribers.entries()) {
      const [one, two, three] = messages[i];
      client.send(client.wire.puback(one.id), client.wire.pubrec(two.id), client.wire.pubcomp(three.id));
      expect(await client.next("pubrel")).toMatchObject({ id: two.id });
      client.send(client.wire.pubcomp(two.id));
      await client.expectNothing();
    }
    publisher.send(publisher.wire.publish("u", "held", { qos: 2, id: 900, dup: true }));
    expect(await publisher.next("pubrec")).toMatchObject({ id: 900 });
    publisher.send(publisher.wire.pubrel(900));
    expect(await publisher.next("pubcomp")).toMatchObject({ id: 900, reason: 0 });
    await publisher.publish("t", "after", { qos: 2 });
    for (const client of subscribers) {
      expect(await client.receive()).toMatchObject({ text: "after", dup: false });
      await client.fence();
    }
    expect(server.broker.metrics()["stored.bytes"]).toBe(0);
  });

  test("a QoS 2 exchange of a kept session whose message the core trapped over comes to its end", async () => {
    const receiver = await server.connect(version);
    await receiver.subscribe([{ filter: "t", qos: 2 }]);
    const publisher = await server.connect(version, keptSession());
    trapNext("injectSlice");
    publisher.send(publisher.wire.publish("t", "trapping", { qos: 2, id: 7 }));
    await publisher.of("pubrec", 7);
    publisher.send(publisher.wire.pubrel(7));
    await publisher.of("pubcomp", 7);
    expect(server.broker.metrics()["errors.trap"]).toBe(1);
    // The identifier is free again.
    publisher.send(publisher.wire.publish("t", "next", { qos: 2, id: 7 }));
    expect(await receiver.receive()).toMatchObject({ text: "next" });
    await publisher.of("pubrec", 7);
    publisher.send(publisher.wire.pubrel(7));
    await publisher.of("pubcomp", 7);
  });

  test("retained messages, Wills, queued messages of those who are away", async () => {
    const away = keptSession();
    const offline = await server.connect(version, away);
    await offline.subscribe([{ filter: "t", qos: 1 }]);
    await offline.disconnect();
    const publisher = await server.connect(version);
    await publisher.publish("retained", "r", { qos: 1, retain: true });
    for (const text of ["1", "2", "3"]) await publisher.publish("t", text, { qos: 1 });
    const dying = await server.connect(version, { will: { topic: "will", payload: "w" } });
    await trapByOffender(version);
    const watcher = await server.connect(version);
    await watcher.subscribe(["retained", "will"]);
    expect(await watcher.next("publish")).toMatchObject({ text: "r", retain: true });
    dying.destroy();
    expect(await watcher.next("publish")).toMatchObject({ text: "w" });
    await publisher.publish("t", "4", { qos: 1 });
    const back = await server.connect(version, away);
    for (const text of ["1", "2", "3", "4"]) expect(await back.receive()).toMatchObject({ text });
  });

  test("acknowledgements that wait for their commit", async () => {
    const offender = await server.connect(version);
    const { publisher, commit } = await commitUnderWay({ held, server }, version);
    trapNext("route");
    offender.send(offender.wire.pingreq());
    await offender.closed();
    await publisher.expectNothing();
    commit.succeed();
    await publisher.expectAcknowledgements(...ACKNOWLEDGEMENTS);
  });

  test("a client held by a question is answered by the new core", async () => {
    let answer = (): void => undefined;
    server.broker.use({
      authorizePublish: ({ topic }) =>
        topic === "slow"
          ? new Promise((resolve) => {
              answer = () => resolve(true);
            })
          : undefined,
    });
    const watcher = await server.connect(version);
    await watcher.subscribe("#");
    const client = await server.connect(version);
    client.send(client.wire.publish("slow", "1"), client.wire.publish("fast", "2"));
    await watcher.expectNothing();
    await trapByOffender(version);
    answer();
    expect(await watcher.next("publish")).toMatchObject({ topic: "slow" });
    expect(await watcher.next("publish")).toMatchObject({ topic: "fast" });
  });

  test("the offender's own session: what it was owed waits for it, its Will is sent", async () => {
    const options = { ...keptSession(), will: { topic: "will", payload: "of the offender" } };
    const offender = await server.connect(version, options);
    await offender.subscribe([{ filter: "t", qos: 1 }]);
    await server.broker.publish({ topic: "t", payload: "in flight", qos: 1 });
    await offender.next("publish");
    const watcher = await server.connect(version);
    await watcher.subscribe("will");
    trapNext("route");
    offender.send(offender.wire.publish("x", ""));
    await offender.closed();
    expect(await watcher.next("publish")).toMatchObject({ text: "of the offender" });
    const again = await server.connect(version, options);
    if (version !== 3) expect(again.connack.sessionPresent).toBe(true);
    expect(await again.receive()).toMatchObject({ text: "in flight", dup: true });
    await server.broker.publish({ topic: "t", payload: "later", qos: 1 });
    expect(await again.receive()).toMatchObject({ text: "later" });
  });
});

test("aliases of clients stay what they were; the broker's own are not used any more", async () => {
  const client = await server.connect(5, { properties: { topicAliasMaximum: 5 } });
  await client.subscribe("long/topic/name");
  const { wire } = client;
  client.send(wire.publish("long/topic/name", "1", { properties: { topicAlias: 3 } }));
  expect(await client.next("publish")).toMatchObject({ topic: "long/topic/name", text: "1" });
  await trapByOffender(5);
  client.send(wire.publish("", "2", { properties: { topicAlias: 3 } }));
  expect(await client.next("publish")).toMatchObject({ topic: "long/topic/name", text: "2" });
});

test("counters go on counting", async () => {
  const client = await server.connect(4);
  await client.subscribe("t");
  for (let i = 0; i < 5; i++) await client.publish("t", "x");
  const before = server.broker.metrics();
  await trapByOffender();
  const after = server.broker.metrics();
  for (const name of ["publish.received", "publish.sent", "subscriptions.count", "core.filters"])
    expect(after[name], name).toBe(before[name]);
});

test("a packet id given in the run that trapped does not take the receiver's window for ever", async () => {
  const receiver = await server.connect(5, {
    ...keptSession(),
    properties: { sessionExpiryInterval: 1_000, receiveMaximum: 1 },
  });
  await receiver.subscribe([{ filter: "a", qos: 1 }]);
  const publisher = await server.connect(5);
  // The records of this very call are lost: the core gave an id, and nobody heard of it.
  vi.spyOn(Router.prototype, "records").mockImplementationOnce(function (this: Router) {
    this.border.core.trap();
  });
  publisher.send(publisher.wire.publish("a", "lost", { qos: 1, id: 1 }));
  await publisher.closed();
  await server.broker.publish({ topic: "a", payload: "1", qos: 1 });
  expect(await receiver.receive()).toMatchObject({ text: "1" });
  await server.broker.publish({ topic: "a", payload: "2", qos: 1 });
  expect(await receiver.receive()).toMatchObject({ text: "2" });
});

describe("a trap outside a run", () => {
  test("in a publish of the server: it rejects, nobody is closed", async () => {
    const client = await server.connect(4);
    await client.subscribe("t");
    trapNext("injectSlice");
    await expect(server.broker.publish({ topic: "t", payload: "x" })).rejects.toThrow();
    await client.expectNothing();
    await server.broker.publish({ topic: "t", payload: "y" });
    expect(await client.next("publish")).toMatchObject({ text: "y" });
    expect(server.broker.metrics()["errors.trap"]).toBe(1);
  });

  test("while a commit releases acknowledgements", async () => {
    const receiver = await server.connect(4, keptSession());
    await receiver.subscribe([{ filter: "t", qos: 1 }]);
    const publisher = await server.connect(4);
    held.hold();
    publisher.send(publisher.wire.publish("t", "1", { qos: 1, id: 1 }));
    const commit = await held.commits(1);
    trapNext("releaseAcks");
    commit.succeed();
    held.release();
    await eventually(() => server.broker.metrics()["errors.trap"] === 1, "it trapped");
    await receiver.next("publish");
    publisher.send(publisher.wire.publish("t", "2", { qos: 1, id: 2 }));
    expect(await publisher.next("puback")).toMatchObject({ id: 1 });
    expect(await publisher.next("puback")).toMatchObject({ id: 2 });
  });

  test("while queued messages go out at a resume", async () => {
    const options = keptSession();
    const first = await server.connect(4, options);
    await first.subscribe([{ filter: "t", qos: 1 }]);
    await first.disconnect();
    for (const payload of ["1", "2", "3"]) await server.broker.publish({ topic: "t", payload, qos: 1 });
    trapNext("replay");
    const second = await server.connect(4, options);
    for (const text of ["1", "2", "3"]) expect(await second.receive()).toMatchObject({ text });
    await second.expectNothing();
    expect(server.broker.metrics()["errors.trap"]).toBe(1);
  });

  test("again and again", async () => {
    const client = await server.connect(4, keptSession());
    await client.subscribe([{ filter: "t", qos: 1 }]);
    for (let i = 0; i < 5; i++) {
      trapNext("injectSlice");
      await server.broker.publish({ topic: "t", payload: "x", qos: 1 }).catch(() => undefined);
      await server.broker.publish({ topic: "t", payload: `${i}`, qos: 1 });
      expect(await client.receive()).toMatchObject({ text: `${i}` });
    }
    expect(server.broker.metrics()["errors.trap"]).toBe(5);
  });
});
