// Reason Strings and User Properties in acknowledgements: only where the client wants them and they fit [MQTT-3.1.2-29].
import { describe, expect } from "vitest";
import { ours, unique, useServer } from "../../support/server.ts";
import { openPolicy } from "../../support/policy.ts";

const REASON = "the lengthy explanation of why this topic is closed to this client, with advice";
const server = useServer({
  profile: openPolicy({
    override: {
      authorizePublish: () => ({ allow: false, reason: 0x87, reasonString: REASON }),
      connect: (request) =>
        request.username === undefined
          ? openPolicy().connect(request)
          : { ok: false, code3: 5, reason: 0x8a, reasonString: REASON },
      authorizeSubscribe: (_identity, { filter, qos }) =>
        filter.startsWith("open/")
          ? qos
          : filter.startsWith("plain/")
            ? 0x87
            : { reason: 0x83, reasonString: REASON },
    },
  }),
});

describe("MQTT 5.0", () => {
  ours("a refusal carries its Reason String", async () => {
    const client = await server.connect(5);
    expect(await client.publish(unique(), "x", { qos: 1 })).toMatchObject({
      type: "puback",
      reason: 0x87,
      properties: { reasonString: REASON },
    });
    expect(await client.publish(unique(), "x", { qos: 2 })).toMatchObject({
      type: "pubrec",
      reason: 0x87,
      properties: { reasonString: REASON },
    });
  });

  ours("Request Problem Information 0: no Reason String, the code stays", async () => {
    const client = await server.connect(5, { properties: { requestProblemInformation: 0 } });
    const ack = await client.publish(unique(), "x", { qos: 1 });
    expect(ack).toMatchObject({ reason: 0x87, properties: {} });
  });

  ours("a Reason String that would exceed the Maximum Packet Size is left out [MQTT-3.4.2-2]", async () => {
    const full = 2 + 2 + 1 + 1 + 3 + REASON.length;
    for (const [maximumPacketSize, properties] of [
      [full - 1, {}],
      [full, { reasonString: REASON }],
    ] as const) {
      const client = await server.connect(5, { properties: { maximumPacketSize } });
      const ack = await client.publish(unique(), "x", { qos: 1 });
      expect(ack).toMatchObject({ reason: 0x87 });
      expect(ack?.properties).toEqual(properties);
    }
  });

  ours("a refused QoS 2 message is over with its PUBREC: the identifier is free", async () => {
    const client = await server.connect(5);
    for (let turn = 0; turn < 2; turn++)
      expect(await client.publish(unique(), "x", { qos: 2, id: 9 })).toMatchObject({
        type: "pubrec",
        id: 9,
        reason: 0x87,
      });
  });
});

describe("SUBACK, UNSUBACK, CONNACK and DISCONNECT, MQTT 5.0", () => {
  const quiet = { requestProblemInformation: 0 };

  ours("SUBACK carries the words of the first refusal that has some", async () => {
    const client = await server.connect(5);
    expect(await client.subscribe(["open/a", "plain/a", "other"])).toMatchObject({
      reasons: [0, 0x87, 0x83],
      properties: { reasonString: REASON },
    });
    expect(await client.subscribe(["open/a", "plain/a"])).toMatchObject({
      reasons: [0, 0x87],
      properties: { reasonString: "not authorized" },
    });
    expect((await client.subscribe("open/a")).properties).toEqual({});
  });

  ours("so does it where the answer comes later", async () => {
    const stop = server.broker.use({
      authorizeSubscribe: async ({ request }) =>
        request.filter !== "open/later" || { reason: 0x97, reasonString: "no more for you" },
    });
    const client = await server.connect(5);
    expect(await client.subscribe(["open/later", "open/a"])).toMatchObject({
      reasons: [0x97, 0],
      properties: { reasonString: "no more for you" },
    });
    stop();
  });

  ours("UNSUBACK says what was wrong", async () => {
    const client = await server.connect(5);
    await client.subscribe("open/a");
    expect(await client.unsubscribe(["open/a", "open/b"])).toMatchObject({
      reasons: [0, 0x11],
      properties: { reasonString: "no subscription existed" },
    });
    await client.subscribe("open/a");
    expect((await client.unsubscribe("open/a")).properties).toEqual({});
  });

  ours("neither has a Reason String for who does not want one [MQTT-3.1.2-29]", async () => {
    const client = await server.connect(5, { properties: quiet });
    expect((await client.subscribe("other")).properties).toEqual({});
    expect((await client.unsubscribe("open/b")).properties).toEqual({});
  });

  ours("nor where it would exceed the Maximum Packet Size [MQTT-3.9.2-2] [MQTT-3.11.2-2]", async () => {
    const client = await server.connect(5, { properties: { maximumPacketSize: 24 } });
    expect(await client.subscribe("other")).toMatchObject({ reasons: [0x83], properties: {} });
    expect(await client.unsubscribe("open/b")).toMatchObject({ reasons: [0x11], properties: {} });
  });

  ours("CONNACK says why it refuses, as far as it fits [MQTT-3.2.2-19]", async () => {
    for (const [maximumPacketSize, properties] of [
      [1_000, { reasonString: REASON }],
      [20, {}],
    ] as const) {
      const client = await server.open(5);
      client.send(
        client.wire.connect({ clientId: unique(), username: "u", properties: { maximumPacketSize } }),
      );
      expect((await client.expectRefusal(5, 0x8a))?.properties).toEqual(properties);
    }
  });

  ours("DISCONNECT says what was wrong", async () => {
    const client = await server.connect(5);
    client.send(client.wire.connect());
    expect((await client.expectEnd(0x82))?.properties).toMatchObject({ reasonString: "a second CONNECT" });
  });
});

describe("MQTT 3.1.1 has no code for a refused PUBLISH", () => {
  ours("it is acknowledged and dropped [MQTT-3.3.5-2]", async () => {
    const client = await server.connect(4);
    const topic = unique();
    await client.subscribe(topic);
    expect(await client.publish(topic, "x", { qos: 1 })).toMatchObject({ type: "puback" });
    expect(await client.publish(topic, "x", { qos: 2 })).toMatchObject({ type: "pubcomp" });
    await client.expectNothing();
  });
});
