// Connections of devices: versions, ports, deadlines, sizes and what ends them, over real sockets.
import { connect as dial } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ALL, BOTH, eventually, TestServer } from "../../../support/server.ts";
import { testCertificate } from "../../../support/certificate.ts";
import { connectDevice, deviceConnect, ownTopic, registryOf, useDevices } from "../../signed-device.ts";

const { server, nextName } = useDevices("conn", 40, {
  platform: { connection: { minKeepAliveSeconds: 1 } },
  limits: { connectTimeout: 400 },
});

describe("[NET-1] versions", () => {
  test.each(ALL)("MQTT %s signs in", async (_name, version) => {
    await (await connectDevice(server, version, nextName())).fence();
  });

  test.each([
    [4, 2, 1],
    [4, 0x83, 1],
    [5, 6, 0x84],
  ] as const)("in the form of %d, level %d is refused with %d", async (form, level, code) => {
    const client = await server.open(form);
    client.send(client.wire.connect(deviceConnect(nextName(), { level })));
    const packets = await client.closed();
    expect(packets).toMatchObject([{ type: "connack", reason: code }]);
  });
});

test("[NET-11] who does not complete a CONNECT in time is closed, however he drips", async () => {
  const socket = dial(server.port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.write(Buffer.from([0x10]));
  const drip = setInterval(() => socket.write(Buffer.from([0x80])), 100);
  const started = Date.now();
  await closed;
  clearInterval(drip);
  expect(Date.now() - started).toBeLessThan(8_000);
  await (await connectDevice(server, 4, nextName())).fence();
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[CONN-6] silence for one and a half times Keep Alive ends the connection, a PINGREQ does not let it", async () => {
    const silent = await connectDevice(server, version, nextName(), { keepAlive: 2 });
    const alive = await connectDevice(server, version, nextName(), { keepAlive: 2 });
    const started = Date.now();
    const pings = setInterval(() => alive.send(alive.wire.pingreq()), 300);
    await silent.expectEnd(0x8d, 10_000);
    const after = Date.now() - started;
    clearInterval(pings);
    expect(after).toBeGreaterThanOrEqual(2_950);
    // The clock looks each second.
    expect(after).toBeLessThan(4_900);
    expect(server.broker.metrics()["clients.connected"]).toBeGreaterThanOrEqual(1);
    await alive.fence();
  });

  test("[LIMIT-1] 262,144 bytes pass; one more is passed over in 3.x without PUBACK, in 5.0 it ends the connection", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    const seen: number[] = [];
    const stop = await server.broker.subscribe(
      ownTopic(name),
      ({ payload }) => void seen.push(payload.length),
    );
    const around =
      device.wire.publish(ownTopic(name), Buffer.alloc(200_000), { qos: 1, id: 1 }).length - 200_000;
    await device.publish(ownTopic(name), Buffer.alloc(262_144 - around), { qos: 1 });
    device.send(device.wire.publish(ownTopic(name), Buffer.alloc(262_145 - around), { qos: 1, id: 99 }));
    if (version === 5) await device.expectEnd(0x95);
    else {
      // No PUBACK of 99 before the next one's.
      expect(await device.publish(ownTopic(name), "small", { qos: 1 })).toMatchObject({ reason: 0 });
      expect(device.pending()).toEqual([]);
    }
    await eventually(() => seen.length === (version === 5 ? 1 : 2), "what passed is there");
    expect(seen[0]).toBe(262_144 - around);
    stop();
  });

  test("[CONN-2] one client id on two devices: both stay", async () => {
    const [one, two] = [nextName(), nextName()];
    const shared = (name: string) => {
      const options = deviceConnect(name);
      return { ...options, clientId: options.clientId };
    };
    const first = await server.connect(version, shared(one));
    const second = await server.connect(version, shared(two));
    await first.fence();
    await second.fence();
  });
});

describe("[NET-7] one port for TLS and plain MQTT", () => {
  const both = new TestServer({ profile: "platform", devices: registryOf("porty", "portz"), listeners: [] });
  let port = 0;
  let ca = "";
  beforeAll(async () => {
    await both.start();
    const tls = await testCertificate();
    ca = String(tls.cert);
    port = (await both.broker.listen({ kind: "auto", port: 0, tls })).port;
  });
  afterAll(() => both.stop());

  test.each(BOTH)("MQTT %s", async (_name, version) => {
    const plain = await both.connect(version, deviceConnect("porty"), { port });
    await plain.fence();
    const secure = await both.connect(version, deviceConnect("portz"), {
      port,
      transport: "tls",
      tls: { ca, servername: "localhost" },
    });
    await secure.fence();
  });
});
