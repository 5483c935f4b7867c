// Properties of a PUBLISH reach the receiver unchanged and in order (5.0) [MQTT-3.3.2-4] [MQTT-3.3.2-15] to [MQTT-3.3.2-20].
import { describe, expect, test } from "vitest";
import { ours, unique, useServer, keptSession } from "../../support/server.ts";
import { openPolicy } from "../../support/policy.ts";
import type { Properties } from "../../support/wire.ts";

const server = useServer();
const everything: Properties = {
  payloadFormatIndicator: 1,
  messageExpiryInterval: 1_000,
  contentType: "text/plain; charset=utf-8",
  responseTopic: "answers/to/me",
  correlationData: Buffer.from([0, 1, 2, 0xff]),
  userProperty: [
    ["z", "1"],
    ["a", "2"],
    ["z", "3"],
    ["", ""],
    ["ключ", "значение"],
  ],
};

describe("MQTT 5.0", () => {
  test.each([0, 1, 2] as const)("all properties, QoS %i", async (qos) => {
    const topic = unique("props");
    const client = await server.connect(5);
    await client.subscribe([{ filter: topic, qos }]);
    await client.publish(topic, "text", { qos, properties: everything });
    expect((await client.receive()).properties).toEqual(everything);
  });

  test("all properties of a retained and of a queued message", async () => {
    const topic = unique("props");
    const options = keptSession();
    const sleeper = await server.connect(5, options);
    await sleeper.subscribe([{ filter: topic, qos: 1 }]);
    await sleeper.disconnect();
    const publisher = await server.connect(5);
    await publisher.publish(topic, "text", { qos: 1, retain: true, properties: everything });
    const awake = await server.connect(5, options);
    const queued = await awake.receive();
    expect({ ...queued.properties, messageExpiryInterval: 1_000 }).toEqual(everything);
    expect(queued.properties.messageExpiryInterval).toBeGreaterThan(995);
    await publisher.subscribe([{ filter: topic, qos: 1 }]);
    const retained = await publisher.receive();
    expect({ ...retained.properties, messageExpiryInterval: 1_000 }).toEqual(everything);
  });

  test("properties in any order are understood, and User Properties keep theirs among each other", async () => {
    const topic = unique("props");
    const client = await server.connect(5);
    await client.subscribe(topic);
    const properties = Buffer.from(
      "26000162000132" + "0101" + "26000161000131" + "020000003c" + "26000162000131" + "0300017a",
      "hex",
    );
    await client.publish(topic, "x", { properties });
    expect((await client.receive()).properties).toEqual({
      payloadFormatIndicator: 1,
      messageExpiryInterval: 60,
      contentType: "z",
      userProperty: [
        ["b", "2"],
        ["a", "1"],
        ["b", "1"],
      ],
    });
  });

  test("a Payload Format Indicator of 0 is forwarded, and the payload is not looked at", async () => {
    const topic = unique("props");
    const client = await server.connect(5);
    await client.subscribe(topic);
    await client.publish(topic, Buffer.from([0xff, 0xfe]), { properties: { payloadFormatIndicator: 0 } });
    expect(await client.receive()).toMatchObject({
      payload: Buffer.from([0xff, 0xfe]),
      properties: { payloadFormatIndicator: 0 },
    });
    await client.publish(topic, Buffer.from([0xff]), { properties: { payloadFormatIndicator: 1 } });
    expect(await client.receive()).toMatchObject({
      payload: Buffer.from([0xff]),
      properties: { payloadFormatIndicator: 1 },
    });
  });

  test("a request is answered through Response Topic and Correlation Data", async () => {
    const [requests, answers] = [unique("request"), unique("answer")];
    const responder = await server.connect(5);
    await responder.subscribe([{ filter: requests, qos: 1 }]);
    const requester = await server.connect(5);
    await requester.subscribe([{ filter: answers, qos: 1 }]);
    await requester.publish(requests, "question", {
      qos: 1,
      properties: { responseTopic: answers, correlationData: "7" },
    });
    const request = await responder.receive();
    const { responseTopic = "", correlationData = "" } = request.properties;
    await responder.publish(responseTopic, "answer", { qos: 1, properties: { correlationData } });
    expect(await requester.receive()).toMatchObject({
      text: "answer",
      properties: { correlationData: Buffer.from("7") },
    });
  });

  test.each([
    ["Response Topic with a wildcard [MQTT-3.3.2-14]", Buffer.from([0x08, 0, 3, 0x61, 0x2f, 0x23])],
    ["Response Topic twice", Buffer.from([0x08, 0, 1, 0x61, 0x08, 0, 1, 0x61])],
    ["Content Type twice", Buffer.from([0x03, 0, 1, 0x61, 0x03, 0, 1, 0x61])],
    ["Payload Format Indicator 2", Buffer.from([0x01, 2])],
    ["Message Expiry Interval twice", Buffer.from([0x02, 0, 0, 0, 1, 0x02, 0, 0, 0, 1])],
  ])("%s is refused", async (_what, properties) => {
    const client = await server.connect(5);
    client.send(client.wire.publish("a", "x", { properties }));
    const packets = await client.closed();
    expect(packets).toMatchObject([{ type: "disconnect" }]);
    expect([0x81, 0x82, 0x90]).toContain((packets[0] as { reason: number }).reason);
  });
});

