// From argv to a command with checked values. Reads nothing but its argument; every mistake is a ConfigError whose
// path is the flag or argument at fault.
import { type ParseArgsConfig, parseArgs } from "node:util";
import { ConfigError } from "../../errors.ts";
import type { UserProperty } from "../../protocol/properties.ts";
import { path, text, type Values } from "./flag-values.ts";
import { COMMANDS, type CommandName, type CommandTable, commandsOf, GROUPS } from "./flags.ts";
import { isPlatformCommand, type PlatformCommand, platformCommand } from "./platform-arguments.ts";
import { isRegistryCommand, type RegistryCommand, registryCommand } from "./registry-arguments.ts";
import { didYouMean } from "./suggestion.ts";

export const PROFILES = ["platform", "standard"] as const;
export type ProfileName = (typeof PROFILES)[number];
export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const DURABILITIES = ["none", "process", "power"] as const;
export type Durability = (typeof DURABILITIES)[number];

const INSTANCES = ["public", "enterprise"] as const;
export const TLS_VERSIONS = ["1.0", "1.1", "1.2", "1.3"] as const;

export interface StartFlags {
  readonly profile?: ProfileName;
  readonly listen?: readonly string[];
  readonly data?: string;
  readonly durability?: Durability;
  readonly anonymous?: boolean;
  readonly rateLimits?: "on" | "off";
  readonly instance?: (typeof INSTANCES)[number];
  readonly tlsMinVersion?: (typeof TLS_VERSIONS)[number];
  readonly logLevel?: LogLevel;
  readonly config?: string;
}

export interface PublishArguments {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly userProperties: UserProperty[];
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  readonly messageExpiryInterval?: number;
  readonly contentType?: string;
  readonly payloadFormatIndicator?: 0 | 1;
  readonly data?: string;
}

export interface PasswdArguments {
  readonly file: string;
  readonly user: string;
  readonly remove: boolean;
  readonly passwordStdin: boolean;
}

export interface CopyArguments {
  /** Of the backup. */
  readonly directory: string;
  readonly data?: string;
}

export interface LinesArguments {
  /** undefined: standard input or output. */
  readonly file?: string;
  readonly data?: string;
}

export type Command =
  | { readonly kind: "start"; readonly check: boolean; readonly flags: StartFlags }
  | { readonly kind: "publish"; readonly arguments: PublishArguments }
  | { readonly kind: "passwd"; readonly arguments: PasswdArguments }
  | { readonly kind: "backup" | "restore"; readonly arguments: CopyArguments }
  | { readonly kind: "export" | "import"; readonly arguments: LinesArguments }
  | RegistryCommand
  | PlatformCommand
  | { readonly kind: "help"; readonly command: CommandName }
  | { readonly kind: "group"; readonly words: string }
  | { readonly kind: "version" };

/** Parses what follows `millrace` on the command line. Throws ConfigError. */
export function parseArguments(argv: readonly string[]): Command {
  const found = findCommand(argv);
  if (typeof found === "string") return { kind: "group", words: found };
  const { name, words } = found;
  const { values, positionals } = split(name, argv.slice(words));
  if (values.help) return { kind: "help", command: name };
  if (values.version) return { kind: "version" };
  checkPositionals(name, positionals);
  if (isPlatformCommand(name)) return platformCommand(name, { values, positionals });
  if (isRegistryCommand(name)) return registryCommand(name, { values, positionals });
  switch (name) {
    case "start":
      return { kind: "start", check: values.check === true, flags: startFlags(values) };
    case "publish":
      return { kind: "publish", arguments: publishArguments(values, positionals) };
    case "passwd":
      return { kind: "passwd", arguments: passwdArguments(values, positionals) };
    case "backup":
    case "restore":
      return {
        kind: name,
        arguments: { directory: path(positionals[0], "DIR"), data: text(values, "data") },
      };
    case "export":
    case "import": {
      const given = positionals[0] === undefined ? undefined : path(positionals[0], "FILE");
      const file = given === "-" ? undefined : given;
      return { kind: name, arguments: { file, data: text(values, "data") } };
    }
  }
}

/** The command of the first words, or the group whose help is asked for. */
function findCommand(argv: readonly string[]): { name: CommandName; words: number } | string {
  const [first] = argv;
  if (first === undefined || first.startsWith("-")) return { name: "start", words: 0 };
  let words = first;
  for (let count = 1; ; count++) {
    if (Object.hasOwn(COMMANDS, words)) return { name: words as CommandName, words: count };
    const below = commandsOf(words);
    if (below.length === 0) break;
    const next = argv[count];
    if (next === "--help" || next === "-h") return words;
    if (next === undefined || next.startsWith("-")) {
      const choices = [...new Set(below.map((name) => name.slice(words.length + 1).split(" ")[0]))].join(
        ", ",
      );
      const message = `millrace ${words} needs a command: ${choices}`;
      throw new ConfigError("MISSING_ARGUMENT", words, message);
    }
    words = `${words} ${next}`;
  }
  const known = [...new Set(Object.keys(COMMANDS).concat(Object.keys(GROUPS)))];
  throw new ConfigError("UNKNOWN_COMMAND", words, `there is no command ${words}${didYouMean(words, known)}`);
}

