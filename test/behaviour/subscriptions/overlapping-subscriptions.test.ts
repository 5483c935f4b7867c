// Overlapping subscriptions of one session: one copy, at the highest QoS; No Local; replacement without a gap.
import { describe, expect, test } from "vitest";
import { ALL, BOTH, unique, useServer, keptSession } from "../../support/server.ts";

const server = useServer({ mosquitto: ["allow_duplicate_messages false"] });

describe.each(ALL)("MQTT %s", (_name, version) => {
  test("a message that matches several filters comes once, at the highest QoS [MQTT-3.3.4-2]", async () => {
    const root = unique("overlap");
    const client = await server.connect(version);
    await client.subscribe([
      { filter: `${root}/#`, qos: 0 },
      { filter: `${root}/a`, qos: 2 },
      { filter: `${root}/+`, qos: 1 },
      { filter: "+/a", qos: 1 },
    ]);
    const publisher = await server.connect(version);
    await publisher.publish(`${root}/a`, "once", { qos: 2 });
    expect(await client.receive()).toMatchObject({ text: "once", qos: 2 });
    await publisher.publish(`${root}/b`, "once more", { qos: 2 });
    expect(await client.receive()).toMatchObject({ text: "once more", qos: 1 });
    await client.expectNothing();
  });

  test("an overlap comes once to a session that was away as well", async () => {
    const root = unique("overlap");
    const options = keptSession();
    const first = await server.connect(version, options);
    await first.subscribe([
      { filter: `${root}/#`, qos: 1 },
      { filter: `${root}/a`, qos: 2 },
    ]);
    await first.disconnect();
    const publisher = await server.connect(version);
    await publisher.publish(`${root}/a`, "x", { qos: 2 });
    const second = await server.connect(version, options);
    expect(await second.receive()).toMatchObject({ text: "x", qos: 2 });
    await second.expectNothing();
  });

  test("replacing a subscription loses and doubles nothing [MQTT-3.8.4-3]", async () => {
    const topic = unique("replace");
    const client = await server.connect(version);
    await client.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await server.connect(version);
    const count = 2_000;
    // Both write as fast as they can; the broker sees subscribe and publish interleaved.
    for (let index = 0; index < count; index++) {
      publisher.send(publisher.wire.publish(topic, `${index}`));
      if (index % 10 === 0)
        client.send(
          client.wire.subscribe(1 + (index % 60_000), [
            { filter: topic, qos: ((index / 10) % 3) as 0 | 1 | 2 },
          ]),
        );
      if (index % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    for (let index = 0; index < count; index++) expect((await client.of("publish")).text).toBe(`${index}`);
  });

  test("the replacement's QoS counts", async () => {
    const topic = unique("replace");
    const client = await server.connect(version);
    await client.subscribe([{ filter: topic, qos: 2 }]);
    await client.subscribe([{ filter: topic, qos: 0 }]);
    await client.publish(topic, "x", { qos: 1 });
    expect(await client.next("publish")).toMatchObject({ qos: 0 });
    await client.expectNothing();
  });

  test("one filter twice in a SUBSCRIBE is one subscription", async () => {
    const topic = unique("twice");
    const client = await server.connect(version);
    const ack = await client.subscribe([
      { filter: topic, qos: 0 },
      { filter: topic, qos: 1 },
    ]);
    expect(ack.reasons).toEqual([0, 1]);
    await client.publish(topic, "x", { qos: 1 });
    expect(await client.receive()).toMatchObject({ qos: 1 });
    await client.expectNothing();
  });
});

describe("No Local, MQTT 5.0 [MQTT-3.8.3-3]", () => {
  test("a client does not get what it published itself; others do", async () => {
    const topic = unique("local");
    const client = await server.connect(5);
    const other = await server.connect(5);
    await client.subscribe([{ filter: topic, noLocal: true, qos: 1 }]);
    await other.subscribe([{ filter: topic, noLocal: true, qos: 1 }]);
    for (const qos of [0, 1, 2] as const) {
      await client.publish(topic, `${qos}`, { qos });
      expect(await other.receive()).toMatchObject({ text: `${qos}` });
    }
    await client.expectNothing();
  });

  test("of overlapping subscriptions, the one without No Local still delivers", async () => {
    const root = unique("local");
    const client = await server.connect(5);
    await client.subscribe([{ filter: `${root}/#`, noLocal: true, qos: 2 }], { subscriptionIdentifier: 1 });
    await client.subscribe([{ filter: `${root}/a`, qos: 0 }], { subscriptionIdentifier: 2 });
    await client.publish(`${root}/a`, "x", { qos: 1 });
    const message = await client.receive();
    expect(message).toMatchObject({ text: "x", qos: 0 });
    expect(message.properties.subscriptionIdentifier).toEqual([2]);
    await client.publish(`${root}/b`, "y", { qos: 1 });
    await client.expectNothing();
  });

  test("it is the session that counts: a message published before a takeover stays local", async () => {
    const topic = unique("local");
    const options = keptSession();
    const first = await server.connect(5, options);
    await first.subscribe([{ filter: topic, noLocal: true, qos: 1 }]);
    await first.publish(topic, "own", { qos: 1 });
    const second = await server.connect(5, options);
    await second.publish(topic, "own again", { qos: 1 });
    await second.expectNothing();
  });
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("two sessions with the same filter each get a copy", async () => {
    const topic = unique("two");
    const one = await server.connect(version);
    const two = await server.connect(version);
    await one.subscribe(topic);
    await two.subscribe(topic);
    await one.publish(topic, "x");
    expect(await one.next("publish")).toMatchObject({ text: "x" });
    expect(await two.next("publish")).toMatchObject({ text: "x" });
  });
});
