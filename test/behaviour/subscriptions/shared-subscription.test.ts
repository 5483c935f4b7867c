// Shared subscriptions: each message to one member of the group [MQTT-4.8.2].
import { describe, expect, test } from "vitest";
import { BOTH, ours, PEER, unique, useServer, keptSession } from "../../support/server.ts";
import type { RawClient } from "../../support/raw-client.ts";
import type { Publish } from "../../support/packet.ts";

const server = useServer();
const publishes = async (client: RawClient): Promise<Publish[]> =>
  (await client.fence()).filter((packet) => packet.type === "publish");

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const keep = version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {};

  test("messages go round the members, each to exactly one", async () => {
    const topic = unique("round");
    const members = await Promise.all([1, 2, 3].map(() => server.connect(version)));
    for (const member of members) await member.subscribe(`$share/g/${topic}`);
    const publisher = await server.connect(version);
    for (let index = 0; index < 30; index++) publisher.send(publisher.wire.publish(topic, `${index}`));
    await publisher.fence();
    const received = await Promise.all(members.map(publishes));
    expect(received.map((list) => list.length)).toEqual([10, 10, 10]);
    expect(
      received
        .flat()
        .map((message) => Number(message.text))
        .sort((a, b) => a - b),
    ).toEqual(Array.from({ length: 30 }, (_, i) => i));
    // Order is kept for each member.
    for (const list of received)
      expect(list.map((message) => Number(message.text))).toEqual(
        list.map((message) => Number(message.text)).sort((a, b) => a - b),
      );
  });

  test("each group and each ordinary subscription gets its own copy", async () => {
    const topic = unique("groups");
    const [a, b, plain] = await Promise.all([1, 2, 3].map(() => server.connect(version)));
    await a.subscribe(`$share/a/${topic}`);
    await b.subscribe(`$share/b/${topic}`);
    await plain.subscribe(topic);
    await plain.publish(topic, "x", { qos: 1 });
    for (const client of [a, b, plain])
      expect(await client.of("publish")).toMatchObject({ text: "x", topic });
    for (const client of [a, b, plain]) await client.expectNothing();
  });

  test("one client with the shared and the ordinary subscription gets both copies", async () => {
    const topic = unique("both");
    const client = await server.connect(version);
    await client.subscribe([`$share/g/${topic}`, topic]);
    await client.publish(topic, "x");
    expect(await publishes(client)).toHaveLength(2);
  });

  test("wildcards work behind the group name; a group is name and filter", async () => {
    const root = unique("wild");
    const client = await server.connect(version);
    await client.subscribe([`$share/g/${root}/#`, `$share/g/${root}/+/x`]);
    await client.publish(`${root}/a/x`, "1");
    expect(await publishes(client)).toHaveLength(2);
    await client.unsubscribe(`$share/g/${root}/#`);
    await client.publish(`${root}/a/x`, "2");
    expect(await publishes(client)).toHaveLength(1);
  });

  test("a member that unsubscribes or leaves gets nothing more, the others get all", async () => {
    const topic = unique("leave");
    const [one, two, three] = await Promise.all([1, 2, 3].map(() => server.connect(version)));
    for (const member of [one, two, three]) await member.subscribe(`$share/g/${topic}`);
    await one.unsubscribe(`$share/g/${topic}`);
    await two.disconnect();
    const publisher = await server.connect(version);
    for (let index = 0; index < 10; index++) await publisher.publish(topic, `${index}`);
    expect(await publishes(three)).toHaveLength(10);
    await one.expectNothing();
  });

  test("an offline member is passed over while another is online; with nobody online messages are queued", async () => {
    const topic = unique("offline");
    const options = { clientId: unique(), clean: false, ...keep };
    const sleeper = await server.connect(version, options);
    await sleeper.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }]);
    const other = await server.connect(version);
    await other.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }]);
    await sleeper.disconnect();
    const publisher = await server.connect(version);
    for (let index = 0; index < 6; index++) await publisher.publish(topic, `${index}`, { qos: 1 });
    for (let index = 0; index < (PEER ? 0 : 6); index++)
      expect(await other.receive()).toMatchObject({ text: `${index}` });
    await other.disconnect();
    await publisher.publish(topic, "queued", { qos: 1 });
    const awake = await server.connect(version, options);
    if (!PEER) expect(await awake.receive()).toMatchObject({ text: "queued" });
  });

  ours("QoS 1 unacknowledged by a member whose session ends goes to another", async () => {
    const topic = unique("moves");
    const [one, two] = await Promise.all([1, 2].map(() => server.connect(version)));
    for (const member of [one, two]) await member.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }]);
    const publisher = await server.connect(version);
    for (let index = 0; index < 10; index++) await publisher.publish(topic, `${index}`, { qos: 1 });
    const mine = await publishes(one);
    const theirs = await publishes(two);
    expect(mine.length).toBeGreaterThan(0);
    for (const message of theirs) two.send(two.wire.puback(message.id));
    one.destroy();
    const moved: string[] = [];
    for (let index = 0; index < mine.length; index++) moved.push((await two.receive()).text);
    expect(moved).toEqual(mine.map((message) => message.text));
    await two.expectNothing();
  });

  test("QoS 2 in flight stays with its member [MQTT-4.8.2-5]", async () => {
    const topic = unique("stays");
    const options = { clientId: unique(), clean: false, ...keep };
    const one = await server.connect(version, options);
    await one.subscribe([{ filter: `$share/g/${topic}`, qos: 2 }]);
    const publisher = await server.connect(version);
    await publisher.publish(topic, "x", { qos: 2 });
    const sent = await one.next("publish");
    const two = await server.connect(version);
    await two.subscribe([{ filter: `$share/g/${topic}`, qos: 2 }]);
    one.destroy();
    const again = await server.connect(version, options);
    expect(await again.receive()).toMatchObject({ text: "x", qos: 2, dup: true, id: sent.id });
    await two.expectNothing();
  });

  test.each(["$share/", "$share/g", "$share//a", "$share/g/", "$share/g+/a", "$share/#/a"])(
    "%j is no valid filter [MQTT-4.8.2-1]",
    async (filter) => {
      const client = await server.connect(version);
      client.send(client.wire.subscribe(3, filter));
      const answer = await client.take(() => true, "an answer").catch(() => undefined);
      if (answer?.type === "suback") expect(answer.reasons).toEqual([version === 5 ? 0x8f : 0x80]);
      else if (answer) expect(answer).toMatchObject({ type: "disconnect" });
      else expect(version).toBe(4);
    },
  );
});

