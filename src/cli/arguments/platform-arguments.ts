// Reads flags and arguments of the commands that need a running broker with the platform profile: `millrace rrpc`, `shadow`,
// `upstream`, `log`, and `device subscribe`, `unsubscribe` and `subscriptions`.
import { ConfigError } from "../../errors.ts";
import { MAX_FOUND, type RunLogQuery } from "../../platform/run-log/query.ts";
import { INVALID_JSON, type JsonObject, parseJson } from "../../platform/shared/json.ts";
import type { DeviceId } from "../../platform/names/user-name.ts";
import type { CommandName } from "./flags.ts";
import { text, type Values } from "./flag-values.ts";

/** Levels of a message for a shadow: far more than a shadow may have, far fewer than JSON.stringify() takes. */
const MAX_JSON_DEPTH = 32;

interface Common {
  readonly json: boolean;
  readonly data?: string;
}

export interface RrpcArguments extends Common {
  readonly device: DeviceId;
  readonly payload: string;
  readonly topic?: string;
  readonly timeoutMs?: number;
}

export interface ShadowArguments extends Common {
  readonly device: DeviceId;
  /** undefined: it is shown. */
  readonly message?: JsonObject;
}

export interface UpstreamArguments {
  readonly productKey?: string;
  /** Default: without end. */
  readonly count?: number;
  readonly data?: string;
}

export interface LogArguments extends Common {
  readonly query: RunLogQuery;
  readonly follow: boolean;
}

export interface SubscriptionsArguments extends Common {
  readonly device: DeviceId;
  /** undefined: the command shows what the device has subscribed. */
  readonly topics?: readonly string[];
  /** undefined: the command ends subscriptions to `topics`. */
  readonly qos?: number;
}

export type PlatformCommand =
  | { readonly kind: "subscriptions"; readonly arguments: SubscriptionsArguments }
  | { readonly kind: "rrpc"; readonly arguments: RrpcArguments }
  | { readonly kind: "shadow"; readonly arguments: ShadowArguments }
  | { readonly kind: "upstream"; readonly arguments: UpstreamArguments }
  | { readonly kind: "log"; readonly arguments: LogArguments };

export type PlatformCommandName = Extract<
  CommandName,
  | "rrpc"
  | "upstream"
  | "log"
  | `shadow ${string}`
  | "device subscribe"
  | "device unsubscribe"
  | "device subscriptions"
>;

export function isPlatformCommand(name: CommandName): name is PlatformCommandName {
  if (name.startsWith("shadow ") || name.startsWith("device subscri")) return true;
  return name === "device unsubscribe" || name === "rrpc" || name === "upstream" || name === "log";
}

export function platformCommand(
  name: PlatformCommandName,
  { values, positionals }: { readonly values: Values; readonly positionals: readonly string[] },
): PlatformCommand {
  const common = { json: values.json === true, data: text(values, "data") };
  const [productKey, deviceName, third] = positionals;
  const device = { productKey, deviceName };
  switch (name) {
    case "rrpc":
      return {
        kind: "rrpc",
        arguments: {
          ...common,
          device,
          payload: third,
          topic: text(values, "topic"),
          timeoutMs: wholeNumber(values, "timeout", 1),
        },
      };
    case "device subscribe": {
      const qos = wholeNumber(values, "qos", 0) ?? 1;
      if (qos > 1) throw new ConfigError("BAD_FLAG", "--qos", "--qos is 0 or 1: there is no QoS 2 here");
      return { kind: "subscriptions", arguments: { ...common, device, topics: topicFlags(values), qos } };
    }
    case "device unsubscribe":
      return { kind: "subscriptions", arguments: { ...common, device, topics: topicFlags(values) } };
    case "device subscriptions":
      return { kind: "subscriptions", arguments: { ...common, device } };
    case "shadow get":
      return { kind: "shadow", arguments: { ...common, device } };
    case "shadow update":
      return { kind: "shadow", arguments: { ...common, device, message: jsonObject(third) } };
    case "upstream":
      return {
        kind: "upstream",
        arguments: {
          productKey: text(values, "product"),
          count: wholeNumber(values, "count", 1),
          data: common.data,
        },
      };
    case "log":
      return {
        kind: "log",
        arguments: { ...common, query: logQuery(values), follow: values.follow === true },
      };
  }
}

function topicFlags(values: Values): readonly string[] {
  const given = values["topic"];
  if (Array.isArray(given) && given.length > 0) return given.map(String);
  throw new ConfigError("MISSING_ARGUMENT", "--topic", "--topic names what is meant: at least one");
}

function logQuery(values: Values): RunLogQuery {
  return {
    device: deviceFlag(values),
    productKey: text(values, "product"),
    code: wholeNumber(values, "code", 0),
    success: values.failures === true ? false : undefined,
    messageId: text(values, "message-id"),
    traceId: text(values, "trace-id"),
    keyword: text(values, "keyword"),
    since: sinceFlag(values),
    limit: wholeNumber(values, "limit", 1, MAX_FOUND),
  };
}

function deviceFlag(values: Values): DeviceId | undefined {
  const value = text(values, "device");
  if (value === undefined) return undefined;
  const [productKey, deviceName, more] = value.split("/");
  if (productKey && deviceName && more === undefined) return { productKey, deviceName };
  throw new ConfigError("BAD_FLAG", "--device", `--device ${JSON.stringify(value)} is not PK/DN`);
}

const UNITS: { readonly [unit: string]: number } = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function sinceFlag(values: Values): number | undefined {
  const value = text(values, "since");
  if (value === undefined) return undefined;
  const span = /^(\d{1,9})([smhd])$/.exec(value);
  const time = span === null ? Date.parse(value) : Date.now() - Number(span[1]) * UNITS[span[2]];
  if (Number.isFinite(time)) return time;
  const message = `--since ${JSON.stringify(value)} is neither a time (2026-01-31T12:00:00Z) nor a span (30s, 10m, 2h, 7d)`;
  throw new ConfigError("BAD_FLAG", "--since", message);
}

function wholeNumber(values: Values, name: string, least: number, most = 999_999_999): number | undefined {
  const value = values[name];
  if (typeof value !== "string") return undefined;
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new ConfigError("BAD_FLAG", `--${name}`, `--${name} is a whole number from ${least} to ${most}`);
}

function jsonObject(given: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(given);
  } catch (error) {
    throw new ConfigError("BAD_FLAG", "JSON", `JSON: ${(error as Error).message}`);
  }
  if (parseJson(Buffer.from(given), MAX_JSON_DEPTH) === INVALID_JSON)
    throw new ConfigError("BAD_FLAG", "JSON", `JSON has more than ${MAX_JSON_DEPTH} levels`);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  const message = 'JSON is an object: {"method":"update","state":{"desired":{…}},"version":1}';
  throw new ConfigError("BAD_FLAG", "JSON", message);
}
