import { describe, expect, it } from "vitest";
import {
  encodeAck,
  encodeAuth,
  encodeConnack,
  encodeConnect,
  encodeDisconnect,
  encodePacket,
  encodePublish,
  encodeSuback,
  encodeSubscribe,
  encodeUnsuback,
  encodeUnsubscribe,
  fitReason,
} from "../../src/protocol/packet-encoder.ts";
import { PacketEncodeError } from "../../src/protocol/packet-writer.ts";

const none = new Uint8Array();
const bytes = (...values: number[]) => Uint8Array.of(...values);

describe("older versions", () => {
  it("get return codes in CONNACK, and 3.1 no Session Present", () => {
    expect(encodeConnack({ level: 4, reasonCode: 0x87 })).toEqual(bytes(0x20, 2, 0, 5));
    expect(encodeConnack({ level: 4, reasonCode: 0, sessionPresent: true })).toEqual(bytes(0x20, 2, 1, 0));
    expect(encodeConnack({ level: 3, reasonCode: 0, sessionPresent: true })).toEqual(bytes(0x20, 2, 0, 0));
  });

  it("never get properties", () => {
    const properties = { reasonString: "no", userProperties: [["a", "b"] as [string, string]] };
    expect(encodeConnack({ level: 4, reasonCode: 0, properties })).toEqual(bytes(0x20, 2, 0, 0));
    expect(encodeAck("puback", { level: 4, packetId: 1, reasonCode: 0x87, properties })).toEqual(
      bytes(0x40, 2, 0, 1),
    );
    expect(encodeDisconnect({ level: 3, reasonCode: 0x8b, properties })).toEqual(bytes(0xe0, 0));
    expect(encodePublish({ level: 4, topic: "a", payload: none, properties })).toEqual(
      bytes(0x30, 3, 0, 1, 0x61),
    );
  });

  it("get the failures they know in SUBACK", () => {
    const packet = { packetId: 1, reasonCodes: [1, 0x87] };
    expect(encodeSuback({ level: 5, ...packet })).toEqual(bytes(0x90, 5, 0, 1, 0, 1, 0x87));
    expect(encodeSuback({ level: 4, ...packet })).toEqual(bytes(0x90, 4, 0, 1, 1, 0x80));
    expect(encodeSuback({ level: 3, ...packet })).toEqual(bytes(0x90, 4, 0, 1, 1, 0));
  });

  it("get no codes in UNSUBACK", () => {
    expect(encodeUnsuback({ level: 4, packetId: 1, reasonCodes: [0] })).toEqual(bytes(0xb0, 2, 0, 1));
  });

  it("get no subscription options but QoS", () => {
    const subscription = {
      filter: "a",
      qos: 1,
      noLocal: true,
      retainAsPublished: true,
      retainHandling: 2,
    } as const;
    const packet = { packetId: 1, subscriptions: [subscription] };
    expect(encodeSubscribe({ level: 4, ...packet })).toEqual(bytes(0x82, 6, 0, 1, 0, 1, 0x61, 1));
    expect(encodeSubscribe({ level: 5, ...packet })).toEqual(bytes(0x82, 7, 0, 1, 0, 0, 1, 0x61, 0x2d));
  });
});

describe("Remaining Length and Property Length", () => {
  it.each([
    [127, 1],
    [128, 2],
    [16_383, 2],
    [16_384, 3],
    [2_097_151, 3],
    [2_097_152, 4],
  ])("%i takes %i bytes", (length, size) => {
    const packet = encodePublish({ level: 4, topic: "a", payload: new Uint8Array(length - 3) });
    expect(packet.length).toBe(1 + size + length);
    const head = packet.subarray(1, 1 + size);
    expect(head.reduce((sum, byte, index) => sum + (byte & 0x7f) * 128 ** index, 0)).toBe(length);
    expect(head.map((byte) => byte >> 7)).toEqual(new Uint8Array(size).fill(1, 0, size - 1));
  });

  it.each([
    [127, 1],
    [128, 2],
    [16_384, 3],
  ])("properties of %i bytes take %i for their length", (length, size) => {
    const properties = { correlationData: new Uint8Array(length - 3).fill(7) };
    const packet = encodePublish({ level: 5, topic: "a", payload: bytes(1), properties });
    const body = 3 + size + length + 1;
    expect(packet.length).toBe(1 + (body < 128 ? 1 : body < 16_384 ? 2 : 3) + body);
    expect(packet.at(-1)).toBe(1);
    expect(packet.at(-2)).toBe(7);
  });
});

