// What the server's side does with devices by name, over real sockets in 3.1.1 and 5.0: the properties it may send, and the
// subscriptions it makes for them.
import { describe, expect, test } from "vitest";
import type { RunLogEntry } from "../../../../src/platform/run-log/entry.ts";
import type { Properties } from "../../../../src/protocol/properties.ts";
import { BOTH, keptSession, useServer } from "../../../support/server.ts";
import { connectDevice, PK, registryOf } from "../../signed-device.ts";

const NAMES = Array.from({ length: 40 }, (_, i) => `called${i}`);
const server = useServer({
  profile: "platform",
  devices: registryOf(...NAMES),
  platform: { rates: { enabled: false } },
});
let used = 0;
const nextName = (): string => NAMES[used++];
const own = (deviceName: string, suffix = "get"): string => `/${PK}/${deviceName}/user/${suffix}`;
const idOf = (deviceName: string) => ({ productKey: PK, deviceName });
const pairs = (count: number): [string, string][] => Array.from({ length: count }, (_, i) => [`k${i}`, "v"]);
const operationError = (code: string, message: RegExp) =>
  expect.objectContaining({ name: "OperationError", code, message: expect.stringMatching(message) });
const logOf = (deviceName: string): Promise<readonly RunLogEntry[]> =>
  server.broker.runLog.search({ device: idOf(deviceName) });

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const allowed: [string, Properties][] = [
    ["19 User Properties", { userProperties: pairs(19) }],
    ["20 User Properties", { userProperties: pairs(20) }],
    ["127 characters", { userProperties: [["k", "v".repeat(126)]] }],
    ["128 characters", { userProperties: [["k", "v".repeat(127)]] }],
    ["128 characters that are two units each", { userProperties: [["😀", "😀".repeat(127)]] }],
    ["an underscore that does not lead", { userProperties: [["a_", "_v"]] }],
    [
      "128 of both request properties",
      { responseTopic: "t".repeat(128), correlationData: Buffer.alloc(128) },
    ],
  ];
  test.each(allowed)("[V5-7] the server's side may send %s", async (_what, properties) => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    await device.subscribe([{ filter: own(name), qos: 1 }]);
    await server.broker.publish({ topic: own(name), payload: "x", qos: 1, properties });
    const message = await device.receive();
    expect(message.properties?.userProperty ?? []).toEqual(
      version === 5 ? (properties.userProperties ?? []) : [],
    );
  });

  test("[LIMIT-1] a message or call of more than 256 KiB is refused, and the log says so", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    await device.subscribe([{ filter: own(name), qos: 1 }]);
    await device.subscribe([{ filter: `/sys/${PK}/${name}/rrpc/request/+`, qos: 0 }]);
    const tooMuch = Buffer.alloc(262_145);
    const refused = operationError("MESSAGE_SIZE", /^payload: has 262145 bytes; .* 262144 at most$/);
    for (const qos of [0, 1] as const)
      await expect(server.broker.publish({ topic: own(name), payload: tooMuch, qos })).rejects.toEqual(
        refused,
      );
    await expect(server.broker.rrpc(idOf(name), tooMuch)).rejects.toEqual(refused);
    await device.expectNothing();
    const pubs = (await logOf(name)).filter(({ operation }) => operation === "Pub");
    expect(pubs.map(({ status }) => status)).toEqual([9320, 9320]);
    await server.broker.publish({ topic: own(name), payload: tooMuch.subarray(1), qos: 1 });
    expect((await device.receive()).text.length).toBe(262_144);
  });

  test("[V5-7] [V5-8] it may not send more: refused with the field's name, nobody gets it, and the log says so", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    await device.subscribe([{ filter: own(name), qos: 1 }]);
    const refused: [Properties, RegExp][] = [
      [{ userProperties: pairs(21) }, /^properties\.userProperties: 21 are more than 20$/],
      [
        {
          userProperties: [
            ["a", "b"],
            ["_a", "b"],
          ],
        },
        /^properties\.userProperties\[1\]: the key "_a" begins with "_"$/,
      ],
      [
        { userProperties: [["k", "v".repeat(128)]] },
        /^properties\.userProperties\[0\]: .* 129 characters, more than 128$/,
      ],
      [{ responseTopic: "t".repeat(129) }, /^properties\.responseTopic: 129 characters are more than 128$/],
      [{ correlationData: Buffer.alloc(129) }, /^properties\.correlationData: 129 bytes are more than 128$/],
    ];
    const topics = [own(name), `/sys/${PK}/${name}/thing/service/x`, `/broadcast/${PK}/all`, own("nobody")];
    for (const [properties, message] of refused)
      for (const topic of topics)
        await expect(server.broker.publish({ topic, payload: "x", qos: 1, properties })).rejects.toEqual(
          operationError("INVALID_PROPERTY", message),
        );
    await device.expectNothing();
    const entries = (await logOf(name)).filter(({ businessType }) => businessType === "API call");
    expect(entries).toHaveLength(refused.length * 2);
    expect(entries[0]).toMatchObject({
      operation: "Pub",
      status: 460,
      content: { Message: expect.stringMatching(refused[0][1]) },
    });
    // What is no product's is not the platform's.
    await server.broker.publish({ topic: "other", payload: "x", properties: refused[0][0] });
  });

  test("[SUB-4] subscribes for a device that is online, as if it had", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    const before = Date.now();
    expect(await server.broker.subscribeDevice(idOf(name), [own(name), own(name, "cfg/#")])).toEqual([1, 1]);
    await server.broker.publish({ topic: own(name, "cfg/a"), payload: "there", qos: 1 });
    expect(await device.receive()).toMatchObject({ text: "there", qos: 1 });
    const held = server.broker.subscriptionsOf(idOf(name));
    expect(held.map(({ filter, qos }) => [filter, qos])).toEqual([
      [own(name), 1],
      [own(name, "cfg/#"), 1],
    ]);
    for (const { since } of held) {
      expect(since).toBeGreaterThanOrEqual(before);
      expect(since).toBeLessThanOrEqual(Date.now());
    }
    // Once more changes the QoS and nothing else; the device ends it like one of its own.
    expect(await server.broker.subscribeDevice(idOf(name), [own(name)], { qos: 0 })).toEqual([0]);
    expect(server.broker.subscriptionsOf(idOf(name))[0]).toEqual({ ...held[0], qos: 0 });
    await device.unsubscribe(own(name));
    expect(server.broker.subscriptionsOf(idOf(name))).toHaveLength(1);
  });

  test("[SUB-4] n-1, n, n+1 topics, none, and a device that is away", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    const topics = (count: number): string[] =>
      Array.from({ length: count }, (_, i) => own(name, `cfg/${i}`));
    expect(await server.broker.subscribeDevice(idOf(name), topics(9))).toEqual(Array(9).fill(1));
    expect(await server.broker.subscribeDevice(idOf(name), topics(10))).toEqual(Array(10).fill(1));
    for (const count of [0, 11])
      await expect(server.broker.subscribeDevice(idOf(name), topics(count))).rejects.toEqual(
        operationError("SUBSCRIBE_TOPICS", /^topics: /),
      );
    expect(server.broker.subscriptionsOf(idOf(name))).toHaveLength(10);
    await device.disconnect();
    await device.closed();
    await expect(server.broker.subscribeDevice(idOf(name), topics(1))).rejects.toEqual(
      operationError("DEVICE_OFFLINE", /offline/),
    );
  });

  test("[SUB-4] asks at the same gate: foreign, malformed and unknown topics, and the bounds of the device", async () => {
    const [name, other] = [nextName(), nextName()];
    await connectDevice(server, version, name);
    const asked = [
      own(name),
      own(other),
      own(name, "nothing"),
      "a/#/b",
      "",
      "$share/g/x/y",
      `/broadcast/${PK}/all`,
    ];
    expect(await server.broker.subscribeDevice(idOf(name), asked)).toEqual([
      1,
      0x87,
      0x87,
      0x8f,
      0x8f,
      version === 5 ? 0x87 : 0x9e,
      1,
    ]);
    const many = Array.from({ length: 98 }, (_, i) => own(name, `cfg/${i}`));
    for (let i = 0; i < many.length; i += 10)
      await server.broker.subscribeDevice(idOf(name), many.slice(i, i + 10));
    expect(server.broker.subscriptionsOf(idOf(name))).toHaveLength(100);
    expect(await server.broker.subscribeDevice(idOf(name), [own(name, "cfg/one-more")])).toEqual([0x97]); // [SUB-2]
  });

  test("[SUB-4] a kept session keeps it, with its time", async () => {
    const name = nextName();
    const { clientId: _, ...kept } = keptSession();
    const device = await connectDevice(server, version, name, kept);
    await server.broker.subscribeDevice(idOf(name), [own(name)]);
    const [held] = server.broker.subscriptionsOf(idOf(name));
    await device.disconnect();
    await device.closed();
    await server.broker.publish({ topic: own(name), payload: "kept", qos: 1 });
    expect(server.broker.subscriptionsOf(idOf(name))).toEqual([held]);
    const again = await connectDevice(server, version, name, kept);
    expect(await again.receive()).toMatchObject({ text: "kept" });
  });

  test("[LOG-1] all entries of one call have one trace id", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    await server.broker.subscribeDevice(idOf(name), [own(name), own("nobody")]);
    await server.broker.publish({ topic: own(name), payload: "x" });
    await server.broker.publish({ topic: own(name, "cfg/1"), payload: "x" });
    await device.fence();
    const entries = (await logOf(name)).filter(({ operation }) => operation !== "online");
    expect(entries.map(({ businessType, operation, status }) => [businessType, operation, status])).toEqual([
      ["API call", "SubscribeTopic", 200],
      ["subscribe", own(name), 200],
      ["subscribe", own("nobody"), 403],
      ["API call", "Pub", 200],
      ["cloud-to-device message", own(name), 200],
      ["API call", "Pub", 200],
      ["cloud-to-device message", own(name, "cfg/1"), 400],
    ]);
    const traces = entries.map(({ traceId }) => traceId);
    expect(new Set(traces).size).toBe(3);
    expect([traces[1], traces[2], traces[4], traces[6]]).toEqual([
      traces[0],
      traces[0],
      traces[3],
      traces[5],
    ]);
    expect(entries[0].content.Params).toEqual({ topics: [own(name), own("nobody")], qos: 1 });
  });

  test("[LOG-1] calls of services: shadow, properties, services, raw data, configuration, firmware", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name, { extensions: "_ss=1" });
    const { shadows, things } = server.broker;
    const id = idOf(name);
    const shadow = { method: "update", state: { desired: { speed: 1 } }, version: 1 };
    expect(await shadows.update(id, shadow)).toMatchObject({ ok: true, pushed: "sent" });
    expect(await shadows.update(id, shadow)).toMatchObject({ ok: false, code: 409 });
    await things.setProperties(id, { speed: 2 });
    await things.setDesired(id, { speed: 3 });
    await things.invoke(id, "stop", { secret: "not to be told" });
    const called = things.invoke(id, "wait", {}, { sync: true, timeoutMs: 1_000 });
    await things.sendRaw(id, Buffer.from([1, 2]));
    await things.setConfig(PK, { url: "https://example.com/c", content: "c" });
    await things.pushConfig(id);
    await things.setLogReport(id, true);
    const firmware = {
      version: "2",
      url: "https://example.com/f",
      size: 1,
      sign: "a".repeat(64),
      signMethod: "SHA256",
    };
    await things.upgrade(id, firmware as Parameters<typeof things.upgrade>[1]);
    await expect(things.setProperties(id, {})).rejects.toMatchObject({ code: "THING_VALUE" });
    expect((await called).code).toBe("TIMEOUT");
    await device.fence();
    const entries = await logOf(name);
    const calls = entries.filter(({ businessType }) => businessType === "API call");
    expect(calls.map(({ operation, status }) => [operation, status])).toEqual([
      ["UpdateDeviceShadow", 200],
      ["UpdateDeviceShadow", 409],
      ["SetDeviceProperty", 200],
      ["SetDeviceDesiredProperty", 200],
      ["InvokeThingService", 200],
      ["RRpc", 200],
      ["SendRawData", 200],
      ["PushThingConfig", 200],
      ["SetLogReport", 200],
      ["UpgradeFirmware", 200],
      ["SetDeviceProperty", 460],
      ["RRpc", 1905],
      ["InvokeThingService", 200],
    ]);
    // What each of them has sent stands under its trace.
    const sentUnder = (call: RunLogEntry): string[] =>
      entries
        .filter(
          ({ traceId, businessType }) =>
            traceId === call.traceId && businessType === "cloud-to-device message",
        )
        .map(({ operation }) => operation.replace(/request\/\d+$/, "request/N"));
    const sys = `/sys/${PK}/${name}`;
    expect(calls.map(sentUnder)).toEqual([
      [`/shadow/get/${PK}/${name}`],
      [],
      [`${sys}/thing/service/property/set`],
      [`${sys}/thing/service/property/set`],
      [`${sys}/thing/service/stop`],
      [`${sys}/rrpc/request/N`],
      [`${sys}/thing/model/down_raw`],
      [`${sys}/thing/config/push`],
      [`${sys}/thing/config/log/push`],
      [`/ota/device/upgrade/${PK}/${name}`],
      [],
      [`${sys}/rrpc/request/N`],
      [`${sys}/rrpc/request/N`],
    ]);
    const shadowEntries = entries.filter(({ businessType }) => businessType === "device shadow");
    expect(shadowEntries.map(({ traceId }) => traceId)).toEqual([calls[0].traceId, calls[1].traceId]);
    expect(calls[12].traceId).toBe(calls[5].traceId);
    expect(calls[2].content).toMatchObject({
      Params: { properties: ["speed"] },
      ResultData: { pushed: "sent" },
    });
    expect(JSON.stringify(entries)).not.toMatch(/not to be told/);
  });
});
