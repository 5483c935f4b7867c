// Packets that break the format, as one chunk and split at every byte: the Reason Code in DISCONNECT (5.0), close (3.x),
// what came before is answered, what comes behind is not processed [MQTT-4.13.1-1].
import { describe, expect, test } from "vitest";
import { BOTH, unique, useServer } from "../../support/server.ts";
import { lengthed, raw, u16, u8 } from "../../support/wire.ts";

const server = useServer();
const MALFORMED = [0x81];
const PROTOCOL_ERROR = [0x82];
const EITHER = [0x81, 0x82]; // the standard forbids it without naming the code
const TOPIC = [0x81, 0x82, 0x90];
const SURROGATE = Buffer.from([0xed, 0xa0, 0x80]);

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const none = version === 5 ? u8(0) : Buffer.alloc(0);
  const cases: [string, Buffer, number[]][] = [
    ["PUBLISH with QoS 3 [MQTT-3.3.1-4]", raw(0x36, lengthed("a"), u16(1), none, "x"), MALFORMED],
    ["PUBLISH with DUP and QoS 0 [MQTT-3.3.1-2]", raw(0x38, lengthed("a"), none, "x"), EITHER],
    ["PUBLISH with Packet Identifier 0 [MQTT-2.2.1-3]", raw(0x32, lengthed("a"), u16(0), none), EITHER],
    ["PUBLISH with an empty topic", raw(0x30, lengthed(""), none, "x"), EITHER],
    ["PUBLISH to a topic with + [MQTT-3.3.2-2]", raw(0x30, lengthed("a/+"), none, "x"), TOPIC],
    ["PUBLISH to a topic with # [MQTT-3.3.2-2]", raw(0x30, lengthed("a/#"), none, "x"), TOPIC],
    ["PUBLISH to a topic with U+0000 [MQTT-1.5.4-2]", raw(0x30, lengthed("a\0b"), none, "x"), MALFORMED],
    [
      "PUBLISH to a topic with a surrogate [MQTT-1.5.4-1]",
      raw(0x30, lengthed(SURROGATE), none, "x"),
      MALFORMED,
    ],
    [
      "PUBLISH to a topic with an overlong sequence",
      raw(0x30, lengthed(Buffer.from([0xc0, 0xaf])), none, "x"),
      MALFORMED,
    ],
    [
      "PUBLISH to a topic cut in a sequence",
      raw(0x30, lengthed(Buffer.from([0x61, 0xe4, 0xb8])), none, "x"),
      MALFORMED,
    ],
    ["PUBLISH whose topic reaches past the end", raw(0x30, u16(50), "short"), MALFORMED],
    ["PUBLISH of nothing", raw(0x30), MALFORMED],
    ["PUBLISH without its identifier", raw(0x32, lengthed("a"), u8(1)), MALFORMED],
    ["PUBACK with flags [MQTT-2.1.3-1]", raw(0x41, u16(1)), MALFORMED],
    ["PUBACK of one byte", raw(0x40, u8(0)), MALFORMED],
    ["PUBREC with flags", raw(0x52, u16(1)), MALFORMED],
    ["PUBREL with flags 0 [MQTT-3.6.1-1]", raw(0x60, u16(1)), MALFORMED],
    ["PUBCOMP with flags", raw(0x78, u16(1)), MALFORMED],
    ["PUBREL with Packet Identifier 0", raw(0x62, u16(0)), EITHER],
    ["PINGREQ with a payload", raw(0xc0, u8(0)), MALFORMED],
    ["PINGREQ with flags", raw(0xc1), MALFORMED],
    ["DISCONNECT with flags [MQTT-3.14.1-1]", raw(0xe1), MALFORMED],
    ["a Remaining Length of five bytes", Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 0x01]), MALFORMED],
  ];
  if (version === 5) {
    const properties = (hex: string): Buffer =>
      raw(0x30, lengthed("a"), u8(hex.length / 2), Buffer.from(hex, "hex"), "x");
    cases.push(
      ["a property that does not exist", properties("7f00"), MALFORMED],
      ["a property of another packet", properties("1100000001"), MALFORMED],
      ["a property twice", properties("01000100"), PROTOCOL_ERROR],
      ["a Property Length past the end", raw(0x30, lengthed("a"), u8(20), u8(1)), MALFORMED],
      ["a Property Length missing", raw(0x30, lengthed("a")), MALFORMED],
      ["a property that reaches past the Property Length", properties("0300056162"), MALFORMED],
      ["a User Property that is not UTF-8", properties("26000161" + "0002c328"), MALFORMED],
      ["a User Property without its value", properties("26000161"), MALFORMED],
      ["PUBACK with a Reason Code it cannot have", raw(0x40, u16(1), u8(0x01)), EITHER],
      ["PUBREL with a Reason Code it cannot have", raw(0x62, u16(1), u8(0x10)), EITHER],
      [
        "PUBACK with a property of another packet",
        raw(0x40, u16(1), u8(0), u8(2), u8(0x01), u8(0)),
        MALFORMED,
      ],
      ["DISCONNECT with a Reason Code that does not exist", raw(0xe0, u8(0x05)), EITHER],
      ["AUTH with flags [MQTT-3.15.1-1]", raw(0xf1, u8(0x19)), MALFORMED],
    );
  } else {
    cases.push(
      ["PUBACK of three bytes", raw(0x40, u16(1), u8(0)), MALFORMED],
      ["DISCONNECT with a Reason Code", raw(0xe0, u8(0)), MALFORMED],
    );
  }

  describe.each(["as one chunk", "split at every byte"])("%s", (mode) => {
    test.each(cases)("%s", async (_what, bytes, reasons) => {
      const topic = unique("behind");
      const watcher = await server.connect(version);
      await watcher.subscribe(topic);
      const client = await server.connect(version);
      const all = Buffer.concat([
        client.wire.publish(topic, "before", { qos: 1, id: 7 }),
        bytes,
        client.wire.publish(topic, "behind"),
      ]);
      if (mode === "as one chunk") client.send(all);
      else await client.sendSplit(all).catch(() => undefined);
      const packets = await client.closed();
      expect(packets.shift()).toMatchObject({ type: "puback", id: 7 });
      if (version === 5) {
        const last = packets.pop();
        expect(last).toMatchObject({ type: "disconnect" });
        expect(reasons).toContain((last as { reason: number }).reason);
      }
      expect(packets).toEqual([]);
      expect(await watcher.next("publish")).toMatchObject({ text: "before" });
      await watcher.expectNothing();
    });
  });
});

describe("what looks odd and is allowed", () => {
  test("U+FEFF, U+FFFF and control characters in a topic [MQTT-1.5.4-3]", async () => {
    const client = await server.connect(5);
    for (const odd of ["\ufeffa", "a\uffff", "\u0001\u007f\u0080", "😀/𐍈"]) {
      const topic = `${unique()}/${odd}`;
      await client.subscribe(topic);
      await client.publish(topic, "x");
      expect(await client.next("publish")).toMatchObject({ topic });
    }
  });

  test("a topic of 65,535 bytes", async () => {
    const client = await server.connect(4);
    const topic = "t".repeat(65_535);
    await client.subscribe(topic);
    await client.publish(topic, "x", { qos: 1 });
    expect((await client.of("publish")).topic).toBe(topic);
  });

  test("an empty payload", async () => {
    for (const [, version] of BOTH) {
      const client = await server.connect(version);
      const topic = unique();
      await client.subscribe(topic);
      await client.publish(topic, "");
      expect(await client.next("publish")).toMatchObject({ topic, text: "" });
    }
  });
});