function split(name: CommandName, args: readonly string[]): { values: Values; positionals: string[] } {
  const table: CommandTable = COMMANDS[name];
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const [flag, { type, short, multiple }] of Object.entries(table.flags)) {
    options[flag] = { type, ...(short ? { short } : {}), ...(multiple ? { multiple } : {}) };
  }
  // A first, tolerant pass finds unknown flags, so that they are answered with a suggestion.
  const tolerant = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tolerant.tokens) {
    if (token.kind !== "option" || Object.hasOwn(table.flags, token.name)) continue;
    const known = Object.keys(table.flags).map((flag) => `--${flag}`);
    const elsewhere = Object.entries(COMMANDS).find(([, other]) => Object.hasOwn(other.flags, token.name));
    const hint = elsewhere
      ? `; millrace ${elsewhere[0]} has it`
      : didYouMean(token.rawName, known) || (table.positionals.length > 0 ? `; "--" ends the flags` : "");
    throw new ConfigError("UNKNOWN_FLAG", token.rawName, `there is no flag ${token.rawName}${hint}`);
  }
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    const message = (error as Error).message.split("\n")[0];
    throw new ConfigError("BAD_FLAG", /--?[\w-]+/.exec(message)?.[0] ?? "arguments", message);
  }
}

function checkPositionals(name: CommandName, positionals: readonly string[]): void {
  const wanted: readonly string[] = COMMANDS[name].positionals;
  const missing = wanted[positionals.length];
  if (missing !== undefined && !missing.startsWith("[")) {
    throw new ConfigError(
      "MISSING_ARGUMENT",
      missing,
      `${missing} is missing: millrace ${name} ${wanted.join(" ")}`,
    );
  }
  if (positionals.length > wanted.length) {
    const surplus = positionals[wanted.length];
    const hint = Object.hasOwn(COMMANDS, surplus)
      ? `; a command comes first: millrace ${surplus} …`
      : wanted.length > 0
        ? "; quote a text with blanks"
        : "";
    throw new ConfigError("SURPLUS_ARGUMENT", surplus, `argument ${surplus} is one too many${hint}`);
  }
}

function startFlags(values: Values): StartFlags {
  return {
    profile: choice(values, "profile", PROFILES),
    listen: list(values, "listen"),
    data: text(values, "data"),
    durability: choice(values, "durability", DURABILITIES),
    anonymous: values.anonymous === true ? true : undefined,
    rateLimits: choice(values, "rate-limits", ["on", "off"]),
    instance: choice(values, "instance", INSTANCES),
    tlsMinVersion: choice(values, "tls-min-version", TLS_VERSIONS),
    logLevel: choice(values, "log-level", LOG_LEVELS),
    config: text(values, "config"),
  };
}

function publishArguments(values: Values, [topic, payload]: readonly string[]): PublishArguments {
  return {
    topic,
    payload,
    qos: Number(choice(values, "qos", ["0", "1", "2"]) ?? 0) as 0 | 1 | 2,
    retain: values.retain === true,
    userProperties: (list(values, "user-property") ?? []).map(userProperty),
    responseTopic: text(values, "response-topic"),
    correlationData: base64(values, "correlation-data"),
    messageExpiryInterval: seconds(values, "message-expiry"),
    contentType: text(values, "content-type"),
    payloadFormatIndicator: flagNumber(choice(values, "payload-format", ["0", "1"])),
    data: text(values, "data"),
  };
}

function passwdArguments(values: Values, [file, user]: readonly string[]): PasswdArguments {
  const remove = values.delete === true;
  const passwordStdin = values["password-stdin"] === true;
  if (remove && passwordStdin) {
    throw new ConfigError("BAD_FLAG", "--password-stdin", "a user that is deleted needs no password");
  }
  return { file, user, remove, passwordStdin };
}

function list(values: Values, name: string): string[] | undefined {
  const value = values[name];
  return Array.isArray(value) ? value.map(String) : undefined;
}

function choice<T extends string>(values: Values, name: string, allowed: readonly T[]): T | undefined {
  const value = values[name];
  if (typeof value !== "string") return undefined;
  if ((allowed as readonly string[]).includes(value)) return value as T;
  // Of two numbers neither is meant by a third.
  const hint = (/[a-z]/i.test(value) && didYouMean(value, allowed)) || `; one of ${allowed.join(", ")}`;
  throw new ConfigError("BAD_FLAG", `--${name}`, `--${name} cannot be ${JSON.stringify(value)}${hint}`);
}

function flagNumber(value: "0" | "1" | undefined): 0 | 1 | undefined {
  return value === undefined ? undefined : value === "1" ? 1 : 0;
}

function seconds(values: Values, name: string): number | undefined {
  const value = values[name];
  if (typeof value !== "string") return undefined;
  const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= 0xffff_ffff) return number;
  throw new ConfigError("BAD_FLAG", `--${name}`, `--${name} is a whole number of seconds, 0 to 4294967295`);
}

function base64(values: Values, name: string): Uint8Array | undefined {
  const value = values[name];
  if (typeof value !== "string") return undefined;
  if (value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value)) return Buffer.from(value, "base64");
  throw new ConfigError(
    "BAD_FLAG",
    `--${name}`,
    `--${name} is not Base64 (A-Z a-z 0-9 + / with = at the end)`,
  );
}

function userProperty(pair: string): UserProperty {
  const equals = pair.indexOf("=");
  if (equals >= 0) return [pair.slice(0, equals), pair.slice(equals + 1)];
  throw new ConfigError(
    "BAD_FLAG",
    "--user-property",
    `--user-property ${JSON.stringify(pair)} is not KEY=VALUE`,
  );
}
