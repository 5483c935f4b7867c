// Topic Aliases both ways (5.0) [MQTT-3.3.2-7] to [MQTT-3.3.2-12].
import { describe, expect, test } from "vitest";
import { ours, PEER, unique, useServer, keptSession } from "../../support/server.ts";

const server = useServer({ limits: { topicAliasMaximum: 10 } });
const alias = (topicAlias: number): { properties: { topicAlias: number } } => ({
  properties: { topicAlias },
});

describe("from the client", () => {
  test("the maximum is announced", async () => {
    const client = await server.connect(5);
    expect(client.connack.properties.topicAliasMaximum).toBe(10);
  });

  test("an alias stands for its topic; the receiver sees the topic and no alias", async () => {
    const topic = unique("alias");
    const watcher = await server.connect(5);
    const old = await server.connect(4);
    await watcher.subscribe([{ filter: topic, qos: 1 }]);
    await old.subscribe([{ filter: topic, qos: 1 }]);
    const client = await server.connect(5);
    await client.publish(topic, "sets", alias(1));
    await client.publish("", "uses", alias(1));
    await client.publish("", "uses it with QoS 1", { qos: 1, ...alias(1) });
    for (const text of ["sets", "uses", "uses it with QoS 1"]) {
      expect(await watcher.receive()).toMatchObject({ topic, text, properties: {} });
      expect(await old.receive()).toMatchObject({ topic, text });
    }
  });

  test("an alias set and used in one chunk, and set anew", async () => {
    const [one, two] = [unique("alias"), unique("alias")];
    const watcher = await server.connect(5);
    await watcher.subscribe([one, two]);
    const client = await server.connect(5);
    const { wire } = client;
    client.send(
      wire.publish(one, "1", alias(3)),
      wire.publish("", "2", alias(3)),
      wire.publish(two, "3", alias(3)),
      wire.publish("", "4", alias(3)),
      wire.publish(one, "5"),
    );
    const got = [];
    for (let index = 0; index < 5; index++) got.push(await watcher.next("publish"));
    expect(got.map(({ topic, text }) => [topic, text])).toEqual([
      [one, "1"],
      [one, "2"],
      [two, "3"],
      [two, "4"],
      [one, "5"],
    ]);
  });

  test("aliases of two connections have nothing to do with each other [MQTT-3.3.2-7]", async () => {
    const [one, two] = [unique("alias"), unique("alias")];
    const watcher = await server.connect(5);
    await watcher.subscribe([one, two]);
    const [a, b] = [await server.connect(5), await server.connect(5)];
    await a.publish(one, "", alias(1));
    await b.publish(two, "", alias(1));
    await a.publish("", "a", alias(1));
    await b.publish("", "b", alias(1));
    const got = (await watcher.fence()).flatMap((packet) =>
      packet.type === "publish" ? [[packet.topic, packet.text]] : [],
    );
    expect(got).toEqual([
      [one, ""],
      [two, ""],
      [one, "a"],
      [two, "b"],
    ]);
  });

  test("an alias is retained and queued as its topic", async () => {
    const topic = unique("alias");
    const client = await server.connect(5);
    await client.publish(topic, "", alias(1));
    await client.publish("", "kept", { retain: true, ...alias(1) });
    await client.subscribe(topic);
    expect(await client.next("publish")).toMatchObject({ topic, text: "kept", properties: {} });
  });

  test.each([
    ["alias 0", "a", 0, 0x94],
    ["an alias over the maximum", "a", 11, 0x94],
    ["an alias never set", "", 5, 0x82],
  ])("%s ends the connection", async (_what, topic, topicAlias, reason) => {
    const client = await server.connect(5);
    client.send(client.wire.publish(topic, "x", alias(topicAlias)));
    await client.expectEnd(reason);
  });

  test("the largest alias is accepted", async () => {
    const client = await server.connect(5);
    await client.publish(unique(), "x", alias(10));
    await client.publish("", "x", { qos: 1, ...alias(10) });
  });

  test("an empty topic without alias is a Protocol Error", async () => {
    const client = await server.connect(5);
    client.send(client.wire.publish("", "x"));
    await client.expectEnd(0x82);
  });

  test("aliases end with the connection, also where the session lives on", async () => {
    const options = keptSession();
    const first = await server.connect(5, options);
    await first.publish(unique(), "x", alias(1));
    await first.disconnect();
    const second = await server.connect(5, options);
    second.send(second.wire.publish("", "x", alias(1)));
    await second.expectEnd(0x82);
  });
});

describe("to the client", () => {
  test.each([1, 2, 5])(
    "no alias above the client's maximum of %i, and topics are always right",
    async (topicAliasMaximum) => {
      const root = unique("out");
      const client = await server.connect(5, { properties: { topicAliasMaximum } });
      await client.subscribe([{ filter: `${root}/#`, qos: 1 }]);
      const publisher = await server.connect(5);
      const known = new Map<number, string>();
      let used = 0;
      for (let index = 0; index < 60; index++) {
        const topic = `${root}/${index % 8}`;
        await publisher.publish(topic, topic, { qos: index % 2 === 0 ? 0 : 1 });
        const message = await client.receive();
        const number = message.properties.topicAlias;
        if (number !== undefined) {
          expect(number).toBeGreaterThan(0);
          expect(number).toBeLessThanOrEqual(topicAliasMaximum);
          if (message.topic === "") used += 1;
          else known.set(number, message.topic);
        }
        expect(message.topic === "" ? known.get(number ?? 0) : message.topic).toBe(message.text);
      }
      if (!PEER) expect(used).toBeGreaterThan(0);
    },
  );

  test("none where the client allows none [MQTT-3.1.2-27]", async () => {
    const topic = unique("out");
    const client = await server.connect(5);
    await client.subscribe(topic);
    for (let index = 0; index < 5; index++) {
      await client.publish(topic, "x");
      expect(await client.receive()).toMatchObject({ topic, properties: {} });
    }
  });

  ours("aliases start anew with each connection, for retransmitted messages too", async () => {
    const topic = unique("out");
    const options = {
      clientId: unique(),
      clean: false,
      properties: { sessionExpiryInterval: 100, topicAliasMaximum: 3 },
    };
    const first = await server.connect(5, options);
    await first.subscribe([{ filter: topic, qos: 1 }]);
    for (let index = 0; index < 4; index++) await first.publish(topic, `${index}`, { qos: 1 });
    const sent = (await first.fence()).filter((packet) => packet.type === "publish");
    expect(sent).toHaveLength(4);
    first.destroy();
    const second = await server.connect(5, options);
    for (let index = 0; index < 4; index++) {
      const message = await second.receive();
      expect(message).toMatchObject({ text: `${index}`, dup: true });
      if (index === 0) expect(message.topic).toBe(topic);
    }
  });
});
