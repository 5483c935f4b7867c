// Limits of single packets, and of what a connection may have open at once.
import { describe, expect, test } from "vitest";
import { BOTH, unique } from "../support/server.ts";
import { AROUND, limited } from "./limited.ts";

const levels = (count: number): string => Array.from({ length: count }, () => "l").join("/");

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const v5 = version === 5;

  for (const limit of [200, 100_000, 300_000]) {
    test.each(AROUND)(`maxPacketSize ${limit}, %i beyond`, (beyond) =>
      limited({ maxPacketSize: limit }, async (server) => {
        const client = await server.connect(version);
        const head = client.wire.publish("t", Buffer.alloc(limit), { qos: 1, id: 1 }).length - limit;
        client.send(
          client.wire.publish("t", Buffer.alloc(limit - head + beyond), { qos: 1, id: 1 }),
          client.wire.publish("t", "behind", { qos: 1, id: 2 }),
        );
        if (beyond > 0) await client.expectEnd(0x95);
        else {
          expect(await client.next("puback")).toMatchObject({ id: 1 });
          expect(await client.next("puback")).toMatchObject({ id: 2 });
        }
        await server.counted("maxPacketSize", beyond > 0 ? 1 : 0);
      }),
    );
  }

  test.each(AROUND)("receiveMaximum 3, %i beyond", (beyond) =>
    limited({ receiveMaximum: 3 }, async (server) => {
      const client = await server.connect(version);
      if (v5) expect(client.connack.properties.receiveMaximum).toBe(3);
      const packets = Array.from({ length: 3 + beyond }, (_, i) =>
        client.wire.publish("t", "x", { qos: 2, id: i + 1 }),
      );
      client.send(...packets);
      const refused = v5 && beyond > 0;
      for (let i = 0; i < (refused ? 3 : 3 + beyond); i++)
        expect(await client.next("pubrec")).toMatchObject({ id: i + 1 });
      if (refused) await client.expectEnd(0x93);
      else {
        // One that is finished makes room for another.
        client.send(client.wire.pubrel(1), client.wire.publish("t", "x", { qos: 2, id: 9 }));
        await client.next("pubcomp");
        await client.next("pubrec");
      }
      await server.counted("receiveMaximum", refused ? 1 : 0);
    }),
  );

  test.each(AROUND)("topicLevels 8 in PUBLISH, %i beyond", (beyond) =>
    limited({ topicLevels: 8 }, async (server) => {
      const client = await server.connect(version);
      client.send(client.wire.publish(levels(8 + beyond), "x", { qos: 1, id: 1 }));
      if (beyond > 0) await client.expectEnd(0x90);
      else await client.next("puback");
      await server.counted("topicLevels", beyond > 0 ? 1 : 0);
    }),
  );

  test.each(AROUND)("topicLevels 8 in SUBSCRIBE, %i beyond", (beyond) =>
    limited({ topicLevels: 8 }, async (server) => {
      const client = await server.connect(version);
      const { reasons } = await client.subscribe([
        "fine",
        levels(8 + beyond),
        `$share/g/${levels(8 + beyond)}`,
      ]);
      const code = beyond <= 0 ? 0 : v5 ? 0x8f : 0x80;
      expect(reasons).toEqual([0, code, code]);
      await server.counted("topicLevels", beyond > 0 ? 2 : 0);
    }),
  );

  test.each(AROUND)("filtersPerSubscribe 4, %i beyond", (beyond) =>
    limited({ filtersPerSubscribe: 4 }, async (server) => {
      const client = await server.connect(version);
      const { reasons } = await client.subscribe(Array.from({ length: 4 + beyond }, (_, i) => `f/${i}`));
      expect(new Set(reasons)).toEqual(new Set([beyond <= 0 ? 0 : v5 ? 0x97 : 0x80]));
      await server.counted("filtersPerSubscribe", beyond > 0 ? 1 : 0);
    }),
  );

  test.each(AROUND)("subscriptionsPerSession 5, %i beyond", (beyond) =>
    limited({ subscriptionsPerSession: 5 }, async (server) => {
      const client = await server.connect(version);
      for (let i = 0; i < 4 + beyond; i++) expect((await client.subscribe(`s/${i}`)).reasons).toEqual([0]);
      const last = await client.subscribe(["s/0", "$share/g/last"]);
      expect(last.reasons).toEqual([0, beyond <= 0 ? 0 : v5 ? 0x97 : 0x80]);
      await server.counted("subscriptionsPerSession", beyond > 0 ? 1 : 0);
    }),
  );
});

