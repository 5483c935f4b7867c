// What the command line makes of flags, configuration file and defaults, in this order of precedence. Pure: opens
// nothing, reads no certificate. An option that would have no effect is a mistake and is refused.
import { resolve } from "node:path";
import { ConfigError } from "../../errors.ts";
import type { LimitOverrides } from "../../limits.ts";
import type { PlatformOverrides } from "../../platform/settings/settings.ts";
import type { BrokerListener } from "../../options.ts";
import { AddressList } from "../../transport/reception/address-list.ts";
import type { Durability, LogLevel, ProfileName, StartFlags } from "../arguments/arguments.ts";
import type { LoadedConfig, TlsConfig } from "./config.ts";
import { DEFAULTS } from "./defaults.ts";
import { formatListenUrl, parseListenUrl, speaksTls, speaksWebSocket } from "./listen-url.ts";

/** A certificate by file names. `path` is the option that named it. Without `key`: the self-signed one. */
export interface TlsSetting {
  readonly path: string;
  readonly key?: string;
  readonly cert?: string;
  readonly ca?: string;
  readonly minVersion?: TlsConfig["minVersion"];
  readonly maxVersion?: TlsConfig["maxVersion"];
  readonly clientCertificate?: TlsConfig["clientCertificate"];
}

export interface ListenerSetting {
  readonly url: string;
  readonly profile: ProfileName;
  readonly listener: Omit<BrokerListener, "tls" | "profile">;
  /** Set for every kind that holds a certificate. */
  readonly tls?: TlsSetting;
}

export interface Settings {
  readonly profile: ProfileName;
  readonly listeners: readonly ListenerSetting[];
  readonly dataDirectory: string;
  readonly durability: Durability;
  readonly logLevel: LogLevel;
  readonly passwordFile?: string;
  readonly aclFile?: string;
  readonly platform: PlatformOverrides;
  readonly limits: LimitOverrides;
  readonly sysInterval: number;
  readonly sharedStrategy: "round-robin" | "hash";
  readonly willsAtShutdown: boolean;
  readonly sharedMoveAtDisconnect: boolean;
  /** Set where a configuration file was read. */
  readonly configFile?: string;
}

export function resolveSettings(flags: StartFlags, loaded?: LoadedConfig): Settings {
  const config = loaded?.config ?? {};
  const fromFile = (path: string | undefined) =>
    path === undefined || loaded === undefined ? undefined : resolve(loaded.directory, path);
  const settings: Settings = {
    profile: flags.profile ?? config.profile ?? DEFAULTS.profile,
    listeners: resolveListeners(flags, loaded),
    dataDirectory: flags.data ? resolve(flags.data) : (fromFile(config.data) ?? resolve(DEFAULTS.data)),
    durability: flags.durability ?? config.durability ?? DEFAULTS.durability,
    logLevel: flags.logLevel ?? config.logLevel ?? DEFAULTS.logLevel,
    passwordFile: fromFile(config.passwordFile),
    aclFile: fromFile(config.aclFile),
    // Checked again, and with their relations, where the platform is made.
    platform: withFlags((config.platform ?? {}) as PlatformOverrides, flags),
    limits: config.limits ?? {},
    sysInterval: config.sysInterval ?? DEFAULTS.sysInterval,
    sharedStrategy: config.sharedStrategy ?? DEFAULTS.sharedStrategy,
    willsAtShutdown: config.willsAtShutdown ?? DEFAULTS.willsAtShutdown,
    sharedMoveAtDisconnect: config.sharedMoveAtDisconnect ?? DEFAULTS.sharedMoveAtDisconnect,
    configFile: loaded?.file,
  };
  if (!settings.listeners.some(({ profile }) => profile === "standard")) {
    const idle = (path: string) =>
      new ConfigError(
        "OPTION_WITHOUT_EFFECT",
        path,
        `${path} is of the standard profile, and no listener uses it`,
      );
    if (flags.anonymous) throw idle("--anonymous");
    if (config.anonymous !== undefined) throw idle("anonymous");
    if (config.passwordFile !== undefined) throw idle("passwordFile");
    if (config.aclFile !== undefined) throw idle("aclFile");
  }
  if (!settings.listeners.some(({ profile }) => profile === "platform")) {
    for (const flag of ["rateLimits", "instance"] as const) {
      if (flags[flag] === undefined) continue;
      const name = flag === "instance" ? "--instance" : "--rate-limits";
      const message = `${name} is of the platform profile, and no listener uses it`;
      throw new ConfigError("OPTION_WITHOUT_EFFECT", name, message);
    }
  }
  if (flags.tlsMinVersion && !settings.listeners.some(({ tls }) => tls)) {
    const message = "--tls-min-version: no listener has TLS";
    throw new ConfigError("OPTION_WITHOUT_EFFECT", "--tls-min-version", message);
  }
  if (config.tls && !settings.listeners.some(({ tls }) => tls?.path === "tls")) {
    throw new ConfigError(
      "OPTION_WITHOUT_EFFECT",
      "tls",
      "tls: every listener has no TLS or a certificate of its own",
    );
  }
  return settings;
}

