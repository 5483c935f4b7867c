// The property table of the core is the one of src/protocol/properties.ts: every identifier in every packet.
import { describe, expect, it } from "vitest";
import * as abi from "../../../src/core/generated/abi.ts";
import type { PacketName } from "../../../src/protocol/packet-types.ts";
import { PacketType } from "../../../src/protocol/packet-types.ts";
import { PROPERTIES, type PropertyPlace, propertyById } from "../../../src/protocol/properties.ts";
import { cores } from "../support.ts";

const places: PropertyPlace[] = ["will", ...(Object.keys(PacketType) as PacketName[])].filter(
  (place) => place !== "pingreq" && place !== "pingresp",
) as PropertyPlace[];

/** A right value of each type; all of them are right for "flag" and "topic" too. */
const values: Record<string, number[]> = {
  byte: [1],
  u16: [0, 1],
  u32: [0, 0, 0, 1],
  varint: [0x80, 1],
  string: [0, 1, 0x61],
  binary: [0, 1, 0],
  pair: [0, 1, 0x61, 0, 1, 0x62],
};

function varint(value: number): number[] {
  const bytes = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return [...bytes, value];
}

/** A right packet around these property bytes; AUTH needs its method beside them. */
function around(place: PropertyPlace, properties: number[]): Uint8Array {
  const method = [21, 0, 1, 0x6d];
  const some = place === "auth" && properties[0] !== 21 ? [...method, ...properties] : properties;
  const block = [...varint(some.length), ...some];
  const name = [0, 4, 0x4d, 0x51, 0x54, 0x54, 5];
  const bodies: Record<PropertyPlace, [first: number, body: number[]]> = {
    connect: [0x10, [...name, 2, 0, 0, ...block, 0, 0]],
    will: [0x10, [...name, 6, 0, 0, 0, 0, 0, ...block, 0, 1, 0x77, 0, 0]],
    connack: [0x20, [0, 0, ...block]],
    publish: [0x30, [0, 1, 0x74, ...block]],
    puback: [0x40, [0, 1, 0, ...block]],
    pubrec: [0x50, [0, 1, 0, ...block]],
    pubrel: [0x62, [0, 1, 0, ...block]],
    pubcomp: [0x70, [0, 1, 0, ...block]],
    subscribe: [0x82, [0, 1, ...block, 0, 1, 0x74, 0]],
    suback: [0x90, [0, 1, ...block, 0]],
    unsubscribe: [0xa2, [0, 1, ...block, 0, 1, 0x74]],
    unsuback: [0xb0, [0, 1, ...block, 0]],
    pingreq: [0xc0, []],
    pingresp: [0xd0, []],
    disconnect: [0xe0, [0, ...block]],
    auth: [0xf0, [0x18, ...block]],
  };
  const [first, body] = bodies[place];
  return Uint8Array.of(first, ...varint(body.length), ...body);
}

