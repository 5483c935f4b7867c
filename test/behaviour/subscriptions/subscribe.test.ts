// SUBSCRIBE, UNSUBSCRIBE and their acknowledgements; which topics a filter matches.
import { describe, expect, test } from "vitest";
import { ALL, BOTH, unique, useServer } from "../../support/server.ts";
import { raw, u16 } from "../../support/wire.ts";

const server = useServer();

describe.each(ALL)("MQTT %s", (_name, version) => {
  test("SUBACK has one code for each filter, in order [MQTT-3.8.4-5]", async () => {
    const client = await server.connect(version);
    const ack = await client.subscribe([
      { filter: "a", qos: 2 },
      { filter: "b/#", qos: 0 },
      { filter: "+/c", qos: 1 },
    ]);
    expect(ack.reasons).toEqual([2, 0, 1]);
  });

  test("delivery is at the lower of the published and the granted QoS [MQTT-3.8.4-8]", async () => {
    const root = unique("qos");
    const client = await server.connect(version);
    for (const granted of [0, 1, 2] as const)
      await client.subscribe([{ filter: `${root}/${granted}`, qos: granted }]);
    const publisher = await server.connect(version);
    for (const granted of [0, 1, 2] as const) {
      for (const sent of [0, 1, 2] as const) {
        await publisher.publish(`${root}/${granted}`, `${sent}`, { qos: sent });
        expect(await client.receive()).toMatchObject({ text: `${sent}`, qos: Math.min(granted, sent) });
      }
    }
  });

  test("UNSUBSCRIBE ends deliveries and is always acknowledged [MQTT-3.10.4-4]", async () => {
    const topic = unique("un");
    const client = await server.connect(version);
    await client.subscribe([topic, `${topic}/#`]);
    const ack = await client.unsubscribe([topic, `${topic}/#`, "never/subscribed"]);
    expect(ack.reasons).toEqual(version === 5 ? [0, 0, 0x11] : []);
    await client.publish(topic, "x");
    await client.expectNothing();
  });

  test("UNSUBSCRIBE compares filters byte by byte [MQTT-3.10.4-1]", async () => {
    const topic = unique("exact");
    const client = await server.connect(version);
    await client.subscribe(`${topic}/+`);
    await client.unsubscribe([`${topic}/a`, `${topic}/#`]);
    await client.publish(`${topic}/a`, "x");
    expect(await client.next("publish")).toMatchObject({ text: "x" });
  });

  test("a message in flight is completed after UNSUBSCRIBE [MQTT-3.10.4-3]", async () => {
    const topic = unique("flight");
    const client = await server.connect(version);
    await client.subscribe([{ filter: topic, qos: 2 }]);
    await client.publish(topic, "x", { qos: 1 });
    const publisher = await server.connect(version);
    await publisher.publish(topic, "y", { qos: 2 });
    const first = await client.next("publish");
    const second = await client.next("publish");
    await client.unsubscribe(topic);
    await client.acknowledge(first);
    await client.acknowledge(second);
    await client.expectNothing();
  });

  test("publishers receive their own messages", async () => {
    const topic = unique("own");
    const client = await server.connect(version);
    await client.subscribe(topic);
    await client.publish(topic, "mine");
    expect(await client.next("publish")).toMatchObject({ text: "mine" });
  });

  test.each([
    ["#", ["sport", "sport/tennis", "/", "/finance"], []],
    ["+", ["sport"], ["/finance", "sport/tennis", "/"]],
    ["/+", ["/finance", "/"], ["finance"]],
    ["+/+", ["/finance", "sport/tennis", "/"], ["sport"]],
    ["sport/#", ["sport", "sport/", "sport/tennis/player1"], ["sports", "/sport"]],
    ["sport/+", ["sport/tennis", "sport/"], ["sport", "sport/tennis/player1"]],
    ["sport/+/player1", ["sport/tennis/player1", "sport//player1"], ["sport/player1"]],
    ["+/tennis/#", ["sport/tennis", "sport/tennis/a/b"], ["tennis", "sport/a/tennis"]],
    ["Sport", ["Sport"], ["sport", "SPORT"]],
    ["a b/ü/中文", ["a b/ü/中文"], ["a b/u/中文"]],
    ["a//b", ["a//b"], ["a/b", "a/ /b"]],
  ])("%s matches %j and not %j [MQTT-4.7.1]", async (filter, matching, others) => {
    // A prefix level of its own keeps tests apart; filters that start with a wildcard are tested as they are.
    const client = await server.connect(version);
    await client.subscribe(filter);
    for (const topic of others) await client.publish(topic, "no");
    await client.expectNothing();
    for (const topic of matching) {
      await client.publish(topic, "yes");
      expect(await client.next("publish")).toMatchObject({ topic, text: "yes" });
    }
    await client.expectNothing();
  });

  test("leading wildcards do not reach $-topics [MQTT-4.7.2-1]", async () => {
    const client = await server.connect(version);
    await client.subscribe(["#", "+/monitor/+", "+/#"]);
    const name = unique();
    await client.publish(`$${name}/monitor/x`, "hidden");
    const topics = (await client.fence()).flatMap((packet) =>
      packet.type === "publish" ? [packet.topic] : [],
    );
    expect(topics.filter((topic) => topic.startsWith("$"))).toEqual([]);
    await client.subscribe(`$${name}/monitor/+`);
    await client.publish(`$${name}/monitor/x`, "seen");
    expect(await client.of("publish")).toMatchObject({ text: "seen" });
  });
});

