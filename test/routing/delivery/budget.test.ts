// More than the core's arenas hold: a call stops, the host acts, the call goes on. Whatever the arena that was full,
// everybody gets every message once, whole, and in order.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Packet, Publish } from "../../support/packet.ts";
import { eventually, TestServer, unique } from "../../support/server.ts";
import type { ConnectOptions, Filter, Version } from "../../support/wire.ts";
import { Sink } from "../sink.ts";

let server: TestServer;
let sinks: Sink[];
beforeEach(async () => {
  sinks = [];
  server = new TestServer({
    sysInterval: 0,
    limits: { outgoingBytes: 1_000_000_000, sendWindow: 65_000, receiveMaximum: 65_000 },
  });
  await server.start();
});
afterEach(async () => {
  for (const sink of sinks) sink.push(null);
  await server.stop();
});

async function open(
  count: number,
  version: Version | ((i: number) => Version),
  filters: (string | Filter)[],
  options: (i: number) => ConnectOptions = () => ({}),
): Promise<void> {
  const acks = filters.length + 1;
  for (let i = 0; i < count; i++) {
    const level = typeof version === "number" ? version : version(i);
    sinks.push(new Sink(server.broker, level, { clientId: unique(), ...options(i) }, filters));
  }
  await eventually(
    () => server.broker.metrics()["subscriptions.count"] === count * filters.length,
    "all subscribe",
  );
  for (const sink of sinks) {
    await eventually(() => sink.received >= 4 + 5 * (acks - 1), "it is answered");
    expect(sink.packets()).toHaveLength(acks);
  }
}

const isPublish = (packet: Packet): packet is Publish => packet.type === "publish";

/** Waits until the last sink has `bytes`, then returns everybody's messages. */
async function messages(count: number): Promise<Publish[][]> {
  const taken = sinks.map(() => [] as Publish[]);
  await eventually(
    () => {
      for (const [i, sink] of sinks.entries()) {
        if (taken[i].length < count) taken[i].push(...sink.packets().filter(isPublish));
      }
      return taken.every((one) => one.length >= count);
    },
    `everybody has ${count}`,
    20_000,
  );
  return taken;
}

const kept = (version: Version): ConnectOptions => ({
  clean: false,
  ...(version === 5 ? { properties: { sessionExpiryInterval: 1_000 } } : {}),
});

describe.each([0, 1, 2] as const)("QoS %i", (qos) => {
  test("300 receivers of six kinds, three messages of 60,000 bytes", async () => {
    const kinds: [Version, ConnectOptions][] = [
      [3, {}],
      [4, {}],
      [5, {}],
      [4, kept(4)],
      [5, kept(5)],
      [5, { properties: { topicAliasMaximum: 10 } }],
    ];
    await open(
      300,
      (i) => kinds[i % 6][0],
      [{ filter: "t/+", qos }],
      (i) => kinds[i % 6][1],
    );
    const publisher = await server.connect(5);
    const payload = (n: number): Buffer => Buffer.alloc(60_000, n);
    publisher.send(...[1, 2, 3].map((n) => publisher.wire.publish("t/x", payload(n), { qos, id: n })));
    const all = await messages(3);
    for (const one of all) {
      expect(one.map((message) => message.payload[59_999])).toEqual([1, 2, 3]);
      for (const [i, message] of one.entries()) {
        expect(message.payload.equals(payload(i + 1))).toBe(true);
        expect(message.qos).toBe(qos);
      }
      expect(new Set(one.map((message) => message.id)).size).toBe(qos === 0 ? 1 : 3);
    }
    if (qos > 0) for (const n of [1, 2, 3]) await publisher.of(qos === 1 ? "puback" : "pubrec", n);
    await publisher.fence();
    expect(sinks.flatMap((sink) => sink.packets())).toEqual([]);
  }, 40_000);

  test("5,000 receivers, thirty small messages in one chunk", async () => {
    await open(5_000, (i) => (i % 2 === 0 ? 4 : 5), [{ filter: "t", qos }]);
    const publisher = await server.connect(4);
    const packets = Array.from({ length: 30 }, (_, i) =>
      publisher.wire.publish("t", `${i}`, { qos, id: i + 1 }),
    );
    publisher.send(...packets);
    for (const one of await messages(30))
      expect(one.map((message) => message.text)).toEqual(packets.map((_, i) => `${i}`));
    await publisher.fence();
    expect(sinks.flatMap((sink) => sink.packets())).toEqual([]);
  }, 60_000);
});