function withFlags(platform: PlatformOverrides, { rateLimits, instance }: StartFlags): PlatformOverrides {
  return {
    ...platform,
    ...(rateLimits && { rates: { ...platform.rates, enabled: rateLimits === "on" } }),
    ...(instance && { instance: { ...platform.instance, type: instance } }),
  };
}

function withMinVersion(listener: ListenerSetting, minVersion: StartFlags["tlsMinVersion"]): ListenerSetting {
  const { tls } = listener;
  if (minVersion === undefined || tls === undefined) return listener;
  if (minVersion === "1.3" && tls.maxVersion === "1.2") {
    const message = `--tls-min-version 1.3 is above ${tls.path}.maxVersion`;
    throw new ConfigError("CONFIG_INVALID", "--tls-min-version", message);
  }
  return { ...listener, tls: { ...tls, minVersion } };
}

function resolveListeners(flags: StartFlags, loaded: LoadedConfig | undefined): ListenerSetting[] {
  const config = loaded?.config ?? {};
  const broker = flags.profile ?? config.profile ?? DEFAULTS.profile;
  const common = loaded && config.tls ? resolveTls(config.tls, "tls", loaded.directory) : undefined;
  const anonymous = flags.anonymous ?? config.anonymous;
  const plain = (url: string, option: string): ListenerSetting =>
    setting(url, option, broker, broker === "standard" ? anonymous : undefined, common);
  let listeners: ListenerSetting[];
  let option: (index: number) => string;
  if (flags.listen) {
    option = () => "--listen";
    listeners = flags.listen.map((url) => plain(url, "--listen"));
  } else if (loaded && config.listeners) {
    option = (i) => `listeners[${i}].url`;
    listeners = config.listeners.map((entry, i) => {
      const path = `listeners[${i}]`;
      const profile = entry.profile ?? broker;
      if (profile !== "standard" && entry.anonymous !== undefined) {
        const message = `${path}.anonymous is of the standard profile; this listener is of the ${profile} one`;
        throw new ConfigError("OPTION_WITHOUT_EFFECT", `${path}.anonymous`, message);
      }
      const tls = entry.tls ? resolveTls(entry.tls, `${path}.tls`, loaded.directory) : common;
      const admit =
        profile === "standard" ? (flags.anonymous ?? entry.anonymous ?? config.anonymous) : undefined;
      const made = setting(entry.url, `${path}.url`, profile, admit, tls);
      const kind = made.listener.kind ?? "tcp";
      if (entry.tls && !speaksTls(kind)) {
        throw new ConfigError(
          "OPTION_WITHOUT_EFFECT",
          `${path}.tls`,
          `${path}.tls: a ${kind} listener has no TLS`,
        );
      }
      if (entry.psk && (profile !== "platform" || !speaksTls(kind) || kind === "https")) {
        const message = `${path}.psk is for TLS listeners of devices, of the platform profile`;
        throw new ConfigError("OPTION_WITHOUT_EFFECT", `${path}.psk`, message);
      }
      if (entry.allowedOrigins && !speaksWebSocket(kind)) {
        const message = `${path}.allowedOrigins: a ${kind} listener has no WebSocket`;
        throw new ConfigError("OPTION_WITHOUT_EFFECT", `${path}.allowedOrigins`, message);
      }
      if (entry.proxyProtocolFrom && (kind === "unix" || kind === "http" || kind === "https")) {
        const message =
          kind === "unix"
            ? `${path}.proxyProtocolFrom: a Unix socket has no peer address to compare`
            : `${path}.proxyProtocolFrom: an ${kind} listener reads no PROXY head`;
        throw new ConfigError("OPTION_WITHOUT_EFFECT", `${path}.proxyProtocolFrom`, message);
      }
      if (entry.proxyProtocolFrom) new AddressList(entry.proxyProtocolFrom, `${path}.proxyProtocolFrom`);
      const { proxyProtocolFrom, allowedOrigins, psk } = entry;
      return {
        ...made,
        listener: {
          ...made.listener,
          ...(proxyProtocolFrom ? { proxyProtocolFrom } : {}),
          ...(allowedOrigins ? { allowedOrigins } : {}),
          ...(psk ? { psk } : {}),
        },
      };
    });
  } else {
    option = () => "--listen";
    listeners = DEFAULTS.listeners.map((url) => plain(url, "--listen"));
  }
  refuseTwice(listeners, option);
  return listeners.map((listener) => withMinVersion(listener, flags.tlsMinVersion));
}

