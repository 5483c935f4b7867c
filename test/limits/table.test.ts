// The table of limits itself: docs/limits.md says the same, every row has its cases here, and overrides are checked.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createBroker } from "../../src/broker.ts";
import { LIMITS, type LimitRow, resolveLimits } from "../../src/limits.ts";

const rows = Object.entries(LIMITS) as [string, LimitRow][];

test("docs/limits.md has exactly the rows of src/limits.ts", () => {
  const page = readFileSync(new URL("../../docs/limits.md", import.meta.url), "utf8");
  const listed = page
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.slice(2, -2).split(" | "));
  expect(listed).toEqual(
    rows.map(([name, { unit, value, least, most, metric, beyond }]) => [
      `\`${name}\``,
      unit,
      value.toLocaleString("en-US"),
      most === undefined ? `${least ?? 0} –` : `${least ?? 0} – ${most.toLocaleString("en-US")}`,
      `\`${metric}\``,
      beyond,
    ]),
  );
});

test.each(rows)("%s has a case below, at and beyond", (name) => {
  const here = new URL("./", import.meta.url);
  const sources = [
    ...readdirSync(here)
      .filter((file) => file.endsWith(".test.ts") && file !== "table.test.ts")
      .map((file) => new URL(file, here)),
    new URL("../handlers/context/held.test.ts", import.meta.url),
  ].map((file) => readFileSync(file, "utf8"));
  const title = new RegExp(`(test|describe).*["\`]${name}\\b|["\`](level %i: )?${name}\\b`);
  expect(sources.some((source) => title.test(source))).toBe(true);
});

test("metrics are named by what happened, and are there from the first time", () => {
  for (const [, { metric }] of rows)
    expect(metric).toMatch(/^(refused|closed|dropped|queued|capped)\.[a-z0-9_]+$/);
});

describe("resolveLimits", () => {
  test("defaults, and overrides by name", () => {
    const limits = resolveLimits({ sessions: 5, maxConnectionRate: 0 });
    expect(limits.sessions).toBe(5);
    for (const [name, { value }] of rows)
      if (name !== "sessions") expect(limits[name as keyof typeof limits], name).toBe(value);
  });

  test.each(rows.filter(([, { most }]) => most !== undefined))(
    "%s ends where it has no effect",
    (name, row) => {
      const { least = 0, most = 0 } = row;
      for (const value of [least, most])
        expect(resolveLimits({ [name]: value })[name as keyof typeof LIMITS]).toBe(value);
      for (const value of [least - 1, most + 1])
        expect(() => resolveLimits({ [name]: value })).toThrow(
          expect.objectContaining({ code: "LIMIT_INVALID", path: `limits.${name}` }),
        );
    },
  );

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])(
    "%s is refused, by createBroker too",
    async (value) => {
      expect(() => resolveLimits({ sessions: value })).toThrow(/limits\.sessions/);
      await expect(createBroker({ limits: { sessions: value } })).rejects.toMatchObject({
        code: "LIMIT_INVALID",
      });
    },
  );
});