test("17,000 receivers: more than one record each", async () => {
  await open(17_000, 4, [{ filter: "t", qos: 1 }]);
  await server.broker.publish({ topic: "t", payload: "one", qos: 1 });
  await server.broker.publish({ topic: "t", payload: "two", qos: 1 });
  for (const one of await messages(2)) expect(one.map((message) => message.text)).toEqual(["one", "two"]);
}, 60_000);

test("the store arena: kept sessions with several subscription identifiers each", async () => {
  const filters = ["t/+", "t/#", "+/x", "#"].map((filter) => ({ filter, qos: 1 as const }));
  await open(150, 5, filters, () => kept(5));
  const publisher = await server.connect(5);
  const count = 500;
  const packets = Array.from({ length: count }, (_, i) =>
    publisher.wire.publish("t/x", `${i}`, { qos: 1, id: i + 1 }),
  );
  publisher.send(...packets);
  for (const one of await messages(count)) {
    expect(one.map((message) => message.text)).toEqual(packets.map((_, i) => `${i}`));
    for (const message of one)
      expect([...(message.properties.subscriptionIdentifier ?? [])].sort()).toEqual([1, 2, 3, 4]);
  }
  for (let id = 1; id <= count; id++) expect(await publisher.next("puback")).toMatchObject({ id, reason: 0 });
}, 40_000);

test("retained messages of 60,000 bytes back to back, for a kept session that is away", async () => {
  const options = { clientId: "away", ...kept(5) };
  const first = await server.connect(5, options);
  await first.subscribe([{ filter: "t/#", qos: 1 }]);
  await first.disconnect();
  const publisher = await server.connect(5);
  const count = 40;
  const payload = (n: number): Buffer => Buffer.alloc(60_000, n);
  publisher.send(
    ...Array.from({ length: count }, (_, i) =>
      publisher.wire.publish(`t/${i}`, payload(i), { qos: 1, id: i + 1, retain: true }),
    ),
  );
  for (let id = 1; id <= count; id++) expect(await publisher.next("puback")).toMatchObject({ id, reason: 0 });
  const back = await server.connect(5, options);
  for (let i = 0; i < count; i++) {
    const message = await back.receive();
    expect([message.topic, message.retain]).toEqual([`t/${i}`, false]);
    expect(message.payload.equals(payload(i))).toBe(true);
  }
  const reader = await server.connect(5);
  await reader.subscribe("t/#");
  const retained = (await reader.fence()).filter(isPublish);
  expect(retained.map((message) => message.topic)).toEqual(Array.from({ length: count }, (_, i) => `t/${i}`));
  for (const [i, message] of retained.entries()) expect(message.payload.equals(payload(i))).toBe(true);
}, 30_000);

test.each([0, 1, 2] as const)(
  "a payload the core never sees, QoS %i, 80 receivers, two in a row",
  async (qos) => {
    const kinds: [Version, ConnectOptions][] = [
      [4, {}],
      [5, {}],
      [4, kept(4)],
      [5, { properties: { topicAliasMaximum: 4 } }],
    ];
    await open(
      80,
      (i) => kinds[i % 4][0],
      [{ filter: "big/+", qos }],
      (i) => kinds[i % 4][1],
    );
    const publisher = await server.connect(5);
    const payload = (n: number): Buffer => Buffer.alloc(700_000, n);
    publisher.send(
      publisher.wire.publish("big/x", payload(1), { qos, id: 1 }),
      publisher.wire.publish("big/x", "small", { qos, id: 2 }),
      publisher.wire.publish("big/x", payload(3), { qos, id: 3 }),
    );
    for (const one of await messages(3)) {
      expect(one[0].payload.equals(payload(1))).toBe(true);
      expect(one[1].text).toBe("small");
      expect(one[2].payload.equals(payload(3))).toBe(true);
    }
  },
  40_000,
);

test("an answer in one run for thousands of acknowledgements", async () => {
  await open(1, 4, [{ filter: "t", qos: 1 }], () => kept(4));
  const publisher = await server.connect(4);
  const count = 60_000;
  const bytes = Buffer.concat(
    Array.from({ length: count }, (_, i) =>
      publisher.wire.publish("t", "", { qos: 1, id: (i % 65_535) + 1 }),
    ),
  );
  publisher.send(bytes);
  for (let i = 0; i < count; i++) {
    const ack = await publisher.next("puback");
    if (ack.id !== (i % 65_535) + 1) throw new Error(`PUBACK ${ack.id} at place ${i}`);
  }
  expect((await messages(count))[0]).toHaveLength(count);
}, 60_000);
