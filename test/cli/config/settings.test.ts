import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import type { StartFlags } from "../../../src/cli/arguments/arguments.ts";
import type { ConfigFile } from "../../../src/cli/config/config.ts";
import { resolveSettings } from "../../../src/cli/config/settings.ts";
import { ConfigError } from "../../../src/errors.ts";

const settle = (flags: StartFlags, config?: ConfigFile) =>
  resolveSettings(flags, config && { file: "/etc/millrace/m.yaml", directory: "/etc/millrace", config });
const urls = (flags: StartFlags, config?: ConfigFile) =>
  settle(flags, config).listeners.map(({ url }) => url);

function mistake(flags: StartFlags, config?: ConfigFile): [string, string] {
  try {
    settle(flags, config);
  } catch (error) {
    if (error instanceof ConfigError) return [error.code, error.path];
    throw error;
  }
  throw new Error("accepted");
}

describe("without arguments", () => {
  test("the platform profile on loopback, with TLS, data beside", () => {
    const settings = settle({});
    expect(settings).toMatchObject({
      profile: "platform",
      dataDirectory: resolve("millrace-data"),
      logLevel: "info",
      durability: "power",
    });
    expect(urls({})).toEqual([
      "auto://localhost:1883",
      "tls://localhost:8883",
      "ws://localhost:8083",
      "wss://localhost:8084",
    ]);
    expect(settings.listeners.map(({ tls }) => tls)).toEqual([
      { path: "tls" },
      { path: "tls" },
      undefined,
      { path: "tls" },
    ]);
    expect(settings.listeners.every(({ profile }) => profile === "platform")).toBe(true);
  });
});

describe("precedence", () => {
  test("[NET-2] [NET-5] --instance, --rate-limits and --tls-min-version win over the file", () => {
    const config: ConfigFile = {
      tls: { minVersion: "1.3" },
      platform: { instance: { type: "enterprise" }, rates: { enabled: true } },
    };
    const flags = { instance: "public", rateLimits: "off", tlsMinVersion: "1.0" } as const;
    const settings = settle(flags, config);
    expect(settings.platform).toEqual({ instance: { type: "public" }, rates: { enabled: false } });
    const versions = settings.listeners.map(({ tls }) => tls?.minVersion);
    expect(versions).toEqual(["1.0", "1.0", undefined, "1.0"]);
    expect(mistake({ tlsMinVersion: "1.3" }, { tls: { maxVersion: "1.2" } })[1]).toBe("--tls-min-version");
    expect(mistake({ profile: "standard", rateLimits: "on" })[0]).toBe("OPTION_WITHOUT_EFFECT");
    expect(mistake({ profile: "standard", instance: "public" })[1]).toBe("--instance");
    expect(mistake({ listen: ["tcp://localhost:1"], tlsMinVersion: "1.2" })[1]).toBe("--tls-min-version");
  });

  test("--listen replaces every listener, the file's too", () => {
    const config: ConfigFile = { listeners: [{ url: "tcp://10.0.0.1" }] };
    expect(urls({}, config)).toEqual(["tcp://10.0.0.1:1883"]);
    expect(urls({ listen: ["ws://localhost:1"] }, config)).toEqual(["ws://localhost:1"]);
  });

  test("flags win over the file, the file over the defaults", () => {
    const config: ConfigFile = { profile: "standard", logLevel: "warn", data: "store", durability: "none" };
    expect(settle({}, config)).toMatchObject({
      profile: "standard",
      logLevel: "warn",
      dataDirectory: "/etc/millrace/store",
      durability: "none",
    });
    expect(
      settle({ profile: "platform", logLevel: "debug", data: "/d", durability: "process" }, config),
    ).toMatchObject({
      profile: "platform",
      logLevel: "debug",
      dataDirectory: "/d",
      durability: "process",
    });
  });

  test("a listener's own profile, anonymous and tls win over the broker's", () => {
    const { listeners } = settle(
      {},
      {
        profile: "standard",
        anonymous: true,
        tls: { key: "a.key", cert: "a.crt" },
        listeners: [
          { url: "tls://a" },
          { url: "tls://b", profile: "platform", tls: { key: "b.key", cert: "/b.crt" } },
          { url: "tcp://c", anonymous: false },
        ],
      },
    );
    expect(listeners[0]).toMatchObject({
      profile: "standard",
      listener: { anonymous: true },
      tls: { path: "tls", key: "/etc/millrace/a.key" },
    });
    expect(listeners[1]).toMatchObject({
      profile: "platform",
      tls: { path: "listeners[1].tls", cert: "/b.crt" },
    });
    expect(listeners[1].listener).not.toHaveProperty("anonymous");
    expect(listeners[2]).toMatchObject({ listener: { anonymous: false } });
    expect(listeners[2]).not.toHaveProperty("tls");
  });

  test("files are looked for beside the configuration", () => {
    expect(settle({}, { profile: "standard", passwordFile: "users", aclFile: "/acl" })).toMatchObject({
      passwordFile: "/etc/millrace/users",
      aclFile: "/acl",
    });
  });
});

