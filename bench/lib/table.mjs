// A Markdown table whose columns line up in a terminal as well.

/** `head`: array of column titles; `rows`: arrays of cells; the first column is aligned left, others right. */
export function markdownTable(head, rows) {
  const cells = [head, ...rows].map((row) => row.map((cell) => String(cell ?? "").replaceAll("|", "\\|")));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => [...row[column]].length)));
  const line = (row) =>
    `| ${row
      .map((cell, column) => {
        const blank = " ".repeat(widths[column] - [...cell].length);
        return column === 0 ? cell + blank : blank + cell;
      })
      .join(" | ")} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(cells[0]), rule, ...cells.slice(1).map(line)].join("\n");
}
