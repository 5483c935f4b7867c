import { expect, test } from "vitest";
import { reload } from "../../../src/cli/start/reload.ts";
import { resolveSettings } from "../../../src/cli/config/settings.ts";
import { ConfigError } from "../../../src/errors.ts";

function parts(readSettings: () => Promise<ReturnType<typeof resolveSettings>>) {
  const entries: [string, object, string][] = [];
  const record = (level: string) => (fields: object, message: string) =>
    void entries.push([level, fields, message]);
  const levels: string[] = [];
  const logger = {
    debug: record("debug"),
    info: record("info"),
    warn: record("warn"),
    error: record("error"),
    setLevel: (level: string) => void levels.push(level),
  };
  const handed: object[] = [];
  const broker = {
    listeners: [],
    publish: async () => {},
    close: async () => {},
    reload: async (options: () => Promise<object>) => {
      handed.push(await options());
      return { applied: ["limits"], unchanged: ["aclFile"], restart: ["listeners"] };
    },
  };
  const brokerOptions = async () => ({ sysInterval: 5 });
  return { entries, levels, handed, parts: { readSettings, brokerOptions, broker, logger } };
}

test("what was applied, is unchanged, or needs a restart is logged by key", async () => {
  const current = resolveSettings({ data: "/a", durability: "process" });
  const {
    entries,
    levels,
    handed,
    parts: given,
  } = parts(async () => resolveSettings({ data: "/b", durability: "none", logLevel: "warn" }));
  const next = await reload(current, given);
  expect(handed).toEqual([{ sysInterval: 5 }]);
  expect(levels).toEqual(["warn"]);
  expect(entries).toEqual([
    ["info", { applied: ["limits", "logLevel"], unchanged: ["aclFile"] }, "configuration reloaded"],
    [
      "warn",
      { restart: ["listeners", "data", "durability"] },
      "changed options that take effect at the next start",
    ],
  ]);
  expect(next).toMatchObject({ logLevel: "warn", dataDirectory: "/a", durability: "process" });
});

test("a configuration that does not validate changes nothing", async () => {
  const current = resolveSettings({});
  const {
    entries,
    levels,
    handed,
    parts: given,
  } = parts(async () => {
    throw new ConfigError("CONFIG_UNKNOWN_KEY", "profil", "profil: unknown key");
  });
  expect(await reload(current, given)).toBe(current);
  expect([levels, handed]).toEqual([[], []]);
  expect(entries).toEqual([
    [
      "error",
      { code: "CONFIG_UNKNOWN_KEY", reason: "profil: unknown key" },
      "reload failed, nothing was changed",
    ],
  ]);
});
