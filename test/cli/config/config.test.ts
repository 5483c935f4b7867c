import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadConfigFile, parseConfig } from "../../../src/cli/config/config.ts";
import { ConfigError } from "../../../src/errors.ts";

async function mistake(text: string): Promise<ConfigError> {
  const error = await parseConfig(text, "m.yaml").then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ConfigError) return error;
  throw new Error(`not refused as it should be: ${String(error)}`);
}

describe("a valid configuration", () => {
  test("in YAML and in JSON, with tabs too, is the same", async () => {
    const yaml =
      "profile: standard\nlisteners:\n  - url: tls://0.0.0.0\n    tls: {minVersion: 1.2}\nlimits:\n  sessions: 10\n";
    const value = {
      profile: "standard",
      listeners: [{ url: "tls://0.0.0.0", tls: { minVersion: "1.2" } }],
      limits: { sessions: 10 },
    };
    expect(await parseConfig(yaml, "m.yaml")).toEqual(value);
    expect(await parseConfig(JSON.stringify(value), "m.json")).toEqual(value);
    expect(await parseConfig(JSON.stringify(value, null, "\t"), "m.json")).toEqual(value);
  });

  test("may be empty", async () => {
    expect(await parseConfig("", "m.yaml")).toEqual({});
    expect(await parseConfig("# nothing yet\n", "m.yaml")).toEqual({});
  });

  test("anchors may be used, in measure", async () => {
    const text = "tls: &t {key: k, cert: c}\nlisteners:\n  - url: tls://a\n    tls: *t\n";
    expect(await parseConfig(text, "m.yaml")).toMatchObject({
      listeners: [{ tls: { key: "k", cert: "c" } }],
    });
  });
});

describe("a mistake is told with line, path and suggestion", () => {
  test.each([
    [
      "profil: standard\n",
      "CONFIG_UNKNOWN_KEY",
      "profil",
      "m.yaml:1: profil: unknown key; did you mean profile?",
    ],
    [
      "limits:\n  sessions: 5\n  max_conections: 5\n",
      "CONFIG_UNKNOWN_KEY",
      "limits.max_conections",
      "m.yaml:3: limits.max_conections: unknown key; did you mean maxConnections?",
    ],
    [
      "listeners:\n  - url: tcp://a\n  - url: tls://b\n    tls:\n      crt: x\n",
      "CONFIG_UNKNOWN_KEY",
      "listeners[1].tls.crt",
      "m.yaml:5: listeners[1].tls.crt: unknown key; did you mean cert?",
    ],
    [
      "rateLimits: off\n",
      "CONFIG_UNKNOWN_KEY",
      "rateLimits",
      "m.yaml:1: rateLimits: unknown key; did you mean platform.rates.enabled?",
    ],
    [
      "platform:\n  tls-min-version: 1.0\n",
      "CONFIG_UNKNOWN_KEY",
      "platform.tls-min-version",
      "m.yaml:2: platform.tls-min-version: unknown key; did you mean tls.minVersion?",
    ],
    [
      "platform:\n  instance: public\n",
      "CONFIG_INVALID",
      "platform.instance",
      "m.yaml:2: platform.instance: invalid input: expected object, received string; its keys are type",
    ],
    ["nonsense: 1\n", "CONFIG_UNKNOWN_KEY", "nonsense", "m.yaml:1: nonsense: unknown key"],
    ["\nprofile: standart\n", "CONFIG_INVALID", "profile", "did you mean standard?"],
    ["limits: {sessions: -1}\n", "CONFIG_INVALID", "limits.sessions", "m.yaml:1: limits.sessions: too small"],
    ["limits: {sessions: 1.5}\n", "CONFIG_INVALID", "limits.sessions", "expected int"],
    ["limits: {receiveMaximum: 0}\n", "CONFIG_INVALID", "limits.receiveMaximum", "too small"],
    ["limits: {keepAlive: 65536}\n", "CONFIG_INVALID", "limits.keepAlive", "too big"],
    ["limits: {receiveMaximum: 65536}\n", "CONFIG_INVALID", "limits.receiveMaximum", "too big"],
    ["listeners:\n  - tls: {}\n", "CONFIG_INVALID", "listeners[0].url", "m.yaml:2: listeners[0].url: "],
    ["listeners: []\n", "CONFIG_INVALID", "listeners", "too small"],
    ["sysInterval: ten\n", "CONFIG_INVALID", "sysInterval", "expected number"],
    ["tls: {minVersion: 1.4}\n", "CONFIG_INVALID", "tls.minVersion", "m.yaml:1: tls.minVersion"],
    ["- a\n- b\n", "CONFIG_INVALID", "(file)", "expected object"],
    ["profile: standard\nprofile: platform\n", "CONFIG_SYNTAX", "m.yaml", "m.yaml:2:1: "],
    ['{"profile": "standard"', "CONFIG_SYNTAX", "m.yaml", "m.yaml:1:"],
    ["a: [1\nb: 2\n", "CONFIG_SYNTAX", "m.yaml", "m.yaml:"],
  ])("%j", async (text, code, path, message) => {
    const error = await mistake(text);
    expect([error.code, error.path]).toEqual([code, path]);
    expect(error.message).toContain(message);
  });

  test("all of them at once, up to a bound", async () => {
    const two = await mistake("profil: x\nlimits: {session: 1}\n");
    expect(two.message.split("\n")).toHaveLength(2);
    const many = Array.from({ length: 30 }, (_, i) => `wrong${i}: 1\n`).join("");
    const lines = (await mistake(many)).message.split("\n");
    expect(lines).toHaveLength(21);
    expect(lines[20]).toBe("… and 10 more");
  });

  test("aliases that multiply are refused, not expanded", async () => {
    let text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
    for (let i = 1; i < 9; i++)
      text += `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(",")}]\n`;
    expect((await mistake(text)).code).toBe("CONFIG_SYNTAX");
  });
});

describe("loadConfigFile", () => {
  const directory = mkdtempSync(join(tmpdir(), "millrace-config-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test("refuses what is missing or far too large", async () => {
    await expect(loadConfigFile(join(directory, "none.yaml"))).rejects.toMatchObject({
      code: "CONFIG_UNREADABLE",
    });
    const file = join(directory, "large.yaml");
    writeFileSync(file, `#${" ".repeat(1_048_575)}`);
    expect(await loadConfigFile(file)).toEqual({ file, directory, config: {} });
    writeFileSync(file, `#${" ".repeat(1_048_576)}`);
    await expect(loadConfigFile(file)).rejects.toMatchObject({ code: "CONFIG_TOO_LARGE" });
  });
});
