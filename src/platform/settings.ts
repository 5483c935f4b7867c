// Every value of the platform profile that its public documents leave open, or that may have changed since they were written,
// as a row: the default is our reading. The configuration's schema and its page in docs/ are made from these rows.
import { ConfigError } from "../errors.ts";

/** Answer to a CONNECT: 3.x return code, 5.0 reason code. */
export interface ConnectCodes {
  readonly code3: 1 | 2 | 3 | 4 | 5;
  readonly reason: number;
}

interface Row<T> {
  readonly value: T;
  /** What it decides, with the rule. */
  readonly about: string;
  /** Of a number. */
  readonly unit?: string;
  /** Of a number, both inclusive. */
  readonly least?: number;
  readonly most?: number;
  /** Of a word. */
  readonly choices?: readonly T[];
  /** Shown instead of the value. */
  readonly byDefault?: string;
}

export type SettingRow = Row<boolean> | Row<number> | Row<string> | Row<ConnectCodes>;

function flag(value: boolean, about: string, byDefault?: string): Row<boolean> {
  return { value, about, byDefault };
}
function number(value: number, unit: string, least: number, most: number, about: string): Row<number> {
  return { value, unit, least, most, about };
}
function word<const T extends string>(choices: readonly T[], value: T, about: string): Row<T> {
  return { value, choices, about };
}
function text(value: string, about: string): Row<string> {
  return { value, about };
}
function codes(code3: ConnectCodes["code3"], reason: number, about: string): Row<ConnectCodes> {
  return { value: { code3, reason }, about, byDefault: `${code3}, 0x${reason.toString(16)}` };
}

