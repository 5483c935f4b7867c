// Benches of brokers that keep messages on disk: a table of speeds with verdicts, and one of what is only recorded.
import { pathToFileURL } from "node:url";
import { judge, mark } from "../lib/judge.mjs";
import { readOptions, usage } from "../lib/options.mjs";
import { markdownTable } from "../lib/table.mjs";
import { chooseScenarios, describe, macroNotes, measureScenario } from "../macro.mjs";
import { durablePeers, findPeers } from "../peers/index.mjs";
import { RECORDED, recordDurable, recordedTables } from "./recorded.mjs";
import { scenarios } from "./scenarios.mjs";

const SUBJECTS = ["process", "power"];

/** Returns `{ results, recorded, versions, missing }`; `log` is told about every run. */
export async function runDurable(options, log) {
  const chosen = chooseScenarios(options, scenarios);
  const withRecord = !options.only || options.only.some((part) => RECORDED.includes(part));
  if (chosen.length === 0 && !withRecord) return { results: [], recorded: [], versions: {}, missing: [] };
  const names = durablePeers.map(({ name }) => name);
  const own = ["memory", ...SUBJECTS];
  const wanted = options.peers ? names.filter((n) => own.includes(n) || options.peers.includes(n)) : names;
  const { found, missing } = findPeers(options, wanted, durablePeers);
  const results = [];
  for (const scenario of chosen) {
    results.push(await measureScenario(scenario, [...found.keys()], found, options, log));
  }
  const recorded = withRecord ? await recordDurable(found, options, log) : [];
  const versions = Object.fromEntries([...found].map(([name, { version }]) => [name, version]));
  return { results, recorded, versions, missing };
}

function speedTable({ results, versions }) {
  const names = durablePeers.map(({ name }) => name).filter((name) => versions[name]);
  const lookup = (scenario, path, peer) =>
    results.find(({ name }) => name === scenario)?.rows.find((row) => row.path === path)?.values[peer]
      ?.median;
  const rows = results.flatMap((result) => {
    const scenario = scenarios.find(({ name }) => name === result.name);
    const failed = (name) => result.problems.filter((problem) => problem.name === name);
    return result.rows.map((row, index) => {
      const { path, bounds } = scenario.metrics[index];
      const verdicts = SUBJECTS.filter((subject) => versions[subject]).map((subject) => {
        const list = judge(scenario, { path, bounds: bounds[subject] }, lookup, subject);
        const lost = failed(subject).length > 0;
        const marks = list.map((one) => `${mark(lost ? { least: false } : one)} ${one.text}`);
        return marks.join(", ") || (lost ? "✗" : "");
      });
      const cells = names.map((name) => describe(row, name, failed(name)));
      return [`${result.title}, ${row.label}`, ...cells, ...verdicts];
    });
  });
  return markdownTable(["work", ...names, ...SUBJECTS.map((subject) => `${subject} to others`)], rows);
}

export function durableTables(outcome) {
  const parts = [];
  if (outcome.results.length) parts.push(speedTable(outcome));
  if (outcome.recorded.length) parts.push(recordedTables(outcome.recorded));
  return parts.join("\n\n");
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(`node bench/durable/index.mjs [options]\n${usage}`);
  } else {
    const outcome = await runDurable(options, (line) => console.error(line));
    console.log(`${durableTables(outcome)}\n\n${macroNotes(outcome)}`);
  }
}
