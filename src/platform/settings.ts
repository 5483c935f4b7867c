// Every value of the platform profile that its public documents leave open, as an option: the default is our reading.
// Values the documents do state are here too where they have changed over the years.
import { ConfigError } from "../errors.ts";

/** Answer to a CONNECT: 3.x return code, 5.0 reason code. */
export interface ConnectCodes {
  readonly code3: 1 | 2 | 3 | 4 | 5;
  readonly reason: number;
}

export interface PlatformSettings {
  readonly instance: {
    /** Decides the default of `mqtt5.enabled` [NET-2]. */
    readonly type: "enterprise" | "public";
  };
  readonly mqtt5: {
    /** Accept MQTT 5.0. Default: true on an enterprise instance, false on a public one [NET-2]. */
    readonly enabled: boolean;
  };
  readonly auth: {
    /** Refuse a securemode of 2 without TLS and of 3 with it [AUTH-9]. */
    readonly strictSecureMode: boolean;
    /** Longest ClientID field with its extensions [AUTH-3]. */
    readonly maxClientIdFieldBytes: number;
    /** Client id and timestamp may be left out of the signature, even where the ClientID carries them [AUTH-6]. */
    readonly optionalSignatureFields: boolean;
    /** Assigned Client Identifier; {pk} and {dn} are put in [AUTH-8]. */
    readonly assignedClientId: string;
  };
  readonly connection: {
    /** Keep Alive, both inclusive [CONN-5]. */
    readonly minKeepAliveSeconds: number;
    readonly maxKeepAliveSeconds: number;
  };
  readonly broadcast: {
    /** Devices may publish on `/broadcast/{pk}/…` of their product [TOPIC-9]. */
    readonly devicePublish: boolean;
  };
  readonly qos: {
    /** 5.0 deliveries use the publisher's QoS, as 3.x ones do [QOS-3]. */
    readonly publisherDecides5: boolean;
  };
  /** Answers to a refused CONNECT [CONN-7], [CONN-8]. */
  readonly codes: {
    /** MQTT 5.0 is switched off [NET-2]. */
    readonly mqtt5Disabled: ConnectCodes;
    /** ClientID of the wrong form, too long, empty in 3.x, unknown signmethod [AUTH-1], [AUTH-3], [AUTH-5], [AUTH-8]. */
    readonly clientId: ConnectCodes;
    /** securemode does not fit the transport, where that is checked [AUTH-9]. */
    readonly secureMode: ConnectCodes;
    /** User name malformed, wrong signature, unknown device [AUTH-4], [AUTH-5], [AUTH-13]. */
    readonly credentials: ConnectCodes;
    /** Right signature, device disabled [AUTH-13]. */
    readonly disabled: ConnectCodes;
    /** Keep Alive out of range [CONN-5]. */
    readonly keepAlive: ConnectCodes;
  };
}

export type PlatformOverrides = {
  readonly [Group in keyof PlatformSettings]?: Partial<PlatformSettings[Group]>;
};

export const DEFAULT_SETTINGS: PlatformSettings = {
  instance: { type: "enterprise" },
  mqtt5: { enabled: true },
  auth: {
    strictSecureMode: false,
    maxClientIdFieldBytes: 1024,
    optionalSignatureFields: true,
    assignedClientId: "{pk}.{dn}",
  },
  connection: { minKeepAliveSeconds: 30, maxKeepAliveSeconds: 1200 },
  broadcast: { devicePublish: false },
  qos: { publisherDecides5: false },
  codes: {
    mqtt5Disabled: { code3: 1, reason: 0x84 },
    clientId: { code3: 2, reason: 0x85 },
    secureMode: { code3: 2, reason: 0x85 },
    credentials: { code3: 4, reason: 0x86 },
    disabled: { code3: 5, reason: 0x8a },
    keepAlive: { code3: 2, reason: 0x80 },
  },
};

/** Defaults with overrides. Throws ConfigError with the option's path. */
export function resolveSettings(overrides: PlatformOverrides = {}): PlatformSettings {
  const base = DEFAULT_SETTINGS;
  const instance = { ...base.instance, ...overrides.instance };
  const settings: PlatformSettings = {
    instance,
    mqtt5: { enabled: instance.type === "enterprise", ...overrides.mqtt5 },
    auth: { ...base.auth, ...overrides.auth },
    connection: { ...base.connection, ...overrides.connection },
    broadcast: { ...base.broadcast, ...overrides.broadcast },
    qos: { ...base.qos, ...overrides.qos },
    codes: { ...base.codes, ...overrides.codes },
  };
  const { auth, connection } = settings;
  requireRange("auth.maxClientIdFieldBytes", auth.maxClientIdFieldBytes, 66, 65_535);
  requireRange("connection.minKeepAliveSeconds", connection.minKeepAliveSeconds, 0, 65_535);
  requireRange(
    "connection.maxKeepAliveSeconds",
    connection.maxKeepAliveSeconds,
    connection.minKeepAliveSeconds,
    65_535,
  );
  for (const [name, codes] of Object.entries(settings.codes)) {
    requireRange(`codes.${name}.code3`, codes.code3, 1, 5);
    requireRange(`codes.${name}.reason`, codes.reason, 0x80, 0x9f);
  }
  return settings;
}

function requireRange(path: string, value: number, from: number, to: number): void {
  if (Number.isInteger(value) && value >= from && value <= to) return;
  throw new ConfigError(
    "PLATFORM_OPTION",
    path,
    `${path}: ${value} is not a whole number from ${from} to ${to}`,
  );
}
