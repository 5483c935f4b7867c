// Relations between Topic Filters: does one cover, overlap or match another. Used by access lists and topic grants,
// where a question is asked once per client and topic. Routing has its own tables in the core; this is not its path.
//
//   filterCovers("a/#", "a/+/c")   true    every topic the second matches, the first matches too
//   filterCovers("a/+", "a/#")     false   "a" and "a/b/c" are left over
//   filterCovers("#", "$SYS/#")    false   a leading wildcard matches no "$" topic [MQTT-4.7.2-1]
//   filtersOverlap("a/+", "+/b")   true    both match "a/b"

/** A filter or topic cut at its slashes. */
export type Levels = readonly string[];
/** Compares a literal level of a grant with a literal level of what is asked. */
export type LevelEquals = (granted: string, asked: string) => boolean;

const identical: LevelEquals = (granted, asked) => granted === asked;

export function splitLevels(filter: string): Levels {
  return filter.split("/");
}

/** True where `filter` obeys [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1] and [MQTT-4.7.3-2]. */
export function isTopicFilter(filter: string): boolean {
  if (filter === "" || filter.includes("\0")) return false;
  const levels = splitLevels(filter);
  return levels.every((level, i) => {
    if (level === "#") return i === levels.length - 1;
    return level === "+" || !/[+#]/.test(level);
  });
}

/** True where every topic matched by `filter` is matched by `grant`. A topic is a filter that matches itself only. */
export function levelsCover(grant: Levels, filter: Levels, equals: LevelEquals = identical): boolean {
  for (let i = 0; i < grant.length; i++) {
    const granted = grant[i];
    const asked = filter[i];
    if (granted === "#" || granted === "+") {
      if (i === 0 && asked.startsWith("$")) return false; // [MQTT-4.7.2-1]
      if (granted === "#") return true;
      if (asked === undefined) return false;
      // "#" also matches its parent level, which "+" does not, but in first place there is no parent.
      if (asked === "#") return i === 0 && grant[1] === "#";
    } else if (asked === undefined || asked === "+" || asked === "#" || !equals(granted, asked)) {
      return false;
    }
  }
  return grant.length === filter.length;
}

/** True where some topic is matched by both. */
export function levelsOverlap(a: Levels, b: Levels): boolean {
  for (let i = 0; ; i++) {
    const x = a[i];
    const y = b[i];
    if (i === 0 && isLeadingWildcard(x) && y.startsWith("$")) return false; // [MQTT-4.7.2-1]
    if (i === 0 && isLeadingWildcard(y) && x.startsWith("$")) return false;
    if (x === "#" || y === "#") return true;
    if (x === undefined || y === undefined) return x === y;
    if (x !== "+" && y !== "+" && x !== y) return false;
  }
}

export function filterCovers(grant: string, filter: string): boolean {
  return levelsCover(splitLevels(grant), splitLevels(filter));
}

export function filtersOverlap(a: string, b: string): boolean {
  return levelsOverlap(splitLevels(a), splitLevels(b));
}

/** Does the Topic Name match the filter? The name must hold no wildcard. */
export function topicMatches(filter: string, topic: string): boolean {
  return levelsCover(splitLevels(filter), splitLevels(topic));
}

function isLeadingWildcard(level: string): boolean {
  return level === "+" || level === "#";
}
