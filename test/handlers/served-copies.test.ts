// Copies of a QoS 1 PUBLISH that is still being served: served once, whatever DUP says and whichever way they come.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Policy } from "../../src/access/policy.ts";
import { openPolicy } from "../support/policy.ts";
import { BOTH, eventually, keptSession, TestServer, unique } from "../support/server.ts";
import { HeldStore } from "../store/held-store.ts";

let server: TestServer;
let held: HeldStore;
/** What was served, in order, and how to answer it. */
let served: string[];
let answers: ((reason: number) => void)[];

const policy: Policy = openPolicy({
  capabilities: { dedupeQos1: true },
  override: {
    authorizePublish: (_identity, topic) => ({ allow: true, host: topic.startsWith("host/") }),
    serve: (_identity, { topic, payload }) => {
      served.push(Buffer.from(payload).toString());
      if (topic === "host/now") return 0;
      return new Promise((resolve) => answers.push(resolve));
    },
  },
});

beforeEach(async () => {
  served = [];
  answers = [];
  held = new HeldStore();
  server = new TestServer({
    profile: policy,
    sysInterval: 0,
    store: held.store,
    limits: { heldTimeout: 500, heldBytes: 4_000 },
  });
  await server.start();
});
afterEach(async () => {
  held.release();
  await server.stop();
});

