// The table of docs/platform-rules.md is true: every rule stands in it, and what is said to be kept is cited by the code
// that keeps it and by a test that shows it. `npx vitest run test/platform/rules -u` writes the page anew.
import { describe, expect, test } from "vitest";
import { RULES, type RuleState } from "./catalogue.ts";
import { citationsIn } from "./citations.ts";

const sources = citationsIn(["src", "assembly"], ".ts", false);
const tests = citationsIn(["test"], ".test.ts", true);
const ids = RULES.map(([id]) => id);

/** How many rules each family has: none can fall out unnoticed. */
const FAMILIES = {
  NET: 11,
  AUTH: 15,
  CONN: 8,
  DYN: 6,
  TOPIC: 10,
  PERM: 2,
  SUB: 5,
  QOS: 4,
  SESS: 6,
  LIMIT: 8,
  V5: 16,
  RRPC: 7,
  BCAST: 2,
  NTP: 1,
  SHADOW: 2,
  STATUS: 2,
  LIFE: 1,
  UP: 1,
  LOG: 2,
  GW: 5,
};

const STATES: { readonly [state in RuleState]: string } = {
  kept: "kept",
  option: "kept by option",
  different: "deliberately different",
  "not applicable": "not applicable",
  open: "not built yet",
};

describe("rules of the platform", () => {
  test("every rule of every family stands in the table once", () => {
    const expected = Object.entries(FAMILIES).flatMap(([family, count]) => {
      const first = family === "SESS" ? 0 : 1;
      return Array.from({ length: count }, (_, i) => `${family}-${first + i}`);
    });
    expect(ids).toEqual(expected);
  });

  test("a rule that is kept has a test that names it; one that is not built has none to show", () => {
    const missing = RULES.filter(
      ([id, , state]) => (state === "kept" || state === "option") && !tests.has(id),
    );
    expect(missing.map(([id]) => id)).toEqual([]);
  });

  test("what departs from a rule or depends on an option says why or how", () => {
    const silent = RULES.filter(
      ([, , state, note]) =>
        (state === "different" || state === "not applicable" || state === "option") && !note,
    );
    expect(silent.map(([id]) => id)).toEqual([]);
  });

  test("code and tests cite no rule that does not exist", () => {
    const known = new Set(ids);
    const unknown = [...sources.keys(), ...tests.keys()].filter(
      (id) => /^[A-Z]+[0-9]?-\d+$/.test(id) && Object.hasOwn(FAMILIES, id.split("-")[0]) && !known.has(id),
    );
    expect(unknown).toEqual([]);
  });

  test("the page in docs is what this says", async () => {
    await expect(page()).toMatchFileSnapshot("../../../docs/platform-rules.md");
  });
});

function page(): string {
  const lines = [
    "# Rules of the platform, one by one",
    "",
    "What became of each rule of the Alibaba Cloud IoT Platform's device side, which code cites it and which tests show",
    "it. This page is made by `npx vitest run test/platform/rules -u`; a test fails when it is not up to date, when a rule",
    "is missing, or when a rule that is called kept has no test.",
    "",
    "| rule | about | state | code | tests |",
    "|---|---|---|---|---|",
  ];
  for (const [id, title, state, note] of RULES) {
    const said = note === undefined ? STATES[state] : `${STATES[state]}: ${note}`;
    lines.push(`| ${id} | ${title} | ${said} | ${files(sources.get(id))} | ${files(tests.get(id))} |`);
  }
  return `${lines.join("\n")}\n`;
}

function files(paths: readonly string[] = []): string {
  return paths.map((path) => `[${path.split("/").at(-1)}](../${path})`).join(", ");
}
