// paho-mqtt for Python as client: every protocol version over TCP, TLS, WebSocket and WSS, and as a device that signs its
// own password. Left out, with a word, where the package is not installed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MemoryRegistry } from "../../src/platform/registry/index.ts";
import { testCertificate } from "../support/certificate.ts";
import { PEER, TestServer, unique } from "../support/server.ts";
import { JsonProcess } from "./json-process.ts";

// The system's Python has the system's packages, whichever comes first on the path.
const python = ["python3", "/usr/bin/python3"].find(
  (name) => spawnSync(name, ["-c", "import paho.mqtt.client"]).status === 0,
);
if (python === undefined)
  console.warn("left out: paho-mqtt for Python is not installed (apt install python3-paho-mqtt)");
const withPaho = test.skipIf(python === undefined || PEER);

const KINDS = ["tcp", "tls", "ws", "wss"] as const;
const VERSIONS = ["3.1", "3.1.1", "5.0"] as const;
const productKey = "a1EXAMPLE01";
const deviceSecret = "0123456789abcdef0123456789abcdef";
let server: TestServer;
let platform: TestServer;
let directory: string;
let ca: string;
const open: JsonProcess[] = [];

beforeAll(async () => {
  const tls = await testCertificate();
  directory = mkdtempSync(join(tmpdir(), "millrace-paho-"));
  ca = join(directory, "ca.pem");
  writeFileSync(ca, tls.cert);
  server = new TestServer({ listeners: KINDS.map((kind) => ({ kind, port: 0, tls })) });
  const devices = new MemoryRegistry();
  devices.putProduct({ productKey, productSecret: "ProductSecret001" });
  devices.putDevice({ productKey, deviceName: "device1", deviceSecret });
  platform = new TestServer({
    profile: "platform",
    platform: { rates: { enabled: false } },
    devices,
    listeners: [{ kind: "auto", port: 0, tls }],
  });
  if (PEER) return;
  await server.start();
  await platform.start();
});
afterEach(() => {
  for (const one of open.splice(0)) one.kill();
});
afterAll(async () => {
  await server.stop();
  await platform.stop();
  rmSync(directory, { recursive: true, force: true });
});

type Config = { readonly port: number; readonly version: string; readonly [key: string]: unknown };
function client(config: Config): JsonProcess {
  const environment = { CLIENT: JSON.stringify({ clientId: unique("paho"), transport: "tcp", ...config }) };
  const one = new JsonProcess(python ?? "", [join(import.meta.dirname, "paho-client.py")], environment);
  open.push(one);
  return one;
}

describe.each(KINDS)("over %s", (kind) => {
  const target = (): { port: number; transport: string } => ({
    port: server.broker.listeners[KINDS.indexOf(kind)].port,
    transport: kind === "ws" || kind === "wss" ? "websockets" : "tcp",
    ...(kind === "tls" || kind === "wss" ? { ca } : {}),
  });

  withPaho.each(VERSIONS)("MQTT %s: QoS 0, 1 and 2 in order, retained, Will", async (version) => {
    const topic = unique(`paho/${kind}`);
    const one = client({ ...target(), version });
    expect(await one.next("connect")).toMatchObject({ reason: 0 });
    one.command({ do: "subscribe", topic: `${topic}/#`, qos: 2 });
    expect(await one.next("subscribed")).toMatchObject({ granted: [2] });
    for (const qos of [0, 1, 2]) {
      const payload = `hällo ${qos}`;
      one.command({ do: "publish", topic: `${topic}/m`, payload, qos });
      expect(await one.next("message")).toMatchObject({ topic: `${topic}/m`, payload, qos, retain: false });
      expect(await one.next("published")).toMatchObject({ payload });
    }
    const properties = version === "5.0" ? { userProperty: [["b", "1"], ["a", "2"], ["b", "3"]] } : {}; // biome-ignore format: pairs
    one.command({
      do: "publish",
      topic: `${topic}/kept`,
      payload: "kept",
      qos: 1,
      retain: true,
      ...properties,
    });
    await one.next("published");
    await one.next("message");

    const will = { topic: `${topic}/will`, payload: "gone", qos: 2, retain: false };
    const mortal = client({ ...target(), version, will });
    await mortal.next("connect");
    mortal.command({ do: "subscribe", topic: `${topic}/kept`, qos: 1 });
    expect(await mortal.next("message")).toMatchObject({
      payload: "kept",
      qos: 1,
      retain: true,
      userProperty: properties.userProperty ?? [],
    });
    mortal.kill();
    expect(await one.next("message")).toMatchObject({ topic: `${topic}/will`, payload: "gone", qos: 2 });
    await one.end();
  });
});

describe("as a device of the platform", () => {
  const device = { productKey, deviceName: "device1", deviceSecret };

  withPaho.each(VERSIONS)("MQTT %s: signs in, sends, and receives from the server", async (version) => {
    const one = client({ port: platform.port, version, device });
    expect(await one.next("connect")).toMatchObject({ reason: 0 });
    const get = `/${productKey}/device1/user/get`;
    one.command({ do: "subscribe", topic: get, qos: 1 });
    expect(await one.next("subscribed")).toMatchObject({ granted: [1] });
    const received = new Promise<string>((resolve) => {
      void platform.broker.subscribe(`/${productKey}/device1/user/update`, ({ payload }) =>
        resolve(Buffer.from(payload).toString()),
      );
    });
    one.command({ do: "publish", topic: `/${productKey}/device1/user/update`, payload: version, qos: 1 });
    expect(await received).toBe(version);
    await platform.broker.publish({ topic: get, payload: "from the server", qos: 1 });
    expect(await one.next("message")).toMatchObject({ topic: get, payload: "from the server", qos: 1 });
    await one.end();
  });

  withPaho.each([
    ["3.1.1", 4],
    ["5.0", 0x86],
  ])("MQTT %s: a wrong secret is refused with code %i", async (version, reason) => {
    const wrong = { ...device, deviceSecret: "f".repeat(32) };
    const one = client({ port: platform.port, version, device: wrong });
    expect(await one.next("connect")).toMatchObject({ reason });
  });
});
