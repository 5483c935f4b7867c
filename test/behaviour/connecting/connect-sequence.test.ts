// The first packet is CONNECT, in time, and there is only one; packets that only a server may send end the connection.
import { describe, expect, test } from "vitest";
import { ALL, BOTH, ours, unique, useServer } from "../../support/server.ts";
import { lengthed, raw, u16, Wire } from "../../support/wire.ts";
import { secondsPass, useManualClock } from "../../support/time.ts";

useManualClock();
const server = useServer({ limits: { connectTimeout: 300 } });
const PROTOCOL_ERROR = 0x82;

describe.each(ALL)("MQTT %s", (_name, version) => {
  test("a second CONNECT ends the connection [MQTT-3.1.0-2]", async () => {
    const clientId = unique();
    const client = await server.connect(version, { clientId });
    client.send(client.wire.connect({ clientId }));
    await client.expectEnd(PROTOCOL_ERROR);
  });

  test("a second CONNECT in the same chunk ends the connection behind the CONNACK", async () => {
    const client = await server.open(version);
    const bytes = client.wire.connect({ clientId: unique() });
    client.send(bytes, bytes);
    expect(await client.next("connack")).toMatchObject({ reason: 0 });
    await client.expectEnd(PROTOCOL_ERROR);
  });

  test.each(["publish", "subscribe", "pingreq", "disconnect"] as const)(
    "%s before CONNECT ends the connection [MQTT-3.1.0-1]",
    async (type) => {
      const client = await server.open(version);
      const packets = {
        publish: client.wire.publish("a", "x"),
        subscribe: client.wire.subscribe(1, "a"),
        pingreq: client.wire.pingreq(),
        disconnect: client.wire.disconnect(),
      };
      client.send(packets[type]);
      // The version is not known before CONNECT, so nothing can be said.
      await client.expectClosed();
    },
  );

  ours("[NET-11] a client that sends nothing is closed at the deadline", async () => {
    const client = await server.open(version);
    await secondsPass();
    await client.expectClosed();
  });

  ours("[NET-11] a CONNECT that is never finished is closed at the deadline, bytes or not", async () => {
    const client = await server.open(version);
    const bytes = client.wire.connect({ clientId: unique() });
    client.send(bytes.subarray(0, bytes.length - 1));
    await secondsPass();
    await client.expectClosed();
  });
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const props = version === 5 ? "00" : "";
  test.each([
    ["CONNACK", `20${version === 5 ? "03" : "02"}0000${props}`],
    ["SUBACK", version === 5 ? "900400010000" : "9003000100"],
    ["UNSUBACK", version === 5 ? "b00400010000" : "b0020001"],
    ["PINGRESP", "d000"],
  ])("%s, which only a server sends, ends the connection", async (_type, hex) => {
    const client = await server.connect(version);
    client.send(Buffer.from(hex, "hex"));
    await client.expectEnd(PROTOCOL_ERROR);
  });

  test("packet type 0 is malformed", async () => {
    const client = await server.connect(version);
    client.send(Buffer.from("0000", "hex"));
    await client.expectEnd(0x81);
  });
});

describe("packet type 15 (AUTH)", () => {
  test("does not exist in 3.1.1", async () => {
    const client = await server.connect(4);
    client.send(Buffer.from("f000", "hex"));
    await client.expectClosed();
  });
});

describe("before CONNECT a packet is small", () => {
  const filler = (total: number, version: 4 | 5): Buffer => {
    // A CONNECT of exactly `total` bytes: the password takes what is left, up to its own limit of 65,535.
    const wire = new Wire(version);
    const fixed = wire.connect({ clientId: "big", username: "u", password: "" }).length;
    // One more length byte from 128, another from 16,384.
    const password = Buffer.alloc(total - fixed - (total > 16_386 ? 2 : 1), 0x70);
    return wire.connect({ clientId: "big", username: "u", password });
  };

  ours.each([-1, 0, 1])("a CONNECT of 65,536 %i bytes", async (difference) => {
    const total = 65_536 + difference;
    const bytes = filler(total, 4);
    expect(bytes.length).toBe(total);
    const client = await server.open(4);
    client.send(bytes);
    if (difference > 0) await client.expectClosed();
    else expect(await client.next("connack")).toMatchObject({ reason: 0 });
  });

  ours("an announced length over the limit is refused before its bytes come", async () => {
    const client = await server.open(5);
    client.send(
      Buffer.concat([Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]), lengthed("MQTT"), raw(5), u16(1)]),
    );
    const packets = await client.closed(250);
    expect(packets.every((packet) => packet.type === "connack" && packet.reason >= 0x80)).toBe(true);
  });
});
