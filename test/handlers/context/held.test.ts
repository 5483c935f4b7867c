// Questions that take time: a client whose packet waits for an answer stands still, in order, and for a bounded time.
import { duplexPair } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PublishResult } from "../../../src/access/hooked-policy.ts";
import { RawClient } from "../../support/raw-client.ts";
import { BOTH, eventually, TestServer, type ServerOptions, unique } from "../../support/server.ts";
import type { Version } from "../../support/wire.ts";
import { Questions } from "../questions.ts";
import { secondsPass, useManualClock } from "../../support/time.ts";

useManualClock();

let server: TestServer;
async function start(options: ServerOptions = {}): Promise<void> {
  server = new TestServer({ sysInterval: 0, ...options });
  await server.start();
}
beforeEach(() => start());
afterEach(() => server.stop());

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const v5 = version === 5;

  test("nothing behind the question is processed; then everything, in order", async () => {
    const questions = new Questions();
    server.broker.use(questions.hooks);
    const watcher = await server.connect(version);
    await watcher.subscribe([{ filter: "#", qos: 2 }]);
    const client = await server.connect(version);
    const { wire } = client;
    client.send(
      wire.publish("free", "0", { qos: 1, id: 1 }),
      wire.publish("ask/1", "1", { qos: 1, id: 2 }),
      wire.publish("free", "2", { qos: 1, id: 3 }),
      wire.subscribe(4, "ask/+"),
      wire.publish("ask/2", "3", { qos: 0 }),
      wire.pingreq(),
      wire.publish("free", "4"),
      wire.disconnect(),
    );
    expect(await client.next("puback")).toMatchObject({ id: 1 });
    await questions.asked(1);
    expect(await watcher.receive()).toMatchObject({ text: "0" });
    await watcher.expectNothing();
    expect(client.pending()).toEqual([]);
    questions.open[0].answer(true);
    expect(await client.next("puback")).toMatchObject({ id: 2 });
    expect(await client.next("puback")).toMatchObject({ id: 3 });
    expect(await client.next("suback")).toMatchObject({ id: 4 });
    await questions.asked(2);
    expect(client.pending()).toEqual([]);
    questions.open[1].answer(true);
    expect((await client.closed()).map((packet) => packet.type)).toEqual(["publish", "pingresp"]);
    for (const text of ["1", "2", "3", "4"]) expect(await watcher.receive()).toMatchObject({ text });
    await watcher.expectNothing();
  });

  test.each(["false", "throw", "reject", "nonsense"])(
    "an answer of %s refuses that packet only",
    async (how) => {
      const answers: Record<string, () => PublishResult | Promise<PublishResult>> = {
        false: () => Promise.resolve(false),
        throw: () => {
          throw new Error("the hook's own bug");
        },
        reject: () => Promise.reject(new Error("the hook's own bug")),
        nonsense: () => Promise.resolve({ reason: 7 }),
      };
      server.broker.use({ authorizePublish: ({ topic }) => (topic === "ask" ? answers[how]() : true) });
      const watcher = await server.connect(version);
      await watcher.subscribe("#");
      const client = await server.connect(version);
      const { wire } = client;
      client.send(
        wire.publish("ask", "0"),
        wire.publish("ask", "1", { qos: 1, id: 1 }),
        wire.publish("ask", "2", { qos: 2, id: 2 }),
        wire.publish("free", "3", { qos: 1, id: 3 }),
      );
      expect(await client.next("puback")).toMatchObject({ id: 1, reason: v5 ? 0x87 : 0 });
      expect(await client.next("pubrec")).toMatchObject({ id: 2, reason: v5 ? 0x87 : 0 });
      expect(await client.next("puback")).toMatchObject({ id: 3, reason: 0 });
      expect(await watcher.next("publish")).toMatchObject({ text: "3" });
      await watcher.expectNothing();
      expect(server.broker.metrics()["errors.hook"]).toBe(how === "false" ? 0 : 3);
    },
  );

  test("answers to several clients at once go to the right ones", async () => {
    const questions = new Questions();
    server.broker.use(questions.hooks);
    const watcher = await server.connect(version);
    await watcher.subscribe("#");
    const clients = [];
    for (let i = 0; i < 6; i++) {
      const client = await server.connect(version);
      client.send(client.wire.publish(`ask/${i}`, `${i}`, { qos: 1, id: 1 }), client.wire.pingreq());
      await questions.asked(i + 1);
      clients.push(client);
    }
    // All in one tick, the last one first; every second one is allowed.
    for (const question of [...questions.open].reverse())
      question.answer(Number(question.topic.slice(4)) % 2 === 1);
    for (const [i, client] of clients.entries()) {
      expect(await client.next("puback")).toMatchObject({ reason: v5 && i % 2 === 0 ? 0x87 : 0 });
      await client.next("pingresp");
    }
    const texts = (await watcher.fence()).map((packet) => (packet.type === "publish" ? packet.text : ""));
    expect(texts.sort()).toEqual(["1", "3", "5"]);
  });

  test("a client that goes, or comes back, while it is asked about: the answer is of no use to anybody", async () => {
    const questions = new Questions();
    server.broker.use(questions.hooks);
    const watcher = await server.connect(version);
    await watcher.subscribe("#");
    const clientId = unique();
    const first = await server.connect(version, { clientId });
    first.send(first.wire.publish("ask/x", "old"));
    await questions.asked(1);
    const second = await server.connect(version, { clientId });
    await first.closed();
    questions.open[0].answer(true);
    second.send(second.wire.publish("ask/x", "new", { qos: 1, id: 1 }));
    await questions.asked(2);
    await watcher.expectNothing();
    questions.open[1].answer(false);
    expect(await second.next("puback")).toMatchObject({ reason: v5 ? 0x87 : 0 });
    second.send(second.wire.publish("ask/x", "again"));
    await questions.asked(3);
    second.destroy();
    await eventually(() => server.broker.metrics()["clients.connected"] === 1, "it is gone");
    questions.open[2].answer(true);
    await watcher.expectNothing();
  });

  test.each([1_000, 100_000, 400_000])("a PUBLISH of %i bytes, with more behind it", async (size) => {
    const questions = new Questions();
    server.broker.use(questions.hooks);
    const watcher = await server.connect(version);
    await watcher.subscribe([{ filter: "#", qos: 1 }]);
    const client = await server.connect(version);
    const { wire } = client;
    const payload = Buffer.alloc(size, 9);
    client.send(
      wire.publish("ask/1", payload, { qos: 1, id: 1 }),
      wire.publish("free", "behind", { qos: 1, id: 2 }),
      wire.publish("ask/2", payload, { qos: 1, id: 3 }),
      wire.publish("free", "last", { qos: 1, id: 4 }),
    );
    await questions.asked(1);
    await watcher.expectNothing();
    questions.open[0].answer(true);
    expect(await client.next("puback")).toMatchObject({ id: 1, reason: 0 });
    expect(await client.next("puback")).toMatchObject({ id: 2, reason: 0 });
    await questions.asked(2);
    questions.open[1].answer(false);
    expect(await client.next("puback")).toMatchObject({ id: 3, reason: v5 ? 0x87 : 0 });
    expect(await client.next("puback")).toMatchObject({ id: 4, reason: 0 });
    expect((await watcher.receive()).payload.equals(payload)).toBe(true);
    expect(await watcher.receive()).toMatchObject({ text: "behind" });
    expect(await watcher.receive()).toMatchObject({ text: "last" });
    await watcher.expectNothing();
  });

  test("SUBSCRIBE: all filters are answered together, in their order, and what follows sees them", async () => {
    const answers = new Map<string, (verdict: boolean) => void>();
    server.broker.use({
      authorizeSubscribe: ({ request }) =>
        request.filter === "now" ? undefined : new Promise((resolve) => answers.set(request.filter, resolve)),
    });
    const client = await server.connect(version);
    const { wire } = client;
    client.send(wire.subscribe(1, ["yes", "now", "no"]), wire.publish("yes", "x"), wire.publish("no", "y"));
    await eventually(() => answers.size === 2, "both are asked");
    await server.broker.publish({ topic: "now", payload: "too early" });
    answers.get("no")?.(false);
    answers.get("yes")?.(true);
    expect(await client.next("suback")).toMatchObject({ id: 1, reasons: [0, 0, v5 ? 0x87 : 0x80] });
    expect(await client.next("publish")).toMatchObject({ topic: "yes" });
    await client.expectNothing();
  });

  test("CONNECT: nothing behind it is read before the answer", async () => {
    let answer = (_yes: boolean): void => undefined;
    server.broker.use({
      authenticate: ({ request }) =>
        request.clientId.startsWith("slow")
          ? new Promise<boolean>((resolve) => {
              answer = resolve;
            })
          : true,
    });
    const watcher = await server.connect(version);
    await watcher.subscribe("#");
    for (const yes of [true, false]) {
      const client = await server.open(version);
      const { wire } = client;
      client.send(wire.connect({ clientId: unique("slow") }), wire.publish("t", "x"), wire.pingreq());
      await watcher.expectNothing();
      expect(client.pending()).toEqual([]);
      answer(yes);
      expect(await client.next("connack")).toMatchObject({ reason: yes ? 0 : v5 ? 0x87 : 5 });
      if (!yes) await client.closed();
      else {
        await client.next("pingresp");
        expect(await watcher.next("publish")).toMatchObject({ text: "x" });
      }
      await watcher.expectNothing();
    }
  });

  test("QoS 2 of a kept publisher is asked about once and taken once", async () => {
    const questions = new Questions();
    server.broker.use(questions.hooks);
    const watcher = await server.connect(version);
    await watcher.subscribe([{ filter: "#", qos: 2 }]);
    const client = await server.connect(version, {
      clean: false,
      ...(v5 ? { properties: { sessionExpiryInterval: 50 } } : {}),
    });
    const { wire } = client;
    client.send(wire.publish("ask/1", "x", { qos: 2, id: 5 }), wire.publish("free", "y", { qos: 2, id: 6 }));
    await questions.asked(1);
    questions.open[0].answer(true);
    expect(await client.next("pubrec")).toMatchObject({ id: 5, reason: 0 });
    expect(await client.next("pubrec")).toMatchObject({ id: 6, reason: 0 });
    expect(await watcher.receive()).toMatchObject({ text: "x" });
    expect(await watcher.receive()).toMatchObject({ text: "y" });
    expect(questions.open).toHaveLength(1);
  });

  test("heldTimeout: an unanswered question counts as refused, a late answer as nothing", async () => {
    await server.stop();
    await start({ limits: { heldTimeout: 100 } });
    const questions = new Questions();
    server.broker.use(questions.hooks);
    const client = await server.connect(version);
    const { wire } = client;
    client.send(wire.publish("ask/1", "x", { qos: 1, id: 1 }), wire.publish("free", "y", { qos: 1, id: 2 }));
    expect(await client.next("puback")).toMatchObject({ id: 1, reason: v5 ? 0x87 : 0 });
    expect(await client.next("puback")).toMatchObject({ id: 2 });
    expect(server.broker.metrics()["closed.held"]).toBe(1);
    questions.open[0].answer(true);
    // Were the late answer kept, it would be the answer to this one.
    client.send(wire.publish("ask/2", "z", { qos: 1, id: 3 }));
    await questions.asked(2);
    await server.broker.publish({ topic: "any", payload: "" });
    expect(client.pending()).toEqual([]);
    questions.open[1].answer(false);
    expect(await client.next("puback")).toMatchObject({ id: 3, reason: v5 ? 0x87 : 0 });
    expect(server.broker.metrics()["publish.denied"]).toBe(2);
  });

  test("Keep Alive stands still while the broker keeps the client waiting", async () => {
    const questions = new Questions();
    server.broker.use(questions.hooks);
    const client = await server.connect(version, { keepAlive: 1 });
    client.send(client.wire.publish("ask/1", "x", { qos: 1, id: 1 }));
    await questions.asked(1);
    // The clock of another client, which began later, runs out meanwhile.
    const silent = await server.connect(version, { keepAlive: 1 });
    await secondsPass(3);
    await silent.closed();
    questions.open[0].answer(true);
    expect(await client.next("puback")).toMatchObject({ id: 1 });
    await client.fence();
    // And runs again afterwards.
    await secondsPass(3);
    await client.closed();
  });
});

