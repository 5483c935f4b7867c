import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { demoLines, listenerLines, type OpenListener } from "../../../src/cli/start/greeting.ts";
import { quoteAlways, quoteWord } from "../../../src/cli/start/shell-quote.ts";
import { signedCredentials } from "../../../src/platform/demo.ts";

const device = (deviceName: string) => ({
  productKey: "a1demo00001",
  deviceName,
  deviceSecret: "0123456789abcdef0123456789abcdef",
});
const DEVICES = [device("device1"), device("device2")] as const;

/** The words a shell makes of a command line. */
function shellWords(line: string): string[] {
  const script = `set -f; for word in ${line.replace(/^(\S+)/, '"$1"')}; do printf '%s\\0' "$word"; done`;
  const words = execFileSync("sh", ["-c", script, "sh"], { encoding: "utf8" }).split("\0");
  return [line.split(" ")[0], ...words.slice(1, -1)];
}

/** The lines that are commands: they begin with a program's name. */
const commands = (text: string) => text.split("\n").filter((line) => /^(mosquitto_|npx )/.test(line));

describe("the three commands", () => {
  const open: OpenListener[] = [
    { url: "auto://localhost:1883", profile: "platform", caFile: "/data/certificate.pem" },
    { url: "tls://localhost:8883", profile: "platform", caFile: "/data/certificate.pem" },
  ];
  const text = demoLines(open, DEVICES, undefined);
  const first = signedCredentials(DEVICES[0], { securemode: 3 });
  const second = signedCredentials(DEVICES[1], { securemode: 3 });

  test("stand alone on their lines, in order", () => {
    const lines = text.split("\n");
    for (const command of commands(text)) {
      const at = lines.indexOf(command);
      expect([lines[at - 1], lines[at + 1]]).toEqual(["", ""]);
    }
    expect(commands(text).map((line) => line.split(" ")[0])).toEqual([
      "mosquitto_sub",
      "npx",
      "mosquitto_pub",
    ]);
  });

  test("reach their programs word by word, whatever the credentials contain", () => {
    const [subscribe, publish, send] = commands(text).map(shellWords);
    const at = ["-h", "127.0.0.1", "-p", "1883"];
    const tail = ["-k", "60", "-V", "mqttv311"];
    expect(first.clientId).toContain("|");
    expect(first.username).toContain("&");
    const who = (c: typeof first) => ["-i", c.clientId, "-u", c.username, "-P", c.password];
    expect(subscribe).toEqual([
      "mosquitto_sub",
      ...at,
      ...who(first),
      ...tail,
      ...["-t", "/a1demo00001/device1/user/get", "-q", "1"],
    ]);
    expect(publish).toEqual([
      "npx",
      "millrace",
      "publish",
      "/a1demo00001/device1/user/get",
      "hello from the server",
    ]);
    expect(send).toEqual([
      "mosquitto_pub",
      ...at,
      ...who(second),
      ...tail,
      ...["-t", "/a1demo00001/device2/user/update", "-q", "1", "-m", "hello from the device"],
    ]);
  });

  test("name another data directory", () => {
    const [, publish] = commands(demoLines(open, DEVICES, "/it's a dir")).map(shellWords);
    expect(publish.slice(0, 5)).toEqual(["npx", "millrace", "publish", "--data", "/it's a dir"]);
  });
});

describe("the endpoint", () => {
  const subscribe = (...listeners: OpenListener[]) => commands(demoLines(listeners, DEVICES, undefined))[0];
  test.each<[string, OpenListener[], string]>([
    [
      "plain before TLS",
      [
        { url: "tls://localhost:1", profile: "platform" },
        { url: "tcp://localhost:2", profile: "platform" },
      ],
      "-h 127.0.0.1 -p 2 ",
    ],
    [
      "platform before standard",
      [
        { url: "tcp://localhost:1", profile: "standard" },
        { url: "tcp://[::1]:2", profile: "platform" },
      ],
      "-h ::1 -p 2 ",
    ],
    ["all addresses", [{ url: "tcp://0.0.0.0:1", profile: "platform" }], "-h 127.0.0.1 -p 1 "],
    ["all addresses of IPv6", [{ url: "tcp://[::]:1", profile: "platform" }], "-h ::1 -p 1 "],
    ["one address", [{ url: "tcp://10.1.2.3:1", profile: "platform" }], "-h 10.1.2.3 -p 1 "],
    [
      "TLS alone, self-signed",
      [{ url: "tls://0.0.0.0:1", profile: "platform", caFile: "/a b.pem" }],
      "-h localhost -p 1 --cafile '/a b.pem' ",
    ],
    [
      "TLS alone",
      [{ url: "tls://mq.example:1", profile: "platform" }],
      "-h mq.example -p 1 --tls-use-os-certs ",
    ],
  ])("%s", (_, listeners, expected) => {
    expect(subscribe(...listeners)).toContain(expected);
  });

  test("over TLS signs for TLS", () => {
    expect(subscribe({ url: "tls://a:1", profile: "platform" })).toContain("securemode=2");
  });

  test("that mosquitto cannot reach leaves the command from the server's side", () => {
    expect(
      commands(demoLines([{ url: "ws://localhost:1", profile: "platform" }], DEVICES, undefined)),
    ).toHaveLength(1);
  });
});

test("listeners are listed with what they speak", () => {
  const listeners = [
    { url: "auto://localhost:1883", profile: "platform" },
    { url: "unix:///s", profile: "standard" },
  ] as const;
  expect(listenerLines(listeners)).toBe(
    "  auto://localhost:1883  MQTT, TLS and WebSocket, told apart by the first byte, platform profile\n" +
      "  unix:///s              MQTT, standard profile\n",
  );
});

test("quoting survives the shell, byte for byte", () => {
  for (const word of [
    "",
    "a",
    "it's",
    "$HOME",
    "a b",
    "|&;<>()",
    '"',
    "\\",
    "`id`",
    "*",
    "~",
    "a\nb",
    "ü",
    "-x",
    "!1",
    "a=b",
  ]) {
    for (const quoted of [quoteAlways(word), quoteWord(word)]) {
      expect(execFileSync("sh", ["-c", `printf %s ${quoted}`], { encoding: "utf8" })).toBe(word);
    }
  }
});
