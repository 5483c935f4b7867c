// The topic scanner on both builds: splitting, hashing and refusing, compared with TextDecoder and naive rules.
// Which of several faults is reported follows explainTopic(): encoding before wildcards before the number of levels.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DETAIL_FILTER_EMPTY,
  DETAIL_FILTER_HASH,
  DETAIL_FILTER_PLUS,
  DETAIL_NUL,
  DETAIL_TOPIC_EMPTY,
  DETAIL_TOPIC_LEVELS,
  DETAIL_TOPIC_WILDCARD,
  DETAIL_UTF8,
} from "../../../src/core/generated/abi.ts";
import { BUILDS, TestCore } from "./core.ts";
import { isValidFilter } from "./oracle.ts";

const level = fc.oneof(
  fc.string({ unit: fc.constantFrom("a", "b", "$", "中", "é", "😀"), maxLength: 3 }),
  fc.string({ unit: "grapheme-ascii", maxLength: 40 }).map((text) => text.replace(/[+#/\0]/g, "x")),
);
const topic = fc
  .array(level, { minLength: 1, maxLength: 9 })
  .map((levels) => levels.join("/"))
  .filter((t) => t !== "");

function expectedDetail(bytes: Uint8Array): number {
  if (bytes.length === 0) return DETAIL_TOPIC_EMPTY;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return bytes.includes(0) ? DETAIL_NUL : DETAIL_UTF8;
  }
  if (text.includes("\0")) return DETAIL_NUL;
  if (/[+#]/.test(text)) return DETAIL_TOPIC_WILDCARD;
  return text.split("/").length > 128 ? DETAIL_TOPIC_LEVELS : 0;
}

describe.each(BUILDS)("levels in %s", (build) => {
  const core = new TestCore(build);

  test("a topic is split where '/' stands, empty levels included", () => {
    fc.assert(
      fc.property(topic, (text) => {
        expect(core.scanName(text)).toBe(0);
        const bytes = new TextEncoder().encode(text);
        const found = core.levels().map(({ start, length }) => bytes.subarray(start, start + length));
        expect(found.map((part) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(part))).toEqual(
          text.split("/"),
        );
      }),
    );
  });

  test("a level's hash depends on its bytes alone", () => {
    const known = new Map<string, string>();
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(topic, (text) => {
        core.scanName(text);
        for (const [i, part] of text.split("/").entries()) {
          const { hash } = core.levels()[i];
          expect(known.get(part) ?? hash).toBe(hash);
          expect(seen.get(hash) ?? part).toBe(part);
          known.set(part, hash);
          seen.set(hash, part);
        }
      }),
    );
    expect(known.size).toBeGreaterThan(100);
  });

  test("levels of 0 to 100 bytes that differ in one bit have different hashes", () => {
    const hashes = new Set<string>();
    let count = 0;
    for (let length = 0; length <= 100; length++) {
      const bytes = new Uint8Array(length).fill(0x61);
      for (let i = -1; i < length; i++) {
        if (i >= 0) bytes[i] ^= 1;
        if (length > 0) {
          expect(core.scanName(bytes)).toBe(0);
          hashes.add(core.levels()[0].hash);
          count++;
        }
        if (i >= 0) bytes[i] ^= 1;
      }
    }
    expect(hashes.size).toBe(count);
  });

  test("the topic's key tells every split from every other", () => {
    const texts = ["a/b", "a//b", "/a/b", "a/b/", "ab", "b/a", "a", "/", "//", "///", "a/a", "a/a/a", "aa/a"];
    const long = "x".repeat(16);
    texts.push(
      `${long}${long}`,
      `${long}/${long}`,
      `${long}${long}/`,
      `/${long}${long}`,
      `${long}y/${long}`,
      `${long}/y${long}`,
    );
    const keys = texts.map((text) => core.topicKey(text));
    expect(new Set(keys).size).toBe(texts.length);
  });

  test("other seeds give other hashes, and numbered names spread evenly under each", () => {
    const other = new TestCore(build);
    const first = core.topicKey("a/b");
    for (let seed = 1; seed <= 5; seed++) {
      other.wasm.setSeed(seed, 0, 0, 0);
      expect(other.topicKey("a/b")).not.toBe(first);
      const buckets = new Set<bigint>();
      for (let i = 0; i < 4096; i++) {
        other.scanName(`dev/${i}`);
        buckets.add(BigInt.asUintN(12, other.wasm.topicHash.value));
      }
      expect(buckets.size).toBeGreaterThan(4096 * 0.58); // a random function reaches 63 %
    }
  });

  test("refuses what TextDecoder refuses, U+0000, wildcards and nothing else", () => {
    const piece = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.string({ unit: "binary", maxLength: 8 }).map((text) => new TextEncoder().encode(text)),
      },
      {
        weight: 2,
        arbitrary: fc
          .string({ unit: fc.constantFrom("a", "/", "中", "😀"), maxLength: 20 })
          .map((text) => new TextEncoder().encode(text)),
      },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 4 }) },
      {
        weight: 1,
        arbitrary: fc
          .constantFrom(
            [0xc0, 0x80],
            [0xe0, 0x9f, 0xbf],
            [0xed, 0xa0, 0x80],
            [0xf0, 0x8f, 0xbf, 0xbf],
            [0xf4, 0x90, 0x80, 0x80],
            [0xf8, 0x88, 0x80, 0x80, 0x80],
            [0x80],
            [0],
            [0x2b],
            [0x23],
          )
          .map((bytes) => Uint8Array.from(bytes)),
      },
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const bytes = Uint8Array.from(pieces.flatMap((part) => [...part]));
        expect(core.scanName(bytes)).toBe(expectedDetail(bytes));
      }),
      { numRuns: 3000 },
    );
  });

  test("every lead byte with every second byte, at the end of a block and cut off", () => {
    const bytes = new Uint8Array(24).fill(0x61);
    for (let lead = 0x80; lead < 0x100; lead++) {
      for (let second = 0; second < 0x100; second++) {
        bytes.set([lead, second, 0x80, 0x80], 14);
        for (const end of [16, 17, 18, 24]) {
          const input = bytes.subarray(0, end);
          const detail = core.scanName(input);
          if (detail !== expectedDetail(input))
            expect([lead, second, end, detail]).toEqual(expectedDetail(input));
        }
      }
    }
  });

  test("a wildcard or U+0000 is found at every place of a topic [MQTT-3.3.2-2] [MQTT-4.7.3-2]", () => {
    for (let length = 1; length <= 50; length++) {
      for (let i = 0; i < length; i++) {
        const bytes = new Uint8Array(length).fill(0x61);
        bytes[i] = 0x2b;
        expect(core.scanName(bytes)).toBe(DETAIL_TOPIC_WILDCARD);
        bytes[i] = 0x23;
        expect(core.scanName(bytes)).toBe(DETAIL_TOPIC_WILDCARD);
        bytes[i] = 0;
        expect(core.scanName(bytes)).toBe(DETAIL_NUL);
        bytes[i] = 0x7f;
        expect(core.scanName(bytes)).toBe(0);
      }
    }
  });

  test.each([1, 2, 128, 256])("%i levels are the most when that is the limit", (limit) => {
    const limited = new TestCore(build);
    limited.wasm.setMaxLevels(limit);
    const name = (levels: number): string => Array.from({ length: levels }, () => "a").join("/");
    expect(limited.scanName(name(limit))).toBe(0);
    expect(limited.wasm.levelCount.value).toBe(limit);
    expect(limited.scanName(name(limit + 1))).toBe(DETAIL_TOPIC_LEVELS);
    expect(limited.scanFilter(name(limit))).toBe(0);
    expect(limited.scanFilter(name(limit + 1))).toBe(DETAIL_TOPIC_LEVELS);
    expect(limited.scanFilter(`${name(limit)}/#`)).toBe(DETAIL_TOPIC_LEVELS);
    expect(limited.subscribe(name(limit + 1), 1)).toBe(-2);
  });

  test("the limit of levels stays within 1 and 256", () => {
    const limited = new TestCore(build);
    limited.wasm.setMaxLevels(100_000);
    expect(limited.scanName("/".repeat(255))).toBe(0);
    expect(limited.scanName("/".repeat(256))).toBe(DETAIL_TOPIC_LEVELS);
    limited.wasm.setMaxLevels(0);
    expect(limited.scanName("a")).toBe(0);
    expect(limited.scanName("/")).toBe(DETAIL_TOPIC_LEVELS);
  });

  test("65,535 bytes are the most [MQTT-4.7.3-3]", () => {
    expect(core.scanName("a".repeat(65535))).toBe(0);
    expect(core.scanName("a".repeat(65536))).toBe(DETAIL_UTF8);
    expect(core.scanFilter("a".repeat(65535))).toBe(0);
    expect(core.scanFilter("a".repeat(65536))).toBe(DETAIL_UTF8);
  });

  test.each([
    ["", DETAIL_FILTER_EMPTY],
    ["#", 0],
    ["+", 0],
    ["/", 0],
    ["+/+", 0],
    ["/+/#", 0],
    ["a/#", 0],
    ["a/+/b", 0],
    ["a#", DETAIL_FILTER_HASH],
    ["#a", DETAIL_FILTER_HASH],
    ["#/", DETAIL_FILTER_HASH],
    ["a/#/b", DETAIL_FILTER_HASH],
    ["##", DETAIL_FILTER_HASH],
    ["+#", DETAIL_FILTER_PLUS],
    ["a+", DETAIL_FILTER_PLUS],
    ["+a", DETAIL_FILTER_PLUS],
    ["a/+b/c", DETAIL_FILTER_PLUS],
    ["++", DETAIL_FILTER_PLUS],
    ["a\0", DETAIL_NUL],
  ])("filter %j [MQTT-4.7.1-1] [MQTT-4.7.1-2]", (filter, detail) => {
    expect(core.scanFilter(filter)).toBe(detail);
  });

  test("a filter is accepted exactly if the naive rules accept it", () => {
    const filter = fc.string({ unit: fc.constantFrom("+", "#", "/", "a", "中", "\0"), maxLength: 7 });
    fc.assert(
      fc.property(filter, (text) => {
        expect(core.scanFilter(text) === 0).toBe(isValidFilter(text));
      }),
      { numRuns: 2000 },
    );
  });
});
