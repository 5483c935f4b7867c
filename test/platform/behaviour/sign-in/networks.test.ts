// Devices over every transport and version, as the SDKs come: one port for all, any host name, any path, with TLS or without.
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWebSocketStream, WebSocket } from "ws";
import { signedCredentials } from "../../../../src/platform/demo.ts";
import { testCertificate } from "../../../support/certificate.ts";
import { RawClient, type Target } from "../../../support/raw-client.ts";
import { ALL, BOTH, TestServer } from "../../../support/server.ts";
import type { ConnectOptions } from "../../../support/wire.ts";
import { deviceConnect, PK, registryOf, secretOf } from "../../signed-device.ts";

let server: TestServer;
let strict: TestServer;
const warnings: string[] = [];
const logger = {
  debug() {},
  info() {},
  warn: (_: object, text: string) => void warnings.push(text),
  error() {},
};

beforeAll(async () => {
  const tls = await testCertificate();
  const platform = { rates: { enabled: false }, mqtt5: { oneFamily: false } };
  const listeners = [{ kind: "auto", host: "0.0.0.0", port: 0, tls }] as const;
  server = new TestServer({
    profile: "platform",
    devices: registryOf("device1", "device2"),
    platform: { ...platform, connection: { clientIdUnique: true } },
    listeners,
    logger,
  });
  strict = new TestServer({
    profile: "platform",
    devices: registryOf("device1"),
    platform: { ...platform, tcp: { plain: false } },
    listeners,
  });
  await server.start();
  await strict.start();
});
afterAll(async () => {
  await server.stop();
  await strict.stop();
});

function signed(securemode: 2 | 3, options: ConnectOptions = {}): ConnectOptions {
  const device = { productKey: PK, deviceName: "device1", deviceSecret: secretOf("device1") };
  return { ...signedCredentials(device, { securemode }), keepAlive: 60, ...options };
}

const GET = `/${PK}/device1/user/get`;
const WAYS = ["tcp", "tls", "ws", "wss"] as const;

describe.each(ALL)("[NET-1] MQTT %s", (_name, version) => {
  test.each(WAYS)("[NET-7] [NET-8] %s on one port", async (transport) => {
    const secure = transport === "tls" || transport === "wss";
    const client = await server.connect(version, signed(secure ? 2 : 3), { transport });
    expect((await client.subscribe({ filter: GET, qos: 1 })).reasons).toEqual([1]);
    await server.broker.publish({ topic: GET, payload: transport, qos: 1 });
    expect((await client.receive()).text).toBe(transport);
  });

  test.each([
    ["no subprotocol, path /", "/", undefined],
    ["mqtt, any path", "/any/path?x=1", "mqtt"],
    ["mqttv3.1", "/", "mqttv3.1"],
  ])("[NET-9] WebSocket: %s", async (_what, path, protocol) => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}${path}`, protocol);
    await once(socket, "open");
    const client = new RawClient(createWebSocketStream(socket), version);
    await client.connect(signed(3));
    expect(client.connack.reason).toBe(0);
    client.destroy();
  });

  test.each(["a1OTHER.iot-as-mqtt.cn-shanghai.aliyuncs.com", "iot-abc.mqtt.iothub.aliyuncs.com"])(
    "[NET-10] the host name %s says nothing of who signs in",
    async (servername) => {
      const target: Partial<Target> = { transport: "tls", tls: { servername } };
      await (await server.connect(version, signed(2), target)).fence();
    },
  );

  test("[NET-6] without TLS: refused where it is switched off, warned of where not", async () => {
    for (const transport of ["tcp", "ws"] as const) {
      const client = await strict.open(version, { transport });
      client.send(client.wire.connect(signed(3)));
      await client.expectRefusal(5, 0x87);
    }
    await (await strict.connect(version, signed(2), { transport: "tls" })).fence();
    expect(warnings.filter((text) => text.includes("without TLS"))).toHaveLength(1);
  });
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[CONN-2] clientIdUnique: another device with the same client id ends the first", async () => {
    const clientId = "12345";
    const credentials = (deviceName: string) => {
      const device = { productKey: PK, deviceName, deviceSecret: secretOf(deviceName) };
      return { ...signedCredentials(device, { securemode: 3, clientId }), keepAlive: 60 };
    };
    const first = await server.connect(version, credentials("device1"));
    const second = await server.connect(version, credentials("device2"));
    await first.expectEnd(0x8e);
    await (await server.connect(version, deviceConnect("device1"))).fence();
    await second.fence();
  });
});
