// The micro benches, each with `title` and `run(options)`; usage: node bench/micro/index.mjs [--only NAME] [--quick]
import { runAsProgram } from "../lib/options.mjs";
import { formatNumber } from "../lib/stats.mjs";
import { markdownTable } from "../lib/table.mjs";
import * as api from "./api.mjs";
import * as border from "./border.mjs";
import { coreIsBuilt } from "./core.mjs";
import * as encode from "./encode.mjs";
import * as match from "./match.mjs";
import * as parse from "./parse.mjs";

const benches = { parse, encode, match, border, api };

/** Returns `{ sections, missing }`; a section is `{ name, title, results, bounds }`. */
export async function runMicro(options, log) {
  if (!coreIsBuilt()) return { sections: [], missing: ["micro benches: run `npm run build` first"] };
  const sections = [];
  for (const [name, bench] of Object.entries(benches)) {
    if (options.only && !options.only.some((part) => name.includes(part))) continue;
    log(`micro ${name}`);
    sections.push({ name, title: bench.title, ...(await bench.run(options)) });
  }
  return { sections, missing: [] };
}

export function boundMet({ value, least, most }) {
  return (least === undefined || value >= least) && (most === undefined || value <= most);
}

export function microTables({ sections }) {
  const rows = sections.flatMap(({ title, results }) =>
    results.map((row) => [
      `${title}: ${row.name}`,
      `${formatNumber(row.perSecond)}/s`,
      `${formatNumber(row.nanoseconds)}`,
      `${formatNumber(row.p99Nanoseconds)}`,
      row.bytes === undefined ? "" : `${Math.round(row.bytes)} B`,
      row.hitsPerTopic?.toFixed(2) ?? "",
    ]),
  );
  const bounds = sections.flatMap((section) =>
    section.bounds.map((bound) => [
      `${section.title}: ${bound.name}`,
      formatNumber(bound.value),
      bound.least === undefined ? `≤ ${formatNumber(bound.most)}` : `≥ ${formatNumber(bound.least)}`,
      boundMet(bound) ? "✓" : "✗",
    ]),
  );
  const tables = [];
  if (rows.length)
    tables.push(
      markdownTable(["operation", "median", "ns each", "p99 ns", "memory/filter", "hits/topic"], rows),
    );
  if (bounds.length) tables.push(markdownTable(["bound", "measured", "wanted", ""], bounds));
  return tables.join("\n\n");
}

await runAsProgram(import.meta.url, "bench/micro/index.mjs", runMicro, (outcome) =>
  [microTables(outcome), ...outcome.missing].filter(Boolean).join("\n\n"),
);
