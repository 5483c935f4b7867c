// Lines out of chunks: the same ones wherever the chunks are cut, and none longer than allowed.
import { describe, expect, test } from "vitest";
import { LineReader } from "../../../src/cli/control/line-reader.ts";

describe("LineReader", () => {
  test("finds the same lines whatever the chunks", () => {
    const bytes = Buffer.from("one\n\nthr\u00e9e\nrest");
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reader = new LineReader(100);
      const lines = [...reader.push(bytes.subarray(0, cut)).lines, ...reader.push(bytes.subarray(cut)).lines];
      expect(lines).toEqual(["one", "", "thr\u00e9e"]);
    }
  });

  test.each([
    [3, false],
    [4, false],
    [5, true],
  ])("a line of %i bytes where 4 are allowed: too long is %s", (length, tooLong) => {
    expect(new LineReader(4).push(Buffer.from("x".repeat(length))).tooLong).toBe(tooLong);
    expect(new LineReader(4).push(Buffer.from(`${"x".repeat(length)}\n`)).tooLong).toBe(tooLong);
  });
});