describe("Response Information [MQTT-3.1.2-28]", () => {
  const informed = useServer({
    profile: openPolicy({ override: { responseInformation: (identity) => `replies/${identity.clientId}` } }),
  });
  ours("is sent where it was asked for, and only there", async () => {
    const clientId = unique();
    const asking = await informed.connect(5, { clientId, properties: { requestResponseInformation: 1 } });
    expect(asking.connack.properties.responseInformation).toBe(`replies/${clientId}`);
    for (const properties of [{}, { requestResponseInformation: 0 }]) {
      const silent = await informed.connect(5, { properties });
      expect(silent.connack.properties.responseInformation).toBeUndefined();
    }
  });
});

describe("a policy that validates the Payload Format", () => {
  const strict = useServer({ profile: openPolicy({ capabilities: { validatePayloadFormat: true } }) });

  describe.each([100_000, 300_000, 1_000_000])("a payload of %i bytes", (size) => {
    /** Text in which a character of three bytes lies across every place; `broken` spoils its last one. */
    const text = (broken: boolean): Buffer => {
      const payload = Buffer.from("\u20ac".repeat(Math.ceil(size / 3)), "utf8");
      if (broken) payload[payload.length - 1] = 0x20;
      return payload;
    };
    const properties = { payloadFormatIndicator: 1 };

    ours("is refused with 0x99 where it is not text, and delivered where it is", async () => {
      const client = await strict.connect(5);
      const topic = unique();
      await client.subscribe(topic);
      for (const qos of [1, 2] as const) {
        expect(await client.publish(topic, text(true), { qos, properties })).toMatchObject({ reason: 0x99 });
      }
      await client.expectNothing();
      for (const qos of [1, 2] as const) {
        client.send(client.wire.publish(topic, text(false), { qos, id: qos, properties }));
        expect((await client.of("publish")).payload.equals(text(false))).toBe(true);
        expect(await client.of(qos === 1 ? "puback" : "pubrec")).toMatchObject({ reason: 0 });
      }
      expect(await client.publish(topic, text(true), { qos: 1 })).toMatchObject({ reason: 0 });
    });

    ours("ends the connection at QoS 0", async () => {
      const client = await strict.connect(5);
      client.send(client.wire.publish(unique(), text(true), { properties }));
      await client.expectEnd(0x99);
    });
  });

  ours("refuses text that is not UTF-8 with 0x99 [MQTT-3.3.2.3.2]", async () => {
    const client = await strict.connect(5);
    const topic = unique();
    await client.subscribe(topic);
    const properties = { payloadFormatIndicator: 1 };
    expect(await client.publish(topic, Buffer.from([0xc3, 0x28]), { qos: 1, properties })).toMatchObject({
      type: "puback",
      reason: 0x99,
    });
    expect(await client.publish(topic, Buffer.from([0xc3, 0x28]), { qos: 2, properties })).toMatchObject({
      type: "pubrec",
      reason: 0x99,
    });
    await client.expectNothing();
    expect(await client.publish(topic, "grün", { qos: 1, properties })).toMatchObject({ reason: 0 });
    expect(await client.publish(topic, Buffer.from([0xc3, 0x28]), { qos: 1 })).toMatchObject({ reason: 0 });
  });
});
