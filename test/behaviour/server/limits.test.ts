// Limits that a client can reach, at n-1, n and n+1.
import { describe, expect } from "vitest";
import { BOTH, eventually, ours, TestServer, unique, useServer, keptSession } from "../../support/server.ts";

const server = useServer({
  limits: {
    topicLevels: 8,
    subscriptionsPerSession: 5,
    filtersPerSubscribe: 4,
    propertiesPerPacket: 6,
    topicAliasBytes: 100,
    queuedMessages: 5,
    sessionExpiry: 50,
  },
});
const levels = (count: number): string => Array.from({ length: count }, () => "l").join("/");

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const v5 = version === 5;

  ours.each([7, 8, 9])("topicLevels 8: a PUBLISH of %i levels", async (count) => {
    const client = await server.connect(version);
    client.send(client.wire.publish(levels(count), "x", { qos: 1, id: 1 }));
    if (count > 8) await client.expectEnd(0x90);
    else expect(await client.next("puback")).toMatchObject({ id: 1 });
  });

  ours.each([7, 8, 9])("topicLevels 8: a SUBSCRIBE of %i levels", async (count) => {
    const client = await server.connect(version);
    expect((await client.subscribe(levels(count))).reasons).toEqual([count > 8 ? (v5 ? 0x8f : 0x80) : 0]);
  });

  ours("topicLevels 8 counts the filter behind $share/NAME/", async () => {
    const client = await server.connect(version);
    expect((await client.subscribe([`$share/g/${levels(8)}`, `$share/g/${levels(9)}`])).reasons).toEqual([
      0,
      v5 ? 0x8f : 0x80,
    ]);
  });

  ours(
    "subscriptionsPerSession 5: the sixth is refused, a replacement is not, one removed makes room",
    async () => {
      const client = await server.connect(version);
      const over = v5 ? 0x97 : 0x80;
      for (let index = 0; index < 5; index++)
        expect((await client.subscribe(`s/${index}`)).reasons).toEqual([0]);
      expect((await client.subscribe("s/5")).reasons).toEqual([over]);
      expect((await client.subscribe([{ filter: "s/0", qos: 1 }])).reasons).toEqual([1]);
      await client.unsubscribe("s/3");
      expect((await client.subscribe(["s/5", "s/6"])).reasons).toEqual([0, over]);
    },
  );

  ours.each([3, 4, 5])("filtersPerSubscribe 4: %i filters in one SUBSCRIBE", async (count) => {
    const client = await server.connect(version);
    const ack = await client.subscribe(Array.from({ length: count }, (_, index) => `f/${index}`));
    expect(ack.reasons).toEqual(Array.from({ length: count }, () => (count > 4 ? (v5 ? 0x97 : 0x80) : 0)));
  });

  ours.each([4, 5, 6])("queuedMessages 5: %i messages for a session that is away", async (count) => {
    const topic = unique("queue");
    const options = keptSession();
    const first = await server.connect(version, options);
    await first.subscribe([{ filter: topic, qos: 1 }]);
    await first.disconnect();
    const publisher = await server.connect(version);
    for (let index = 0; index < count; index++) await publisher.publish(topic, `${index}`, { qos: 1 });
    const second = await server.connect(version, options);
    const texts: string[] = [];
    for (let index = 0; index < Math.min(count, 5); index++) texts.push((await second.receive()).text);
    // The newest is what the standard profile gives up.
    expect(texts).toEqual(["0", "1", "2", "3", "4"].slice(0, count));
    await second.expectNothing();
  });
});

describe("MQTT 5.0", () => {
  ours.each([5, 6, 7])("propertiesPerPacket 6: %i User Properties", async (count) => {
    const client = await server.connect(5);
    const userProperty = Array.from({ length: count }, (_, index): [string, string] => ["k", `${index}`]);
    client.send(client.wire.publish(unique(), "x", { qos: 1, id: 1, properties: { userProperty } }));
    if (count > 6) await client.expectEnd(0x97);
    else expect(await client.next("puback")).toMatchObject({ id: 1 });
  });

  ours.each([99, 100, 101])("topicAliasBytes 100: aliases for topics of %i bytes together", async (total) => {
    const client = await server.connect(5);
    client.send(
      client.wire.publish("a".repeat(50), "x", { properties: { topicAlias: 1 } }),
      client.wire.publish("b".repeat(total - 50), "x", { properties: { topicAlias: 2 } }),
      client.wire.pingreq(),
    );
    if (total > 100) await client.expectEnd(0x97);
    else await client.next("pingresp");
  });

  ours("topicAliasBytes 100: replacing an alias gives its bytes back", async () => {
    const client = await server.connect(5);
    for (let index = 0; index < 10; index++)
      client.send(client.wire.publish(`${index}`.repeat(60), "x", { properties: { topicAlias: 1 } }));
    await client.fence();
  });

  ours.each([
    [49, undefined],
    [50, undefined],
    [51, 50],
    [0xffff_ffff, 50],
  ])("sessionExpiry 50: %i is answered with %s", async (sessionExpiryInterval, announced) => {
    const client = await server.connect(5, { properties: { sessionExpiryInterval } });
    expect(client.connack.properties.sessionExpiryInterval).toBe(announced);
  });
});

describe("limits of the whole broker", () => {
  ours.each(BOTH)(
    "sessions 3, MQTT %s: the fourth client is refused, one that resumes is not",
    async (_name, version) => {
      const own = new TestServer({ limits: { sessions: 3 } });
      await own.start();
      const options = {
        clientId: "kept",
        clean: false,
        ...(version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}),
      };
      await own.connect(version, options);
      await own.connect(version);
      const third = await own.connect(version);
      const fourth = await own.open(version);
      fourth.send(fourth.wire.connect({ clientId: "one too many" }));
      await fourth.expectRefusal(3, 0x97);
      await own.connect(version, options);
      await third.disconnect();
      await own.connect(version);
      await own.stop();
    },
  );

  ours("maxConnections 3: the fourth is closed at once, a place that is free is taken", async () => {
    const own = new TestServer({ limits: { maxConnections: 3 } });
    await own.start();
    await own.connect(4);
    await own.connect(4);
    const third = await own.connect(4);
    const fourth = await own.open(4);
    await fourth.closed(2_000);
    await third.disconnect();
    // The place is free when the server has seen the end of the connection, a moment after the client has.
    await eventually(
      () =>
        own.connect(4).then(
          () => true,
          () => false,
        ),
      "a client takes the free place",
    );
    await own.stop();
  });

  ours.each([1, 2, 3])("retainedMessages 2: storing %i", async (count) => {
    const own = new TestServer({ limits: { retainedMessages: 2 }, sysInterval: 0 });
    await own.start();
    const client = await own.connect(5);
    for (let index = 0; index < count; index++) {
      const ack = await client.publish(`r/${index}`, "x", { qos: 1, retain: true });
      if (index < 2) expect(ack?.reason).toBeLessThan(0x80);
      else expect(ack?.reason).toBe(0x97);
    }
    // Replacing one is no new one.
    expect((await client.publish("r/0", "y", { qos: 1, retain: true }))?.reason).toBeLessThan(0x80);
    await client.subscribe("r/#");
    expect(await client.fence()).toHaveLength(Math.min(count, 2));
    await own.stop();
  });
});
