// What goes up to the business side, over real sockets, in 3.1.1 and 5.0.
import { afterEach, describe, expect, test } from "vitest";
import type { UpstreamReader } from "../../../../src/platform/upstream/feed.ts";
import { type UpstreamMessage, upstreamLine } from "../../../../src/platform/upstream/upstream-message.ts";
import { BOTH, useServer } from "../../../support/server.ts";
import { connectDevice, PK, registryOf, secretOf } from "../../signed-device.ts";

const PAIRS: [string, string][] = [
  ["b", "1"],
  ["a", "2"],
  ["b", "3"],
];
const NAMES = Array.from({ length: 40 }, (_, i) => `device${i}`);
const devices = registryOf(...NAMES);
const server = useServer({ profile: "platform", devices });
let used = 0;
const nextName = (): string => NAMES[used++];
const readers: UpstreamReader[] = [];
afterEach(() => {
  for (const reader of readers.splice(0)) reader.close();
});

/** Messages of one device, one after the other. */
function listen(deviceName: string): () => Promise<UpstreamMessage> {
  const reader = server.broker.upstream();
  readers.push(reader);
  const messages = reader[Symbol.asyncIterator]();
  return async () => {
    for (;;) {
      const { value, done } = await messages.next();
      if (done) throw new Error("the feed has ended");
      if (value.device.deviceName === deviceName) return value;
    }
  };
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[UP-1] accepted messages go up under their own topic, with every property; refused ones do not", async () => {
    const deviceName = nextName();
    const next = listen(deviceName);
    const device = await connectDevice(server, version, deviceName);
    expect((await next()).kind).toBe("status");
    const topic = `/${PK}/${deviceName}/user/update`;
    const properties =
      version === 5
        ? {
            responseTopic: `/${PK}/${deviceName}/user/get`,
            correlationData: Buffer.from([0, 255]),
            userProperty: PAIRS,
            contentType: "x/y",
          }
        : {};
    await device.publish(`/${PK}/${deviceName}/user/get`, "not allowed", { qos: 1 });
    await device.publish(topic, "one", { qos: 1, properties });
    await device.publish(topic, "two");
    const one = await next();
    expect(one).toMatchObject({ kind: "data", topic, qos: 1, device: { productKey: PK, deviceName } });
    expect(one.payload.toString()).toBe("one");
    if (version === 5) {
      const { userProperty, ...others } = properties as { userProperty: unknown };
      expect(one.properties).toMatchObject({ ...others, userProperties: userProperty });
      const line = JSON.parse(upstreamLine(one)) as { properties: Record<string, unknown>; payload: string };
      expect(line.properties.correlationData).toBe("AP8=");
      expect(line.properties.userProperties).toEqual(PAIRS);
    }
    const two = await next();
    expect(two.payload.toString()).toBe("two");
    expect(BigInt(two.messageId)).toBeGreaterThan(BigInt(one.messageId));
  });

  test("[STATUS-1] coming and going is told, a take-over as offline, then online [STATUS-2]", async () => {
    const deviceName = nextName();
    const next = listen(deviceName);
    const body = async () => {
      const message = await next();
      expect(message).toMatchObject({ kind: "status", topic: `/as/mqtt/status/${PK}/${deviceName}` });
      return JSON.parse(message.payload.toString()) as Record<string, string>;
    };
    const before = Date.now();
    await connectDevice(server, version, deviceName);
    const online = await body();
    expect(online).toMatchObject({ status: "online", productKey: PK, deviceName, clientIp: "127.0.0.1" });
    expect(online.iotId).toBe(devices.findDevice(PK, deviceName)?.iotId);
    expect(Date.parse(online.utcTime)).toBeGreaterThanOrEqual(before);
    expect(online.time).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/);
    expect(Date.parse(`${online.time.replace(" ", "T")}+08:00`)).toBe(Date.parse(online.utcTime));
    const second = await connectDevice(server, version, deviceName);
    expect((await body()).status).toBe("offline");
    expect((await body()).status).toBe("online");
    await second.disconnect();
    const offline = await body();
    expect(offline.status).toBe("offline");
    expect(Date.parse(offline.utcLastTime)).toBeLessThanOrEqual(Date.parse(offline.utcTime));
  });

  test("what services consume does not go up", async () => {
    const deviceName = nextName();
    const next = listen(deviceName);
    const device = await connectDevice(server, version, deviceName);
    await device.publish(`/ext/ntp/${PK}/${deviceName}/request`, '{"deviceSendTime":1}');
    await device.publish(`/shadow/update/${PK}/${deviceName}`, '{"method":"get"}');
    await device.publish(`/${PK}/${deviceName}/user/update`, "fence");
    expect((await next()).kind).toBe("status");
    expect((await next()).payload.toString()).toBe("fence");
  });
});

test("[LIFE-1] making, disabling, enabling and deleting a device; the secret only where it is made", async () => {
  const deviceName = "newcomer";
  const next = listen(deviceName);
  await devices.createDevice({ productKey: PK, deviceName, deviceSecret: secretOf(deviceName) });
  await devices.disableDevice(PK, deviceName);
  await devices.enableDevice(PK, deviceName);
  await devices.deleteDevice(PK, deviceName);
  const bodies = [];
  for (let i = 0; i < 4; i++) {
    const message = await next();
    expect(message).toMatchObject({ kind: "lifecycle", topic: `/${PK}/${deviceName}/thing/lifecycle` });
    bodies.push(JSON.parse(message.payload.toString()) as Record<string, unknown>);
  }
  expect(bodies.map(({ action }) => action)).toEqual(["create", "disable", "enable", "delete"]);
  expect(bodies.map(({ deviceSecret }) => deviceSecret)).toEqual([
    secretOf(deviceName),
    undefined,
    undefined,
    undefined,
  ]);
});

test("[LIFE-1] devices of an import are told of one by one, where somebody listens", async () => {
  const names = Array.from({ length: 1_200 }, (_, i) => `imported${i}`);
  const quiet = await devices.beginImport();
  await quiet.add([{ line: 1, productKey: PK, deviceName: "before", deviceSecret: "s" }]);
  await quiet.finish();
  const reader = server.broker.upstream();
  readers.push(reader);
  const started = await devices.beginImport();
  const rows = names.map((deviceName, i) => ({
    line: i + 1,
    productKey: PK,
    deviceName,
    deviceSecret: `s${i}`,
  }));
  await started.add(rows);
  await started.finish();
  const told: string[] = [];
  for await (const message of reader) {
    // Devices of the tests before are still going.
    if (message.kind !== "lifecycle") continue;
    const body = JSON.parse(message.payload.toString()) as { action: string; deviceName: string };
    expect(body.action).toBe("create");
    told.push(body.deviceName);
    if (told.length === names.length) break;
  }
  expect(told).toEqual([...names].sort());
});

test("messages that were on their way before anybody listened are not sent up, and the next ones are", async () => {
  const deviceName = nextName();
  const device = await connectDevice(server, 4, deviceName);
  const topic = `/${PK}/${deviceName}/user/update`;
  await device.publish(topic, "before", { qos: 1 });
  const next = listen(deviceName);
  await device.publish(topic, "after", { qos: 1 });
  expect((await next()).payload.toString()).toBe("after");
});