describe("refused", () => {
  const tls = { key: "k", cert: "c" };
  test.each<[string, StartFlags, ConfigFile | undefined, string, string]>([
    ["anonymous on the platform", { anonymous: true }, undefined, "OPTION_WITHOUT_EFFECT", "--anonymous"],
    ["anonymous in the file", {}, { anonymous: false }, "OPTION_WITHOUT_EFFECT", "anonymous"],
    ["passwords on the platform", {}, { passwordFile: "p" }, "OPTION_WITHOUT_EFFECT", "passwordFile"],
    ["access list on the platform", {}, { aclFile: "p" }, "OPTION_WITHOUT_EFFECT", "aclFile"],
    ["TLS nobody uses", { listen: ["tcp://a"] }, { tls }, "OPTION_WITHOUT_EFFECT", "tls"],
    ["TLS on tcp", {}, { listeners: [{ url: "tcp://a", tls }] }, "OPTION_WITHOUT_EFFECT", "listeners[0].tls"],
    [
      "origins without WebSocket",
      {},
      { listeners: [{ url: "tls://a", allowedOrigins: ["*"] }] },
      "OPTION_WITHOUT_EFFECT",
      "listeners[0].allowedOrigins",
    ],
    [
      "PROXY protocol on a Unix socket",
      {},
      { listeners: [{ url: "unix:///s", proxyProtocolFrom: ["::1"] }] },
      "OPTION_WITHOUT_EFFECT",
      "listeners[0].proxyProtocolFrom",
    ],
    [
      "a proxy that is no address",
      {},
      { listeners: [{ url: "tcp://a", proxyProtocolFrom: ["10.0.0.0/8", "proxy"] }] },
      "ADDRESS_RANGE",
      "listeners[0].proxyProtocolFrom[1]",
    ],
    [
      "anonymous on a platform listener",
      {},
      { profile: "standard", listeners: [{ url: "tcp://a", profile: "platform", anonymous: true }] },
      "OPTION_WITHOUT_EFFECT",
      "listeners[0].anonymous",
    ],
    ["key without certificate", {}, { tls: { key: "k" } }, "CONFIG_INVALID", "tls.cert"],
    ["certificate without key", {}, { tls: { cert: "c" } }, "CONFIG_INVALID", "tls.key"],
    [
      "client certificates without CA",
      {},
      { tls: { clientCertificate: "require" } },
      "CONFIG_INVALID",
      "tls.ca",
    ],
    [
      "TLS versions crossed",
      {},
      { tls: { minVersion: "1.3", maxVersion: "1.2" } },
      "CONFIG_INVALID",
      "tls.minVersion",
    ],
    [
      "http of the standard profile",
      { profile: "standard", listen: ["http://a:1"] },
      undefined,
      "OPTION_WITHOUT_EFFECT",
      "--listen",
    ],
    ["one address twice", { listen: ["tcp://a:1", "ws://a:1"] }, undefined, "CONFIG_INVALID", "--listen"],
    [
      "one socket twice",
      {},
      { listeners: [{ url: "unix:///s" }, { url: "unix:///s" }] },
      "CONFIG_INVALID",
      "listeners[1].url",
    ],
    ["a bad URL", {}, { listeners: [{ url: "tcp:a" }] }, "LISTEN_URL_INVALID", "listeners[0].url"],
  ])("%s", (_, flags, config, code, path) => {
    expect(mistake(flags, config)).toEqual([code, path]);
  });

  test("but port 0 as often as wanted", () => {
    expect(urls({ listen: ["tcp://a:0", "ws://a:0"] })).toHaveLength(2);
  });
});