const asked = (count: number): Promise<void> =>
  eventually(() => answers.length >= count, `${count} messages are being served`);

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test.each([
    ["DUP 0", false],
    ["DUP 1", true],
  ])(
    "[QOS-4] copies with %s while it is served are acknowledged each, and served once",
    async (_dup, dup) => {
      const client = await server.connect(version);
      const { wire } = client;
      const copy = wire.publish("host/slow", "one", { qos: 1, id: 1, dup });
      // One in the same chunk, one on its own, and another message between them.
      client.send(
        wire.publish("host/slow", "one", { qos: 1, id: 1 }),
        copy,
        wire.publish("host/slow", "two", { qos: 1, id: 2 }),
      );
      await asked(1);
      client.send(copy);
      // The broker has read so far: another connection went round behind it.
      await (await server.connect(version)).fence();
      answers[0](0);
      for (let i = 0; i < 3; i++) expect(await client.next("puback")).toMatchObject({ id: 1, reason: 0 });
      await asked(2);
      answers[1](0);
      expect(await client.next("puback")).toMatchObject({ id: 2, reason: 0 });
      expect(served).toEqual(["one", "two"]);

      // Acknowledged: the identifier is free, and the same bytes are another message.
      client.send(wire.publish("host/slow", "one", { qos: 1, id: 1 }));
      await asked(3);
      answers[2](0);
      expect(await client.next("puback")).toMatchObject({ id: 1 });
      expect(served).toEqual(["one", "two", "one"]);
      await client.expectNothing();
    },
  );

  test("[QOS-4] a copy of which only a part has come when the answer is there is one all the same", async () => {
    const client = await server.connect(version);
    const { wire } = client;
    const message = wire.publish("host/slow", "one", { qos: 1, id: 1 });
    client.send(message);
    await asked(1);
    client.send(message.subarray(0, message.length - 2));
    await (await server.connect(version)).fence();
    answers[0](0);
    for (let i = 0; i < 2; i++) expect(await client.next("puback")).toMatchObject({ id: 1, reason: 0 });
    client.send(message.subarray(message.length - 2), wire.publish("host/now", "two", { qos: 1, id: 2 }));
    expect(await client.next("puback")).toMatchObject({ id: 2, reason: 0 });
    expect(served).toEqual(["one", "two"]);
  });

  test("[QOS-4] such a copy stands behind another message that waits, and wherever it is cut", async () => {
    const one = (await server.connect(version)).wire.publish("host/slow", "one", { qos: 1, id: 1 });
    for (let cut = 1; cut < one.length; cut++) {
      served = [];
      answers = [];
      const client = await server.connect(version);
      const { wire } = client;
      client.send(one);
      await asked(1);
      client.send(wire.publish("host/slow", "two", { qos: 1, id: 2 }), one.subarray(0, cut));
      await (await server.connect(version)).fence();
      answers[0](0);
      await asked(2);
      client.send(one.subarray(cut, cut + 1));
      await (await server.connect(version)).fence();
      client.send(one.subarray(cut + 1), wire.publish("host/now", "three", { qos: 1, id: 3 }));
      await (await server.connect(version)).fence();
      answers[1](0);
      const acknowledged: unknown[] = [];
      for (let i = 0; i < 4; i++) acknowledged.push((await client.next("puback")).id);
      expect(acknowledged.sort(), `cut at ${cut}`).toEqual([1, 1, 2, 3]);
      expect(served, `cut at ${cut}`).toEqual(["one", "two", "three"]);
      client.destroy();
    }
  });

  test("[QOS-4] what begins before the acknowledgement and turns out to be another message is served", async () => {
    const client = await server.connect(version);
    const { wire } = client;
    client.send(wire.publish("host/slow", "one", { qos: 1, id: 1 }));
    await asked(1);
    const other = wire.publish("host/now", "three", { qos: 1, id: 3 });
    client.send(wire.publish("host/slow", "two", { qos: 1, id: 2 }), other.subarray(0, 6));
    await (await server.connect(version)).fence();
    answers[0](0);
    expect(await client.next("puback")).toMatchObject({ id: 1 });
    await asked(2);
    answers[1](0);
    expect(await client.next("puback")).toMatchObject({ id: 2 });
    // The identifiers are free again, and mean what comes with them now.
    client.send(other.subarray(6), wire.publish("host/now", "four", { qos: 1, id: 1 }));
    for (const id of [3, 1]) expect(await client.next("puback")).toMatchObject({ id });
    expect(served).toEqual(["one", "two", "three", "four"]);
  });

  test("[QOS-4] one that was served at once and waits for an acknowledgement before it is not served again", async () => {
    const reader = await server.connect(version, keptSession());
    await reader.subscribe([{ filter: "free", qos: 1 }]);
    const client = await server.connect(version);
    const { wire } = client;
    held.hold();
    client.send(wire.publish("free", "x", { qos: 1, id: 1 }));
    const commit = await held.commits(1);
    const message = wire.publish("host/now", "one", { qos: 1, id: 2 });
    client.send(message);
    client.send(message);
    await client.expectNothing();
    expect(served).toEqual(["one"]);
    commit.succeed();
    held.release();
    for (const id of [1, 2, 2]) expect(await client.next("puback")).toMatchObject({ id, reason: 0 });
  });

  test("[QOS-4] sent again over a new connection: with DUP 1 it is the same message, with DUP 0 another", async () => {
    const options = { ...keptSession(), clientId: unique("again") };
    const client = await server.connect(version, options);
    client.send(client.wire.publish("host/slow", "one", { qos: 1, id: 1 }));
    await asked(1);
    client.destroy();
    const back = await server.connect(version, { ...options, clean: false });
    back.send(back.wire.publish("host/slow", "one", { qos: 1, id: 1, dup: true }));
    await (await server.connect(version)).fence();
    expect(served).toEqual(["one"]);
    answers[0](0);
    expect(await back.next("puback")).toMatchObject({ id: 1, reason: 0 });

    back.send(back.wire.publish("host/slow", "two", { qos: 1, id: 2 }));
    await asked(2);
    back.destroy();
    const restarted = await server.connect(version, { ...options, clean: false });
    restarted.send(restarted.wire.publish("host/slow", "three", { qos: 1, id: 2 }));
    await asked(3);
    expect(served).toEqual(["one", "two", "three"]);
  });

  test("[QOS-4] not answered in time: 5.0 is told so, a 3.x client's copy waits for the same answer", async () => {
    const client = await server.connect(version);
    const message = client.wire.publish("host/slow", "one", { qos: 1, id: 1 });
    client.send(message);
    await asked(1);
    if (version === 5) {
      expect(await client.next("puback")).toMatchObject({ id: 1, reason: 0x80 });
      client.send(message);
      await asked(2);
      answers[1](0);
      expect(await client.next("puback")).toMatchObject({ id: 1, reason: 0 });
      expect(served).toEqual(["one", "one"]);
      return;
    }
    await eventually(() => server.broker.metrics()["closed.held"] === 1, "the patience is over");
    client.send(message);
    await (await server.connect(version)).fence();
    answers[0](0);
    expect(await client.next("puback")).toMatchObject({ id: 1 });
    expect(served).toEqual(["one"]);
  });

  test("what comes meanwhile is read up to half of limits.heldBytes, and nothing of it is lost", async () => {
    const client = await server.connect(version);
    const { wire } = client;
    client.send(wire.publish("host/slow", "one", { qos: 1, id: 1 }));
    await asked(1);
    for (let i = 0; i < 40; i++) client.send(wire.publish("host/now", `${i} ${"x".repeat(500)}`));
    await (await server.connect(version)).fence();
    expect(served).toHaveLength(1);
    answers[0](0);
    expect(await client.next("puback")).toMatchObject({ id: 1 });
    await client.fence();
    expect(served.slice(1).map((text) => Number.parseInt(text, 10))).toEqual([...Array(40).keys()]);
  });

  test("a client that ends meanwhile gets its answer, and what it said last counts", async () => {
    const watcher = await server.connect(version);
    await watcher.subscribe("will");
    const client = await server.connect(version, { will: { topic: "will", payload: "gone" } });
    client.send(client.wire.publish("host/slow", "one", { qos: 1, id: 1 }), client.wire.disconnect());
    client.socket.end();
    await asked(1);
    await (await server.connect(version)).fence();
    answers[0](0);
    expect(await client.closed()).toMatchObject([{ type: "puback", id: 1 }]);
    await watcher.expectNothing();
  });
});
