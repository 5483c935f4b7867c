// Messages of a shared subscription whose member goes away: to another member, once, and never in a circle.
import { afterEach, describe, expect, test } from "vitest";
import type { RawClient } from "../support/raw-client.ts";
import { openPolicy } from "../support/policy.ts";
import { eventually, TestServer, unique } from "../support/server.ts";

let server: TestServer;
afterEach(() => server.stop());

async function start(sharedMoveAtDisconnect = false): Promise<void> {
  server = new TestServer({ sysInterval: 0, sharedMoveAtDisconnect });
  await server.start();
}

const FILTER = "$share/group/t";
const texts = (packets: readonly { text: string }[]): string[] => packets.map((one) => one.text).sort();

async function member(
  options: { expiry?: number; receiveMaximum?: number; qos?: 1 | 2; clientId?: string } = {},
): Promise<RawClient> {
  const { expiry = 0, receiveMaximum = 100, qos = 1, clientId = unique() } = options;
  const client = await server.connect(5, {
    clientId,
    clean: false,
    properties: { sessionExpiryInterval: expiry, receiveMaximum },
  });
  await client.subscribe([{ filter: FILTER, qos }]);
  return client;
}

async function publish(count: number, qos: 1 | 2): Promise<void> {
  for (let i = 0; i < count; i++) await server.broker.publish({ topic: "t", payload: `${i}`, qos });
}

async function take(client: RawClient, count: number) {
  const messages = [];
  for (let i = 0; i < count; i++) messages.push(await client.next("publish"));
  return messages;
}

describe.each([0, 1_000])("Session Expiry Interval %i", (expiry) => {
  test("QoS 1 in flight and waiting goes to another member when the session ends", async () => {
    await start();
    const first = await member({ expiry, receiveMaximum: 3 });
    await publish(6, 1);
    expect(texts(await take(first, 3))).toEqual(["0", "1", "2"]);
    const second = await member();
    await first.disconnect(0, expiry > 0 ? { sessionExpiryInterval: 0 } : undefined);
    const moved = await take(second, 6);
    expect(texts(moved)).toEqual(["0", "1", "2", "3", "4", "5"]);
    await second.expectNothing();
  });

  test("QoS 2 in flight stays with its member and dies with it [MQTT-4.8.2-5]; what was not sent moves", async () => {
    await start();
    const first = await member({ expiry, receiveMaximum: 2, qos: 2 });
    await publish(4, 2);
    await take(first, 2);
    const second = await member({ qos: 2 });
    await first.disconnect(0, expiry > 0 ? { sessionExpiryInterval: 0 } : undefined);
    expect(texts(await take(second, 2))).toEqual(["2", "3"]);
    await second.expectNothing();
  });
});

test("the last member ends: its messages are gone, and not kept for strangers", async () => {
  await start();
  const first = await member({ receiveMaximum: 1 });
  await publish(3, 1);
  await take(first, 1);
  await first.disconnect();
  const other = await server.connect(5);
  await other.subscribe([{ filter: "$share/another/u", qos: 1 }]);
  const second = await member();
  await second.expectNothing();
  await other.expectNothing();
  expect(server.broker.metrics()["stored.bytes"]).toBe(0);
});

test("moved at disconnect: QoS 1 goes to the other member at once", async () => {
  await start(true);
  const first = await member({ expiry: 1_000, receiveMaximum: 2, clientId: "first" });
  await publish(4, 1);
  await take(first, 2);
  const second = await member();
  first.destroy();
  expect(texts(await take(second, 4))).toEqual(["0", "1", "2", "3"]);
  await second.expectNothing();
  const again = await server.connect(5, { clientId: "first", clean: false });
  await again.expectNothing();
});

test("moved at disconnect with nobody else there: they come back to the same queue, once each", async () => {
  await start(true);
  const options = { expiry: 1_000, receiveMaximum: 2, clientId: "alone" };
  const first = await member(options);
  await publish(4, 1);
  await take(first, 2);
  first.destroy();
  await eventually(() => server.broker.metrics()["clients.connected"] === 0, "the client is gone");
  const again = await server.connect(5, {
    clientId: "alone",
    clean: false,
    properties: { sessionExpiryInterval: 1_000 },
  });
  expect(texts(await take(again, 4))).toEqual(["0", "1", "2", "3"]);
  await again.expectNothing();
});

test("what was moved away leaves a session that works", async () => {
  await start(true);
  const first = await member({ expiry: 1_000, receiveMaximum: 1, clientId: "first" });
  const second = await member();
  await publish(10, 1);
  first.destroy();
  await eventually(() => server.broker.metrics()["clients.connected"] === 1, "the client is gone");
  expect((await second.fence()).length).toBe(10);
  second.destroy();
  const again = await server.connect(5, {
    clientId: "first",
    clean: false,
    properties: { sessionExpiryInterval: 1_000 },
  });
  await again.fence();
  await server.broker.publish({ topic: "t", payload: "after", qos: 1 });
  expect(await again.next("publish")).toMatchObject({ text: "after" });
});

test("one that may not receive the topic does not get what another has lost; who may, does", async () => {
  const refused = new Set<string>();
  server = new TestServer({
    sysInterval: 0,
    profile: openPolicy({ override: { authorizeDelivery: ({ clientId }) => !refused.has(clientId) } }),
  });
  await server.start();
  const first = await member({ receiveMaximum: 3 });
  await publish(3, 1);
  await take(first, 3);
  const ids = ["may-not-1", "may", "may-not-2"];
  const members = [];
  for (const clientId of ids) members.push(await member({ clientId }));
  const away = await member({ clientId: "away", expiry: 100 });
  await away.disconnect();
  refused.add("may-not-1").add("may-not-2");
  await first.disconnect();
  const moved: string[] = texts(await take(members[1], 1));
  for (const index of [0, 2]) await members[index].expectNothing();
  const back = await server.connect(5, { clientId: "away", clean: false });
  for (const client of [members[1], back])
    for (const packet of await client.fence()) if (packet.type === "publish") moved.push(packet.text);
  expect(moved.sort()).toEqual(["0", "1", "2"]);
});

test("where nobody may receive it, it is dropped and counted", async () => {
  let allowed = true;
  server = new TestServer({
    sysInterval: 0,
    profile: openPolicy({ override: { authorizeDelivery: () => allowed } }),
  });
  await server.start();
  const first = await member();
  await publish(1, 1);
  await take(first, 1);
  const second = await member();
  allowed = false;
  await first.disconnect();
  await second.expectNothing();
  await eventually(() => server.broker.metrics()["dropped.queue"] === 1, "it is counted");
});
