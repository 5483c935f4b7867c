// The cloud run log over real sockets, in 3.1.1 and 5.0: what stands in it after what happened to a device, and that no
// secret ever does.
import { afterAll, describe, expect, test } from "vitest";
import type { RunLogEntry } from "../../../../src/platform/run-log/entry.ts";
import type { RunLogQuery } from "../../../../src/platform/run-log/query.ts";
import { BOTH, eventually, useServer } from "../../../support/server.ts";
import type { ConnectOptions } from "../../../support/wire.ts";
import { connectDevice, deviceConnect, PK, registryOf, secretOf } from "../../signed-device.ts";

const NAMES = Array.from({ length: 60 }, (_, i) => `device${i}`);
const devices = registryOf(...NAMES);
// What is told here is the log's own bound, not the rates of publishing.
const server = useServer({ profile: "platform", devices, platform: { rates: { enabled: false } } });
const metered = useServer({ profile: "platform", devices: registryOf(...NAMES) });
let used = 0;
const nextName = (): string => NAMES[used++];
const everything: RunLogEntry[] = [];

async function logOf(deviceName: string, query: RunLogQuery = {}): Promise<RunLogEntry[]> {
  const found = await server.broker.runLog.search({
    ...query,
    device: { productKey: PK, deviceName },
    limit: 10_000,
  });
  everything.push(...found);
  return found;
}

/** The first entry with this operation, once it is there. */
async function entryOf(deviceName: string, operation: string, query: RunLogQuery = {}): Promise<RunLogEntry> {
  let found: RunLogEntry | undefined;
  await eventually(async () => {
    found = (await logOf(deviceName, query)).find((entry) => entry.operation === operation);
    return found !== undefined;
  }, `an entry ${operation}`);
  return found as RunLogEntry;
}

test.each(BOTH)(
  "[LOG-1] MQTT %s: a topic or method that is none of the Alink protocol: 6831",
  async (_name, version) => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    const say = (path: string, method?: string) =>
      device.publish(`/sys/${PK}/${name}/${path}`, JSON.stringify({ id: "1", method, params: {} }), {
        qos: 1,
      });
    await say("thing/nonsense/post", "thing.nonsense.post");
    await say("thing/event");
    await say("thing/event/property/post", "event.property.post");
    // What nobody here serves may be of the protocol, and so is a topic without a method.
    await say("thing/job/get", "thing.job.get");
    await say("thing/event/property/post");
    await say("thing/event/property/post", "thing.event.property.post");
    await eventually(async () => (await logOf(name, { code: 6831 })).length >= 3, "the entries");
    expect(
      (await logOf(name, { code: 6831 })).map(({ operation, businessType }) => [operation, businessType]),
    ).toEqual([
      ["thing/nonsense/post", "thing model check"],
      ["thing/event", "thing model check"],
      ["thing/event/property/post", "thing model check"],
    ]);
  },
);

