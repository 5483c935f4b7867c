// Compares medians of Millrace, or of one of its levels of durability, with the bounds of a metric. Pure: figures in, verdicts out.
import { formatNumber, formatRatio } from "./stats.mjs";

export const SUBJECT = "millrace";

/** `lookup(scenario, path, peer)` gives a median or undefined. Returns one verdict for each bound that can be judged. */
export function judge(scenario, metric, lookup, subject = SUBJECT) {
  const own = lookup(scenario.name, metric.path, subject);
  if (own === undefined) return [];
  return metric.bounds.flatMap((bound) => {
    const lower = metric.better === "lower";
    if (bound.value !== undefined) {
      const met = (limit) => (lower ? own <= limit : own >= limit);
      const text = `${lower ? "≤" : "≥"} ${formatNumber(bound.value)}`;
      return [
        {
          text,
          ratio: own / bound.value,
          least: met(bound.value),
          goal: bound.goal && met(bound.goal),
        },
      ];
    }
    const other = bound.scenario
      ? lookup(bound.scenario, metric.path, subject)
      : lookup(scenario.name, metric.path, bound.peer);
    if (other === undefined) return [];
    const ratio = own / other;
    const met = (limit) => (lower ? ratio <= limit : ratio >= limit);
    return [
      {
        text: `${formatRatio(ratio)} ${bound.scenario ?? bound.peer} (${lower ? "≤" : "≥"} ${bound.least})`,
        ratio,
        least: met(bound.least),
        goal: bound.goal && met(bound.goal),
      },
    ];
  });
}

/** "✓✓" goal reached, "✓" required ratio reached, "✗" not reached. */
export function mark(verdict) {
  if (!verdict.least) return "✗";
  return verdict.goal ? "✓✓" : "✓";
}
