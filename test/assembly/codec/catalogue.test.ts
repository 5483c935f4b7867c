import { describe, expect, it } from "vitest";
import { DECODE_INCOMPLETE, DETAIL_LENGTH } from "../../../src/core/generated/abi.ts";
import { encodePacket } from "../../../src/protocol/packet-encoder.ts";
import { catalogue } from "../../catalogue/index.ts";
import { cores } from "../support.ts";

/** The packet cut off after `length` bytes, its Remaining Length telling the shorter body. */
function shorten(bytes: Uint8Array, body: number, length: number): Uint8Array {
  const head = [bytes[0]];
  let left = length - body;
  for (; left >= 0x80; left >>= 7) head.push((left & 0x7f) | 0x80);
  head.push(left);
  return Uint8Array.of(...head, ...bytes.subarray(body, length));
}

function bodyOf(bytes: Uint8Array): number {
  let at = 1;
  while (bytes[at] >= 0x80) at++;
  return at + 1;
}

const announced = (bytes: Uint8Array, body: number) =>
  bytes.subarray(1, body).reduce((sum, byte, index) => sum + (byte & 0x7f) * 128 ** index, 0);

it("announces the length every case has", () => {
  for (const { name, bytes, refusal } of catalogue) {
    if (refusal?.detail === DETAIL_LENGTH) continue;
    expect(announced(bytes, bodyOf(bytes)), name).toBe(bytes.length - bodyOf(bytes));
  }
});

it("holds every case once, at least 150", () => {
  const names = catalogue.map((entry) => entry.name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThan(150);
});

describe.each(cores)("the catalogue on the $name build", (core) => {
  const cases = catalogue.flatMap((entry) => entry.levels.map((level) => ({ ...entry, level })));

  it.each(cases)("$name (level $level)", ({ bytes, level, packet, refusal, longhand }) => {
    const decoded = core.decode(bytes, level);
    if (refusal !== undefined) {
      expect(decoded).toMatchObject({
        result: refusal.reason,
        detail: refusal.detail,
        offset: refusal.offset,
      });
      return;
    }
    expect(decoded).toEqual({ result: 0, detail: 0, offset: 0, total: bytes.length, packet });
    if (packet !== undefined && !longhand) expect(encodePacket(packet, level)).toEqual(bytes);
  });

  it("takes a packet out of a longer run of bytes", () => {
    for (const { bytes, level, packet } of cases) {
      if (packet === undefined) continue;
      const decoded = core.decode(Uint8Array.of(...bytes, 0xff, 0xff, 0xff), level);
      expect(decoded).toMatchObject({ result: 0, total: bytes.length, packet });
    }
  });

  it("calls every beginning of a right packet incomplete", () => {
    for (const { bytes, level, packet } of cases) {
      if (packet === undefined) continue;
      for (let length = 0; length < bytes.length; length++) {
        const { result, total } = core.decode(bytes.subarray(0, length), level);
        expect(result).toBe(DECODE_INCOMPLETE);
        expect(total).toBe(length < bodyOf(bytes) ? 0 : bytes.length);
      }
    }
  });

  it("finds out by itself that a packet ends too early, whatever stands around it", () => {
    for (const { name, bytes, level } of cases) {
      const body = bodyOf(bytes);
      for (let length = body; length < bytes.length; length++) {
        const short = shorten(bytes, body, length);
        const decoded = core.decode(short, level, 0x00);
        expect(core.decode(short, level, 0xff), `${name} cut at ${length}`).toEqual(decoded);
        if (decoded.packet === undefined) {
          expect(decoded.result).toBeGreaterThanOrEqual(0x81);
          expect(decoded.detail).toBeGreaterThan(0);
          expect(decoded.offset).toBeLessThanOrEqual(short.length);
        }
      }
    }
  });
});
