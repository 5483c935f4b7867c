// MQTT.js as a device that signs in as on the platform, in every protocol version and over every transport of one port.
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { signedCredentials } from "../../src/platform/demo.ts";
import { CLASSES } from "../platform/devices.ts";
import { PK, registryOf, secretOf } from "../platform/signed-device.ts";
import { testCertificate } from "../support/certificate.ts";
import { ours, PEER, TestServer } from "../support/server.ts";

const VERSIONS = [
  ["3.1", { protocolVersion: 3, protocolId: "MQIsdp" }],
  ["3.1.1", { protocolVersion: 4 }],
  ["5.0", { protocolVersion: 5 }],
] as [string, IClientOptions][];

let server: TestServer;
const open: MqttClient[] = [];
beforeAll(async () => {
  const tls = await testCertificate();
  const devices = registryOf("device1", "device2");
  const topicClasses = [...CLASSES, { suffix: "/user/answer", permission: "SUB" } as const];
  devices.putProduct({ productKey: PK, productSecret: "ProductSecret001", topicClasses });
  server = new TestServer({
    profile: "platform",
    platform: { rates: { enabled: false } },
    devices,
    listeners: [{ kind: "auto", port: 0, tls }],
  });
  if (!PEER) await server.start();
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.endAsync(true);
});
afterAll(() => server.stop());

async function device(
  deviceName: string,
  options: IClientOptions,
  scheme = "mqtt",
  deviceSecret = secretOf(deviceName),
): Promise<MqttClient> {
  const securemode = scheme === "mqtts" || scheme === "wss" ? 2 : 3;
  const signed = signedCredentials({ productKey: PK, deviceName, deviceSecret }, { securemode });
  const one = await mqtt.connectAsync(`${scheme}://127.0.0.1:${server.port}/`, {
    ...signed,
    keepalive: 60,
    rejectUnauthorized: false,
    reconnectPeriod: 0,
    ...options,
  });
  open.push(one);
  return one;
}

interface Received {
  topic: string;
  payload: string;
  qos: number;
  properties: Record<string, unknown> | undefined;
}
function next(one: MqttClient): Promise<Received> {
  return new Promise((resolve) => {
    one.once("message", (topic, payload, packet) =>
      resolve({
        topic,
        payload: payload.toString(),
        qos: packet.qos,
        properties: packet.properties as Record<string, unknown> | undefined,
      }),
    );
  });
}

describe.each(VERSIONS)("MQTT %s", (_name, version) => {
  ours.each(["mqtt", "mqtts", "ws", "wss"])(
    "[NET-7] [NET-8] [NET-9] over %s, one port: signs in, sends, is told",
    async (scheme) => {
      const one = await device("device1", version, scheme);
      const sent: string[] = [];
      const stop = await server.broker.subscribe(`/${PK}/device1/user/update`, ({ payload }) => {
        sent.push(Buffer.from(payload).toString());
      });
      await one.publishAsync(`/${PK}/device1/user/update`, "up", { qos: 1 });
      expect(sent).toEqual(["up"]);
      await stop();
      const get = `/${PK}/device1/user/get`;
      expect((await one.subscribeAsync(get, { qos: 1 }))[0].qos).toBe(1);
      const told = next(one);
      await server.broker.publish({ topic: get, payload: "down", qos: 1 });
      expect(await told).toMatchObject({ topic: get, payload: "down", qos: 1 });
    },
  );

  ours("[AUTH-5] a wrong secret is refused", async () => {
    const code = version.protocolVersion === 5 ? 0x86 : 4;
    await expect(device("device1", version, "mqtt", "wrong")).rejects.toMatchObject({ code });
  });

  ours("[RRPC-1] a synchronous call is answered", async () => {
    const one = await device("device1", version);
    await one.subscribeAsync(`/sys/${PK}/device1/rrpc/request/+`);
    one.on("message", (topic, payload) => one.publish(topic.replace("request", "response"), `${payload}!`));
    const answer = await server.broker.rrpc({ productKey: PK, deviceName: "device1" }, "question");
    expect(answer).toMatchObject({ code: "SUCCESS", payload: Buffer.from("question!") });
  });

  ours("[SESS-1] what was sent meanwhile waits for it, under another ClientID too [SESS-0]", async () => {
    const kept: IClientOptions = {
      ...version,
      clean: false,
      ...(version.protocolVersion === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}),
    };
    const get = `/${PK}/device2/user/get`;
    const first = await device("device2", kept);
    await first.subscribeAsync(get, { qos: 1 });
    await first.endAsync();
    for (const payload of ["1", "2", "3"]) await server.broker.publish({ topic: get, payload, qos: 1 });
    const { clientId } = signedCredentials(
      { productKey: PK, deviceName: "device2", deviceSecret: secretOf("device2") },
      { securemode: 3 },
    );
    const got: string[] = [];
    const second = mqtt.connect(`mqtt://127.0.0.1:${server.port}/`, {
      ...signedCredentials(
        { productKey: PK, deviceName: "device2", deviceSecret: secretOf("device2") },
        { securemode: 3 },
      ),
      // What follows the bar is not signed.
      clientId: clientId.replace(/\|$/, ",_m=another start|"),
      ...kept,
      reconnectPeriod: 0,
    });
    open.push(second);
    await new Promise<void>((resolve) => {
      second.on("message", (_topic, payload) => {
        got.push(payload.toString());
        if (got.length === 3) resolve();
      });
    });
    expect(got).toEqual(["1", "2", "3"]);
    await second.endAsync();
    await (await device("device2", { ...version, clean: true })).endAsync();
  });
});

ours(
  "[V5-8] request and response: the server's side reads ResponseTopic and CorrelationData, the device gets its bytes",
  async () => {
    const one = await device("device1", { protocolVersion: 5 });
    const answerTo = `/${PK}/device1/user/answer`;
    await one.subscribeAsync(answerTo, { qos: 1 });
    const stop = await server.broker.subscribe(`/${PK}/device1/user/update`, ({ payload, properties }) => {
      void server.broker.publish({
        topic: properties?.responseTopic ?? "",
        payload: `${Buffer.from(payload)}!`,
        qos: 1,
        properties: { correlationData: properties?.correlationData },
      });
    });
    const correlationData = Buffer.from([0, 255, 128, 10, 13]);
    const answered = next(one);
    await one.publishAsync(`/${PK}/device1/user/update`, "question", {
      qos: 1,
      properties: { responseTopic: answerTo, correlationData },
    });
    const { topic, payload, properties } = await answered;
    expect({ topic, payload }).toEqual({ topic: answerTo, payload: "question!" });
    expect(properties?.["correlationData"]).toEqual(correlationData);
    await stop();
  },
);

ours("[V5-9] with aliases used by the library's own choice nothing is lost", async () => {
  const options: IClientOptions = { protocolVersion: 5, autoAssignTopicAlias: true };
  const one = await device("device1", options);
  const both = `/${PK}/device1/user/both`;
  await one.subscribeAsync(both, { qos: 1 });
  const got: string[] = [];
  const all = new Promise<void>((resolve) => {
    one.on("message", (_topic, payload) => {
      got.push(payload.toString());
      if (got.length === 20) resolve();
    });
  });
  for (let index = 0; index < 20; index++) one.publish(both, `${index}`, { qos: 0 });
  await all;
  expect(got).toEqual(Array.from({ length: 20 }, (_, index) => `${index}`));
});
