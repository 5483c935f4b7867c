// RETAIN 1 stores the message, an empty payload clears it, and each new subscriber gets it [MQTT-3.3.1-5].
import { describe, expect, test } from "vitest";
import { ALL, BOTH, unique, useServer } from "../../support/server.ts";

const server = useServer();

describe.each(ALL)("MQTT %s", (_name, version) => {
  test("a new subscriber gets the last retained message with RETAIN 1 [MQTT-3.3.1-6]", async () => {
    const topic = unique("retained");
    const client = await server.connect(version);
    await client.publish(topic, "old", { retain: true });
    await client.publish(topic, "new", { retain: true, qos: 1 });
    await client.subscribe([{ filter: topic, qos: 1 }]);
    expect(await client.receive()).toMatchObject({ text: "new", retain: true, qos: 1, dup: false });
    await client.expectNothing();
  });

  test("a subscriber that is there already gets it with RETAIN 0 [MQTT-3.3.1-9]", async () => {
    const topic = unique("live");
    const client = await server.connect(version);
    await client.subscribe(topic);
    await client.publish(topic, "x", { retain: true });
    expect(await client.next("publish")).toMatchObject({ text: "x", retain: false });
  });

  test("an empty payload clears it, is delivered, and is not stored [MQTT-3.3.1-10] [MQTT-3.3.1-11]", async () => {
    const topic = unique("cleared");
    const watcher = await server.connect(version);
    await watcher.subscribe(topic);
    const client = await server.connect(version);
    await client.publish(topic, "x", { retain: true, qos: 1 });
    await client.publish(topic, "", { retain: true, qos: 1 });
    expect(await watcher.next("publish")).toMatchObject({ text: "x" });
    expect(await watcher.next("publish")).toMatchObject({ text: "", retain: false });
    await client.subscribe(topic);
    await client.expectNothing();
  });

  test("a message without RETAIN leaves the retained one as it was [MQTT-3.3.1-8]", async () => {
    const topic = unique("kept");
    const client = await server.connect(version);
    await client.publish(topic, "kept", { retain: true });
    await client.publish(topic, "passing");
    await client.subscribe(topic);
    expect(await client.next("publish")).toMatchObject({ text: "kept", retain: true });
    await client.expectNothing();
  });

  test("QoS of the replay is the lower of message and subscription", async () => {
    const topic = unique("qos");
    const client = await server.connect(version);
    await client.publish(topic, "x", { retain: true, qos: 2 });
    for (const qos of [0, 1, 2] as const) {
      await client.subscribe([{ filter: topic, qos }]);
      expect(await client.receive()).toMatchObject({ text: "x", qos, retain: true });
    }
  });

  test("subscribing again replays again [MQTT-3.8.4-3]", async () => {
    const topic = unique("again");
    const client = await server.connect(version);
    await client.publish(topic, "x", { retain: true });
    for (let turn = 0; turn < 3; turn++) {
      await client.subscribe(topic);
      expect(await client.next("publish")).toMatchObject({ text: "x", retain: true });
    }
    await client.expectNothing();
  });

  test("a wildcard replays every retained message that matches, each once", async () => {
    const root = unique("tree");
    const client = await server.connect(version);
    const topics = ["a", "a/b", "a/b/c", "b", "b/b", "c/x/y"].map((tail) => `${root}/${tail}`);
    for (const topic of topics) await client.publish(topic, topic, { retain: true });
    const replay = async (filter: string): Promise<string[]> => {
      await client.unsubscribe(filter);
      await client.subscribe(filter);
      return (await client.fence())
        .map((packet) => (packet.type === "publish" && packet.retain ? packet.topic : packet.type))
        .sort();
    };
    expect(await replay(`${root}/#`)).toEqual(topics);
    expect(await replay(`${root}/+`)).toEqual([topics[0], topics[3]]);
    expect(await replay(`${root}/a/#`)).toEqual(topics.slice(0, 3));
    expect(await replay(`${root}/+/b`)).toEqual([topics[1], topics[4]]);
    expect(await replay(`${root}/+/+/#`)).toEqual([topics[1], topics[2], topics[4], topics[5]]);
    expect(await replay(`${root}/+/b/+`)).toEqual([topics[2]]);
  });

  test("a wildcard over 3,000 retained messages replays all of them, and live messages are neither lost nor early", async () => {
    const root = unique("crowd");
    const count = 3_000;
    const publisher = await server.connect(version);
    publisher.send(
      ...Array.from({ length: count }, (_, index) =>
        publisher.wire.publish(`${root}/${index}`, `${index}`, { retain: true }),
      ),
    );
    await publisher.fence();
    const client = await server.connect(version);
    client.send(client.wire.subscribe(7, `${root}/#`));
    await client.of("suback", 7);
    await publisher.publish(`${root}/live`, "live");
    const seen = new Set<string>();
    let live = 0;
    for (let index = 0; index <= count; index++) {
      const message = await client.next("publish");
      if (message.text === "live") live += 1;
      else {
        expect(message.retain).toBe(true);
        expect(seen.has(message.text)).toBe(false);
        seen.add(message.text);
      }
    }
    expect(seen.size).toBe(count);
    expect(live).toBe(1);
    await client.expectNothing();
    // What is retained here must not slow down other tests' wildcards.
    publisher.send(
      ...Array.from({ length: count }, (_, index) =>
        publisher.wire.publish(`${root}/${index}`, "", { retain: true }),
      ),
    );
    await publisher.fence();
  });

  test("replay of more QoS 1 messages than the window takes is not lost", async () => {
    const root = unique("window");
    const count = 200;
    const publisher = await server.connect(version);
    for (let index = 0; index < count; index++)
      publisher.send(
        publisher.wire.publish(`${root}/${index}`, `${index}`, { retain: true, qos: 1, id: index + 1 }),
      );
    await publisher.of("puback", count);
    const client = await server.connect(version, version === 5 ? { properties: { receiveMaximum: 5 } } : {});
    await client.subscribe([{ filter: `${root}/#`, qos: 1 }]);
    const seen = new Set<string>();
    while (seen.size < count) seen.add((await client.receive()).text);
    await client.expectNothing();
  });
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("retained messages outlive the client that sent them", async () => {
    const topic = unique("outlives");
    const publisher = await server.connect(version);
    await publisher.publish(topic, "x", { retain: true, qos: 2 });
    await publisher.disconnect();
    const client = await server.connect(version);
    await client.subscribe(topic);
    expect(await client.next("publish")).toMatchObject({ text: "x", retain: true });
  });

  test("# does not replay retained messages of $-topics, $x/# does [MQTT-4.7.2-1]", async () => {
    const root = unique("$private");
    const client = await server.connect(version);
    await client.publish(`${root}/a`, "hidden", { retain: true });
    await client.subscribe("+/a");
    await client.subscribe("#");
    const packets = await client.fence();
    expect(packets.filter((packet) => packet.type === "publish" && packet.topic.startsWith("$"))).toEqual([]);
    await client.subscribe(`${root}/#`);
    expect(await client.next("publish")).toMatchObject({ text: "hidden", retain: true });
    await client.publish(`${root}/a`, "", { retain: true });
  });
});
