// decode() and encode() of the stand-alone core, over the packet catalogue and arbitrary packets.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INPUT_SIZE } from "../../src/core/generated/abi.ts";
import {
  createCore,
  type DecodedPacket,
  detailText,
  type Packet,
  PacketEncodeError,
  type ProtocolLevel,
  type PublishPacket,
} from "../../src/core/index.ts";
import { catalogue } from "../catalogue/index.ts";
import { packetOf } from "../protocol/arbitraries.ts";
import { builds } from "./builds.ts";

const cases = catalogue.flatMap((entry) => entry.levels.map((level) => ({ ...entry, level })));

function publishOf(payload: Uint8Array): PublishPacket {
  return { type: "publish", topic: "a/b", payload, qos: 1, packetId: 7, retain: false, dup: false };
}

describe.each(builds)("the codec on the $build build", ({ module }) => {
  const core = createCore(module);

  it("judges every case of the catalogue, whatever follows the packet", () => {
    for (const { name, level, bytes, packet, refusal } of cases) {
      const followed = Uint8Array.of(...bytes, 0xff, 0x00);
      const expected = refusal
        ? {
            status: "error",
            reasonCode: refusal.reason,
            detail: detailText(refusal.detail),
            offset: refusal.offset,
          }
        : { status: "packet", packet, length: bytes.length };
      expect(core.decode(followed, { level }), `${name}, level ${level}`).toEqual(expected);
    }
  });

  it("writes every case of the catalogue that is in its shortest form", () => {
    let written = 0;
    for (const { name, level, bytes, packet, longhand } of cases) {
      if (packet === undefined || longhand) continue;
      expect(core.encode(packet, level), name).toEqual(bytes);
      written++;
    }
    expect(written).toBeGreaterThan(60);
  });

  it("asks for more wherever a right packet is cut, and says how much as soon as that is known", () => {
    for (const { name, level, bytes, packet } of cases) {
      if (packet === undefined) continue;
      const header = 1 + bytes.subarray(1).findIndex((byte) => byte < 0x80) + 1;
      for (let cut = 0; cut < bytes.length; cut++) {
        expect(core.decode(bytes.subarray(0, cut), { level }), `${name} cut at ${cut}`).toEqual({
          status: "incomplete",
          length: cut < header ? 0 : bytes.length,
        });
      }
    }
  });

  it("refuses a length of five bytes before the fifth has come", () => {
    for (const bytes of [
      [0x30, 0x80, 0x80, 0x80, 0x80],
      [0x30, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00],
    ]) {
      expect(core.decode(Uint8Array.from(bytes), { level: 5 })).toEqual({
        status: "error",
        reasonCode: 0x81,
        detail: "Remaining Length of more than four bytes",
        offset: 4,
      });
    }
  });

  it.each<ProtocolLevel>([3, 4, 5])("reads back what it wrote, level %i", (level) => {
    fc.assert(
      fc.property(packetOf(level), (packet) => {
        const bytes = core.encode(packet, level);
        expect(core.decode(bytes, { level })).toEqual({ status: "packet", packet, length: bytes.length });
      }),
      { numRuns: 500 },
    );
  });

  it("has an answer to any bytes", () => {
    const level = fc.constantFrom<ProtocolLevel>(3, 4, 5);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), level, (bytes, level) => {
        const decoded = core.decode(bytes, { level });
        if (decoded.status === "packet") expect(decoded.length).toBeLessThanOrEqual(bytes.length);
        else if (decoded.status === "error") expect(decoded.reasonCode).toBeGreaterThanOrEqual(0x80);
        else expect(decoded.length === 0 || decoded.length > bytes.length).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  it("takes packets around and far above the size of the input region", () => {
    const overhead = core.encode(publishOf(new Uint8Array(INPUT_SIZE)), 4).length - INPUT_SIZE;
    for (const size of [INPUT_SIZE - 1, INPUT_SIZE, INPUT_SIZE + 1, 2_000_000]) {
      const packet = publishOf(new Uint8Array(size - overhead).fill(0x5a));
      const bytes = core.encode(packet, 4);
      expect(bytes.length).toBe(size);
      const decoded = core.decode(bytes, { level: 4 });
      expect(decoded).toMatchObject({
        status: "packet",
        length: size,
        packet: { topic: "a/b", packetId: 7 },
      });
      const { payload } = (decoded as DecodedPacket).packet as { payload: Uint8Array };
      expect(Buffer.compare(payload, packet.payload)).toBe(0); // toEqual() takes a second for a megabyte
    }
  });

  it("copies out: a packet does not change with the bytes it came from, or with later packets", () => {
    const bytes = core.encode(publishOf(Uint8Array.of(1, 2, 3)), 4);
    const decoded = core.decode(bytes, { level: 4 });
    bytes.fill(0xff);
    core.decode(core.encode(publishOf(Uint8Array.of(9, 9, 9)), 4), { level: 4 });
    expect(decoded).toMatchObject({ packet: { topic: "a/b", payload: Uint8Array.of(1, 2, 3) } });
  });

  it("takes the level of a CONNECT from the packet", () => {
    for (const level of [3, 4, 5] as const) {
      const packet: Packet = { type: "connect", level, clientId: "c", cleanStart: true, keepAlive: 9 };
      expect(core.decode(core.encode(packet, 4), { level: 4 })).toMatchObject({ packet });
    }
  });
});

describe("mistakes of the caller", () => {
  const core = createCore();

  it("a level that does not exist", () => {
    for (const level of [0, 2, 6, 4.5, Number.NaN] as ProtocolLevel[]) {
      const refusal = expect.objectContaining({ name: "CoreError", code: "CORE_ARGUMENT" });
      expect(() => core.decode(Uint8Array.of(0xc0, 0), { level })).toThrow(refusal);
      expect(() => core.encode({ type: "pingreq" }, level)).toThrow(refusal);
      expect(() => core.parsePublishes(new Uint8Array(), level)).toThrow(refusal);
      expect(() => core.parser({ level })).toThrow(refusal);
    }
  });

  it("a field that MQTT cannot express; the next packet is right again", () => {
    const wrong: Packet = { type: "puback", packetId: 70_000, reasonCode: 0 };
    expect(() => core.encode(wrong, 4)).toThrow(PacketEncodeError);
    expect(() => core.encode(wrong, 4)).toThrow(expect.objectContaining({ code: "MILLRACE_PACKET_FIELD" }));
    expect(core.encode({ ...wrong, packetId: 7 }, 4)).toEqual(Uint8Array.of(0x40, 2, 0, 7));
  });
});
