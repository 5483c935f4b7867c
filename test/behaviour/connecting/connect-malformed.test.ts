// A CONNECT that breaks the format: CONNACK with the Reason Code (5.0) or close without a word (3.x), and nothing
// behind it is processed [MQTT-3.1.4-1], [MQTT-4.8.0-1].
import { describe, expect, test } from "vitest";
import { BOTH, ALL, unique, useServer } from "../../support/server.ts";
import { lengthed, raw, u16, u8 } from "../../support/wire.ts";

const server = useServer();
const MALFORMED = 0x81;
const PROTOCOL_ERROR = 0x82;

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const head = (flags: number): Buffer[] => [
    lengthed("MQTT"),
    u8(version),
    u8(flags),
    u16(60),
    version === 5 ? u8(0) : Buffer.alloc(0),
  ];

  test("the reserved connect flag must be 0 [MQTT-3.1.2-3]", async () => {
    const client = await server.open(version);
    client.send(client.wire.connect({ clientId: unique(), flipFlags: 1 }));
    await client.expectRefusal(undefined, MALFORMED);
  });

  test("a Will with QoS 3 is refused [MQTT-3.1.2-12]", async () => {
    const client = await server.open(version);
    client.send(
      client.wire.connect({ clientId: unique(), will: { topic: "w", qos: 2 }, flipFlags: 0b0000_1000 }),
    );
    await client.expectRefusal(undefined, MALFORMED);
  });

  test.each([
    ["Will QoS 1", 0b0000_1000],
    ["Will QoS 2", 0b0001_0000],
    ["Will Retain", 0b0010_0000],
  ])("%s without Will Flag is refused [MQTT-3.1.2-11]", async (_what, flipFlags) => {
    const client = await server.open(version);
    client.send(client.wire.connect({ clientId: unique(), flipFlags }));
    await client.expectRefusal(undefined, MALFORMED);
  });

  test("fixed header flags other than 0 are refused [MQTT-2.1.3-1]", async () => {
    const client = await server.open(version);
    const bytes = client.wire.connect({ clientId: unique() });
    bytes[0] = 0x11;
    client.send(bytes);
    await client.expectRefusal(undefined, MALFORMED);
  });

  test("bytes behind the payload are refused", async () => {
    const client = await server.open(version);
    client.send(raw(0x10, ...head(2), lengthed(unique()), u8(0)));
    await client.expectRefusal(undefined, MALFORMED);
  });

  test.each([
    ["user name flag without user name", 0b1000_0010],
    ["will flag without Will", 0b0000_0110],
  ])("%s: the payload is too short", async (_what, flags) => {
    const client = await server.open(version);
    client.send(raw(0x10, ...head(flags), lengthed(unique())));
    await client.expectRefusal(undefined, MALFORMED);
  });

  test("a Client Identifier that is not UTF-8 is refused [MQTT-1.5.4-1]", async () => {
    const client = await server.open(version);
    client.send(raw(0x10, ...head(2), lengthed(Buffer.from([0x61, 0xc0, 0x80]))));
    await client.expectRefusal(undefined, MALFORMED);
  });

  test("a user name with a UTF-16 surrogate is refused [MQTT-3.1.3-11]", async () => {
    const client = await server.open(version);
    client.send(
      raw(0x10, ...head(0b1000_0010), lengthed(unique()), lengthed(Buffer.from([0xed, 0xa0, 0x80]))),
    );
    await client.expectRefusal(undefined, MALFORMED);
  });

  test("a Remaining Length of five bytes ends the connection", async () => {
    const client = await server.open(version);
    client.send(Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x7f]));
    expect(
      (await client.closed()).filter((packet) => packet.type !== "disconnect" && packet.type !== "connack"),
    ).toEqual([]);
  });

  test("nothing behind a refused CONNECT is processed [MQTT-3.1.4-6]", async () => {
    const watcher = await server.connect(version);
    const topic = unique("behind/refused");
    await watcher.subscribe(topic);
    const client = await server.open(version);
    client.send(
      client.wire.connect({ clientId: unique(), flipFlags: 1 }),
      client.wire.publish(topic, "must not arrive"),
    );
    await client.closed();
    await watcher.expectNothing();
  });
});

describe("3.1.1 only", () => {
  test("a password without a user name is refused [MQTT-3.1.2-22]", async () => {
    const client = await server.open(4);
    client.send(client.wire.connect({ clientId: unique(), password: "secret" }));
    await client.expectRefusal(undefined, 0);
  });

  test("an empty Client Identifier with Clean Session 0 is refused with code 2 [MQTT-3.1.3-8]", async () => {
    const client = await server.open(4);
    client.send(client.wire.connect({ clientId: "", clean: false }));
    await client.expectRefusal(2, 0);
  });
});

describe("5.0 only", () => {
  test("a password without a user name is allowed", async () => {
    const client = await server.connect(5, { password: "secret" });
    await client.expectNothing();
  });

  test.each([
    ["Receive Maximum 0", Buffer.from([0x21, 0, 0])],
    ["Maximum Packet Size 0", Buffer.from([0x27, 0, 0, 0, 0])],
    ["Request Problem Information 2", Buffer.from([0x17, 2])],
    ["Request Response Information 2", Buffer.from([0x19, 2])],
    ["Session Expiry Interval twice", Buffer.from([0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1])],
    ["Authentication Data without a method", Buffer.from([0x16, 0, 1, 0x61])],
  ])("%s is a Protocol Error", async (_what, properties) => {
    const client = await server.open(5);
    client.send(client.wire.connect({ clientId: unique(), properties }));
    await client.expectRefusal(undefined, PROTOCOL_ERROR);
  });

  test.each([
    ["a property of another packet (Topic Alias)", Buffer.from([0x23, 0, 1])],
    ["an unknown property", Buffer.from([0x7f, 0])],
    ["a property cut off", Buffer.from([0x11, 0, 0])],
  ])("%s is malformed", async (_what, properties) => {
    const client = await server.open(5);
    client.send(client.wire.connect({ clientId: unique(), properties }));
    await client.expectRefusal(undefined, MALFORMED);
  });

  test.each([
    ["Payload Format Indicator 2", Buffer.from([0x01, 2])],
    ["Will Delay Interval twice", Buffer.from([0x18, 0, 0, 0, 1, 0x18, 0, 0, 0, 1])],
  ])("a Will with %s is a Protocol Error", async (_what, properties) => {
    const client = await server.open(5);
    client.send(client.wire.connect({ clientId: unique(), will: { topic: "w", properties } }));
    await client.expectRefusal(undefined, PROTOCOL_ERROR);
  });

  test("a Will Topic with a wildcard is refused [MQTT-3.3.2-2]", async () => {
    const client = await server.open(5);
    client.send(client.wire.connect({ clientId: unique(), will: { topic: "w/#" } }));
    const packets = await client.closed();
    expect(packets).toMatchObject([{ type: "connack" }]);
    expect([MALFORMED, 0x90]).toContain((packets[0] as { reason: number }).reason);
  });
});

describe.each(ALL)("MQTT %s", (_name, version) => {
  test("a CONNECT split at every byte is accepted", async () => {
    const client = await server.open(version);
    await client.sendSplit(
      client.wire.connect({
        clientId: unique(),
        username: "u",
        password: "p",
        will: { topic: "w", payload: "x" },
      }),
    );
    expect(await client.next("connack")).toMatchObject({ reason: 0 });
  });
});
