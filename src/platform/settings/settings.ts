// Every value of the platform profile that its public documents leave open, or that may have changed since they were written,
// is a row in messages.ts, services.ts or sign-in.ts: the default is our reading. The configuration's schema and its page in
// docs/ are made of the rows.
import { ConfigError } from "../../errors.ts";
import { MESSAGE_SETTINGS } from "./messages.ts";
import type { ConnectCodes, Row, SettingRow } from "./row.ts";
import { SERVICE_SETTINGS } from "./services.ts";
import { SIGN_IN_SETTINGS } from "./sign-in.ts";

export type { ConnectCodes, SettingRow } from "./row.ts";

/** Group and name, as in `platform.auth.strictSecureMode` of the configuration. */
export const SETTINGS = { ...SIGN_IN_SETTINGS, ...MESSAGE_SETTINGS, ...SERVICE_SETTINGS };

type ValueOf<R> = R extends Row<infer T> ? T : never;

export type PlatformSettings = {
  readonly [Group in keyof typeof SETTINGS]: {
    readonly [Name in keyof (typeof SETTINGS)[Group]]: ValueOf<(typeof SETTINGS)[Group][Name]>;
  };
};

export type PlatformOverrides = {
  readonly [Group in keyof PlatformSettings]?: Partial<PlatformSettings[Group]>;
};

export const DEFAULT_SETTINGS: PlatformSettings = resolve({});

/** Defaults with overrides. Throws ConfigError with the option's path. */
export function resolveSettings(overrides: PlatformOverrides = {}): PlatformSettings {
  const settings = resolve(overrides);
  const { connection, rrpc } = settings;
  requireOrder(
    "connection.maxKeepAliveSeconds",
    connection.maxKeepAliveSeconds,
    connection.minKeepAliveSeconds,
  );
  requireOrder("rrpc.defaultTimeoutMs", rrpc.defaultTimeoutMs, rrpc.minTimeoutMs);
  requireOrder("rrpc.maxTimeoutMs", rrpc.maxTimeoutMs, rrpc.defaultTimeoutMs);
  return settings;
}

function resolve(overrides: PlatformOverrides): PlatformSettings {
  const given = overrides as { readonly [group: string]: { readonly [name: string]: unknown } | undefined };
  for (const group of Object.keys(given)) if (!Object.hasOwn(SETTINGS, group)) throw unknown(group);
  const settings = Object.fromEntries(
    Object.entries(SETTINGS).map(([group, rows]) => {
      const inGroup = given[group] ?? {};
      for (const name of Object.keys(inGroup))
        if (!Object.hasOwn(rows, name)) throw unknown(`${group}.${name}`);
      const values = Object.entries(rows).map(([name, row]: [string, SettingRow]) => {
        const value = inGroup[name] ?? row.value;
        check(`${group}.${name}`, value, row);
        return [name, value];
      });
      return [group, Object.fromEntries(values)];
    }),
  ) as PlatformSettings;
  // [NET-2]
  const enabled = overrides.mqtt5?.enabled ?? settings.instance.type === "enterprise";
  const resolved = { ...settings, mqtt5: { ...settings.mqtt5, enabled } };
  return settings.rates.enabled ? resolved : withoutRates(resolved);
}

/** Sizes, counts and permissions stay; 0 is no bound. */
function withoutRates(settings: PlatformSettings): PlatformSettings {
  return Object.fromEntries(
    Object.entries(settings).map(([group, values]) => {
      const rows: { readonly [name: string]: SettingRow } = SETTINGS[group as keyof typeof SETTINGS];
      return [
        group,
        Object.fromEntries(
          Object.entries(values).map(([name, value]) => [name, isRate(rows[name]) ? 0 : value]),
        ),
      ];
    }),
  ) as PlatformSettings;
}

function isRate({ unit }: SettingRow): boolean {
  return unit?.startsWith("per ") === true;
}

function check(path: string, value: unknown, row: SettingRow): void {
  if (typeof row.value === "number") {
    const { least = 0, most = Number.MAX_SAFE_INTEGER } = row;
    requireRange(path, value, least, most);
  } else if (typeof row.value === "object") {
    const { code3, reason } = value as ConnectCodes;
    requireRange(`${path}.code3`, code3, 1, 5);
    requireRange(`${path}.reason`, reason, 0x80, 0x9f);
  } else if (
    typeof value !== typeof row.value ||
    (row.choices && !row.choices.some((choice) => choice === value))
  ) {
    const wanted = row.choices?.join(" or ") ?? (typeof row.value === "boolean" ? "true or false" : "a text");
    throw wrong(path, `${String(value)} is not ${wanted}`);
  }
}

function requireRange(path: string, value: unknown, from: number, to: number): void {
  if (typeof value === "number" && Number.isInteger(value) && value >= from && value <= to) return;
  throw wrong(path, `${String(value)} is not a whole number from ${from} to ${to}`);
}

function requireOrder(path: string, value: number, least: number): void {
  if (value < least) throw wrong(path, `${value} is less than ${least}, which it must not be`);
}

function unknown(path: string): ConfigError {
  return wrong(path, "there is no such setting");
}

function wrong(path: string, message: string): ConfigError {
  return new ConfigError("PLATFORM_OPTION", path, `${path}: ${message}`);
}