describe.each(cores)("properties on the $name build", (core) => {
  const decode = (place: PropertyPlace, properties: number[]) => core.decode(around(place, properties), 5);

  it.each(places)("%s carries what the table says, and nothing else", (place) => {
    for (let id = 0; id < 256; id++) {
      const spec = propertyById(id);
      const { result, detail } = decode(place, [id, ...(spec ? values[spec.type] : [0, 0, 0, 0])]);
      if (spec?.places.includes(place)) {
        // Authentication Data alone is an error of its own
        const alone = id === 22 && place !== "auth";
        expect([id, result, detail]).toEqual([id, alone ? 0x82 : 0, alone ? abi.DETAIL_AUTH_METHOD : 0]);
      } else {
        const expected = spec ? abi.DETAIL_PROPERTY_PACKET : abi.DETAIL_PROPERTY_UNKNOWN;
        expect([id, result, detail]).toEqual([id, 0x81, expected]);
      }
    }
  });

  const allowed = PROPERTIES.flatMap((spec) => spec.places.map((place) => ({ ...spec, place })));

  it.each(allowed)("$name in $place: once, whole, in its range", ({ id, name, type, rule, place }) => {
    const value = values[type];
    const property = [id, ...value];
    const repeats = type === "pair" || (type === "varint" && place === "publish");
    const twice = decode(place, [...property, ...property]);
    if (repeats) expect(twice.result).toBe(0);
    else expect(twice).toMatchObject({ result: 0x82, detail: abi.DETAIL_PROPERTY_TWICE });
    for (let length = 1; length < property.length; length++) {
      expect(decode(place, property.slice(0, length))).toMatchObject({
        result: 0x81,
        detail: abi.DETAIL_PROPERTY_TRUNCATED,
      });
    }
    if (rule === "notZero") {
      const zero = decode(
        place,
        [id, ...value.map((_, index) => (type === "varint" && index > 0 ? -1 : 0))].filter(
          (byte) => byte >= 0,
        ),
      );
      const alias = name === "topicAlias";
      expect(zero).toMatchObject({
        result: alias ? 0x94 : 0x82,
        detail: alias ? abi.DETAIL_ALIAS_ZERO : abi.DETAIL_PROPERTY_VALUE,
      });
    }
    if (rule === "flag") {
      expect(decode(place, [id, 0]).result).toBe(0);
      expect(decode(place, [id, 2])).toMatchObject({ result: 0x82, detail: abi.DETAIL_PROPERTY_VALUE });
      expect(decode(place, [id, 255])).toMatchObject({ result: 0x82, detail: abi.DETAIL_PROPERTY_VALUE });
    }
    if (rule === "topic") {
      for (const bad of [
        [0, 0],
        [0, 1, 0x23],
        [0, 1, 0x2b],
      ]) {
        expect(decode(place, [id, ...bad])).toMatchObject({
          result: 0x82,
          detail: abi.DETAIL_RESPONSE_TOPIC,
        });
      }
    }
    if (type === "string" || type === "pair") {
      const rest = type === "pair" ? [0, 0] : [];
      expect(decode(place, [id, 0, 1, 0xff, ...rest])).toMatchObject({
        result: 0x81,
        detail: abi.DETAIL_UTF8,
      });
      expect(decode(place, [id, 0, 1, 0x00, ...rest])).toMatchObject({
        result: 0x81,
        detail: abi.DETAIL_NUL,
      });
    }
  });

  it("takes as many properties as the table has room for", () => {
    const user = [38, 0, 0, 0, 0];
    const many = (count: number) => Array.from({ length: count }, () => user).flat();
    const most = (abi.PROP_CAPACITY - 8) / 2;
    expect(decode("subscribe", many(most - 1)).result).toBe(0);
    expect(decode("subscribe", many(most)).packet).toMatchObject({
      properties: { userProperties: { length: most } },
    });
    expect(decode("subscribe", many(most + 1))).toMatchObject({
      result: 0x97,
      detail: abi.DETAIL_PROPERTIES_MANY,
    });
    const message = (abi.PROP_CAPACITY - 8) / 2; // the other properties of a PUBLISH always have room
    expect(decode("publish", many(message)).result).toBe(0);
    expect(decode("publish", many(message + 1))).toMatchObject({
      result: 0x97,
      detail: abi.DETAIL_PROPERTIES_MANY,
    });
  });

  it("takes as many filters as the table has room for", () => {
    const packet = (count: number) => {
      const body = [0, 1, 0, ...Array.from({ length: count }, () => [0, 1, 0x61, 0]).flat()];
      return Uint8Array.from([0x82, ...varint(body.length), ...body]);
    };
    expect(core.decode(packet(abi.FILTER_CAPACITY - 1), 5).result).toBe(0);
    expect(core.decode(packet(abi.FILTER_CAPACITY), 5).result).toBe(0);
    expect(core.decode(packet(abi.FILTER_CAPACITY + 1), 5)).toMatchObject({
      result: 0x97,
      detail: abi.DETAIL_FILTERS_MANY,
    });
  });
});
