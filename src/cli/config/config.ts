// Reads and validates a configuration file. Every mistake is reported at once, with line, path and, for a key that does
// not exist, the key that was probably meant. Knows nothing of flags or defaults.
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ConfigError } from "../../errors.ts";
import type { ConfigFile } from "./schema.ts";
import { didYouMean, normalise } from "../arguments/suggestion.ts";

export type { ConfigFile, TlsConfig } from "./schema.ts";

/** A configuration is written by hand; a file beyond this is the wrong file. */
const MAX_CONFIG_BYTES = 1_048_576;
/** Keys that go by another name than the flag of the same meaning. */
const KEYS_OF_FLAGS: { readonly [flag: string]: string | undefined } = {
  instance: "platform.instance.type",
  ratelimits: "platform.rates.enabled",
  tlsminversion: "tls.minVersion",
};
/** Mistakes shown at most. */
const MAX_SHOWN = 20;

export interface LoadedConfig {
  readonly file: string;
  /** Paths inside the file are relative to it. */
  readonly directory: string;
  readonly config: ConfigFile;
}

export async function loadConfigFile(path: string): Promise<LoadedConfig> {
  const file = resolve(path);
  const text = readConfig(file);
  return { file, directory: dirname(file), config: await parseConfig(text, path) };
}

function readConfig(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > MAX_CONFIG_BYTES) {
      throw new ConfigError(
        "CONFIG_TOO_LARGE",
        file,
        `${file} has ${size} bytes; a configuration has at most 1 MiB`,
      );
    }
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError("CONFIG_UNREADABLE", file, `cannot read ${file}: ${(error as Error).message}`);
  }
}

/** `name` is what the messages call the file. JSON is read as the part of YAML 1.2 that it is. */
export async function parseConfig(text: string, name: string): Promise<ConfigFile> {
  const [yaml, { configSchema, keysAt }] = await Promise.all([import("yaml"), import("./schema.ts")]);
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const syntax = (message: string, offset: number): ConfigError => {
    const { line, col } = lines.linePos(offset);
    return new ConfigError("CONFIG_SYNTAX", name, `${name}:${line}:${col}: ${message}`);
  };
  if (document.errors.length > 0) throw syntax(document.errors[0].message, document.errors[0].pos[0]);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (error) {
    throw syntax((error as Error).message, 0);
  }
  const result = configSchema.safeParse(value);
  if (result.success) return result.data;

  const mistakes: { path: string; message: string; unknown: boolean }[] = [];
  for (const issue of result.error.issues) {
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        const path = formatPath([...issue.path, key]);
        const flagKey = KEYS_OF_FLAGS[normalise(key)];
        const hint = flagKey ? `; did you mean ${flagKey}?` : didYouMean(key, keysAt(issue.path));
        mistakes.push({ path, message: `unknown key${hint}`, unknown: true });
        locate([...issue.path, key]);
      }
    } else {
      const given = valueAt(value, issue.path);
      const hint =
        issue.code === "invalid_value" && typeof given === "string"
          ? didYouMean(given, issue.values.map(String))
          : issue.code === "invalid_type" && issue.expected === "object"
            ? `; its keys are ${keysAt(issue.path).join(", ")}`
            : "";
      mistakes.push({
        path: formatPath(issue.path),
        message: lowerFirst(issue.message) + hint,
        unknown: false,
      });
      locate(issue.path);
    }
  }
  function locate(path: readonly PropertyKey[]): void {
    const mistake = mistakes[mistakes.length - 1];
    const offset = offsetOf(yaml, document.contents, path);
    const where = offset === undefined ? name : `${name}:${lines.linePos(offset).line}`;
    mistake.message = `${where}: ${mistake.path}: ${mistake.message}`;
  }
  const shown = mistakes.slice(0, MAX_SHOWN).map((mistake) => mistake.message);
  if (mistakes.length > MAX_SHOWN) shown.push(`… and ${mistakes.length - MAX_SHOWN} more`);
  if (mistakes[0].unknown) throw new ConfigError("CONFIG_UNKNOWN_KEY", mistakes[0].path, shown.join("\n"));
  throw new ConfigError("CONFIG_INVALID", mistakes[0].path, shown.join("\n"));
}

/** `listeners[0].tls.key`; the whole file is `(file)`. */
function formatPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? String(step) : `.${String(step)}`;
  }
  return text || "(file)";
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}

/** Where the key (or list item) at `path` begins; of the nearest parent where it is missing. */
function offsetOf(
  yaml: typeof import("yaml"),
  node: unknown,
  path: readonly PropertyKey[],
): number | undefined {
  let offset: number | undefined;
  for (const step of path) {
    if (yaml.isMap(node)) {
      const pair = node.items.find((item) => yaml.isScalar(item.key) && item.key.value === step);
      if (!pair) break;
      if (yaml.isScalar(pair.key) && pair.key.range) offset = pair.key.range[0];
      node = pair.value;
    } else if (yaml.isSeq(node) && typeof step === "number") {
      node = node.items[step];
      if (yaml.isNode(node) && node.range) offset = node.range[0];
    } else break;
  }
  return offset;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