test("reading stops with the question and goes on behind the answer", async () => {
  const questions = new Questions();
  server.broker.use(questions.hooks);
  const [near, far] = duplexPair();
  server.broker.handle(far);
  const client = new RawClient(near, 4);
  await client.connect({ clientId: unique() });
  for (let round = 0; round < 3; round++) {
    client.send(client.wire.publish("ask/1", "x", { qos: 1, id: round + 1 }));
    await questions.asked(round + 1);
    expect(far.isPaused()).toBe(true);
    questions.open[round].answer(true);
    await client.of("puback", round + 1);
    expect(far.isPaused()).toBe(false);
  }
  near.end();
});

const levels: Version[] = [4, 5];
test.each(levels)("level %i: heldBytes bounds what waits behind a question", async (version) => {
  for (const beyond of [-1, 0, 1]) {
    await server.stop();
    await start({ limits: { heldBytes: 1_000 } });
    const questions = new Questions();
    server.broker.use(questions.hooks);
    const client = await server.connect(version);
    const { wire } = client;
    const first = wire.publish("ask/1", "x", { qos: 1, id: 1 });
    const empty = wire.publish("free", Buffer.alloc(500), { qos: 1, id: 2 }).length - 500;
    const rest = 1_000 - empty + beyond;
    client.send(first, wire.publish("free", Buffer.alloc(rest), { qos: 1, id: 2 }));
    if (beyond > 0) {
      await client.expectEnd(0x97);
      expect(server.broker.metrics()["closed.held_bytes"]).toBe(1);
      continue;
    }
    await questions.asked(1);
    questions.open[0].answer(true);
    await client.of("puback", 1);
    await client.of("puback", 2);
    expect(server.broker.metrics()["closed.held_bytes"]).toBeUndefined();
  }
});
