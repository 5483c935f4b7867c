// Retained messages for a new subscription: in pages, as the connection can take them, each once, never an old value
// behind a newer one.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Publish } from "../../support/packet.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { TestServer } from "../../support/server.ts";

const COUNT = 20_000;
let server: TestServer;
beforeEach(async () => {
  server = new TestServer({ sysInterval: 0, limits: { outgoingBytes: 100_000 } });
  await server.start();
  const kept: Promise<void>[] = [];
  for (let i = 0; i < COUNT; i++)
    kept.push(server.broker.publish({ topic: `r/${i % 100}/${i}`, payload: `${i}`, qos: 2, retain: true }));
  await Promise.all(kept);
});
afterEach(() => server.stop());

/** Receives until `count` different topics have come, reading only now and then. */
async function readSlowly(client: RawClient, count: number) {
  const other = await server.connect(5);
  const seen = new Map<string, string[]>();
  for (let total = 0; total < count; total++) {
    const message = (await client.next("publish")) as Publish;
    if (message.qos > 0) await client.acknowledge(message);
    const values = seen.get(message.topic);
    if (values === undefined) seen.set(message.topic, [message.text]);
    else values.push(message.text);
    if (total % 2_000 === 0) {
      client.stream.pause();
      // The broker has turns enough to fill what lies between them.
      for (let turn = 0; turn < 20; turn++) await other.fence();
      client.stream.resume();
    }
  }
  return seen;
}

describe.each([0, 1] as const)("QoS %i", (qos) => {
  test("20,000 of them to a slow reader, each once", async () => {
    const client = await server.connect(5);
    client.send(client.wire.subscribe(1, { filter: "r/#", qos }));
    await client.of("suback");
    const seen = await readSlowly(client, COUNT);
    expect(seen.size).toBe(COUNT);
    for (const [topic, values] of seen) expect(values).toEqual([topic.split("/")[2]]);
    await client.expectNothing();
    expect(server.broker.metrics()["dropped.qos0"]).toBe(0);
  }, 60_000);
});

test("two subscriptions at once, and one more while they are under way", async () => {
  const client = await server.connect(5);
  client.send(
    client.wire.subscribe(1, ["r/1/#", "r/2/+"]),
    client.wire.subscribe(2, "r/#"),
    client.wire.subscribe(3, "r/3/#"),
  );
  for (const id of [1, 2, 3]) await client.of("suback", id);
  const seen = await readSlowly(client, COUNT + 600);
  const counts = [...seen.entries()].map(([topic, values]) => [topic.split("/")[1], values.length]);
  for (const [group, count] of counts) expect(count).toBe(["1", "2", "3"].includes(group as string) ? 2 : 1);
  await client.expectNothing();
}, 60_000);

test("values that change meanwhile: the last one a topic is seen with is the last one it had", async () => {
  const client = await server.connect(4);
  let next = 0;
  const last = new Map<string, string>();
  await client.subscribe("r/#");
  const changes: Promise<void>[] = [];
  const seen = new Map<string, string[]>();
  const note = (message: Publish): void => {
    seen.set(message.topic, [...(seen.get(message.topic) ?? []), message.text]);
  };
  let total = 0;
  while (total < COUNT) {
    note((await client.next("publish")) as Publish);
    total++;
    if (total % 500 !== 0) continue;
    for (let i = 0; i < 20; i++) {
      const n = (next * 997) % COUNT;
      const topic = `r/${n % 100}/${n}`;
      last.set(topic, `new ${next}`);
      changes.push(server.broker.publish({ topic, payload: `new ${next}`, qos: 1, retain: true }));
      next++;
    }
  }
  await Promise.all(changes);
  for (const packet of await client.fence()) if (packet.type === "publish") note(packet);
  expect(seen.size).toBe(COUNT);
  for (const [topic, value] of last) {
    const values = seen.get(topic) as string[];
    // Both at once may be the same message twice; an old value behind a new one may not be.
    expect(values.at(-1)).toBe(value);
  }
}, 60_000);

test("a client that goes in the middle leaves nothing behind; one that comes back begins anew", async () => {
  const options = { clientId: "kept", clean: false, properties: { sessionExpiryInterval: 100 } };
  const first = await server.connect(5, options);
  first.send(first.wire.subscribe(1, "r/#"));
  for (let i = 0; i < 100; i++) await first.of("publish");
  first.destroy();
  const second = await server.connect(5, options);
  await second.expectNothing();
  expect((await second.subscribe("r/7/#")).reasons).toEqual([0]);
  expect(await second.fence()).toHaveLength(200);
}, 60_000);
