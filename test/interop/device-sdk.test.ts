// The official Node SDK, unmodified, signs in to the platform profile over TCP and TLS, posts a property, and receives
// what the server's side publishes.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { MemoryRegistry } from "../../src/platform/registry/index.ts";
import { eventually, ours, PEER, TestServer } from "../support/server.ts";
import { testCertificate } from "../support/certificate.ts";
import { SdkProcess } from "./sdk-process.ts";

const productKey = "a1EXAMPLE01";
const deviceSecret = "0123456789abcdef0123456789abcdef";
let server: TestServer;
let directory: string;

beforeAll(async () => {
  const tls = await testCertificate();
  directory = mkdtempSync(join(tmpdir(), "millrace-sdk-"));
  writeFileSync(join(directory, "ca.pem"), tls.cert);
  const devices = new MemoryRegistry();
  devices.putProduct({ productKey, productSecret: "ProductSecret001" });
  for (const deviceName of ["device1", "device2", "device3"])
    devices.putDevice({ productKey, deviceName, deviceSecret });
  server = new TestServer({
    profile: "platform",
    platform: { rates: { enabled: false } },
    devices,
    listeners: [{ kind: "auto", port: 0, tls }],
  });
  if (!PEER) await server.start();
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

function sdkDevice(config: object): SdkProcess {
  return new SdkProcess(config, { ca: join(directory, "ca.pem") });
}

describe.each([
  ["TCP", "mqtt://127.0.0.1", "device1"],
  ["TLS", "mqtts://localhost", "device2"],
])("over %s", (_name, url, deviceName) => {
  ours("connects, posts a property and gets its reply, and receives messages of the server", async () => {
    const posted: { topic: string; body: { id: string; params: object; method: string } }[] = [];
    const prefix = `/sys/${productKey}/${deviceName}/thing/event/property/post`;
    const stop = await server.broker.subscribe(prefix, (message) => {
      posted.push({ topic: message.topic, body: JSON.parse(Buffer.from(message.payload).toString()) });
    });
    const device = sdkDevice({
      productKey,
      deviceName,
      deviceSecret,
      brokerUrl: `${url}:${server.port}/`,
    });
    try {
      await device.next("connect");
      // Its own subscriptions are made behind the connect event; one more, acknowledged, is a fence behind them.
      const get = `/${productKey}/${deviceName}/user/get`;
      device.command({ do: "subscribe", topic: get });
      expect(await device.next("subscribed")).toMatchObject({ granted: [{ topic: get, qos: 1 }] });

      device.command({ do: "postProps", params: { LightSwitch: 1 } });
      await eventually(() => posted.length === 1, "the property arrives");
      expect(posted[0].body).toMatchObject({
        params: { LightSwitch: 1 },
        method: "thing.event.property.post",
      });
      expect(await device.next("postProps")).toMatchObject({ reply: { code: 200, id: posted[0].body.id } });

      await server.broker.publish({ topic: get, payload: "from the server", qos: 1 });
      expect(await device.next("message", (event) => event["topic"] === get)).toMatchObject({
        payload: "from the server",
      });

      const set = {
        method: "thing.service.property.set",
        id: "123",
        params: { LightSwitch: 0 },
        version: "1.0.0",
      };
      await server.broker.publish({
        topic: `/sys/${productKey}/${deviceName}/thing/service/property/set`,
        payload: JSON.stringify(set),
      });
      expect(await device.next("props")).toMatchObject({ params: { LightSwitch: 0 } });

      device.command({
        do: "publish",
        topic: `/${productKey}/${deviceName}/user/update`,
        payload: "hello",
        qos: 1,
      });
      const published = await device.next("published");
      expect(published["error"] ?? null).toBeNull();
    } finally {
      await device.end();
      await stop();
    }
  });
});

ours("a wrong secret is refused, and the SDK says so", async () => {
  const device = sdkDevice({
    productKey,
    deviceName: "device3",
    deviceSecret: "f".repeat(32),
    brokerUrl: `mqtt://127.0.0.1:${server.port}/`,
  });
  try {
    expect(await device.next("error")).toMatchObject({ code: 4 });
    expect(device.events.some((event) => event.event === "connect")).toBe(false);
  } finally {
    device.kill();
  }
});

ours("a second process with the same device closes the first one's connection", async () => {
  const config = {
    productKey,
    deviceName: "device3",
    deviceSecret,
    brokerUrl: `mqtt://127.0.0.1:${server.port}/`,
  };
  const reasons: number[] = [];
  const stop = server.broker.on("client.disconnected", (event) => {
    if (event.username === `device3&${productKey}`) reasons.push(event.reason);
  });
  const first = sdkDevice({ ...config, clientId: "first" });
  await first.next("connect");
  const second = sdkDevice({ ...config, clientId: "second" });
  try {
    await second.next("connect");
    await eventually(() => reasons.length > 0, "the first connection ends");
    expect(reasons[0]).toBe(0x8e);
  } finally {
    // Both would go on taking each other's place.
    first.kill();
    await second.end();
    stop();
  }
});
