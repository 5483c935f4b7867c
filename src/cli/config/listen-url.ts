// Listener URLs as the command line and the configuration file write them, to and from the broker's options.
import { ConfigError } from "../../errors.ts";
import type { BrokerListener } from "../../options.ts";
import { didYouMean } from "../arguments/suggestion.ts";

export type ListenerKind = NonNullable<BrokerListener["kind"]>;

/** Port where the URL names none. */
const DEFAULT_PORTS = {
  tcp: 1883,
  tls: 8883,
  ws: 8083,
  wss: 8084,
  auto: 1883,
  http: 8080,
  https: 8443,
} as const;
const SCHEMES = [...Object.keys(DEFAULT_PORTS), "unix"];
/** Other programs' words for the same thing. */
const SYNONYMS: { readonly [scheme: string]: string } = {
  mqtt: "tcp",
  mqtts: "tls",
  ssl: "tls",
};

export interface ListenUrl {
  readonly kind: ListenerKind;
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

/** `option` is named in errors: the flag or the path in the configuration file. */
export function parseListenUrl(url: string, option: string): ListenUrl {
  const fail = (why: string): ConfigError =>
    new ConfigError("LISTEN_URL_INVALID", option, `${option}: ${JSON.stringify(url)} ${why}`);
  const parts = /^([a-z0-9+.-]*):\/\/(.*)$/is.exec(url);
  if (!parts) throw fail("is not a URL like tcp://localhost:1883");
  const scheme = parts[1].toLowerCase();
  if (!SCHEMES.includes(scheme)) {
    const synonym = SYNONYMS[scheme];
    const hint = synonym ? `; did you mean ${synonym}?` : didYouMean(scheme, SCHEMES);
    throw fail(`has the unknown scheme ${scheme}${hint || `; one of ${SCHEMES.join(", ")}`}`);
  }
  if (scheme === "unix") {
    if (!parts[2].startsWith("/") || parts[2].endsWith("/")) throw fail("is not unix:///absolute/path");
    return { kind: "unix", path: parts[2] };
  }
  const kind = scheme as keyof typeof DEFAULT_PORTS;
  const address = /^(?:\[([0-9a-f:.%]+)\]|([^:/?#[\]@\s]+))(?::(\d{1,5}))?(\/?)(.*)$/i.exec(parts[2]);
  if (!address)
    throw fail("names no address; localhost is this machine only, 0.0.0.0 and [::] are all addresses");
  if (address[5] !== "") throw fail(`has ${JSON.stringify(address[4] + address[5])} behind the address`);
  const port = address[3] === undefined ? DEFAULT_PORTS[kind] : Number(address[3]);
  if (port > 65_535) throw fail("has a port above 65535");
  return { kind, host: address[1] ?? address[2].toLowerCase(), port };
}

export function formatListenUrl({ kind, host, port, path }: ListenUrl): string {
  if (kind === "unix") return `unix://${path}`;
  return `${kind}://${host?.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Kinds whose listeners hold a certificate. */
export function speaksTls(kind: ListenerKind): boolean {
  return kind === "tls" || kind === "wss" || kind === "auto" || kind === "https";
}

/** Kinds a browser can reach. */
export function speaksWebSocket(kind: ListenerKind): boolean {
  return kind === "ws" || kind === "wss" || kind === "auto";
}
