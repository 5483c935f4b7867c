// MQTT.js 5 as client: every protocol version over TCP, TLS, WebSocket and WSS.
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { ours, TestServer, unique } from "../support/server.ts";
import { testCertificate } from "../support/certificate.ts";

const KINDS = ["tcp", "tls", "ws", "wss"] as const;
const SCHEMES = { tcp: "mqtt", tls: "mqtts", ws: "ws", wss: "wss" };
const VERSIONS = [
  ["3.1", { protocolVersion: 3, protocolId: "MQIsdp" }],
  ["3.1.1", { protocolVersion: 4 }],
  ["5.0", { protocolVersion: 5 }],
] as [string, IClientOptions][];

let server: TestServer;
beforeAll(async () => {
  const tls = await testCertificate();
  server = new TestServer({
    listeners: KINDS.map((kind) => ({ kind, port: 0, ...(kind === "tls" || kind === "wss" ? { tls } : {}) })),
  });
  await server.start();
});
afterAll(() => server.stop());

const open: MqttClient[] = [];
async function client(kind: (typeof KINDS)[number], options: IClientOptions): Promise<MqttClient> {
  const port = server.broker.listeners[KINDS.indexOf(kind)].port;
  const one = await mqtt.connectAsync(`${SCHEMES[kind]}://127.0.0.1:${port}/mqtt`, {
    clientId: unique("mqttjs"),
    rejectUnauthorized: false,
    reconnectPeriod: 0,
    ...options,
  });
  open.push(one);
  return one;
}
afterAll(() => Promise.all(open.map((one) => one.endAsync(true))));

/** Collects what comes until `count` messages are there. */
function collect(
  one: MqttClient,
  count: number,
): Promise<{ topic: string; payload: string; qos: number; retain: boolean }[]> {
  const got: { topic: string; payload: string; qos: number; retain: boolean }[] = [];
  return new Promise((resolve) => {
    one.on("message", (topic, payload, packet) => {
      got.push({ topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain });
      if (got.length === count) resolve(got);
    });
  });
}

describe.each(KINDS)("over %s", (kind) => {
  describe.each(VERSIONS)("MQTT %s", (_name, version) => {
    ours("publishes and receives with QoS 0, 1 and 2, retained and not, in order", async () => {
      const root = unique(`${kind}/js`);
      const subscriber = await client(kind, version);
      const publisher = await client(kind, version);
      const got = collect(subscriber, 30);
      const granted = await subscriber.subscribeAsync(`${root}/#`, { qos: 2 });
      expect(granted[0].qos).toBe(2);
      for (let index = 0; index < 30; index++)
        await publisher.publishAsync(`${root}/${index % 3}`, `${index}`, { qos: (index % 3) as 0 | 1 | 2 });
      expect((await got).map(({ payload }) => Number(payload))).toEqual(
        Array.from({ length: 30 }, (_, index) => index),
      );
      await publisher.publishAsync(`${root}/kept`, "kept", { qos: 1, retain: true });
      const late = await client(kind, version);
      const kept = collect(late, 1);
      await late.subscribeAsync(`${root}/kept`, { qos: 1 });
      expect(await kept).toEqual([{ topic: `${root}/kept`, payload: "kept", qos: 1, retain: true }]);
    });

    ours("keeps a session", async () => {
      const root = unique(`${kind}/session`);
      const options: IClientOptions = {
        ...version,
        clientId: unique("session"),
        clean: false,
        ...(version.protocolVersion === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}),
      };
      const first = await client(kind, options);
      await first.subscribeAsync(root, { qos: 1 });
      await first.endAsync();
      const publisher = await client(kind, version);
      for (let index = 0; index < 10; index++) await publisher.publishAsync(root, `${index}`, { qos: 1 });
      const port = server.broker.listeners[KINDS.indexOf(kind)].port;
      const second = mqtt.connect(`${SCHEMES[kind]}://127.0.0.1:${port}/mqtt`, {
        ...options,
        rejectUnauthorized: false,
        reconnectPeriod: 0,
      });
      open.push(second);
      const got = await collect(second, 10);
      expect(got.map(({ payload }) => payload)).toEqual([..."0123456789"]);
    });

    ours("carries big messages both ways", async () => {
      const root = unique(`${kind}/big`);
      const one = await client(kind, version);
      const payload = "0123456789abcdef".repeat(20_000);
      const got = collect(one, 2);
      await one.subscribeAsync(root, { qos: 1 });
      await one.publishAsync(root, payload, { qos: 1 });
      await one.publishAsync(root, "after", { qos: 0 });
      expect((await got).map((message) => message.payload === payload || message.payload)).toEqual([
        true,
        "after",
      ]);
    });

    ours("delivers the Will of a client that is gone", async () => {
      const topic = unique(`${kind}/will`);
      const watcher = await client(kind, version);
      const got = collect(watcher, 1);
      await watcher.subscribeAsync(topic, { qos: 1 });
      const mortal = await client(kind, {
        ...version,
        will: { topic, payload: Buffer.from("gone"), qos: 1, retain: false },
      });
      mortal.stream.destroy();
      expect(await got).toMatchObject([{ payload: "gone", qos: 1 }]);
    });
  });

  ours("5.0 properties, aliases of both sides, and reason codes", async () => {
    const root = unique(`${kind}/five`);
    const options: IClientOptions = {
      protocolVersion: 5,
      autoAssignTopicAlias: true,
      autoUseTopicAlias: true,
      properties: { topicAliasMaximum: 5, receiveMaximum: 3, requestResponseInformation: true },
    };
    const one = await client(kind, options);
    const topics: string[] = [];
    const seen = new Promise<Record<string, unknown>>((resolve) => {
      one.on("message", (topic, _payload, packet) => {
        topics.push(topic);
        if (topics.length === 40) resolve({ ...packet.properties });
      });
    });
    await one.subscribeAsync(`${root}/#`, { qos: 1, properties: { subscriptionIdentifier: 42 } });
    const other = await client(kind, options);
    for (let index = 0; index < 40; index++) {
      await other.publishAsync(`${root}/${index % 4}`, "x", {
        qos: 1,
        properties: {
          contentType: "text/plain",
          userProperties: { a: ["1", "2"] },
          correlationData: Buffer.from("c"),
          responseTopic: "r",
        },
      });
    }
    const properties = await seen;
    expect(topics).toEqual(Array.from({ length: 40 }, (_, index) => `${root}/${index % 4}`));
    expect(properties).toMatchObject({
      contentType: "text/plain",
      responseTopic: "r",
      subscriptionIdentifier: 42,
    });
  });
});
