// Bytes of the run log's lines, beside what JSON.stringify() says.
import fc from "fast-check";
import { expect, test } from "vitest";
import { fixed, LineBuffer } from "../../../src/platform/run-log/line-buffer.ts";

const text = (buffer: LineBuffer): string => Buffer.from(buffer.bytes).toString();

test("numbers of every length, and those that are none", () => {
  const edges = [0, 9, 10, 99_999_999, 100_000_000, 999_999_999_999_999, Number.MAX_SAFE_INTEGER];
  const strange = [-1, 0.5, 1e300, Number.NaN, Number.POSITIVE_INFINITY, -0];
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(20), (value, shift) => {
      for (const number of [value, Math.floor(value / 2 ** shift), ...edges, ...strange]) {
        const buffer = new LineBuffer(0);
        buffer.putNumber(number);
        expect(text(buffer)).toBe(JSON.stringify(number));
      }
    }),
  );
});

test("texts of any kind, from any room", () => {
  const any = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom('"', "\\", "\n", "\u007f", "é", "\ud800"),
  );
  fc.assert(
    fc.property(fc.array(any), fc.nat(64), (texts, room) => {
      const buffer = new LineBuffer(room);
      const expected: string[] = [];
      for (const piece of texts) {
        buffer.putString(piece);
        buffer.putText(piece);
        buffer.put(fixed(","));
        expected.push(`${JSON.stringify(piece)}${piece},`);
      }
      expect(text(buffer)).toBe(Buffer.from(expected.join("")).toString());
    }),
  );
});