describe("success without properties", () => {
  it("is left out where the standard allows it", () => {
    expect(encodeAck("puback", { level: 5, packetId: 1 })).toEqual(bytes(0x40, 2, 0, 1));
    expect(encodeAck("puback", { level: 5, packetId: 1, properties: {} })).toEqual(bytes(0x40, 2, 0, 1));
    expect(encodeAck("puback", { level: 5, packetId: 1, properties: { userProperties: [] } })).toEqual(
      bytes(0x40, 2, 0, 1),
    );
    expect(encodeAck("puback", { level: 5, packetId: 1, reasonCode: 0x10 })).toEqual(
      bytes(0x40, 3, 0, 1, 0x10),
    );
    expect(encodeDisconnect({ level: 5 })).toEqual(bytes(0xe0, 0));
    expect(encodeAuth({ reasonCode: 0 })).toEqual(bytes(0xf0, 0));
  });
});

describe("fields MQTT cannot express", () => {
  const refused = (name: string, encode: () => unknown) =>
    it(`are refused: ${name}`, () => {
      expect(encode).toThrow(PacketEncodeError);
      expect(encode).toThrow(expect.objectContaining({ code: "MILLRACE_PACKET_FIELD" }));
    });

  refused("a string of 65,536 bytes", () =>
    encodePublish({ level: 4, topic: "é".repeat(32_768), payload: none }),
  );
  refused("U+0000", () => encodePublish({ level: 4, topic: "a\0b", payload: none }));
  refused("packet identifier 0", () => encodeAck("puback", { level: 4, packetId: 0 }));
  refused("packet identifier 65,536", () => encodeAck("puback", { level: 4, packetId: 65_536 }));
  refused("QoS 1 without a packet identifier", () =>
    encodePublish({ level: 4, topic: "a", payload: none, qos: 1 }),
  );
  refused("QoS 0 with a packet identifier", () =>
    encodePublish({ level: 4, topic: "a", payload: none, packetId: 1 }),
  );
  refused("a property of another packet", () =>
    encodePublish({ level: 5, topic: "a", payload: none, properties: { reasonString: "x" } }),
  );
  refused("a property that does not exist", () =>
    encodeDisconnect({ level: 5, properties: { colour: "red" } as object }),
  );
  refused("a negative number", () =>
    encodeDisconnect({ level: 5, properties: { sessionExpiryInterval: -1 } }),
  );
  refused("a fraction", () => encodeDisconnect({ level: 5, properties: { sessionExpiryInterval: 0.5 } }));
  refused("SUBSCRIBE without a filter", () => encodeSubscribe({ level: 5, packetId: 1, subscriptions: [] }));
  refused("UNSUBSCRIBE without a filter", () => encodeUnsubscribe({ level: 5, packetId: 1, filters: [] }));
  refused("a password without a user name before 5.0", () =>
    encodeConnect({ level: 4, clientId: "", password: none }),
  );
  refused("AUTH before 5.0", () => encodePacket({ type: "auth", reasonCode: 0 }, 4));

  it("leave the encoder usable", () => {
    expect(() => encodePublish({ level: 4, topic: "\0", payload: none })).toThrow(PacketEncodeError);
    expect(encodePublish({ level: 4, topic: "a", payload: none })).toEqual(bytes(0x30, 3, 0, 1, 0x61));
  });

  it("allow the longest string", () => {
    const packet = encodePublish({ level: 4, topic: "a".repeat(65_535), payload: none });
    expect(packet.length).toBe(4 + 2 + 65_535);
  });
});

describe("Maximum Packet Size of the receiver", () => {
  const userProperties: [string, string][] = [["k", "v"]];
  const properties = { reasonString: "because", userProperties };
  const packet = { level: 5 as const, packetId: 1, reasonCode: 0x87, properties };
  const full = encodeAck("puback", packet);
  const withoutReason = encodeAck("puback", { ...packet, properties: { userProperties } });
  const bare = encodeAck("puback", { ...packet, properties: undefined });

  it.each([
    [full.length + 1, full],
    [full.length, full],
    [full.length - 1, withoutReason],
    [withoutReason.length, withoutReason],
    [withoutReason.length - 1, bare],
    [bare.length, bare],
    [bare.length - 1, undefined],
  ])("%i bytes: Reason String goes first, then User Properties, then the packet", (maximum, expected) => {
    expect(fitReason((p: typeof packet) => encodeAck("puback", p), packet, maximum)).toEqual(expected);
    expect(packet.properties.reasonString).toBe("because");
  });

  it("keeps other properties", () => {
    const properties = { sessionExpiryInterval: 1, reasonString: "x".repeat(50) };
    const bytes = fitReason(encodeConnack, { level: 5, reasonCode: 0, properties }, 20);
    expect(bytes).toEqual(
      encodeConnack({ level: 5, reasonCode: 0, properties: { sessionExpiryInterval: 1 } }),
    );
  });
});
