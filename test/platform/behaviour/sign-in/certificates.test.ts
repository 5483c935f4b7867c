// [AUTH-11] Devices of a product with X.509 authentication, over real TLS sockets, in 3.1.1 and 5.0.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  deviceCertificate,
  fingerprintOf,
  loadOrCreateAuthority,
} from "../../../../src/transport/tls/device-authority.ts";
import { testCertificate } from "../../../support/certificate.ts";
import { BOTH, TestServer } from "../../../support/server.ts";
import type { ConnectOptions, Version } from "../../../support/wire.ts";
import { deviceConnect, PK, registryOf } from "../../signed-device.ts";

const XK = "x509product";
const registry = registryOf("device1");
const directory = mkdtempSync(join(tmpdir(), "millrace-x509-"));
let server: TestServer;
let mine: { key: string; cert: string };
let others: { key: string; cert: string };
let foreign: { key: string; cert: string };

beforeAll(async () => {
  const authority = await loadOrCreateAuthority(directory);
  [mine, others] = await Promise.all(
    ["sensor1", "sensor2"].map((name) => deviceCertificate(name, authority)),
  );
  foreign = await testCertificate();
  await registry.createProduct({ productKey: XK, authType: "x509" });
  for (const [deviceName, { cert }] of [
    ["sensor1", mine],
    ["sensor2", others],
  ] as const)
    await registry.createDevice({ productKey: XK, deviceName, certificate: fingerprintOf(cert, deviceName) });
  await registry.createDevice({ productKey: XK, deviceName: "bare" });
  const tls = { ...(await testCertificate()), ca: authority.cert, clientCertificate: "request" } as const;
  server = new TestServer({
    profile: "platform",
    devices: registry,
    platform: { rates: { enabled: false }, mqtt5: { oneFamily: false } },
    listeners: [
      { kind: "auto", port: 0, tls },
      { kind: "auto", port: 0, tls: await testCertificate() },
    ],
  });
  await server.start();
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

const named = (deviceName: string, options: ConnectOptions = {}): ConnectOptions => ({
  clientId: `${XK}.${deviceName}|securemode=2,signmethod=hmacsha256|`,
  username: `${deviceName}&${XK}`,
  keepAlive: 60,
  ...options,
});
const NAMELESS: ConnectOptions = { clientId: "", keepAlive: 60 };
const over = (pair?: { key: string; cert: string }) => ({ transport: "tls", tls: pair ?? {} }) as const;

async function refused(version: Version, options: ConnectOptions, pair?: { key: string; cert: string }) {
  const client = await server.open(version, over(pair));
  client.send(client.wire.connect(options));
  await client.expectRefusal(5, 0x87);
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[AUTH-11] [TOPIC-8] without names at first: they are told unasked; then with names and no password", async () => {
    const first = await server.connect(version, NAMELESS, over(mine));
    const { topic, text } = await first.receive();
    expect(topic).toBe("/ext/auth/identity/response");
    expect(JSON.parse(text)).toEqual({ productKey: XK, deviceName: "sensor1" });
    if (version === 5) expect(first.connack.properties?.assignedClientIdentifier).toBe(`${XK}.sensor1`);
    const get = `/${XK}/sensor1/user/get`;
    expect((await first.subscribe(get)).reasons).toEqual([0]);
    const second = await server.connect(version, named("sensor1"), over(mine));
    await first.expectEnd(0x8e); // one device, one connection
    await second.expectNothing();
    await server.connect(version, named("sensor1", { password: "" }), over(mine));
  });

  test("[AUTH-11] no certificate, another device's, one of nobody, one of a foreign authority: 5", async () => {
    await refused(version, named("sensor1"));
    await refused(version, named("sensor1"), others);
    await refused(version, named("sensor1"), foreign);
    await refused(version, named("bare"), mine);
    await refused(version, named("nobody"), mine);
    await refused(version, named("sensor1", { password: "secret" }), mine);
    const device = registry.findDevice(XK, "sensor1") ?? expect.fail();
    await refused(
      version,
      deviceConnect("sensor1", { productKey: XK, deviceSecret: device.deviceSecret }),
      mine,
    );
    const plain = await server.open(version);
    plain.send(plain.wire.connect(named("sensor1")));
    await plain.expectRefusal(5, 0x87);
  });

  test("[AUTH-11] without names, and a certificate that is no device's or none at all", async () => {
    await registry.updateDevice(XK, "sensor2", { certificate: undefined });
    await refused(version, NAMELESS, others);
    await registry.updateDevice(XK, "sensor2", { certificate: fingerprintOf(others.cert, "") });
    const client = await server.open(version, over());
    client.send(client.wire.connect(NAMELESS));
    await client.expectRefusal(2, 0x85);
  });

  test("[AUTH-11] [CONN-5] a Keep Alive out of range, with names and without", async () => {
    for (const options of [named("sensor1"), NAMELESS]) {
      for (const keepAlive of [0, 29, 1_201]) {
        const client = await server.open(version, over(mine));
        client.send(client.wire.connect({ ...options, keepAlive }));
        await client.expectRefusal(2, 0x80);
      }
      for (const keepAlive of [30, 1_200])
        await (await server.connect(version, { ...options, keepAlive }, over(mine))).fence();
    }
  });

  test("[AUTH-11] [AUTH-13] a disabled device, and one bound to another certificate", async () => {
    await registry.disableDevice(XK, "sensor2");
    const client = await server.open(version, over(others));
    client.send(client.wire.connect(named("sensor2")));
    await client.expectRefusal(5, 0x8a);
    await registry.enableDevice(XK, "sensor2");
    await (await server.connect(version, named("sensor2"), over(others))).fence();
  });

  test("[AUTH-11] without names, and the certificate is that of a device with a secret: it is no proof there", async () => {
    await registry.updateDevice(XK, "sensor2", { certificate: undefined });
    await registry.updateDevice(PK, "device1", { certificate: fingerprintOf(others.cert, "") });
    await refused(version, NAMELESS, others);
    await registry.updateDevice(PK, "device1", { certificate: undefined });
    await registry.updateDevice(XK, "sensor2", { certificate: fingerprintOf(others.cert, "") });
  });

  test("[AUTH-11] [AUTH-13] a device that is given another certificate, or none, is disconnected; its neighbour is not", async () => {
    const neighbour = await server.connect(version, named("sensor1"), over(mine));
    const own = { certificate: fingerprintOf(others.cert, "") };
    for (const certificate of [fingerprintOf(foreign.cert, ""), undefined]) {
      const device = await server.connect(version, named("sensor2"), over(others));
      await registry.updateDevice(XK, "sensor2", { nickname: "still itself" });
      await device.fence();
      await registry.updateDevice(XK, "sensor2", { certificate });
      await device.expectEnd(0x98);
      await refused(version, named("sensor2"), others);
      await registry.updateDevice(XK, "sensor2", own);
    }
    await neighbour.fence();
  });

  test("[AUTH-11] a device of a product with secrets signs in by signature, whatever certificate it shows", async () => {
    await (await server.connect(version, deviceConnect("device1"), over(mine))).fence();
    await refusedWith(version, { ...deviceConnect("device1"), password: "" }, 4, 0x86);
  });

  describe.each(["TLSv1.2", "TLSv1.3"] as const)("%s", (maxVersion) => {
    const [asking, open] = [0, 1];
    /** A connection to the listener that asks for certificates or the one that does not, with a session that it offers. */
    async function dial(listener: number, tls: ConnectionOptions = {}) {
      const { port } = server.broker.listeners[listener];
      const client = await server.open(version, { port, transport: "tls", tls: { ...tls, maxVersion } });
      return { client, socket: client.stream as TLSSocket };
    }
    /** What a handshake, and a device that signed in behind it, leave on the client's side. */
    async function sessionOf(listener: number, sign: ConnectOptions, tls?: ConnectionOptions) {
      const { client, socket } = await dial(listener, tls);
      expect((await client.connect(sign)).reason).toBe(0);
      await client.fence(); // in 1.3 tickets come behind the handshake, and before this
      const session = socket.getSession() ?? expect.fail();
      client.destroy();
      return session;
    }

    test("[AUTH-11] a session of a device is not resumed where certificates are asked for: the one that is shown counts", async () => {
      const session = await sessionOf(asking, named("sensor1"), mine);
      const own = await dial(asking, { ...mine, session });
      expect(own.socket.isSessionReused()).toBe(false);
      expect((await own.client.connect(named("sensor1"))).reason).toBe(0);
      // Who has taken the session of another device is whose certificate he shows, and without one nobody.
      const thief = await dial(asking, { ...others, session });
      expect(thief.socket.isSessionReused()).toBe(false);
      thief.client.send(thief.client.wire.connect(named("sensor1")));
      await thief.client.expectRefusal(5, 0x87);
      const himself = await dial(asking, { ...others, session });
      expect((await himself.client.connect(named("sensor2"))).reason).toBe(0);
      const bare = await dial(asking, { session });
      expect(bare.socket.isSessionReused()).toBe(false);
      bare.client.send(bare.client.wire.connect(named("sensor1")));
      await bare.client.expectRefusal(5, 0x87);
      const nameless = await dial(asking, { session });
      nameless.client.send(nameless.client.wire.connect(NAMELESS));
      await nameless.client.expectRefusal(2, 0x85);
      await own.client.fence(); // nobody has taken its place
    });

    test("[AUTH-11] where none are asked for sessions are resumed, by signature; they make nobody a device with a certificate", async () => {
      const session = await sessionOf(open, deviceConnect("device1"));
      const again = await dial(open, { session });
      expect(again.socket.isSessionReused()).toBe(true);
      expect((await again.client.connect(deviceConnect("device1"))).reason).toBe(0);
      for (const pair of [{}, mine]) {
        const resumed = await dial(open, { ...pair, session });
        expect(resumed.socket.isSessionReused()).toBe(true);
        resumed.client.send(resumed.client.wire.connect(named("sensor1")));
        await resumed.client.expectRefusal(5, 0x87);
      }
      // Nor is it good at the listener that asks.
      const carried = await dial(asking, { session });
      expect(carried.socket.isSessionReused()).toBe(false);
      carried.client.send(carried.client.wire.connect(named("sensor1")));
      await carried.client.expectRefusal(5, 0x87);
    });
  });
});

async function refusedWith(version: Version, options: ConnectOptions, code3: number, reason: number) {
  const client = await server.open(version, over(mine));
  client.send(client.wire.connect(options));
  await client.expectRefusal(code3, reason);
}
