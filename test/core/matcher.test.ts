// The matcher of the stand-alone core against the naive one.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createCore, type Matcher } from "../../src/core/index.ts";
import { matches, NaiveTable } from "../assembly/topics/oracle.ts";
import { builds } from "./builds.ts";

// Few names, so that random filters and topics meet.
const name = fc.constantFrom("a", "b", "", "$s", "设备");
const topic = fc.array(name, { minLength: 1, maxLength: 5 }).map((levels) => levels.join("/") || "a");
const filter = fc
  .array(fc.oneof({ weight: 5, arbitrary: name }, { weight: 3, arbitrary: fc.constant("+") }), {
    minLength: 1,
    maxLength: 5,
  })
  .chain((levels) => fc.boolean().map((open) => (open ? [...levels, "#"] : levels).join("/")))
  .map((text) => text || "#");
const id = fc.constantFrom(0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff);
const option = fc.constantFrom(0, 5, 0xffff_ffff);
const ids = new Uint32Array(4096);
const options = new Uint32Array(4096);
const utf8 = new TextEncoder();

/** "id:options" of every match, sorted, as the oracle says it. */
function found(matcher: Matcher, topic: string | Uint8Array): string[] {
  const count = matcher.matchInto(topic, ids, options);
  return Array.from({ length: count }, (_, i) => `${ids[i]}:${options[i]}`).sort();
}

describe.each(builds)("the matcher on the $build build", ({ module }) => {
  it("finds what a naive table finds, whatever was subscribed and unsubscribed before", () => {
    const step = fc.record({ filter, id, option, remove: fc.boolean() });
    const core = createCore(module);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.array(topic, { maxLength: 20 }), (steps, topics) => {
        const naive = new NaiveTable();
        const { matcher } = core;
        for (const { filter, id, option, remove } of steps) {
          if (remove) expect(matcher.unsubscribe(filter, id)).toBe(naive.unsubscribe(filter, id) === 1);
          else expect(matcher.subscribe(filter, id, option)).toBe(naive.subscribe(filter, id, option) === 0);
        }
        for (const text of topics) {
          const expected = naive.match(text);
          expect(found(matcher, text)).toEqual(expected);
          expect(found(matcher, utf8.encode(text))).toEqual(expected);
          expect(matcher.match(text).sort()).toEqual(
            expected.map((pair) => Number(pair.split(":")[0])).sort(),
          );
        }
        expect(matcher.filters).toBe(naive.filters.size);
        expect(matcher.size).toBe([...naive.filters.values()].reduce((sum, of) => sum + of.size, 0));
        for (const [text, items] of [...naive.filters]) {
          for (const item of [...items.keys()]) expect(matcher.unsubscribe(text, item)).toBe(true);
        }
        expect({ size: matcher.size, filters: matcher.filters, bytes: matcher.bytes }).toEqual({
          size: 0,
          filters: 0,
          bytes: 0,
        });
      }),
      { numRuns: 300 },
    );
  });

  it("compares one filter with one topic, without a subscription", () => {
    const { matcher } = createCore(module);
    fc.assert(
      fc.property(filter, topic, (filter, topic) => {
        expect(matcher.matches(filter, topic)).toBe(matches(filter, topic));
        expect(matcher.matches(utf8.encode(filter), utf8.encode(topic))).toBe(matches(filter, topic));
      }),
      { numRuns: 3000 },
    );
    const long = "x".repeat(65_535);
    expect(matcher.matches(long, long)).toBe(true);
    expect(matcher.matches(long, `${long.slice(1)}y`)).toBe(false);
    expect(matcher.size).toBe(0);
  });

  it("takes $share for a level like any other", () => {
    const { matcher } = createCore(module);
    matcher.subscribe("$share/group/a", 1);
    expect([matcher.match("a"), matcher.match("$share/group/a")]).toEqual([[], [1]]);
  });

  it("grows: 50,000 filters, each found by its topic alone", () => {
    const { matcher } = createCore(module);
    for (let i = 0; i < 50_000; i++) expect(matcher.subscribe(`device/${i}/+/set`, i)).toBe(true);
    expect(matcher.size).toBe(50_000);
    expect(matcher.bytes / 50_000).toBeLessThan(200);
    for (let i = 0; i < 50_000; i += 97) expect(matcher.match(`device/${i}/light/set`)).toEqual([i]);
    expect(matcher.match("device/50000/light/set")).toEqual([]);
  });
});

