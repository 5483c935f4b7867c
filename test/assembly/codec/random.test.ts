// Bytes nobody meant: the core never traps, never reads outside the packet, and both builds agree.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DECODE_INCOMPLETE, DETAIL_COUNT } from "../../../src/core/generated/abi.ts";
import { catalogue } from "../../catalogue/index.ts";
import { cores } from "../support.ts";

const [release, debug] = cores;
const level = fc.constantFrom(3, 4, 5);

/** Fits the Remaining Length to the bytes, so that random bodies are looked at. */
function framed(first: number, body: Uint8Array): Uint8Array {
  const length = [];
  let left = body.length;
  for (; left >= 0x80; left >>= 7) length.push((left & 0x7f) | 0x80);
  return Uint8Array.of(first, ...length, left, ...body);
}

function agree(bytes: Uint8Array, version: number): void {
  const decoded = release.decode(bytes, version, 0x00);
  expect(release.decode(bytes, version, 0xff)).toEqual(decoded);
  expect(debug.decode(bytes, version, 0x80)).toEqual(decoded);
  const { result, detail, offset, total } = decoded;
  if (result === DECODE_INCOMPLETE || result === 0) {
    expect([detail, offset]).toEqual([0, 0]);
    if (result === 0) expect(total).toBeLessThanOrEqual(bytes.length);
    return;
  }
  expect(result).toBeGreaterThanOrEqual(0x81);
  expect(detail).toBeGreaterThan(0);
  expect(detail).toBeLessThan(DETAIL_COUNT);
  expect(offset).toBeLessThanOrEqual(total || bytes.length);
}

describe("random bytes", () => {
  it("as they come", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), level, agree), { numRuns: 5000 });
  });

  it("as the body of any packet", () => {
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      // Small numbers make lengths and property identifiers that fit.
      fc.uint8Array({ maxLength: 200, max: 45 }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), body, level, (first, bytes, version) =>
        agree(framed(first, bytes), version),
      ),
      { numRuns: 10_000 },
    );
  });

  it("put into the packets of the catalogue", () => {
    const change = fc.record({
      at: fc.nat(200),
      drop: fc.nat(3),
      put: fc.uint8Array({ maxLength: 3 }),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...catalogue),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        level,
        (entry, changes, version) => {
          let bytes = [...entry.bytes];
          for (const { at, drop, put } of changes) bytes.splice(at % bytes.length || 1, drop, ...put);
          agree(Uint8Array.from(bytes), version);
          bytes = bytes.slice(2);
          agree(framed(entry.bytes[0], Uint8Array.from(bytes)), version);
        },
      ),
      { numRuns: 10_000 },
    );
  });
});