/** Group and name, as in `platform.auth.strictSecureMode` of the configuration. */
export const SETTINGS = {
  instance: {
    type: word(
      ["enterprise", "public"],
      "enterprise",
      "kind of instance; a public one has no MQTT 5.0 unless `platform.mqtt5.enabled` says so [NET-2]",
    ),
  },
  rates: {
    enabled: flag(
      true,
      "keep the rates: attempts to connect, messages, calls; false sets every setting counted per second or minute to 0, for tests and benchmarks",
    ),
    qos0PerSecond: number(
      30,
      "per s",
      0,
      65_535,
      "QoS 0 messages of one device; more are dropped; 0: no bound [LIMIT-2]",
    ),
    qos1PerSecond: number(
      10,
      "per s",
      0,
      65_535,
      "QoS 1 messages of one device; more are dropped without PUBACK; 0: no bound [LIMIT-2]",
    ),
  },
  mqtt5: {
    enabled: flag(true, "accept MQTT 5.0 [NET-2]", "true; false where `platform.instance.type` is public"),
    oneFamily: flag(true, "a device that has connected over 5.0 may not come back over 3.x [NET-3]"),
  },
  auth: {
    strictSecureMode: flag(false, "refuse securemode 2 without TLS and 3 with it [AUTH-9]"),
    maxClientIdFieldBytes: number(
      1024,
      "bytes",
      66,
      65_535,
      "longest ClientID field with its extensions [AUTH-3]",
    ),
    optionalSignatureFields: flag(
      true,
      "client id and timestamp may be left out of the signature, even where the ClientID carries them [AUTH-6]",
    ),
    tokenSeconds: number(
      604_800,
      "s",
      60,
      31_536_000,
      "how long the name and password of the HTTPS pre-authentication are good [AUTH-15]",
    ),
    maxTokens: number(
      100_000,
      "count",
      1,
      10_000_000,
      "names of the HTTPS pre-authentication that are good at a time; beyond it the oldest end [AUTH-15]",
    ),
    assignedClientId: text("{pk}.{dn}", "assigned Client Identifier; {pk} and {dn} are put in [AUTH-8]"),
  },
  tcp: {
    plain: flag(
      true,
      "devices may sign in over TCP and WebSocket without TLS; the first is warned of [NET-6]",
    ),
  },
  connection: {
    clientIdUnique: flag(
      false,
      "a device ends the connection of another device that uses the same client id [CONN-2]",
    ),
    minKeepAliveSeconds: number(30, "s", 0, 65_535, "least Keep Alive [CONN-5]"),
    maxKeepAliveSeconds: number(1200, "s", 0, 65_535, "greatest Keep Alive [CONN-5]"),
    attemptsPerMinute: number(
      5,
      "per min",
      0,
      100_000,
      "CONNECTs of one device with right credentials; 0: no bound [CONN-3]",
    ),
    failuresPerMinute: number(
      5,
      "per min",
      0,
      100_000,
      "CONNECTs with wrong credentials for one device from one address; then that address waits; 0: no bound [CONN-3]",
    ),
    attemptsPerSecond: number(
      500,
      "per s",
      0,
      1_000_000,
      "CONNECTs with right credentials of all devices together; 0: no bound [CONN-4]",
    ),
    trackedFailures: number(
      100_000,
      "count",
      1,
      10_000_000,
      "devices and addresses whose failed CONNECTs are remembered; beyond it the oldest are forgotten",
    ),
  },
  http: {
    maxBodyBytes: number(
      65_536,
      "bytes",
      1_024,
      16_777_216,
      "largest body of an HTTP request; beyond it 413",
    ),
  },
  dynreg: {
    requireTls: flag(true, "dynamic registration over MQTT needs TLS [DYN-2]"),
    maxSeconds: number(15, "s", 1, 3_600, "how long a connection of dynamic registration may stay [DYN-5]"),
  },
  broadcast: {
    devicePublish: flag(false, "devices may publish on `/broadcast/{pk}/…` of their product [TOPIC-9]"),
    maxBytes: number(65_536, "bytes", 1, 262_144, "largest payload of a broadcast [BCAST-1]"),
    callsPerMinute: number(
      1,
      "per min",
      0,
      100_000,
      "broadcasts to all devices of a product; 0: no bound [BCAST-1]",
    ),
    topicCallsPerSecond: number(1, "per s", 0, 100_000, "broadcasts to a topic; 0: no bound [BCAST-2]"),
  },
  topics: {
    maxBytes: number(
      128,
      "bytes",
      16,
      65_535,
      "longest Topic Name or Filter, `/ext/rrpc/…` excepted [TOPIC-5]",
    ),
    maxSlashes: number(
      7,
      "count",
      2,
      255,
      "slashes of a custom topic; system topics may have more [TOPIC-6]",
    ),
  },
  subscribe: {
    maxFilters: number(
      8,
      "count",
      1,
      65_535,
      "Topic Filters in one SUBSCRIBE; with more all of them are refused [SUB-1]",
    ),
    maxPerDevice: number(
      100,
      "count",
      1,
      1_000_000,
      "subscriptions of a device; those of sub-devices count on their own [SUB-2]",
    ),
    maxPerBroadcast: number(
      1_000,
      "count",
      1,
      10_000_000,
      "subscriptions of one filter of broadcast topics [TOPIC-9]",
    ),
    closeOnUnauthorized: flag(
      false,
      "a SUBSCRIBE without permission ends the connection, instead of a failure in SUBACK [PERM-2]",
    ),
  },
  sessions: {
    maxQueueSeconds: number(
      604_800,
      "s",
      1,
      4_294_967_295,
      "how long a QoS 1 message is kept for a device, sent and unacknowledged ones too [SESS-2]",
    ),
    strict3x: flag(
      false,
      "3.x: a CONNECT with a Will is refused and a PUBLISH with RETAIN dropped, instead of going without them [SESS-5]",
    ),
  },
  v5: {
    rateReason: flag(
      false,
      "5.0: a QoS 1 message over the rate gets PUBACK 0x97 instead of no acknowledgement [LIMIT-2]",
    ),
    maxUserProperties: number(
      20,
      "count",
      0,
      1_000,
      "User Properties of a CONNECT, a Will or a PUBLISH [V5-7]",
    ),
    maxUserPropertyCharacters: number(
      128,
      "characters",
      1,
      65_535,
      "key and value of a User Property together [V5-7]",
    ),
    maxResponseTopic: number(128, "characters", 1, 65_535, "longest Response Topic [V5-8]"),
    maxCorrelationBytes: number(128, "bytes", 0, 65_535, "longest Correlation Data [V5-8]"),
    maxInflight: number(
      100,
      "count",
      1,
      65_535,
      "QoS 1 messages unacknowledged by a 5.0 device, or its Receive Maximum where that is less [V5-16]",
    ),
    validateUtf8: flag(false, "5.0: a payload that says it is UTF-8 and is not is refused with 0x99 [V5-12]"),
  },
  qos: {
    publisherDecides5: flag(false, "5.0 deliveries use the publisher's QoS, as 3.x ones do [QOS-3]"),
  },
  rrpc: {
    minTimeoutMs: number(
      1_000,
      "ms",
      1,
      3_600_000,
      "least time a synchronous call may wait for its answer [RRPC-4]",
    ),
    maxTimeoutMs: number(
      8_000,
      "ms",
      1,
      3_600_000,
      "greatest time a synchronous call may wait for its answer [RRPC-4]",
    ),
    defaultTimeoutMs: number(5_000, "ms", 1, 3_600_000, "time a call waits that names none"),
    maxCalls: number(10_000, "count", 1, 1_000_000, "synchronous calls under way; one more is refused"),
  },
  upstream: {
    readerBytes: number(
      16_777_216,
      "bytes",
      1_024,
      4_294_967_296,
      "what may wait for one reader of the upstream feed; beyond it its oldest messages are dropped and counted",
    ),
    maxReaders: number(64, "count", 1, 10_000, "readers of the upstream feed; one more is refused"),
  },
  gateway: {
    maxSubDevices: number(
      2_000,
      "count",
      1,
      100_000,
      "sub-devices of a gateway, related and logged in [LIMIT-6]",
    ),
    maxBatch: number(
      50,
      "count",
      1,
      10_000,
      "sub-devices in one login, logout or topology request [LIMIT-6], [GW-5]",
    ),
    maxRegistrations: number(
      30,
      "count",
      1,
      10_000,
      "sub-devices in one registration request [LIMIT-6], [GW-2]",
    ),
    loginsPerSecond: number(
      200,
      "per s",
      0,
      100_000,
      "logins of sub-devices at one gateway; 0: no bound [LIMIT-6]",
    ),
  },
  runLog: {
    enabled: flag(true, "keep the run log of devices [LOG-1]"),
    entriesPerSecond: number(
      50,
      "count",
      1,
      1_000_000,
      "entries of one device in a second, and as many comings and goings; what is beyond is counted in one entry [LOG-1]",
    ),
    samplesPerSecond: number(
      1_000,
      "count",
      0,
      10_000_000,
      "messages of all devices in a second that get an entry; the others are counted",
    ),
    maxEntryBytes: number(8_192, "bytes", 1_024, 65_536, "longest entry; a longer one loses its content"),
    entriesPerDevice: number(100, "count", 1, 100_000, "newest entries of one device in memory"),
    memoryBytes: number(
      16_777_216,
      "bytes",
      65_536,
      17_179_869_184,
      "entries of all devices in memory; beyond it those go whose device has been silent longest",
    ),
    diskBytes: number(
      67_108_864,
      "bytes",
      1_048_576,
      1_099_511_627_776,
      "entries in the data directory; beyond it the oldest are deleted",
    ),
    days: number(7, "days", 1, 3_650, "age at which entries are deleted [LOG-1]"),
  },
  shadow: {
    maxBytes: number(16_384, "bytes", 64, 262_144, "largest shadow of a device [SHADOW-2]"),
    maxDepth: number(5, "levels", 1, 32, "levels of objects and lists in reported and in desired [SHADOW-2]"),
    maxProperties: number(128, "count", 1, 10_000, "properties in reported, and in desired [SHADOW-2]"),
    requestsPerSecond: number(
      20,
      "per s",
      0,
      100_000,
      "requests of one device; more are dropped; 0: no bound [SHADOW-2]",
    ),
  },
  thing: {
    maxPostProperties: number(
      200,
      "count",
      1,
      100_000,
      "values of properties in one post, else 6106 [LIMIT-7]",
    ),
    maxPostEvents: number(200, "count", 1, 100_000, "events in one post of a gateway, else 6356 [LIMIT-7]"),
    maxPostSubDevices: number(
      20,
      "count",
      1,
      10_000,
      "sub-devices in one post of a gateway, else 6357 [LIMIT-7]",
    ),
    maxProperties: number(
      1_000,
      "count",
      1,
      100_000,
      "properties kept of a device, and desired of it; further ones are told in the reply, and go up",
    ),
    maxPropertyBytes: number(
      65_536,
      "bytes",
      256,
      1_048_576,
      "what is kept of a device's properties, and what is desired of it, counted as JSON",
    ),
    maxModules: number(16, "count", 1, 1_000, "firmware modules of a device"),
    flushMs: number(
      1_000,
      "ms",
      0,
      60_000,
      "time until what devices reported is written; a crash loses that much",
    ),
    cacheBytes: number(
      33_554_432,
      "bytes",
      65_536,
      4_294_967_296,
      "memory for what devices reported; where as much waits for the disk, posts are answered 429",
    ),
  },
  codes: {
    mqtt5Disabled: codes(1, 0x84, "answer to a 5.0 CONNECT where that is switched off [NET-2]"),
    clientId: codes(
      2,
      0x85,
      "ClientID of the wrong form, too long, empty in 3.x, unknown signmethod [AUTH-1], [AUTH-3], [AUTH-5], [AUTH-8]",
    ),
    secureMode: codes(2, 0x85, "securemode does not fit the transport, where that is checked [AUTH-9]"),
    credentials: codes(
      4,
      0x86,
      "user name malformed, wrong signature, unknown device [AUTH-4], [AUTH-5], [AUTH-13]",
    ),
    disabled: codes(5, 0x8a, "right signature, device disabled [AUTH-13]"),
    keepAlive: codes(2, 0x80, "Keep Alive out of range [CONN-5]"),
    protocolFamily: codes(5, 0x84, "3.x from a device that has connected over 5.0 [NET-3]"),
    plain: codes(5, 0x87, "TCP or WebSocket without TLS, where that is switched off [NET-6]"),
    attempts: codes(3, 0x9f, "a device has tried to connect too often [CONN-3]"),
    certificate: codes(5, 0x87, "no client certificate, or not this device's [AUTH-11]"),
    registrationForm: codes(
      2,
      0x85,
      "dynamic registration without random, with an unknown signmethod, or without TLS [DYN-2]",
    ),
    registration: codes(
      4,
      0x86,
      "dynamic registration refused: wrong signature, switched off, device unknown or activated, too many pairs [DYN-1] [DYN-3] [DYN-4]",
    ),
    account: codes(3, 0x89, "all devices together try to connect too often [CONN-4]"),
  },
} as const satisfies Record<string, Record<string, SettingRow>>;

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
