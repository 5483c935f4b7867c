// What a successful start prints: the listeners, and for the platform profile three commands ready to paste. Each command
// stands alone on its line, so that a triple click copies it and nothing else.
import { type Demo, signedCredentials } from "../../platform/demo.ts";
import type { PlatformOverrides } from "../../platform/settings/settings.ts";
import type { Durability, ProfileName } from "../arguments/arguments.ts";
import { parseListenUrl } from "../config/listen-url.ts";
import { quoteAlways, quoteWord } from "./shell-quote.ts";

type DemoDevice = Demo["devices"][number];

export interface OpenListener {
  /** As bound, with the real port. */
  readonly url: string;
  readonly profile: ProfileName;
  /** The CA that a client needs to trust this listener, where it is the self-signed certificate. */
  readonly caFile?: string;
}

/** Keep Alive of the printed commands, s; the platform admits 30 to 1200 [CONN-5]. */
const KEEP_ALIVE = 60;

const SPOKEN = {
  tcp: "MQTT",
  tls: "MQTT over TLS",
  ws: "MQTT over WebSocket",
  wss: "MQTT over WebSocket and TLS",
  auto: "MQTT, TLS and WebSocket, told apart by the first byte",
  unix: "MQTT",
  http: "HTTP, registration of devices",
  https: "HTTPS, registration of devices",
} as const;

export function listenerLines(
  listeners: readonly { readonly url: string; readonly profile: ProfileName }[],
): string {
  const width = Math.max(...listeners.map(({ url }) => url.length));
  return listeners
    .map(
      ({ url, profile }) =>
        `  ${url.padEnd(width)}  ${SPOKEN[parseListenUrl(url, "url").kind]}, ${profile} profile\n`,
    )
    .join("");
}

const PROMISES = {
  none: "sessions and messages end with the process",
  process: "what is acknowledged survives a crash of the broker",
  power: "what is acknowledged is on the disk",
} as const satisfies Record<Durability, string>;

export function durabilityLine(level: Durability): string {
  return `Durability: ${level}, ${PROMISES[level]}\n`;
}

/** Says so where the platform's rates are off; "" where they are kept. */
export function ratesLine({ rates }: PlatformOverrides): string {
  return rates?.enabled === false ? "Rate limits: off, for tests and benchmarks only\n" : "";
}

/** `data` is the data directory where it is not the default one. */
export function demoLines(
  listeners: readonly OpenListener[],
  [first, second]: Demo["devices"],
  data: string | undefined,
): string {
  const publish = ["npx millrace publish"];
  if (data !== undefined) publish.push(`--data ${quoteWord(data)}`);
  publish.push(quoteAlways(userTopic(first, "get")), quoteAlways("hello from the server"));
  const steps: [string, string][] = [["Send it a message from the server's side:", publish.join(" ")]];
  const endpoint = mosquittoEndpoint(listeners);
  if (endpoint !== undefined) {
    const subscribe = `mosquitto_sub ${sessionFlags(endpoint, first)} -t ${quoteAlways(userTopic(first, "get"))} -q 1`;
    const send = `mosquitto_pub ${sessionFlags(endpoint, second)} -t ${quoteAlways(userTopic(second, "update"))} -q 1`;
    steps.unshift(["Receive as the first demo device:", subscribe]);
    steps.push(["Publish as the second demo device:", `${send} -m ${quoteAlways("hello from the device")}`]);
  }
  return steps.map(([title, command]) => `${title}\n\n${command}\n`).join("\n");
}

function userTopic({ productKey, deviceName }: DemoDevice, name: string): string {
  return `/${productKey}/${deviceName}/user/${name}`;
}

interface Endpoint {
  readonly flags: string;
  readonly securemode: 2 | 3;
}

function sessionFlags({ flags, securemode }: Endpoint, device: DemoDevice): string {
  const { clientId, username, password } = signedCredentials(device, { securemode });
  const who = `-i ${quoteAlways(clientId)} -u ${quoteAlways(username)} -P ${quoteAlways(password)}`;
  return `${flags} ${who} -k ${KEEP_ALIVE} -V mqttv311`;
}

/** A platform listener that the mosquitto programs can reach: plain MQTT first, else TLS [AUTH-9]. */
function mosquittoEndpoint(listeners: readonly OpenListener[]): Endpoint | undefined {
  const candidates = listeners
    .filter(({ profile }) => profile === "platform")
    .map(({ url, caFile }) => ({ ...parseListenUrl(url, "url"), caFile }));
  const plain = candidates.find(({ kind }) => kind === "tcp" || kind === "auto");
  if (plain) return { flags: `-h ${reachable(plain.host)} -p ${plain.port}`, securemode: 3 };
  const tls = candidates.find(({ kind }) => kind === "tls");
  if (!tls) return undefined;
  const trust = tls.caFile === undefined ? "--tls-use-os-certs" : `--cafile ${quoteWord(tls.caFile)}`;
  return {
    flags: `-h ${tls.caFile ? "localhost" : reachable(tls.host)} -p ${tls.port} ${trust}`,
    securemode: 2,
  };
}

function reachable(host: string | undefined): string {
  if (host === undefined || host === "localhost" || host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : quoteWord(host);
}
