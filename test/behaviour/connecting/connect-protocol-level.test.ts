// Protocol Name and Protocol Level of CONNECT: what is refused, and how, so that clients can fall back.
import { describe, expect, test } from "vitest";
import { Wire } from "../../support/wire.ts";
import { ALL, unique, useServer } from "../../support/server.ts";

const server = useServer();

describe.each(ALL)("MQTT %s", (_name, version) => {
  test("is accepted with its own protocol name and level", async () => {
    const client = await server.connect(version);
    expect(client.connack).toMatchObject({ reason: 0, sessionPresent: false });
    await client.expectNothing();
  });

  test("a wrong protocol name ends the connection [MQTT-3.1.2-1]", async () => {
    const client = await server.open(version);
    client.send(client.wire.connect({ clientId: unique(), protocolName: "MQTQ" }), client.wire.pingreq());
    const packets = await client.closed();
    for (const packet of packets) {
      expect(packet.type).toBe("connack");
      expect([0x01, 0x84]).toContain((packet as { reason: number }).reason);
    }
  });
});

describe("bridge levels are refused with code 1, so that a bridge falls back [MQTT-3.1.2-2]", () => {
  test.each([
    ["MQTT 3.1.1", 4, 0x84, "MQTT"],
    ["MQTT 3.1", 3, 0x83, "MQIsdp"],
  ] as const)("%s with the bridge bit", async (_name, version, level, protocolName) => {
    const client = await server.open(4);
    client.send(new Wire(version).connect({ clientId: unique(), level, protocolName }));
    const packets = await client.closed();
    expect(packets).toMatchObject([{ type: "connack", reason: 1, sessionPresent: false }]);
    expect(packets[0].bytes.toString("hex")).toBe("20020001");
  });
});

describe("an unknown level is refused [MQTT-3.1.2-2]", () => {
  test.each([0, 1, 2, 3])("MQTT with level %i: code 1, then close", async (level) => {
    const client = await server.open(4);
    client.send(client.wire.connect({ clientId: unique(), level }));
    expect(await client.closed()).toMatchObject([{ type: "connack", reason: 1 }]);
  });

  test.each([6, 7, 127])("MQTT with level %i: 0x84 in the form of 5.0, then close", async (level) => {
    const client = await server.open(5);
    client.send(client.wire.connect({ clientId: unique(), level }));
    expect(await client.closed()).toMatchObject([{ type: "connack", reason: 0x84 }]);
  });

  test.each([4, 5] as const)("MQIsdp with level %i is refused", async (level) => {
    // The answer has the form of the level that was named.
    const client = await server.open(level);
    client.send(new Wire(3).connect({ clientId: unique(), level }));
    const packets = await client.closed();
    expect(packets.every((packet) => packet.type === "connack" && packet.reason !== 0)).toBe(true);
  });
});
