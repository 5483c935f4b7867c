// The streaming parser: chunks of every kind, levels, limits, and what happens behind a malformed packet.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Core,
  createCore,
  detailText,
  type Packet,
  type ParserOptions,
  type ProtocolLevel,
  type PublishPacket,
} from "../../src/core/index.ts";
import { catalogue } from "../catalogue/index.ts";
import { packetOf } from "../protocol/arbitraries.ts";
import { builds } from "./builds.ts";

const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const cases = catalogue.flatMap((entry) => entry.levels.map((level) => ({ ...entry, level })));
const pingreq: Packet = { type: "pingreq" };
const connect = (level: ProtocolLevel): Packet => ({
  type: "connect",
  level,
  clientId: "c",
  cleanStart: true,
  keepAlive: 0,
});
const publish = (payload: Uint8Array): PublishPacket => ({
  type: "publish",
  topic: "t",
  payload,
  qos: 0,
  packetId: 0,
  retain: false,
  dup: false,
});

/** All packets of the chunks, and the error that ended the stream. */
function parse(core: Core, chunks: Uint8Array[], options?: ParserOptions) {
  const parser = core.parser(options);
  const packets: Packet[] = [];
  let error: unknown;
  try {
    for (const chunk of chunks) for (const packet of parser.push(chunk)) packets.push(packet);
  } catch (caught) {
    error = caught;
  }
  return { parser, packets, error };
}

