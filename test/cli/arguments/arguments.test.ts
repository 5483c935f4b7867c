import { describe, expect, test } from "vitest";
import { parseArguments } from "../../../src/cli/arguments/arguments.ts";
import { COMMANDS, commandsOf, GROUPS } from "../../../src/cli/arguments/flags.ts";
import { groupText, helpText } from "../../../src/cli/arguments/help-text.ts";
import { ConfigError } from "../../../src/errors.ts";

function mistake(...argv: string[]): ConfigError {
  try {
    parseArguments(argv);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error(`accepted: ${argv.join(" ")}`);
}

describe("start", () => {
  test("is the command without a name", () => {
    expect(parseArguments([])).toEqual({ kind: "start", check: false, flags: {} });
    expect(parseArguments(["start"])).toEqual(parseArguments([]));
  });

  test("takes every flag, --listen several times", () => {
    const argv = [
      "--profile",
      "standard",
      "--listen",
      "tcp://a:1",
      "--listen=ws://b:2",
      "--data",
      "d",
      "--durability",
      "process",
      "--anonymous",
    ];
    argv.push("--log-level", "debug", "--config", "c.yaml", "--check");
    expect(parseArguments(argv)).toEqual({
      kind: "start",
      check: true,
      flags: {
        profile: "standard",
        listen: ["tcp://a:1", "ws://b:2"],
        data: "d",
        durability: "process",
        anonymous: true,
        logLevel: "debug",
        config: "c.yaml",
      },
    });
  });

  test.each([
    [["--profil", "standard"], "UNKNOWN_FLAG", "--profil", "did you mean --profile?"],
    [["--Listen", "tcp://a"], "UNKNOWN_FLAG", "--Listen", "did you mean --listen?"],
    [["--loglevel=info"], "UNKNOWN_FLAG", "--loglevel", "did you mean --log-level?"],
    [["--retain"], "UNKNOWN_FLAG", "--retain", "millrace publish has it"],
    [["-x"], "UNKNOWN_FLAG", "-x", "there is no flag -x"],
    [["--tls-min-version", "1.4"], "BAD_FLAG", "--tls-min-version", "one of 1.0, 1.1, 1.2, 1.3"],
    [["--profile", "standart"], "BAD_FLAG", "--profile", "did you mean standard?"],
    [["--profile", "mqtt"], "BAD_FLAG", "--profile", "one of platform, standard"],
    [["--log-level", "trace"], "BAD_FLAG", "--log-level", "one of debug, info, warn, error, silent"],
    [["--durability", "disk"], "BAD_FLAG", "--durability", "one of none, process, power"],
    [["--durabilty", "none"], "UNKNOWN_FLAG", "--durabilty", "did you mean --durability?"],
    [["--data"], "BAD_FLAG", "--data", "argument missing"],
    [["--data", ""], "BAD_FLAG", "--data", "empty"],
    [["--check=yes"], "BAD_FLAG", "--check", "does not take an argument"],
    [["pubish", "a", "b"], "UNKNOWN_COMMAND", "pubish", "did you mean publish?"],
    [["--data", "d", "publish"], "SURPLUS_ARGUMENT", "publish", "a command comes first"],
  ])("%j: %s", (argv, code, path, text) => {
    const error = mistake(...argv);
    expect([error.code, error.path]).toEqual([code, path]);
    expect(error.message).toContain(text);
  });
});

describe("publish", () => {
  test("has plain defaults", () => {
    expect(parseArguments(["publish", "a/b", "hello"])).toEqual({
      kind: "publish",
      arguments: { topic: "a/b", payload: "hello", qos: 0, retain: false, userProperties: [] },
    });
  });

  test("takes every flag; user properties keep order and repetition", () => {
    const argv = [
      "publish",
      "a/b",
      "",
      "--qos",
      "2",
      "--retain",
      "--user-property",
      "k=1=2",
      "--user-property",
      "k=",
    ];
    argv.push("--response-topic", "r", "--correlation-data", "AAE=", "--message-expiry", "4294967295");
    argv.push("--content-type", "text/plain", "--payload-format", "1", "--data", "/d");
    const command = parseArguments(argv);
    expect(command).toEqual({
      kind: "publish",
      arguments: {
        topic: "a/b",
        payload: "",
        qos: 2,
        retain: true,
        userProperties: [
          ["k", "1=2"],
          ["k", ""],
        ],
        responseTopic: "r",
        correlationData: Buffer.from([0, 1]),
        messageExpiryInterval: 4_294_967_295,
        contentType: "text/plain",
        payloadFormatIndicator: 1,
        data: "/d",
      },
    });
  });

  test("takes a payload that looks like a flag behind --", () => {
    expect(parseArguments(["publish", "--", "t", "-5"])).toMatchObject({
      arguments: { topic: "t", payload: "-5" },
    });
    expect(mistake("publish", "t", "-5").message).toContain('"--" ends the flags');
  });

  test.each([
    [["publish", "t"], "MISSING_ARGUMENT", "PAYLOAD"],
    [["publish", "t", "two", "words"], "SURPLUS_ARGUMENT", "words"],
    [["publish", "t", "p", "--qos", "3"], "BAD_FLAG", "--qos"],
    [["publish", "t", "p", "--message-expiry", "4294967296"], "BAD_FLAG", "--message-expiry"],
    [["publish", "t", "p", "--message-expiry", "1.5"], "BAD_FLAG", "--message-expiry"],
    [["publish", "t", "p", "--correlation-data", "AAE"], "BAD_FLAG", "--correlation-data"],
    [["publish", "t", "p", "--correlation-data", "A==="], "BAD_FLAG", "--correlation-data"],
    [["publish", "t", "p", "--user-property", "novalue"], "BAD_FLAG", "--user-property"],
    [["publish", "t", "p", "--payload-format", "2"], "BAD_FLAG", "--payload-format"],
  ])("%j: %s", (argv, code, path) => {
    const error = mistake(...argv);
    expect([error.code, error.path]).toEqual([code, path]);
  });
});

describe("passwd", () => {
  test("takes file and user", () => {
    expect(parseArguments(["passwd", "f", "u", "-D"])).toEqual({
      kind: "passwd",
      arguments: { file: "f", user: "u", remove: true, passwordStdin: false },
    });
    expect(mistake("passwd", "f", "u", "-D", "--password-stdin").code).toBe("BAD_FLAG");
    expect(mistake("passwd", "f").path).toBe("USER");
  });
});

describe("backup, restore, export, import", () => {
  test.each(["backup", "restore"] as const)("%s takes a directory", (kind) => {
    expect(parseArguments([kind, "b", "--data", "d"])).toEqual({
      kind,
      arguments: { directory: "b", data: "d" },
    });
    expect(mistake(kind)).toMatchObject({ code: "MISSING_ARGUMENT", path: "DIR" });
    expect(mistake(kind, "")).toMatchObject({ code: "MISSING_ARGUMENT", path: "DIR" });
    expect(mistake(kind, "b", "c").code).toBe("SURPLUS_ARGUMENT");
  });

  test("export writes to standard output unless told otherwise, import is always told", () => {
    expect(parseArguments(["export"])).toEqual({ kind: "export", arguments: {} });
    expect(parseArguments(["export", "-"])).toEqual({ kind: "export", arguments: {} });
    expect(parseArguments(["export", "f", "--data=d"])).toEqual({
      kind: "export",
      arguments: { file: "f", data: "d" },
    });
    expect(parseArguments(["import", "f"])).toEqual({ kind: "import", arguments: { file: "f" } });
    expect(parseArguments(["import", "-"])).toEqual({ kind: "import", arguments: {} });
    expect(mistake("import")).toMatchObject({ code: "MISSING_ARGUMENT", path: "FILE" });
    expect(mistake("export", "").code).toBe("MISSING_ARGUMENT");
    expect(mistake("export", "f", "g").code).toBe("SURPLUS_ARGUMENT");
  });
});

describe("help", () => {
  test.each(Object.keys(COMMANDS) as (keyof typeof COMMANDS)[])(
    "of %s names every flag and the exit codes",
    (name) => {
      expect(parseArguments([name, "--help"])).toEqual({ kind: "help", command: name });
      const text = helpText(name);
      for (const flag of Object.keys(COMMANDS[name].flags)) expect(text).toContain(`--${flag}`);
      expect(text).toContain("Exit codes: 0 done, 1 failed, 2 wrong arguments");
    },
  );

  test("wins over missing arguments; version over everything else", () => {
    expect(parseArguments(["publish", "-h"])).toEqual({ kind: "help", command: "publish" });
    expect(parseArguments(["--version"])).toEqual({ kind: "version" });
  });
});

describe("product and device", () => {
  test("are groups of commands, with a help text of their own", () => {
    expect(parseArguments(["product", "--help"])).toEqual({ kind: "group", words: "product" });
    expect(parseArguments(["product", "topic", "-h"])).toEqual({ kind: "group", words: "product topic" });
    expect(parseArguments(["device", "show", "--help"])).toEqual({ kind: "help", command: "device show" });
    for (const [word, about] of Object.entries(GROUPS)) {
      expect(helpText("start")).toContain(`  ${word.padEnd(9)} ${about}`);
      for (const name of commandsOf(word)) {
        expect(groupText(word)).toContain(`  millrace ${name}`);
        expect(about).toContain(name.split(" ")[1]);
      }
    }
    expect(groupText("product topic")).not.toContain("product create");
  });

  test.each([
    [["product"], "MISSING_ARGUMENT", "product", "create, list, show, update, delete, topic, model"],
    [["product", "topic", "--json"], "MISSING_ARGUMENT", "product topic", "add, list, delete"],
    [["devise", "list"], "UNKNOWN_COMMAND", "devise", "did you mean device?"],
    [["device", "lst", "PK"], "UNKNOWN_COMMAND", "device lst", "did you mean device list?"],
    [["device", "list"], "MISSING_ARGUMENT", "PK", "millrace device list PK"],
    [["product", "topic", "add", "PK", "/user/x"], "MISSING_ARGUMENT", "PUB|SUB|ALL", "is missing"],
    [["device", "create", "PK", "DN", "--name", "x"], "UNKNOWN_FLAG", "--name", "product create has it"],
    [["product", "update", "PK"], "MISSING_ARGUMENT", "flags", "nothing is to be changed"],
    [["device", "create", "PK", "DN", "--nickname", ""], "BAD_FLAG", "--nickname", "empty value"],
  ])("%j is a mistake that is explained", (argv, code, path, text) => {
    expect(mistake(...argv)).toMatchObject({ code, path, message: expect.stringContaining(text) });
  });

  test("take their arguments", () => {
    expect(parseArguments(["product", "topic", "add", "PK", "/user/x", "SUB", "--data", "d"])).toEqual({
      kind: "product",
      arguments: {
        action: { verb: "topic add", productKey: "PK", suffix: "/user/x", permission: "SUB" },
        json: false,
        data: "d",
      },
    });
    expect(parseArguments(["device", "import", "-", "--json"])).toEqual({
      kind: "device import",
      arguments: { file: undefined, json: true, data: undefined },
    });
    expect(parseArguments(["device", "export"])).toMatchObject({
      arguments: { action: { verb: "export", productKey: undefined } },
    });
  });
});
