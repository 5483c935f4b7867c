// mosquitto_pub, _sub and _rr as devices that sign in as on the platform.
import { spawn, spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signedCredentials } from "../../src/platform/demo.ts";
import { CLASSES } from "../platform/devices.ts";
import { PK, registryOf, secretOf } from "../platform/signed-device.ts";
import { PEER, TestServer } from "../support/server.ts";

const installed = ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"].every(
  (name) => spawnSync(name, ["--help"]).error === undefined,
);
if (!installed)
  console.warn("left out: mosquitto_pub, _sub and _rr are not installed (apt install mosquitto-clients)");
const withClients = test.skipIf(!installed || PEER);

const devices = registryOf("device1", "device2");
devices.putProduct({
  productKey: PK,
  productSecret: "ProductSecret001",
  topicClasses: [...CLASSES, { suffix: "/user/answer", permission: "SUB" }],
});
const server = new TestServer({ profile: "platform", platform: { rates: { enabled: false } }, devices });
beforeAll(async () => {
  if (!PEER) await server.start();
});
afterAll(() => server.stop());

interface Result {
  code: number | null;
  output: string;
}

/** As the README's lines do: signed, Keep Alive in range. */
function run(program: string, version: string, deviceName: string, ...args: string[]): Promise<Result> {
  const { clientId, username, password } = signedCredentials(
    { productKey: PK, deviceName, deviceSecret: secretOf(deviceName) },
    { securemode: 3 },
  );
  const who = ["-i", clientId, "-u", username, "-P", password, "-k", "60", "-V", version];
  const child = spawn(program, ["-h", "127.0.0.1", "-p", `${server.port}`, ...who, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

describe.each(["mqttv31", "mqttv311", "mqttv5"])("-V %s", (version) => {
  withClients("[AUTH-5] mosquitto_pub signs in and publishes", async () => {
    const topic = `/${PK}/device1/user/update`;
    const sent: string[] = [];
    const stop = await server.broker.subscribe(topic, ({ payload }) => {
      sent.push(Buffer.from(payload).toString());
    });
    const result = await run("mosquitto_pub", version, "device1", "-t", topic, "-q", "1", "-m", "hello");
    expect(result).toEqual({ code: 0, output: "" });
    expect(sent).toEqual(["hello"]);
    await stop();
  });

  withClients("[TOPIC-8] mosquitto_sub signs in and prints what the server sends", async () => {
    const topic = `/${PK}/device2/user/get`;
    const ready = server.subscribed(topic);
    const result = run("mosquitto_sub", version, "device2", "-t", topic, "-q", "1", "-C", "1", "-W", "10");
    await ready;
    await server.broker.publish({ topic, payload: "hello", qos: 1 });
    expect(await result).toEqual({ code: 0, output: "hello\n" });
  });

  withClients("[V5-8] mosquitto_rr gets the answer to its request", async () => {
    const topic = `/${PK}/device1/user/update`;
    const answer = `/${PK}/device1/user/answer`;
    const asked: (string | undefined)[] = [];
    const stop = await server.broker.subscribe(topic, ({ payload, properties }) => {
      asked.push(properties?.responseTopic);
      const { correlationData } = properties ?? {};
      void server.broker.publish({
        topic: answer,
        payload: `${Buffer.from(payload)}!`,
        ...(correlationData ? { properties: { correlationData } } : {}),
      });
    });
    const words = ["-t", topic, "-e", answer, "-m", "question", "-W", "10"];
    const correlation = version === "mqttv5" ? ["-D", "publish", "correlation-data", "c-1"] : [];
    const result = await run("mosquitto_rr", version, "device1", ...words, ...correlation);
    expect(result).toEqual({ code: 0, output: "question!\n" });
    expect(asked).toEqual([version === "mqttv5" ? answer : undefined]);
    await stop();
  });
});

withClients("[AUTH-4] a wrong user name: the client ends with the code and says so", async () => {
  const result = await run("mosquitto_pub", "mqttv311", "device1", "-u", "nobody", "-t", "x", "-m", "x");
  expect(result.code).not.toBe(0);
  expect(result.output).toContain("bad user name or password");
});