test.each(AROUND)("topicAliasMaximum 3, alias %i beyond", (beyond) =>
  limited({ topicAliasMaximum: 3 }, async (server) => {
    const client = await server.connect(5);
    expect(client.connack.properties.topicAliasMaximum).toBe(3);
    client.send(client.wire.publish("t", "x", { qos: 1, id: 1, properties: { topicAlias: 3 + beyond } }));
    if (beyond > 0) await client.expectEnd(0x94);
    else await client.next("puback");
    await server.counted("topicAliasMaximum", beyond > 0 ? 1 : 0);
  }),
);

test("topicAliasMaximum 2 bounds the aliases the broker uses, whatever the client can take", () =>
  limited({ topicAliasMaximum: 2 }, async (server) => {
    const client = await server.connect(5, { properties: { topicAliasMaximum: 100 } });
    await client.subscribe("topic/#");
    for (let i = 0; i < 5; i++) await server.broker.publish({ topic: `topic/${i}`, payload: "" });
    const aliases = (await client.fence()).map(({ properties }) => properties.topicAlias);
    expect(aliases).toEqual([1, 2, undefined, undefined, undefined]);
  }));

test.each(AROUND)("topicAliasBytes 100, %i beyond", (beyond) =>
  limited({ topicAliasBytes: 100 }, async (server) => {
    const client = await server.connect(5);
    client.send(
      client.wire.publish("a".repeat(50), "x", { properties: { topicAlias: 1 } }),
      client.wire.publish("b".repeat(50 + beyond), "x", { qos: 1, id: 1, properties: { topicAlias: 2 } }),
    );
    if (beyond > 0)
      expect((await client.expectEnd(0x97))?.properties.reasonString).toBe(
        "the topics of all Topic Aliases together are too long",
      );
    else await client.next("puback");
    await server.counted("topicAliasBytes", beyond > 0 ? 1 : 0);
  }),
);

describe.each(AROUND)("propertiesPerPacket 6, %i beyond", (beyond) => {
  const userProperty = Array.from({ length: 6 + beyond }, (_, i): [string, string] => ["k", `${i}`]);

  test("PUBLISH", () =>
    limited({ propertiesPerPacket: 6 }, async (server) => {
      const client = await server.connect(5);
      client.send(client.wire.publish(unique(), "x", { qos: 1, id: 1, properties: { userProperty } }));
      if (beyond > 0) await client.expectEnd(0x97);
      else await client.next("puback");
      await server.counted("propertiesPerPacket", beyond > 0 ? 1 : 0);
    }));

  test("SUBSCRIBE", () =>
    limited({ propertiesPerPacket: 6 }, async (server) => {
      const client = await server.connect(5);
      client.send(client.wire.subscribe(1, "t", { userProperty }));
      if (beyond > 0) await client.expectEnd(0x97);
      else await client.next("suback");
      await server.counted("propertiesPerPacket", beyond > 0 ? 1 : 0);
    }));

  test("CONNECT", () =>
    limited({ propertiesPerPacket: 6 }, async (server) => {
      const client = await server.open(5);
      client.send(client.wire.connect({ clientId: unique(), properties: { userProperty } }));
      expect(await client.next("connack")).toMatchObject({ reason: beyond > 0 ? 0x97 : 0 });
      await server.counted("propertiesPerPacket", beyond > 0 ? 1 : 0);
    }));
});

test.each(AROUND)("propertiesPerPacket 1,020, the most there is: %i beyond", (beyond) =>
  limited({ propertiesPerPacket: 1_020 }, async (server) => {
    const userProperty = Array.from({ length: 1_020 + beyond }, (_, i): [string, string] => ["k", `${i}`]);
    const client = await server.connect(5);
    client.send(client.wire.publish(unique(), "x", { qos: 1, id: 1, properties: { userProperty } }));
    if (beyond > 0) await client.expectEnd(0x97);
    else await client.next("puback");
    await server.counted("propertiesPerPacket", beyond > 0 ? 1 : 0);
  }),
);
