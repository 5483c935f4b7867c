// The platform's rules as a device meets them on a socket: sign-in and its codes, one connection per device, topics and QoS.
// What a rule says in detail is tested in test/platform/.
import { afterAll, beforeAll, describe, expect } from "vitest";
import { signedCredentials } from "../../../src/platform/demo.ts";
import { MemoryRegistry } from "../../../src/platform/registry/index.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { ALL, eventually, ours, PEER, TestServer } from "../../support/server.ts";
import type { ConnectOptions, Version } from "../../support/wire.ts";

const productKey = "a1EXAMPLE01";
const deviceSecret = "0123456789abcdef0123456789abcdef";
const device = (deviceName: string) => ({ productKey, deviceName, deviceSecret, status: "enabled" as const });
let server: TestServer;

beforeAll(async () => {
  const devices = new MemoryRegistry();
  devices.putProduct({ productKey, productSecret: "ProductSecret001" });
  for (const name of ["device1", "device2"]) devices.putDevice(device(name));
  server = new TestServer({
    profile: "platform",
    devices,
    sysInterval: 0,
    platform: { rates: { enabled: false } },
  });
  if (!PEER) await server.start();
});
afterAll(() => server.stop());

const signed = (deviceName: string, options: ConnectOptions = {}): ConnectOptions => ({
  ...signedCredentials(device(deviceName), { securemode: 3 }),
  ...options,
});
const signIn = (version: Version, deviceName: string, options?: ConnectOptions): Promise<RawClient> =>
  server.connect(version, signed(deviceName, options));
const own = (deviceName: string, suffix: string): string => `/${productKey}/${deviceName}/user/${suffix}`;

describe.each(ALL)("MQTT %s", (_name, version) => {
  const v5 = version === 5;

  ours.each([
    ["[AUTH-5] another password", { password: "0".repeat(64) }, 4, 0x86],
    ["[AUTH-13] an unknown device", { username: `nobody&${productKey}` }, 4, 0x86],
    ["[AUTH-1] a Client Identifier without extensions", { clientId: "a1EXAMPLE01.device1" }, 2, 0x85],
    ["[CONN-5] Keep Alive 0", { keepAlive: 0 }, 2, 0x80],
    ["[CONN-5] Keep Alive 29", { keepAlive: 29 }, 2, 0x80],
    ["[CONN-5] Keep Alive 1,201", { keepAlive: 1_201 }, 2, 0x80],
  ] as const)("%s is refused", async (_what, options, code3, reason) => {
    const client = await server.open(version);
    client.send(client.wire.connect(signed("device1", options)));
    const connack = await client.expectRefusal(code3, reason);
    if (!v5) expect(connack?.bytes.length).toBe(4); // [CONN-7]
  });

  ours.each([30, 1_200])("[CONN-5] Keep Alive %i signs in", async (keepAlive) => {
    const client = await signIn(version, "device1", { keepAlive });
    await client.fence();
  });

  ours(
    "[CONN-1] a second connection of a device ends the first, whatever its Client Identifier",
    async () => {
      const first = await signIn(version, "device1");
      const content = signedCredentials(device("device1"), { securemode: 2 });
      const second = await server.connect(version, content);
      await first.expectEnd(0x8e);
      await second.fence();
    },
  );

  ours("[TOPIC-1] [TOPIC-3] a device has its own topics and no others", async () => {
    const refused = v5 ? 0x87 : version === 4 ? 0x80 : 0;
    const one = await signIn(version, "device1");
    const { reasons } = await one.subscribe([
      own("device1", "get"),
      own("device2", "get"),
      "#",
      "/+/device1/user/get",
    ]);
    expect(reasons).toEqual([0, refused, refused, refused]);
    const seen: string[] = [];
    const stop = await server.broker.subscribe("#", ({ topic }) => void seen.push(topic));
    const update = await one.publish(own("device1", "update"), "x", { qos: 1 });
    expect(update?.reason).toBe(0);
    await one.publish(own("device2", "update"), "forged", { qos: 0 });
    await one.publish(own("device2", "get"), "forged", { qos: 0 });
    await server.broker.publish({ topic: own("device2", "get"), payload: "for the other" });
    await server.broker.publish({ topic: own("device1", "get"), payload: "for this one" });
    expect(await one.receive()).toMatchObject({ text: "for this one" });
    await one.expectNothing();
    expect(seen.filter((topic) => topic.startsWith(`/${productKey}`))).toEqual([
      own("device1", "update"),
      own("device2", "get"),
      own("device1", "get"),
    ]);
    await stop();
  });

  ours("[QOS-1] QoS 2 is granted as 1, and a PUBLISH with it ends the connection", async () => {
    const client = await signIn(version, "device1");
    expect((await client.subscribe({ filter: own("device1", "get"), qos: 2 })).reasons).toEqual([1]);
    client.send(client.wire.publish(own("device1", "update"), "x", { qos: 2, id: 1 }));
    await client.expectEnd(0x9b);
  });

  ours("[QOS-2] [QOS-3] the QoS of delivery: the publisher's in 3.x, the lower of both in 5.0", async () => {
    const client = await signIn(version, "device1");
    expect((await client.subscribe({ filter: own("device1", "get"), qos: 0 })).reasons).toEqual([0]);
    await server.broker.publish({ topic: own("device1", "get"), payload: "x", qos: 1 });
    expect(await client.receive()).toMatchObject({ qos: v5 ? 0 : 1 });
  });

  ours("[SESS-5] Will and RETAIN are of no effect in 3.x", async () => {
    const topic = own("device1", "update");
    const client = await signIn(version, "device1", { will: { topic, payload: "gone", qos: 1 } });
    const seen: string[] = [];
    const stop = await server.broker.subscribe(
      topic,
      ({ payload }) => void seen.push(`${Buffer.from(payload)}`),
    );
    await client.publish(topic, "kept?", { qos: 1, retain: true });
    const kept = server.broker.metrics()["retained.count"];
    expect(kept).toBe(v5 ? 1 : 0);
    client.destroy();
    await eventually(() => server.broker.metrics()["clients.connected"] === 0, "the device is gone");
    await server.broker.publish({ topic, payload: "fence" });
    await eventually(() => seen.includes("fence"), "what was published last");
    expect(seen).toEqual(v5 ? ["kept?", "gone", "fence"] : ["kept?", "fence"]);
    await server.broker.publish({ topic, payload: "", retain: true });
    await stop();
  });
});

describe("MQTT 3.1.1", () => {
  ours(
    "[SESS-1] Clean Session 0 keeps the subscription and QoS 1 messages of a device that is away",
    async () => {
      const first = await signIn(4, "device2", { clean: false });
      await first.subscribe({ filter: own("device2", "get"), qos: 1 });
      await first.disconnect();
      for (const qos of [0, 1] as const)
        await server.broker.publish({ topic: own("device2", "get"), payload: `QoS ${qos}`, qos });
      const second = await signIn(4, "device2", { clean: false });
      expect(second.connack.sessionPresent).toBe(true);
      expect(await second.receive()).toMatchObject({ text: "QoS 1", qos: 1 });
      await second.expectNothing();
    },
  );
});
