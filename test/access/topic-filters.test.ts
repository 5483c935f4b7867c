import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { filterCovers, filtersOverlap, isTopicFilter, topicMatches } from "../../src/access/topic-filters.ts";

// The naive oracle: a regular expression per filter, and every topic of up to four levels over an alphabet that has one
// letter no filter uses; the empty topic counts, though no client can send it. Filters have at most three levels, so a difference between two filters shows in these topics.
const WORDS = ["a", "b", "", "$s"];
const TOPICS = topicsOver(["a", "b", "", "$s", "z"], 4);

function topicsOver(words: readonly string[], depth: number): string[] {
  let level = words.map((word) => [word]);
  const all = [...level];
  for (let i = 1; i < depth; i++) {
    level = level.flatMap((topic) => words.map((word) => [...topic, word]));
    all.push(...level);
  }
  return all.map((topic) => topic.join("/"));
}

function oracle(filter: string): RegExp {
  const body = filter
    .replace(/[$]/g, "\\$&")
    .replace(/(^|\/)\+(?=\/|$)/g, "$1[^/]*")
    .replace(/\/\+(?=\/|$)/g, "/[^/]*")
    .replace(/^#$/, ".*")
    .replace(/\/#$/, "(/.*)?");
  return new RegExp(`^${/^[+#]/.test(filter) ? "(?!\\$)" : ""}${body}$`);
}

const filters = fc
  .tuple(fc.array(fc.constantFrom(...WORDS, "+"), { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([levels, open]) => (open ? [...levels.slice(0, -1), "#"] : levels).join("/"))
  .filter((filter) => filter !== "");

describe("topic filters against brute force", () => {
  it("topicMatches says what the regular expression says", () => {
    fc.assert(
      fc.property(filters, (filter) => {
        const expected = oracle(filter);
        const wrong = TOPICS.filter((topic) => topicMatches(filter, topic) !== expected.test(topic));
        expect(wrong).toEqual([]);
      }),
      { numRuns: 120 },
    );
  });

  it("filterCovers is true exactly where no topic is left over", () => {
    fc.assert(
      fc.property(filters, filters, (grant, filter) => {
        const [granted, asked] = [oracle(grant), oracle(filter)];
        const leftOver = TOPICS.find((topic) => asked.test(topic) && !granted.test(topic));
        expect({ covers: filterCovers(grant, filter), leftOver }).toEqual({
          covers: leftOver === undefined,
          leftOver,
        });
      }),
      { numRuns: 3_000 },
    );
  });

  it("filtersOverlap is true exactly where a topic is common, and symmetric", () => {
    fc.assert(
      fc.property(filters, filters, (a, b) => {
        const [x, y] = [oracle(a), oracle(b)];
        const common = TOPICS.find((topic) => x.test(topic) && y.test(topic));
        expect({ overlap: filtersOverlap(a, b), common }).toEqual({ overlap: common !== undefined, common });
        expect(filtersOverlap(b, a)).toBe(filtersOverlap(a, b));
      }),
      { numRuns: 3_000 },
    );
  });
});

describe("filterCovers", () => {
  it.each([
    ["#", "#", true],
    ["+/#", "#", true],
    ["a/+/#", "a/#", false],
    ["a/#", "a", true],
    ["a/#", "a/+/c", true],
    ["a/+", "a/#", false],
    ["#", "$SYS/#", false],
    ["+/x", "$SYS/x", false],
    ["$SYS/#", "$SYS/broker/+", true],
    ["a/b", "a/+", false],
  ])("%s over %s is %s", (grant, filter, expected) => {
    expect(filterCovers(grant, filter)).toBe(expected);
  });
});

describe("isTopicFilter", () => {
  it.each(["#", "+", "a/#", "/", "a/+/b", "a//b", "$share"])("takes %s", (filter) => {
    expect(isTopicFilter(filter)).toBe(true);
  });
  it.each(["", "a#", "#/a", "a/#/b", "a+", "+a/b", "a\0"])("refuses %j", (filter) => {
    expect(isTopicFilter(filter)).toBe(false);
  });
});
