// The table of what was measured: a row for each figure, a column for each engine, and Millrace's ratios with their verdicts.
import { judge, mark, SUBJECT } from "./judge.mjs";
import { formatNumber } from "./stats.mjs";
import { markdownTable } from "./table.mjs";

/**
 * `names`: the engines with a column; `subjects`: those of them that are judged, a column each under `verdictHeads`, by the
 * bounds that `boundsOf(metric, subject)` gives. With `regime` a column says how the load was sent.
 */
export function speedTable({
  results,
  scenarios,
  names,
  subjects = [SUBJECT],
  verdictHeads,
  boundsOf = (metric) => metric.bounds,
  regime = false,
}) {
  const lookup = (scenario, path, peer) =>
    results.find(({ name }) => name === scenario)?.rows.find((row) => row.path === path)?.values[peer]
      ?.median;
  const rows = results.flatMap((result) => {
    const scenario = scenarios.find(({ name }) => name === result.name);
    const failed = (name) => result.problems.filter((problem) => problem.name === name);
    return result.rows.map((row, index) => {
      const metric = scenario.metrics[index];
      const verdicts = subjects.map((subject) => {
        const list = judge(scenario, { ...metric, bounds: boundsOf(metric, subject) }, lookup, subject);
        // A broker that lost something while it was measured has reached nothing, however fast it was.
        const lost = failed(subject).length > 0;
        const marks = list.map((one) => `${mark(lost ? { least: false } : one)} ${one.text}`);
        return marks.join(", ") || (lost ? "✗" : "");
      });
      const cells = names.map((name) => describe(row, name, failed(name)));
      return [`${result.title}, ${row.label}`, ...(regime ? [result.regime] : []), ...cells, ...verdicts];
    });
  });
  return markdownTable(["work", ...(regime ? ["regime"] : []), ...names, ...verdictHeads], rows);
}

/** A figure of `row`. Where every run of the engine was incorrect, what it reached all the same stands in brackets. */
function describe(row, name, problems) {
  const cell = row.values[name];
  if (!cell) {
    if (problems.length === 0) return "";
    const reached = row.incorrect[name];
    return reached === undefined ? "failed" : `failed (${formatNumber(reached)})`;
  }
  const doubt = problems.length ? ` (${problems.length} runs failed)` : "";
  return `${formatNumber(cell.median)} ±${Math.round(cell.spread * 50)} %${doubt}`;
}
