// Process-level benches: every scenario against every engine in turn, a fresh broker for each run.
// usage: node bench/macro.mjs [options]; see lib/options.mjs. Exports the same for run.mjs.
import { startBroker } from "./lib/broker.mjs";
import { certificate } from "./lib/certificate.mjs";
import { SUBJECT } from "./lib/judge.mjs";
import { chooseLoadTool } from "./lib/load-tool.mjs";
import { runAsProgram } from "./lib/options.mjs";
import { speedTable } from "./lib/speed-table.mjs";
import { median, spread } from "./lib/stats.mjs";
import { findPeers, peers } from "./peers/index.mjs";
import { scenarios } from "./scenarios.mjs";

const valueAt = (report, path) => path.split(".").reduce((node, key) => node?.[key], report);

export function chooseScenarios({ only }, among = scenarios) {
  return only ? among.filter(({ name }) => only.some((part) => name.includes(part))) : among;
}

async function measureOnce(scenario, peer, options, tool) {
  const duration = ["--duration", String(options.duration), "--warmup", String(options.duration / 2)];
  const tls = scenario.tls ? await certificate() : undefined;
  let broker;
  try {
    broker = await startBroker(peer, options, { tls, relayMode: scenario.relay });
  } catch (error) {
    return { problem: error.message };
  }
  try {
    const load = [...scenario.load, ...duration];
    const outcome = await tool.run(broker, load);
    if (!scenario.twice || outcome.problem) return outcome;
    const again = await tool.run(broker, load);
    return { ...again, report: again.report && { ...outcome.report, again: again.report } };
  } finally {
    await broker.stop();
  }
}

/** Runs of one scenario by the engines `names`: they alternate, so that a change of the machine's mood meets them all. */
export async function measureScenario(scenario, names, found, options, log) {
  const tool = chooseLoadTool(options, scenario);
  const cells = new Map(names.map((name) => [name, { reports: [], incorrect: [], problems: [] }]));
  const runs = options.quick ? 1 : (options.runs ?? scenario.runs ?? 3);
  for (let run = 0; run < runs; run++) {
    for (const name of names) {
      const { report, problem } = await measureOnce(scenario, found.get(name).peer, options, tool);
      if (problem) cells.get(name).problems.push(problem);
      if (report) cells.get(name)[problem ? "incorrect" : "reports"].push(report);
      log(`${scenario.name} ${name} ${run + 1}/${runs} ${problem?.split("\n")[0] ?? "ok"}`);
    }
  }
  const rows = scenario.metrics.map((metric) => {
    const numbersOf = (reports) =>
      reports.map((report) => valueAt(report, metric.path)).filter(Number.isFinite);
    const values = {};
    const incorrect = {};
    for (const [name, cell] of cells) {
      const numbers = numbersOf(cell.reports);
      if (numbers.length) values[name] = { median: median(numbers), spread: spread(numbers), runs: numbers };
      const others = numbersOf(cell.incorrect);
      if (others.length) incorrect[name] = median(others);
    }
    return { path: metric.path, label: metric.label, values, incorrect };
  });
  const problems = [...cells].flatMap(([name, cell]) =>
    cell.problems.map((problem) => ({ name, problem: problem.split("\n")[0] })),
  );
  return {
    name: scenario.name,
    title: scenario.title,
    regime: scenario.regime,
    tool: tool.name,
    rows,
    problems,
  };
}

/** Returns `{ results, versions, missing }`; `log` is told about every run. */
export async function runMacro(options, log) {
  const wanted = options.peers ?? peers.map(({ name }) => name);
  const { found, missing } = findPeers(options, wanted);
  const results = [];
  for (const scenario of chooseScenarios(options)) {
    const names = [SUBJECT, ...scenario.peers].filter((name) => found.has(name));
    results.push(await measureScenario(scenario, names, found, options, log));
  }
  const versions = Object.fromEntries([...found].map(([name, { version }]) => [name, version]));
  return { results, versions, missing };
}

/** One row for each figure, one column for each engine, and Millrace's ratios with their verdicts. */
export function macroTable({ results, versions }) {
  const names = peers.map(({ name }) => name).filter((name) => versions[name]);
  return speedTable({ results, scenarios, names, verdictHeads: ["millrace to peers"], regime: true });
}

/** What could not be measured or was wrong, a line each; empty if all went well. */
export function macroNotes({ results, missing }) {
  const problems = results.flatMap(({ name, problems: list }) =>
    list.map((entry) => `${name}, ${entry.name}: ${entry.problem}`),
  );
  return [...missing, ...problems].map((line) => `- ${line}`).join("\n");
}

await runAsProgram(
  import.meta.url,
  "bench/macro.mjs",
  runMacro,
  (outcome) => `${macroTable(outcome)}\n\n${macroNotes(outcome)}`,
);
