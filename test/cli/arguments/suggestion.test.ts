import { describe, expect, test } from "vitest";
import { editDistance, nearest } from "../../../src/cli/arguments/suggestion.ts";

describe("editDistance", () => {
  test.each([
    ["", "", 0],
    ["abc", "abc", 0],
    ["abc", "abd", 1],
    ["abc", "acb", 1],
    ["abc", "ab", 1],
    ["kitten", "sitting", 3],
    ["abc", "", 3],
  ])("%j to %j is %i, both ways", (a, b, distance) => {
    expect(editDistance(a, b, 9)).toBe(distance);
    expect(editDistance(b, a, 9)).toBe(distance);
  });

  test("stops counting beyond its bound", () => {
    expect(editDistance("aaaa", "bbbb", 2)).toBe(3);
    expect(editDistance("a", "aaaaaaaaaa", 2)).toBe(3);
  });
});

describe("nearest", () => {
  const known = ["maxConnections", "maxConnectionRate", "listeners", "data"];
  test.each([
    ["maxConections", "maxConnections"],
    ["max_connections", "maxConnections"],
    ["MaxConnectionrate", "maxConnectionRate"],
    ["listner", "listeners"],
    ["date", "data"],
    ["something", undefined],
    ["", undefined],
  ])("%j is %j", (word, expected) => {
    expect(nearest(word, known)).toBe(expected);
  });
});
