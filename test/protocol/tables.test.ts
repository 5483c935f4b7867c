import { describe, expect, it } from "vitest";
import * as abi from "../../src/core/generated/abi.ts";
import { detailText } from "../../src/protocol/details.ts";
import { PACKET_NAMES, PacketType } from "../../src/protocol/packet-types.ts";
import { PROPERTIES, propertyById, propertyByName } from "../../src/protocol/properties.ts";
import {
  REASONS,
  ReasonCode,
  reasonOf,
  reasonText,
  returnCodeOf,
  subackCodeOf,
} from "../../src/protocol/reason-codes.ts";
import { cores } from "../assembly/support.ts";

describe("details", () => {
  const names = Object.keys(abi).filter((name) => name.startsWith("DETAIL_") && name !== "DETAIL_COUNT");
  const codes = names.map((name) => (abi as Record<string, number>)[name]);

  it("are numbered without gaps", () => {
    expect(codes.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: abi.DETAIL_COUNT }, (_, index) => index),
    );
  });

  it("have each a text of its own", () => {
    const texts = codes.map(detailText);
    expect(new Set(texts).size).toBe(codes.length);
    for (const text of texts) expect(text).not.toMatch(/^detail \d/);
    expect(detailText(abi.DETAIL_COUNT)).toBe(`detail ${abi.DETAIL_COUNT}`);
  });
});

describe("packet types", () => {
  it("are named by number", () => {
    for (const [name, type] of Object.entries(PacketType)) expect(PACKET_NAMES[type]).toBe(name);
    expect(PACKET_NAMES).toHaveLength(16);
  });
});

describe("properties", () => {
  it("are found by identifier and name", () => {
    expect(PROPERTIES).toHaveLength(27);
    for (const spec of PROPERTIES) {
      expect(propertyById(spec.id)).toBe(spec);
      expect(propertyByName(spec.name)).toBe(spec);
    }
    expect(propertyById(4)).toBeUndefined();
    expect(propertyByName("constructor")).toBeUndefined();
  });
});

describe("reason codes", () => {
  it("are listed once each, in order", () => {
    expect(REASONS.map(({ name }) => name)).toEqual(Object.keys(ReasonCode));
    const codes = REASONS.map(({ code }) => code);
    expect(codes).toEqual(codes.toSorted((a, b) => a - b));
    expect(new Set(codes).size).toBe(43);
  });

  it("have a text, also those nobody knows", () => {
    expect(reasonText(0x8e)).toBe("session taken over");
    expect(reasonText(0x05)).toBe("reason code 0x05");
    expect(reasonOf(0x05)).toBeUndefined();
  });

  it.each(cores)("stand in the packets in which the $name build accepts them", (core) => {
    const packets = {
      connack: (code: number) => [0x20, 3, 0, code, 0],
      puback: (code: number) => [0x40, 3, 0, 1, code],
      pubrec: (code: number) => [0x50, 3, 0, 1, code],
      pubrel: (code: number) => [0x62, 3, 0, 1, code],
      pubcomp: (code: number) => [0x70, 3, 0, 1, code],
      suback: (code: number) => [0x90, 4, 0, 1, 0, code],
      unsuback: (code: number) => [0xb0, 4, 0, 1, 0, code],
      disconnect: (code: number) => [0xe0, 1, code],
      auth: (code: number) => [0xf0, 6, code, 4, 21, 0, 1, 0x6d],
    } as const;
    for (const [name, bytes] of Object.entries(packets)) {
      for (let code = 0; code < 256; code++) {
        const { result } = core.decode(Uint8Array.from(bytes(code)), 5);
        const allowed = reasonOf(code)?.packets.includes(name as keyof typeof packets) ?? false;
        expect([name, code, result]).toEqual([name, code, allowed ? 0 : 0x82]);
      }
    }
  });

  it("become return codes before 5.0", () => {
    const pairs = [0x00, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x97].map((code) => [
      code,
      returnCodeOf(code),
    ]);
    expect(pairs).toEqual([
      [0x00, 0],
      [0x84, 1],
      [0x85, 2],
      [0x86, 4],
      [0x87, 5],
      [0x88, 3],
      [0x89, 3],
      [0x8a, 5],
      [0x97, 3],
    ]);
    for (let code = 0; code <= 5; code++) expect(returnCodeOf(code)).toBe(code);
  });

  it("become SUBACK codes before 5.0", () => {
    expect([2, 0x87].map((code) => subackCodeOf(code, 5))).toEqual([2, 0x87]);
    expect([2, 0x87].map((code) => subackCodeOf(code, 4))).toEqual([2, 0x80]);
    expect([2, 0x87].map((code) => subackCodeOf(code, 3))).toEqual([2, 0]);
  });
});