afterAll(() => {
  const text = JSON.stringify(everything);
  expect(everything.length).toBeGreaterThan(40);
  for (const name of NAMES) {
    expect(text).not.toContain(secretOf(name));
    const { password, clientId } = deviceConnect(name);
    expect(text).not.toContain(String(password));
    expect(text).not.toContain(String(clientId));
  }
  expect(text).not.toMatch(/payload that is secret/);
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const topicOf = (name: string, suffix = "update"): string => `/${PK}/${name}/user/${suffix}`;
  const refusedConnect = async (options: ConnectOptions): Promise<void> => {
    const client = await server.open(version);
    expect((await client.connect(options)).reason).toBeGreaterThan(0);
  };
  const userProperty: [string, string][] = [
    ["b", "1"],
    ["a", "2"],
    ["b", "3"],
  ];

  test("[LOG-1] [LOG-2] online, publish and offline, with User Properties in their order", async () => {
    const name = nextName();
    const properties = version === 5 ? { userProperty } : {};
    const device = await connectDevice(server, version, name, { properties });
    await device.publish(topicOf(name), "payload that is secret", { qos: 1, properties });
    await device.subscribe([{ filter: topicOf(name, "get"), qos: 1 }]);
    await device.unsubscribe([topicOf(name, "get")]);
    await device.disconnect();
    const offline = await entryOf(name, "offline");
    const entries = await logOf(name);
    const UserProperties = version === 5 ? userProperty : undefined;
    expect(entries.map(({ businessType, operation, status }) => [businessType, operation, status])).toEqual([
      ["device behaviour", "online", 200],
      ["device-to-cloud message", topicOf(name), 200],
      ["subscribe", topicOf(name, "get"), 200],
      ["unsubscribe", topicOf(name, "get"), 200],
      ["device behaviour", "offline", 200],
    ]);
    const [online, published] = entries;
    expect(online.content.UserProperties).toEqual(UserProperties);
    expect(online.content.Params).toMatchObject({ version: version === 5 ? "5.0" : "3.1.1" });
    expect(published.content).toEqual({
      Params: { size: 22, qos: 1 },
      ...(UserProperties && { UserProperties }),
    });
    expect(published).toMatchObject({ productKey: PK, deviceName: name });
    expect(published.messageId).toMatch(/^\d+$/);
    expect(published.traceId).toBe(published.messageId);
    expect(offline.content.ResultData).toEqual({ reason: "the device disconnected" });
    expect(entries.map(({ id }) => id)).toEqual([...entries.map(({ id }) => id)].sort((a, b) => a - b));
  });

  test("[LOG-1] why a device was disconnected: kicked, disabled, lost", async () => {
    const name = nextName();
    const first = await connectDevice(server, version, name);
    const second = await connectDevice(server, version, name);
    await first.closed();
    expect(await entryOf(name, "offline")).toMatchObject({
      status: 400,
      content: { Message: expect.stringMatching(/kicked/) },
    });
    second.destroy();
    await eventually(
      async () => (await logOf(name, { code: 400, keyword: "lost without" })).length === 1,
      "the lost connection",
    );
    const third = await connectDevice(server, version, name);
    await devices.disableDevice(PK, name);
    await third.closed();
    await eventually(
      async () => (await logOf(name, { success: false, keyword: "DISABLED" })).length === 1,
      "the disabled device",
    );
    await refusedConnect(deviceConnect(name));
    expect((await logOf(name, { code: 522 }))[0]).toMatchObject({ operation: "online", status: 522 });
  });

  test("[LOG-1] [AUTH-13] that a device was deleted stands in its log, which outlives it", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    await devices.deleteDevice(PK, name);
    await device.closed();
    expect(await entryOf(name, "offline")).toMatchObject({
      status: 400,
      content: { Message: "the device was deleted" },
    });
    devices.putDevice({ productKey: PK, deviceName: name, deviceSecret: secretOf(name) });
  });

  test("[LOG-1] a refused CONNECT stands there for a device that exists, and says nothing of others", async () => {
    const name = nextName();
    await refusedConnect({ ...deviceConnect(name), password: "ab".repeat(20) });
    expect(await entryOf(name, "online")).toMatchObject({ status: 6287, businessType: "device behaviour" });
    await refusedConnect(deviceConnect("no-such-device"));
    expect(
      await server.broker.runLog.search({ device: { productKey: PK, deviceName: "no-such-device" } }),
    ).toEqual([]);
  });

  test("[LOG-1] refused publishes and subscriptions, with their codes", async () => {
    const name = nextName();
    const other = nextName();
    const device = await connectDevice(server, version, name);
    await device.publish(topicOf(other), "1", { qos: 1 });
    await device.publish(topicOf(other), "2", { qos: 1 });
    await device.subscribe([{ filter: topicOf(other, "get"), qos: 1 }]);
    const refused = await logOf(name, { success: false });
    expect(refused.map(({ businessType, operation, status }) => [businessType, operation, status])).toEqual([
      ["device-to-cloud message", topicOf(other), 9236],
      ["device-to-cloud message", topicOf(other), 9236],
      ["subscribe", topicOf(other, "get"), 403],
    ]);
    expect(await logOf(other)).toEqual([]);
  });

  test("[LOG-1] messages to a device: delivered, unsubscribed, offline", async () => {
    const name = nextName();
    const topic = topicOf(name, "get");
    const publish = () => server.broker.publish({ topic, payload: "payload that is secret" });
    await publish();
    const device = await connectDevice(server, version, name);
    await publish();
    await device.subscribe([{ filter: topic, qos: 1 }]);
    await publish();
    const entries = await logOf(name, { businessType: "cloud-to-device message" });
    expect(entries.map(({ operation, status }) => [operation, status])).toEqual([
      [topic, 9201],
      [topic, 400],
      [topic, 200],
    ]);
    expect(entries[2].content).toEqual({ Params: { size: 22, qos: 0 }, ResultData: { delivery: "sent" } });
  });

  test("[LOG-1] RRPC: called, answered, timed out, stray; all of a call under one trace id", async () => {
    const name = nextName();
    const own = `/sys/${PK}/${name}/rrpc`;
    const id = { productKey: PK, deviceName: name };
    expect((await server.broker.rrpc(id, "x")).code).toBe("OFFLINE");
    const device = await connectDevice(server, version, name);
    await device.subscribe([{ filter: `${own}/request/+`, qos: 0 }]);
    const calling = server.broker.rrpc(id, "payload that is secret");
    const request = await device.receive();
    const messageId = request.topic.slice(request.topic.lastIndexOf("/") + 1);
    await device.publish(`${own}/response/${messageId}`, "yes");
    expect((await calling).code).toBe("SUCCESS");
    await device.publish(`${own}/response/${messageId}`, "again", { qos: 1 });
    expect((await server.broker.rrpc(id, "x", { timeoutMs: 1_000 })).code).toBe("TIMEOUT");
    const calls = await logOf(name, { businessType: "API call" });
    expect(calls.map(({ status }) => status)).toEqual([9201, 200, 200, 1904, 200, 1905]);
    const trace = await logOf(name, { traceId: messageId });
    expect(trace.map(({ businessType }) => businessType)).toEqual(
      expect.arrayContaining(["API call", "cloud-to-device message"]),
    );
  });

  test("[LOG-1] what a request of a shadow causes has its trace id, and so has what the server's side changes", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name, { extensions: "_ss=1" });
    await device.publish(`/shadow/update/${PK}/${name}`, '{"method":"get"}', { qos: 1 });
    await device.receive();
    const asked = await entryOf(name, `/shadow/update/${PK}/${name}`);
    const texts = async (traceId: string) =>
      (await logOf(name, { traceId })).map(({ businessType, status }) => `${businessType} ${status}`);
    expect(await texts(asked.traceId)).toEqual([
      "device-to-cloud message 200",
      "device shadow 200",
      "cloud-to-device message 200",
    ]);
    const state = { desired: { speed: 1 } };
    await server.broker.shadows.update(
      { productKey: PK, deviceName: name },
      { method: "update", state, version: 1 },
    );
    const changed = await entryOf(name, "update", { businessType: "device shadow" });
    expect(await texts(changed.traceId)).toEqual([
      "device shadow 200",
      "cloud-to-device message 200",
      "API call 200",
    ]);
  });

  test("[LOG-1] a flood is counted in one entry, and hides nothing else", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    const { wire } = device;
    device.send(...Array.from({ length: 5_000 }, (_, i) => wire.publish(topicOf(name), `${i}`)));
    await device.fence();
    device.destroy();
    await entryOf(name, "offline");
    await entryOf(name, "omitted");
    const entries = await logOf(name, { businessType: "device-to-cloud message" });
    const omitted = await logOf(name, { keyword: "omitted" });
    expect(entries.length).toBeLessThan(400);
    const counted = omitted.reduce((sum, { content }) => sum + (content.Omitted ?? 0), 0);
    expect(entries.length + counted).toBe(5_000);
  });

  test("[LOG-1] a device over its rate is told of once a second, with 9324", async () => {
    const name = nextName();
    const device = await connectDevice(metered, version, name);
    const { wire } = device;
    device.send(...Array.from({ length: 500 }, (_, i) => wire.publish(topicOf(name), `${i}`)));
    await device.fence();
    const found = await metered.broker.runLog.search({
      device: { productKey: PK, deviceName: name },
      code: 9324,
    });
    expect(found.length).toBeGreaterThan(0);
    expect(found.length).toBeLessThan(5);
  });
});
