// mosquitto_pub, mosquitto_sub and mosquitto_rr as clients, where they are installed.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PEER, TestServer, unique } from "../support/server.ts";
import { testCertificate } from "../support/certificate.ts";

const installed = ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"].every(
  (name) => spawnSync(name, ["--help"]).error === undefined,
);
if (!installed)
  console.warn("left out: mosquitto_pub, _sub and _rr are not installed (apt install mosquitto-clients)");
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
const address = (secure: boolean): string[] => {
  const [plain, tls] = server.broker.listeners;
  return secure
    ? ["-h", "localhost", "-p", `${tls.port}`, "--cafile", join(directory, "cert.pem")]
    : ["-h", "127.0.0.1", "-p", `${plain.port}`];
};

const VERSIONS = ["mqttv31", "mqttv311", "mqttv5"] as const;
const ways = [
  ...VERSIONS.map((version) => [version, false] as const),
  ["mqttv311", true],
  ["mqttv5", true],
] as const;

describe.each(ways)("-V %s, TLS %s", (version, secure) => {
  const client = (program: string, topic: string, ...args: string[]): Promise<Result> =>
    run(program, [...address(secure), "-V", version, "-t", topic, ...args]);

  withClients.each(["0", "1", "2"])("QoS %s: what mosquitto_pub sends mosquitto_sub prints", async (qos) => {
    const topic = unique(`mosquitto/${version}/${secure}`);
    const ready = server.subscribed(topic);
    const subscriber = client("mosquitto_sub", topic, "-q", qos, "-C", "2", "-W", "10", "-F", "%t %q %p");
    await ready;
    for (const text of ["hello", "world"]) {
      const published = await client("mosquitto_pub", topic, "-q", qos, "-m", text);
      expect(published).toEqual({ code: 0, output: "" });
    }
    expect(await subscriber).toEqual({ code: 0, output: `${topic} ${qos} hello\n${topic} ${qos} world\n` });
  });

  withClients("a retained message is there for a later mosquitto_sub", async () => {
    const topic = unique(`mosquitto/retained/${version}/${secure}`);
    await client("mosquitto_pub", topic, "-r", "-q", "1", "-m", "kept");
    const result = await client("mosquitto_sub", topic, "-C", "1", "-W", "10", "-F", "%r %p");
    expect(result).toEqual({ code: 0, output: "1 kept\n" });
  });

  withClients("the Will of a mosquitto_sub that is killed reaches another", async () => {
    const topic = unique(`mosquitto/will/${version}/${secure}`);
    const ready = Promise.all([server.subscribed(topic), server.subscribed(`${topic}/mortal`)]);
    const watcher = client("mosquitto_sub", topic, "-q", "1", "-C", "1", "-W", "10");
    const will = ["--will-topic", topic, "--will-payload", "gone", "--will-qos", "1"];
    const args = [...address(secure), "-V", version, "-t", `${topic}/mortal`, ...will];
    const mortal = spawn("mosquitto_sub", args, { stdio: "ignore" });
    await ready;
    mortal.kill("SIGKILL");
    expect(await watcher).toEqual({ code: 0, output: "gone\n" });
  });

  // mosquitto_rr speaks 5.0 by default, and in 3.x agrees on the response topic by its argument alone.
  withClients("mosquitto_rr gets the answer to its request", async () => {
    const topic = unique(`mosquitto/rr/${version}/${secure}`);
    const stop = await server.broker.subscribe(topic, ({ payload, properties }) => {
      const { responseTopic, correlationData } = properties ?? {};
      expect(responseTopic).toBe(version === "mqttv5" ? `${topic}/answer` : undefined);
      const answer = `${Buffer.from(payload)}!`;
      void server.broker.publish({
        topic: `${topic}/answer`,
        payload: answer,
        ...(correlationData ? { properties: { correlationData } } : {}),
      });
    });
    const result = await client("mosquitto_rr", topic, "-e", `${topic}/answer`, "-m", "question", "-W", "10");
    expect(result).toEqual({ code: 0, output: "question!\n" });
    await stop();
  });
});

describe("5.0", () => {
  withClients("properties are printed as they were given", async () => {
    const topic = unique("mosquitto/props");
    const to = [...address(false), "-V", "mqttv5", "-t", topic];
    const property = (...words: string[]): string[] => ["-D", "publish", ...words];
    await run("mosquitto_pub", [
      ...[...to, "-r", "-q", "1", "-m", "x"],
      ...property("content-type", "text/plain"),
      ...property("user-property", "k", "v"),
      ...property("response-topic", "answer"),
    ]);
    const result = await run("mosquitto_sub", [...to, "-C", "1", "-W", "10", "-F", "%C|%P|%R"]);
    expect(result).toEqual({ code: 0, output: "text/plain|k:v|answer\n" });
  });
});
