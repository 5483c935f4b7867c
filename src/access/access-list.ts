// The access list (ACL) of the standard profile: who may publish and subscribe what. The file's form is Mosquitto's:
//
//   # rules before any user line are everybody's, anonymous clients' too
//   topic read news/#
//   user alice
//   topic readwrite home/#
//   topic deny home/vault/#
//   pattern readwrite devices/%c/#      # %c Client Identifier, %u user name; patterns are everybody's wherever they stand
//
// Where a list exists, what no rule grants is refused. "#" grants no "$" topic: $SYS needs `topic read $SYS/#`.
import { readFile } from "node:fs/promises";
import { OperationError } from "../errors.ts";
import { parseAccessRules, type Rule, type RuleSet } from "./access-rules.ts";
import { messageOf } from "./atomic-file.ts";
import { type Levels, levelsCover, levelsOverlap, splitLevels } from "./topic-filters.ts";

/** What the rules may ask of a client. An unproved user name must be left out. */
export interface Subject {
  readonly clientId: string;
  readonly username: string | undefined;
}

export class AccessList {
  readonly path: string;
  readonly #rules: RuleSet;

  private constructor(path: string, rules: RuleSet) {
    this.path = path;
    this.#rules = rules;
  }

  static async load(path: string): Promise<AccessList> {
    try {
      return AccessList.parse(await readFile(path, "utf8"), path);
    } catch (cause) {
      if (!(cause instanceof Error && "syscall" in cause)) throw cause;
      throw new OperationError(
        "ACL_FILE_READ",
        `${path}: the access list cannot be read: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  /** Throws ConfigError with the file's name and the line. */
  static parse(text: string, path: string): AccessList {
    return new AccessList(path, parseAccessRules(text, path));
  }

  /** A write rule matches the topic and no deny rule does. */
  mayPublish(subject: Subject, topic: string): boolean {
    const levels = splitLevels(topic);
    return this.#decide(subject, levels, "write", levelsCover);
  }

  /** One read rule covers the whole filter, and no deny rule matches anything the filter could match. */
  maySubscribe(subject: Subject, filter: string): boolean {
    return this.#decide(subject, splitLevels(filter), "read", levelsOverlap);
  }

  /** A read rule matches the topic and no deny rule does. */
  mayReceive(subject: Subject, topic: string): boolean {
    return this.#decide(subject, splitLevels(topic), "read", levelsCover);
  }

  #decide(
    subject: Subject,
    asked: Levels,
    right: "read" | "write",
    hits: (denied: Levels, asked: Levels) => boolean,
  ): boolean {
    const { everyone, users, patterns } = this.#rules;
    const own = subject.username === undefined ? undefined : users.get(subject.username);
    let granted = false;
    for (const list of [everyone, own ?? [], patterns]) {
      for (const rule of list) {
        const levels = rule.variables ? expand(rule, subject) : rule.levels;
        if (levels === undefined) continue;
        if (rule.access === "deny") {
          if (hits(levels, asked)) return false;
        } else if (!granted && (rule.access === "readwrite" || rule.access === right)) {
          granted = levelsCover(levels, asked);
        }
      }
    }
    return granted;
  }
}

/**
 * Puts the client's names into a pattern. A name that would change the pattern's shape (a wildcard, a slash, a "$" in
 * first place) never fits a grant; a deny pattern then denies everything below the last level that is certain.
 */
function expand(rule: Rule, subject: Subject): Levels | undefined {
  const expanded: string[] = [];
  for (const [i, level] of rule.levels.entries()) {
    let fits = true;
    const text = level.replace(/%[cu]/g, (variable) => {
      const value = variable === "%c" ? subject.clientId : subject.username;
      fits &&= value !== undefined && value !== "" && !/[+#/]/.test(value);
      return value ?? "";
    });
    if (rule.access !== "deny" && i === 0 && text.startsWith("$") && !level.startsWith("$")) fits = false;
    if (fits) {
      expanded.push(text);
    } else {
      const nameless = level.includes("%u") && !subject.username;
      return rule.access === "deny" && !nameless ? [...expanded, "#"] : undefined;
    }
  }
  return expanded;
}
