import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { configKeys, type KeyRow } from "../../../src/cli/config/schema.ts";
import { LIMITS } from "../../../src/limits.ts";
import type { BrokerListener, BrokerOptions } from "../../../src/options.ts";
import { parseConfig } from "../../../src/cli/config/config.ts";

const page = readFileSync(new URL("../../../docs/configuration.md", import.meta.url), "utf8");

const row = ({ path, description, unit, default: byDefault }: KeyRow) =>
  `| \`${path}\` | ${byDefault} | ${unit} | ${description} |`;

test("docs/configuration.md has a row for every key, in order, and no other", () => {
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  expect(rows).toEqual(configKeys().map(row));
});

test("its examples are valid", async () => {
  const examples = [...page.matchAll(/^```(?:yaml|json)\n(.*?)^```$/gms)].map((match) => match[1]);
  expect(examples.length).toBeGreaterThanOrEqual(2);
  for (const example of examples) await parseConfig(example, "example");
});

test("every option of the broker and every limit has a key", () => {
  const paths = new Set(configKeys().map(({ path }) => path));
  for (const name of Object.keys(LIMITS)) expect(paths).toContain(`limits.${name}`);
  // Objects of a program, which no file can hold; `logLevel` and `data` stand for them.
  type InProgramsOnly = "devices" | "store" | "logger" | "runLogDirectory";
  const options: { readonly [name in Exclude<keyof BrokerOptions, InProgramsOnly>]-?: true } = {
    profile: true,
    listeners: true,
    passwordFile: true,
    aclFile: true,
    limits: true,
    platform: true,
    sysInterval: true,
    sharedStrategy: true,
    willsAtShutdown: true,
    sharedMoveAtDisconnect: true,
  };
  for (const name of Object.keys(options)) expect(paths).toContain(name);
  // A listener's kind, host, port and path are its `url`.
  const listener: {
    readonly [name in Exclude<keyof BrokerListener, "kind" | "host" | "port" | "path">]-?: true;
  } = {
    tls: true,
    profile: true,
    anonymous: true,
    proxyProtocolFrom: true,
    allowedOrigins: true,
    psk: true,
  };
  for (const name of Object.keys(listener)) expect(paths).toContain(`listeners[].${name}`);
});