describe("matchInto", () => {
  const { matcher } = createCore();
  for (let i = 0; i < 10; i++) matcher.subscribe("a/#", i, i + 100);

  it("tells how many there are where the array is too short, and writes no further", () => {
    for (const [length, wanted] of [
      [9, 10],
      [10, 10],
      [11, 10],
      [0, 10],
    ]) {
      const buffer = new Uint32Array(length + 2).fill(77);
      const count = matcher.matchInto("a/b", buffer.subarray(0, length));
      expect(count).toBe(wanted);
      expect([...buffer.subarray(length)]).toEqual([77, 77]);
      expect(new Set(buffer.subarray(0, Math.min(length, 10))).size).toBe(Math.min(length, 10));
    }
  });

  it("gives the options beside the ids", () => {
    const count = matcher.matchInto("a", ids, options);
    for (let i = 0; i < count; i++) expect(options[i]).toBe(ids[i] + 100);
    expect(count).toBe(10);
  });
});

describe("what is no Topic Filter, no Topic Name or no id", () => {
  const { matcher } = createCore();
  const long = "x".repeat(65_535);

  it.each([
    ["", "empty Topic Filter"],
    ["a/#/b", "# must stand alone in the last level"],
    ["a/b+", "+ must stand alone in its level"],
    ["a\0", "U+0000 in a string"],
    ["a/\ud800", "ill-formed, or longer"],
    [Uint8Array.of(0x61, 0xc0, 0x80), "ill-formed UTF-8"],
    [`${long}x`, "ill-formed, or longer"],
    ["ä".repeat(32_768), "ill-formed, or longer"],
    [new Uint8Array(65_536).fill(0x61), "ill-formed, or longer"],
    ["a/".repeat(128), "too many topic levels"],
  ])("filter %#", (filter, text) => {
    const refusal = expect.objectContaining({ code: "CORE_FILTER", message: expect.stringContaining(text) });
    expect(() => matcher.subscribe(filter, 1)).toThrow(refusal);
    expect(() => matcher.unsubscribe(filter, 1)).toThrow(refusal);
    expect(() => matcher.matches(filter, "a")).toThrow(refusal);
    expect(matcher.size).toBe(0);
  });

  it.each([
    ["", "empty Topic Name"],
    ["a/+", "wildcard in a Topic Name"],
    ["#", "wildcard in a Topic Name"],
    ["\0", "U+0000 in a string"],
    ["\udfff", "ill-formed, or longer"],
    [`${long}x`, "ill-formed, or longer"],
    ["/".repeat(128), "too many topic levels"],
  ])("topic %#", (topic, text) => {
    const refusal = expect.objectContaining({ code: "CORE_TOPIC", message: expect.stringContaining(text) });
    expect(() => matcher.match(topic)).toThrow(refusal);
    expect(() => matcher.matchInto(topic, ids)).toThrow(refusal);
    expect(() => matcher.matches("#", topic)).toThrow(refusal);
  });

  it("the longest and the deepest are taken", () => {
    for (const text of [long, "ä".repeat(32_767), "/".repeat(127)]) {
      matcher.subscribe(text, 3);
      expect(matcher.match(text)).toEqual([3]);
      matcher.unsubscribe(text, 3);
    }
  });

  it.each([-1, 0.5, 4_294_967_296, Number.NaN])("id and options %d", (number) => {
    const refusal = expect.objectContaining({ code: "CORE_ARGUMENT" });
    expect(() => matcher.subscribe("a", number)).toThrow(refusal);
    expect(() => matcher.subscribe("a", 1, number)).toThrow(refusal);
    expect(() => matcher.unsubscribe("a", number)).toThrow(refusal);
  });
});