describe("sharedStrategy hash", () => {
  const hashing = useServer({ sharedStrategy: "hash" });
  ours("all messages of one publisher go to one member, several publishers use several members", async () => {
    const topic = unique("hash");
    const members = await Promise.all([1, 2, 3, 4].map(() => hashing.connect(5)));
    for (const member of members) await member.subscribe(`$share/g/${topic}`);
    const publishers = await Promise.all(Array.from({ length: 40 }, () => hashing.connect(5)));
    for (const [number, publisher] of publishers.entries()) {
      for (let index = 0; index < 5; index++) publisher.send(publisher.wire.publish(topic, `${number}`));
      await publisher.fence();
    }
    const received = await Promise.all(members.map(publishes));
    const owner = new Map<string, number>();
    for (const [member, list] of received.entries()) {
      for (const message of list) {
        expect(owner.get(message.text) ?? member).toBe(member);
        owner.set(message.text, member);
      }
    }
    expect(received.flat()).toHaveLength(200);
    expect(new Set(owner.values()).size).toBeGreaterThan(1);
  });
});

describe("sharedMoveAtDisconnect", () => {
  const moving = useServer({ sharedMoveAtDisconnect: true });
  ours("QoS 1 moves at disconnect, although the session lives on", async () => {
    const topic = unique("moves");
    const options = keptSession();
    const one = await moving.connect(5, options);
    await one.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }]);
    const publisher = await moving.connect(5);
    await publisher.publish(topic, "x", { qos: 1 });
    await one.next("publish");
    const two = await moving.connect(5);
    await two.subscribe([{ filter: `$share/g/${topic}`, qos: 1 }]);
    one.destroy();
    expect(await two.receive()).toMatchObject({ text: "x" });
    const again = await moving.connect(5, options);
    await again.expectNothing();
  });
});