describe.each(builds)("the parser on the $build build", ({ module }) => {
  const core = createCore(module);

  it("reads every case of the catalogue, cut in two at every byte, between other packets", () => {
    for (const { name, level, bytes, packet, refusal } of cases) {
      const stream = join(core.encode(pingreq, level), bytes, core.encode(pingreq, level));
      for (let cut = 0; cut <= stream.length; cut++) {
        const chunks = [stream.subarray(0, cut), stream.subarray(cut)];
        const { packets, error } = parse(core, chunks, { level });
        const where = `${name}, level ${level}, cut at ${cut}`;
        if (packet !== undefined) {
          expect(error, where).toBeUndefined();
          // A CONNECT of another level makes no difference to the two-byte PINGREQ behind it.
          expect(packets, where).toEqual([pingreq, packet, pingreq]);
        } else {
          expect(packets, where).toEqual([pingreq]);
          expect(error, where).toMatchObject({
            name: "PacketDecodeError",
            code: "CORE_PACKET",
            reasonCode: refusal?.reason,
            detail: detailText(refusal?.detail ?? -1),
            offset: refusal?.offset,
          });
        }
      }
    }
  });

  it("reads every case of the catalogue byte by byte", () => {
    for (const { name, level, bytes, packet, refusal } of cases) {
      const { packets, error, parser } = parse(
        core,
        Array.from(bytes, (byte) => Uint8Array.of(byte)),
        { level },
      );
      expect(packets, name).toEqual(packet === undefined ? [] : [packet]);
      expect(error, name).toEqual(
        refusal === undefined ? undefined : expect.objectContaining({ offset: refusal.offset }),
      );
      expect(parser.buffered, name).toBe(0);
    }
  });

  it.each<ProtocolLevel>([3, 4, 5])("reads any packets from chunks of any size, level %i", (level) => {
    const packets = fc.array(packetOf(level), { maxLength: 12 });
    fc.assert(
      fc.property(packets, fc.array(fc.nat(60), { minLength: 1, maxLength: 40 }), (sent, sizes) => {
        const stream = join(...sent.map((packet) => core.encode(packet, level)));
        const chunks: Uint8Array[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = sizes[i % sizes.length] + (i >= sizes.length ? 1 : 0);
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        const { packets: received, error, parser } = parse(core, chunks, { level });
        expect(error).toBeUndefined();
        expect(received).toEqual(sent);
        expect(parser.buffered).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

describe("the level", () => {
  const core = createCore();
  const properties = { reasonString: "so" };

  it.each<ProtocolLevel>([3, 4, 5])("of a client's stream is told by its CONNECT: %i", (level) => {
    const parser = core.parser();
    expect(parser.level).toBeUndefined();
    expect([...parser.push(core.encode(connect(level), level))]).toEqual([connect(level)]);
    expect(parser.level).toBe(level);
    const message = publish(Uint8Array.of(1));
    expect([...parser.push(core.encode(message, level))]).toEqual([message]);
  });

  it("of a server's stream is told by the length of its CONNACK, or by AUTH", () => {
    const connack: Packet = { type: "connack", sessionPresent: false, reasonCode: 0 };
    const message = publish(Uint8Array.of(1));
    for (const level of [4, 5] as const) {
      const stream = join(core.encode(connack, level), core.encode(message, level));
      const { parser, packets } = parse(core, [stream]);
      expect(packets).toEqual([connack, message]);
      expect(parser.level).toBe(level);
    }
    const auth: Packet = { type: "auth", reasonCode: 0x18, properties: { authenticationMethod: "m" } };
    expect(parse(core, [core.encode(auth, 5)])).toMatchObject({ packets: [auth], parser: { level: 5 } });
  });

  it("given at first gives way to that of a CONNECT", () => {
    const disconnect: Packet = { type: "disconnect", reasonCode: 0x04, properties };
    const stream = join(core.encode(connect(5), 5), core.encode(disconnect, 5));
    expect(parse(core, [stream], { level: 4 })).toMatchObject({
      packets: [connect(5), disconnect],
      parser: { level: 5 },
    });
  });

  it("must be given where a stream begins with another packet", () => {
    const message = publish(Uint8Array.of(1));
    const bytes = core.encode(message, 5);
    expect(parse(core, [bytes])).toMatchObject({
      packets: [],
      error: { code: "CORE_LEVEL_UNKNOWN", reasonCode: 0x82, offset: 0 },
    });
    expect(parse(core, [bytes], { level: 5 }).packets).toEqual([message]);
  });
});

describe("maximumPacketSize", () => {
  const core = createCore();
  const sized = (size: number) => core.encode(publish(new Uint8Array(size - 5)), 4);

  it("is the longest packet that is taken", () => {
    const maximumPacketSize = 100;
    for (const size of [99, 100])
      expect(parse(core, [sized(size)], { level: 4, maximumPacketSize }).packets).toHaveLength(1);
    expect(parse(core, [sized(101)], { level: 4, maximumPacketSize })).toMatchObject({
      packets: [],
      error: {
        code: "CORE_PACKET",
        reasonCode: 0x95,
        detail: "packet above the Maximum Packet Size",
        offset: 1,
      },
    });
  });

  it("refuses a packet as soon as its length is known", () => {
    const head = Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f);
    expect(parse(core, [head.subarray(0, 4)], { level: 4, maximumPacketSize: 1000 }).error).toBeUndefined();
    expect(
      parse(core, [head.subarray(0, 4), head.subarray(4)], { level: 4, maximumPacketSize: 1000 }).error,
    ).toMatchObject({
      reasonCode: 0x95,
    });
    expect(parse(core, [head], { level: 4 })).toMatchObject({ error: undefined, parser: { buffered: 5 } });
  });

  it("must leave room for a packet", () => {
    for (const maximumPacketSize of [0, 1, -5, Number.NaN]) {
      expect(() => core.parser({ maximumPacketSize })).toThrow(
        expect.objectContaining({ code: "CORE_ARGUMENT" }),
      );
    }
    expect(parse(core, [Uint8Array.of(0xc0, 0)], { level: 4, maximumPacketSize: 2 }).packets).toEqual([
      pingreq,
    ]);
  });
});

describe("what was pushed", () => {
  const core = createCore();
  const ping = Uint8Array.of(0xc0, 0);
  const wrong = Uint8Array.of(0xc0, 1, 0);

  it("is a copy: the chunk may be used again at once", () => {
    const message = publish(Uint8Array.of(1, 2, 3));
    const chunk = core.encode(message, 4);
    const parser = core.parser({ level: 4 });
    const packets = parser.push(chunk);
    chunk.fill(0);
    expect([...packets]).toEqual([message]);
  });

  it("waits until it is read, and other work of the core does not harm it", () => {
    const message = publish(Uint8Array.of(1, 2, 3));
    const stream = core.encode(message, 4);
    const parser = core.parser({ level: 4 });
    for (const packet of parser.push(join(stream, ping, ping))) {
      expect(packet).toEqual(message);
      core.matcher.match("x/y");
      break;
    }
    expect(parser.buffered).toBe(4);
    expect([...parser.push(stream)]).toEqual([pingreq, pingreq, message]);
  });

  it("must be read before more than a packet's worth waits", () => {
    const parser = core.parser({ level: 4, maximumPacketSize: 4 });
    parser.push(ping);
    parser.push(ping);
    parser.push(ping);
    expect(() => parser.push(ping)).toThrow(expect.objectContaining({ code: "CORE_PARSER_UNREAD" }));
    expect(parser.buffered).toBe(6);
  });

  it("ends at a malformed packet: those before it count, and the error stays", () => {
    const parser = core.parser({ level: 4 });
    const packets = parser.push(join(ping, wrong, ping))[Symbol.iterator]();
    expect(packets.next().value).toEqual(pingreq);
    const failure = expect.objectContaining({ code: "CORE_PACKET", reasonCode: 0x81, offset: 2 });
    expect(() => packets.next()).toThrow(failure);
    expect(() => parser.push(ping)).toThrow(failure);
    expect(parser.buffered).toBe(0);
  });

  it("may be a packet of megabytes in many chunks", () => {
    const message = publish(new Uint8Array(2_000_000).fill(7));
    const stream = Buffer.concat([core.encode(message, 4), ping]);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += 65_536) chunks.push(stream.subarray(at, at + 65_536));
    const { packets, parser } = parse(core, chunks, { level: 4 });
    expect(packets).toHaveLength(2);
    expect(Buffer.compare((packets[0] as PublishPacket).payload, message.payload)).toBe(0);
    expect(packets[1]).toEqual(pingreq);
    expect(parser.buffered).toBe(0);
  });
});
