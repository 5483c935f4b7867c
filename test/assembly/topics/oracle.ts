// The naive topic matcher that the core is compared with: strings, split at "/", one rule of the standard per line.

export function matches(filter: string, topic: string): boolean {
  if (topic.startsWith("$") && /^[+#]/.test(filter)) return false; // [MQTT-4.7.2-1]
  const wanted = filter.split("/");
  const levels = topic.split("/");
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === "#") return true; // the parent level too, hence before looking at the topic's level
    if (i >= levels.length) return false;
    if (wanted[i] !== "+" && wanted[i] !== levels[i]) return false;
  }
  return wanted.length === levels.length;
}

export function isValidFilter(filter: string, maxLevels = 128): boolean {
  const levels = filter.split("/");
  return (
    filter !== "" &&
    !filter.includes("\0") &&
    levels.length <= maxLevels &&
    levels.every((level, i) =>
      level === "#" ? i === levels.length - 1 : level === "+" || !/[+#]/.test(level),
    )
  );
}

/** A topic table as a map: filter, then item, then options. */
export class NaiveTable {
  readonly filters = new Map<string, Map<number, number>>();

  subscribe(filter: string, item: number, options: number): number {
    const items = this.filters.get(filter) ?? new Map<number, number>();
    this.filters.set(filter, items);
    const known = items.has(item);
    items.set(item, options);
    return known ? 1 : 0;
  }

  unsubscribe(filter: string, item: number): number {
    const items = this.filters.get(filter);
    if (!items?.delete(item)) return 0;
    if (items.size === 0) this.filters.delete(filter);
    return 1;
  }

  /** "item:options" of every match, sorted; a filter matches on its own, so an item may stand there twice. */
  match(topic: string): string[] {
    const found: string[] = [];
    for (const [filter, items] of this.filters) {
      if (matches(filter, topic)) for (const [item, options] of items) found.push(`${item}:${options}`);
    }
    return found.sort();
  }
}
