// mosquitto_pub and mosquitto_sub as clients, where they are installed.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PEER, TestServer, unique } from "../support/server.ts";
import { testCertificate } from "../support/certificate.ts";

const installed = ["mosquitto_pub", "mosquitto_sub"].every(
  (name) => spawnSync(name, ["--help"]).error === undefined,
);
if (!installed)
  console.warn(
    "mosquitto_pub and mosquitto_sub are not installed (apt install mosquitto-clients): their tests are skipped",
  );
const withClients = test.skipIf(!installed || PEER);

let server: TestServer;
let directory: string;
beforeAll(async () => {
  const tls = await testCertificate();
  directory = mkdtempSync(join(tmpdir(), "millrace-interop-"));
  writeFileSync(join(directory, "cert.pem"), tls.cert);
  server = new TestServer({ listeners: [{ port: 0 }, { kind: "tls", port: 0, tls }] });
  if (!PEER) await server.start();
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

interface Result {
  code: number | null;
  output: string;
}
function run(command: string, args: string[]): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}
const address = (secure: boolean): string[] =>
  secure
    ? [
        "-h",
        "localhost",
        "-p",
        String(server.broker.listeners[1].port),
        "--cafile",
        join(directory, "cert.pem"),
        "--insecure",
      ]
    : ["-h", "127.0.0.1", "-p", String(server.broker.listeners[0].port)];

describe.each([
  ["mqttv31", false],
  ["mqttv311", false],
  ["mqttv5", false],
  ["mqttv311", true],
  ["mqttv5", true],
] as const)("-V %s, TLS %s", (version, secure) => {
  withClients.each([0, 1, 2])("QoS %i: what mosquitto_pub sends mosquitto_sub prints", async (qos) => {
    const topic = unique(`mosquitto/${version}/${secure}`);
    const subscribed = new Promise<void>((resolve) => {
      const stop = server.broker.on("client.subscribed", (event) => {
        if (event.filter !== topic) return;
        stop();
        resolve();
      });
    });
    const subscriber = run("mosquitto_sub", [
      ...address(secure),
      "-V",
      version,
      "-t",
      topic,
      "-q",
      String(qos),
      "-C",
      "2",
      "-W",
      "10",
      "-F",
      "%t %q %p",
    ]);
    await subscribed;
    for (const text of ["hello", "world"]) {
      const published = await run("mosquitto_pub", [
        ...address(secure),
        "-V",
        version,
        "-t",
        topic,
        "-q",
        String(qos),
        "-m",
        text,
      ]);
      expect(published).toEqual({ code: 0, output: "" });
    }
    expect(await subscriber).toEqual({ code: 0, output: `${topic} ${qos} hello\n${topic} ${qos} world\n` });
  });

  withClients("a retained message is there for a later mosquitto_sub", async () => {
    const topic = unique(`mosquitto/retained/${version}/${secure}`);
    await run("mosquitto_pub", [
      ...address(secure),
      "-V",
      version,
      "-t",
      topic,
      "-r",
      "-q",
      "1",
      "-m",
      "kept",
    ]);
    const result = await run("mosquitto_sub", [
      ...address(secure),
      "-V",
      version,
      "-t",
      topic,
      "-C",
      "1",
      "-W",
      "10",
      "-F",
      "%r %p",
    ]);
    expect(result).toEqual({ code: 0, output: "1 kept\n" });
  });
});

describe("5.0", () => {
  withClients("properties are printed as they were given", async () => {
    const topic = unique("mosquitto/props");
    const pub = [
      "-V",
      "mqttv5",
      "-t",
      topic,
      "-r",
      "-q",
      "1",
      "-m",
      "x",
      "-D",
      "publish",
      "content-type",
      "text/plain",
      "-D",
      "publish",
      "user-property",
      "k",
      "v",
    ];
    await run("mosquitto_pub", [...address(false), ...pub, "-D", "publish", "response-topic", "answer"]);
    const result = await run("mosquitto_sub", [
      ...address(false),
      "-V",
      "mqttv5",
      "-t",
      topic,
      "-C",
      "1",
      "-W",
      "10",
      "-F",
      "%C|%P|%R",
    ]);
    expect(result).toEqual({ code: 0, output: "text/plain|k:v|answer\n" });
  });
});
