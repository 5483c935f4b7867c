// Reason Strings and User Properties in acknowledgements: only where the client wants them and they fit [MQTT-3.1.2-29].
import { describe, expect } from "vitest";
import { ours, unique, useServer } from "../support/server.ts";
import { openPolicy } from "../support/policy.ts";

const REASON = "the lengthy explanation of why this topic is closed to this client, with advice";
const server = useServer({
  profile: openPolicy({
    override: { authorizePublish: () => ({ allow: false, reason: 0x87, reasonString: REASON }) },
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
