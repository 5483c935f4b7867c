// Process-level benches: every scenario against every engine in turn, a fresh broker for each run.
// usage: node bench/macro.mjs [options]; see lib/options.mjs. Exports the same for run.mjs.
import { pathToFileURL } from "node:url";
import { startBroker } from "./lib/broker.mjs";
import { certificate } from "./lib/certificate.mjs";
import { judge, mark, SUBJECT } from "./lib/judge.mjs";
import { chooseLoadTool } from "./lib/load-tool.mjs";
import { readOptions, usage } from "./lib/options.mjs";
import { formatNumber, median, spread } from "./lib/stats.mjs";
import { markdownTable } from "./lib/table.mjs";
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

/** A figure of `row`. Where every run of the engine was incorrect, what it reached all the same stands in brackets. */
export function describe(row, name, problems) {
  const cell = row.values[name];
  if (!cell) {
    if (problems.length === 0) return "";
    const reached = row.incorrect[name];
    return reached === undefined ? "failed" : `failed (${formatNumber(reached)})`;
  }
  const doubt = problems.length ? ` (${problems.length} runs failed)` : "";
  return `${formatNumber(cell.median)} ±${Math.round(cell.spread * 50)} %${doubt}`;
}

/** One row for each figure, one column for each engine, and Millrace's ratios with their verdicts. */
export function macroTable({ results, versions }) {
  const names = peers.map(({ name }) => name).filter((name) => versions[name]);
  const lookup = (scenario, path, peer) =>
    results.find(({ name }) => name === scenario)?.rows.find((row) => row.path === path)?.values[peer]
      ?.median;
  const rows = results.flatMap((result) => {
    const scenario = scenarios.find(({ name }) => name === result.name);
    return result.rows.map((row, index) => {
      const verdicts = judge(scenario, scenario.metrics[index], lookup);
      const cells = names.map((name) =>
        describe(
          row,
          name,
          result.problems.filter((problem) => problem.name === name),
        ),
      );
      // A broker that lost something while it was measured has reached nothing, however fast it was.
      const failed = result.problems.some(({ name }) => name === SUBJECT);
      const ratios = verdicts.map(
        (verdict) => `${mark(failed ? { least: false } : verdict)} ${verdict.text}`,
      );
      if (failed && ratios.length === 0) ratios.push("✗");
      return [`${result.title}, ${row.label}`, result.regime, ...cells, ratios.join(", ")];
    });
  });
  return markdownTable(["work", "regime", ...names, "millrace to peers"], rows);
}

/** What could not be measured or was wrong, a line each; empty if all went well. */
export function macroNotes({ results, missing }) {
  const problems = results.flatMap(({ name, problems: list }) =>
    list.map((entry) => `${name}, ${entry.name}: ${entry.problem}`),
  );
  return [...missing, ...problems].map((line) => `- ${line}`).join("\n");
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(`node bench/macro.mjs [options]\n${usage}`);
  } else {
    const outcome = await runMacro(options, (line) => console.error(line));
    console.log(macroTable(outcome));
    console.log(`\n${macroNotes(outcome)}`);
  }
}
