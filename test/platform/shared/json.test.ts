// JSON of strangers: bounded in depth before it is parsed, own keys only.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  depthOf,
  INVALID_JSON,
  isObject,
  own,
  parseJson,
  plainObject,
} from "../../../src/platform/shared/json.ts";

describe("JSON of strangers", () => {
  test("what is JSON comes through as JSON.parse has it", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  test("any bytes: a value or INVALID_JSON, never an exception", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void parseJson(bytes)));
  });

  test("depth at n and n + 1, brackets in texts not counted", () => {
    const nested = (n: number) => Buffer.from("[".repeat(n) + "]".repeat(n));
    expect(parseJson(nested(8), 8)).not.toBe(INVALID_JSON);
    expect(parseJson(nested(9), 8)).toBe(INVALID_JSON);
    expect(parseJson(Buffer.from('["[[[[[\\"[["]'), 1)).toEqual(['[[[[["[[']);
    expect(parseJson(nested(130_000))).toBe(INVALID_JSON);
  });

  test("the depth of what was parsed is what the bound counted", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const bytes = Buffer.from(JSON.stringify(value));
        const depth = depthOf(JSON.parse(bytes.toString()));
        expect(parseJson(bytes, depth)).not.toBe(INVALID_JSON);
        if (depth > 0) expect(parseJson(bytes, depth - 1)).toBe(INVALID_JSON);
      }),
    );
  });

  test("names such as __proto__ and constructor are data", () => {
    const value = parseJson(Buffer.from('{"__proto__":{"x":1},"constructor":2}'));
    if (!isObject(value)) throw new Error("no object");
    expect(own(value, "__proto__")).toEqual({ x: 1 });
    expect(own(value, "constructor")).toBe(2);
    expect(own({}, "constructor")).toBeUndefined();
    expect(own({}, "x")).toBeUndefined();
    const copy = plainObject(Object.entries(value));
    expect(JSON.stringify(copy)).toBe('{"__proto__":{"x":1},"constructor":2}');
  });

  test("UTF-8 that is none is no JSON", () => {
    expect(parseJson(Buffer.from([0x22, 0xff, 0x22]))).toBe(INVALID_JSON);
  });
});
