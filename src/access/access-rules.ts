// Parses the text of an access list into rules. Decides nothing: see access-list.ts for what the rules mean.
import { ConfigError } from "../errors.ts";
import { isTopicFilter, type Levels, splitLevels } from "./topic-filters.ts";

export type Access = "read" | "write" | "readwrite" | "deny";

export interface Rule {
  readonly access: Access;
  readonly levels: Levels;
  /** The levels hold %c or %u. */
  readonly variables: boolean;
}

export interface RuleSet {
  readonly everyone: readonly Rule[];
  readonly users: ReadonlyMap<string, readonly Rule[]>;
  readonly patterns: readonly Rule[];
}

const ACCESS = new Set(["read", "write", "readwrite", "deny"]);
const VARIABLE = /%[cu]/;

export function parseAccessRules(text: string, path: string): RuleSet {
  const everyone: Rule[] = [];
  const users = new Map<string, Rule[]>();
  const patterns: Rule[] = [];
  let current = everyone;
  text.split(/\r?\n/).forEach((raw, index) => {
    const fail = (message: string): never => {
      const where = `${path}:${index + 1}`;
      throw new ConfigError("ACL_FILE", where, `${where}: ${message}`);
    };
    const line = raw.trim();
    // Only a whole line is a comment: "#" is also a filter.
    if (line === "" || line.startsWith("#")) return;
    const [keyword, rest] = splitWord(line);
    if (keyword === "user") {
      if (rest === "") fail("a user line needs a name: `user NAME`");
      current = users.get(rest) ?? [];
      users.set(rest, current);
    } else if (keyword === "topic") {
      current.push(parseRule(rest, false, fail));
    } else if (keyword === "pattern") {
      patterns.push(parseRule(rest, true, fail));
    } else {
      fail(`"${keyword}" is not known: a line begins with user, topic, pattern or #`);
    }
  });
  return { everyone, users, patterns };
}

/** The first word, and what follows behind the blanks. */
function splitWord(text: string): [first: string, rest: string] {
  const end = text.search(/\s/);
  return end < 0 ? [text, ""] : [text.slice(0, end), text.slice(end).trimStart()];
}

function parseRule(text: string, pattern: boolean, fail: (message: string) => never): Rule {
  const keyword = pattern ? "pattern" : "topic";
  const [first, rest] = splitWord(text);
  if (first === "") fail(`a filter is missing: \`${keyword} [read|write|readwrite|deny] FILTER\``);
  // One word is a filter with both rights; a filter with blanks in it needs its right before it.
  const access = (rest === "" ? "readwrite" : first) as Access;
  const filter = rest === "" ? first : rest;
  if (!ACCESS.has(access)) fail(`"${first}" is no right: use read, write, readwrite or deny`);
  if (rest === "" && ACCESS.has(first)) fail(`a filter is missing after "${first}"`);
  if (!isTopicFilter(filter)) {
    fail(`"${filter}" is no Topic Filter: "+" stands alone in its level, "#" alone in the last one`);
  }
  const levels = splitLevels(filter);
  if (!pattern && levels.some((level) => level === "%c" || level === "%u")) {
    fail(`%c and %u are put in by pattern lines only: write \`pattern ${access} ${filter}\``);
  }
  return { access, levels, variables: pattern && VARIABLE.test(filter) };
}
