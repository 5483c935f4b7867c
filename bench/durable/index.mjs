// Benches of brokers that keep messages on disk: a table of speeds with verdicts, and one of what is only recorded.
import { runAsProgram } from "../lib/options.mjs";
import { speedTable } from "../lib/speed-table.mjs";
import { chooseScenarios, macroNotes, measureScenario } from "../macro.mjs";
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

export function durableTables(outcome) {
  const parts = [];
  const { results, versions } = outcome;
  const names = durablePeers.map(({ name }) => name).filter((name) => versions[name]);
  const subjects = SUBJECTS.filter((subject) => versions[subject]);
  const verdictHeads = subjects.map((subject) => `${subject} to others`);
  const boundsOf = ({ bounds }, subject) => bounds[subject];
  if (results.length) parts.push(speedTable({ results, scenarios, names, subjects, verdictHeads, boundsOf }));
  if (outcome.recorded.length) parts.push(recordedTables(outcome.recorded));
  return parts.join("\n\n");
}

await runAsProgram(
  import.meta.url,
  "bench/durable/index.mjs",
  runDurable,
  (outcome) => `${durableTables(outcome)}\n\n${macroNotes(outcome)}`,
);