function setting(
  url: string,
  option: string,
  profile: ProfileName,
  anonymous: boolean | undefined,
  tls: TlsSetting | undefined,
): ListenerSetting {
  const parsed = parseListenUrl(url, option);
  if ((parsed.kind === "http" || parsed.kind === "https") && profile !== "platform") {
    const message = `${option}: ${url} is of the platform profile; this listener is of the ${profile} one`;
    throw new ConfigError("OPTION_WITHOUT_EFFECT", option, message);
  }
  return {
    url: formatListenUrl(parsed),
    profile,
    listener: anonymous === undefined ? parsed : { ...parsed, anonymous },
    ...(speaksTls(parsed.kind) ? { tls: tls ?? { path: "tls" } } : {}),
  };
}

function resolveTls(tls: TlsConfig, path: string, directory: string): TlsSetting {
  const { key, cert, ca, minVersion, maxVersion, clientCertificate } = tls;
  if ((key === undefined) !== (cert === undefined)) {
    const [given, missing] = key === undefined ? ["cert", "key"] : ["key", "cert"];
    throw new ConfigError(
      "CONFIG_INVALID",
      `${path}.${missing}`,
      `${path}.${missing} is missing beside ${given}`,
    );
  }
  if (clientCertificate !== undefined && clientCertificate !== "none" && ca === undefined) {
    const message = `${path}.ca is missing: client certificates are verified against it`;
    throw new ConfigError("CONFIG_INVALID", `${path}.ca`, message);
  }
  if (minVersion === "1.3" && maxVersion === "1.2") {
    throw new ConfigError("CONFIG_INVALID", `${path}.minVersion`, `${path}.minVersion is above maxVersion`);
  }
  const at = (file: string | undefined) => (file === undefined ? undefined : resolve(directory, file));
  return { path, key: at(key), cert: at(cert), ca: at(ca), minVersion, maxVersion, clientCertificate };
}

/** Port 0 is another port each time. */
function refuseTwice(listeners: readonly ListenerSetting[], option: (index: number) => string): void {
  const seen = new Set<string>();
  for (const [i, { listener, url }] of listeners.entries()) {
    const key = listener.kind === "unix" ? `unix ${listener.path}` : `${listener.host} ${listener.port}`;
    if (listener.port !== 0 && seen.has(key)) {
      throw new ConfigError(
        "CONFIG_INVALID",
        option(i),
        `${option(i)}: ${url} is the address of another listener`,
      );
    }
    seen.add(key);
  }
}