describe.each(BOTH)("malformed, MQTT %s", (_name, version) => {
  const block = version === 5 ? Buffer.from([0]) : Buffer.alloc(0);
  const filter = Buffer.from([0, 1, 0x61, 0]);
  test.each([
    ["SUBSCRIBE without filters [MQTT-3.8.3-2]", () => raw(0x82, u16(1), block), 0x82],
    [
      "SUBSCRIBE with Packet Identifier 0 [MQTT-2.2.1-3]",
      () => raw(0x82, u16(0), block, filter),
      [0x81, 0x82],
    ],
    ["SUBSCRIBE with flags 0 [MQTT-3.8.1-1]", () => raw(0x80, u16(1), block, filter), 0x81],
    [
      "SUBSCRIBE with reserved option bits [MQTT-3.8.3-5]",
      () => raw(0x82, u16(1), block, Buffer.from([0, 1, 0x61, 0xc0])),
      0x81,
    ],
    ["SUBSCRIBE with QoS 3", () => raw(0x82, u16(1), block, Buffer.from([0, 1, 0x61, 3])), 0x82],
    ["SUBSCRIBE without its options byte", () => raw(0x82, u16(1), block, Buffer.from([0, 1, 0x61])), 0x81],
    [
      "SUBSCRIBE whose filter is not UTF-8",
      () => raw(0x82, u16(1), block, Buffer.from([0, 2, 0xc3, 0x28, 0])),
      0x81,
    ],
    ["UNSUBSCRIBE without filters [MQTT-3.10.3-2]", () => raw(0xa2, u16(1), block), 0x82],
    [
      "UNSUBSCRIBE with flags 0 [MQTT-3.10.1-1]",
      () => raw(0xa0, u16(1), block, Buffer.from([0, 1, 0x61])),
      0x81,
    ],
    [
      "UNSUBSCRIBE with Packet Identifier 0",
      () => raw(0xa2, u16(0), block, Buffer.from([0, 1, 0x61])),
      [0x81, 0x82],
    ],
    ["UNSUBSCRIBE cut short", () => raw(0xa2, u16(1), block, Buffer.from([0, 9, 0x61])), 0x81],
  ] as [string, () => Buffer, number | number[]][])(
    "%s ends the connection",
    async (_what, bytes, reason) => {
      const client = await server.connect(version);
      client.send(bytes());
      const packets = await client.closed();
      if (version === 5) {
        expect(packets).toMatchObject([{ type: "disconnect" }]);
        expect([reason].flat()).toContain((packets[0] as { reason: number }).reason);
      } else expect(packets).toEqual([]);
    },
  );

  test.each(["a/#/b", "a#", "a+/b", "+a", "#/", "a/b+", ""])(
    "the filter %j is invalid: 0x8F, or the connection ends",
    async (bad) => {
      // 5.0 has a Reason Code for it; 3.1.1 may answer with 0x80 or end the connection.
      const client = await server.connect(version);
      client.send(client.wire.subscribe(9, ["good", bad]), client.wire.pingreq());
      const answer = await client.take(() => true, "suback or disconnect").catch(() => undefined);
      if (answer === undefined) return expect(version).toBe(4);
      if (answer.type === "disconnect") expect([0x8f, 0x81]).toContain(answer.reason);
      else expect(answer).toMatchObject({ type: "suback", id: 9, reasons: [0, version === 5 ? 0x8f : 0x80] });
    },
  );
});

describe("malformed, MQTT 5.0", () => {
  test.each([
    ["Subscription Identifier 0", Buffer.from([0x0b, 0]), 0x82],
    ["two Subscription Identifiers", Buffer.from([0x0b, 1, 0x0b, 2]), 0x82],
    ["a property of another packet", Buffer.from([0x23, 0, 1]), 0x81],
  ])("SUBSCRIBE with %s is refused", async (_what, properties, reason) => {
    const client = await server.connect(5);
    client.send(client.wire.subscribe(1, "a", properties));
    await client.expectEnd(reason);
  });

  test("No Local on a shared subscription is a Protocol Error [MQTT-3.8.3-4]", async () => {
    const client = await server.connect(5);
    client.send(client.wire.subscribe(1, [{ filter: "$share/g/a", noLocal: true }]));
    await client.expectEnd(0x82);
  });
});
