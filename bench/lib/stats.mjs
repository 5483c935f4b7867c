// Numbers of several runs, and how they are written. Nothing here knows what is measured.

export function median(values) {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Distance of the two extreme runs, as a share of the median: how much to believe a figure. */
export function spread(values) {
  return values.length < 2 ? 0 : (Math.max(...values) - Math.min(...values)) / Math.abs(median(values) || 1);
}

/** 1234567 -> "1.23 M": three significant figures. */
export function formatNumber(value) {
  if (!Number.isFinite(value)) return "–";
  const units = [
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " k"],
  ];
  for (const [size, unit] of units) {
    if (Math.abs(value) >= size * 0.9995) return `${Number((value / size).toPrecision(3))}${unit}`;
  }
  return String(Number(value.toPrecision(3)));
}

export function formatRatio(value) {
  return Number.isFinite(value) ? `${value >= 10 ? value.toFixed(0) : value.toFixed(2)} ×` : "–";
}
