// Benches of the platform profile: signed devices beside the standard profile with the same clients, and synchronous calls.
import { runAsProgram } from "../lib/options.mjs";
import { speedTable } from "../lib/speed-table.mjs";
import { chooseScenarios, macroNotes, measureScenario } from "../macro.mjs";
import { profiles } from "../peers/millrace.mjs";
import { findPeers } from "../peers/index.mjs";
import { makeDevices } from "./devices.mjs";
import { measureRrpc, RRPC, rrpcTable } from "./rrpc.mjs";
import { platformScenarios } from "./scenarios.mjs";

const SUBJECT = "platform";
const NAMES = ["platform", "standard"];

/** Returns `{ results, scenarios, rrpc, versions, missing }`; `log` is told about every run. */
export async function runPlatform(options, log) {
  const nothing = { results: [], scenarios: [], rrpc: undefined, versions: {}, missing: [] };
  const asked = (name) => !options.only || options.only.some((part) => name.includes(part));
  // Names are known before devices are made.
  const named = platformScenarios({ line: () => "", file: () => "", count: 0 });
  if (chooseScenarios(options, named).length === 0 && !asked(RRPC)) return nothing;
  let devices;
  const copyTo = (directory) => devices.copyTo(directory);
  const { found, missing } = findPeers(options, NAMES, profiles(copyTo));
  if (missing.length) return { ...nothing, missing };
  const results = [];
  let scenarios = [];
  if (chooseScenarios(options, named).length > 0) {
    devices = await makeDevices();
    scenarios = chooseScenarios(options, platformScenarios(devices));
    for (const scenario of scenarios)
      results.push(await measureScenario(scenario, NAMES, found, options, log));
  }
  const rrpc = asked(RRPC) ? await measureRrpc(options, log) : undefined;
  if (rrpc?.problems.length)
    results.push({ name: RRPC, title: "RRPC", tool: "rrpc.mjs", rows: [], problems: rrpc.problems });
  const versions = Object.fromEntries([...found].map(([name, { version }]) => [name, version]));
  return { results, scenarios, rrpc, versions, missing };
}

export function platformTables(outcome) {
  const parts = [];
  const { results, scenarios } = outcome;
  const verdictHeads = ["platform to standard"];
  if (scenarios.length)
    parts.push(speedTable({ results, scenarios, names: NAMES, subjects: [SUBJECT], verdictHeads }));
  if (outcome.rrpc?.runs.length) parts.push(rrpcTable(outcome.rrpc));
  return parts.join("\n\n");
}

await runAsProgram(
  import.meta.url,
  "bench/platform/index.mjs",
  runPlatform,
  (outcome) => `${platformTables(outcome)}\n\n${macroNotes(outcome)}`,
);
