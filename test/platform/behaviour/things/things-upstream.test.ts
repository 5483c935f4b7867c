// What goes up of thing messages [UP-1], over real sockets, in 3.1.1 and 5.0: transformed for products with a thing model, as
// sent for the others; and a sub-device's over its gateway's connection.
import { afterEach, describe, expect, test } from "vitest";
import { sign, signContent } from "../../../../src/platform/sign-in/signature.ts";
import type { UpstreamReader } from "../../../../src/platform/upstream/feed.ts";
import type { UpstreamMessage } from "../../../../src/platform/upstream/upstream-message.ts";
import type { RawClient } from "../../../support/raw-client.ts";
import { BOTH, useServer } from "../../../support/server.ts";
import type { Version } from "../../../support/wire.ts";
import { connectDevice, PK, registryOf, secretOf } from "../../signed-device.ts";
import { MODEL } from "../../thing-models.ts";

const MPK = "a1MODEL0001";
const GPK = "a1GATEWAY01";
const NAMES = Array.from({ length: 40 }, (_, i) => `thing${String(i).padStart(2, "0")}`);
const devices = registryOf(...NAMES);
devices.putProduct({ productKey: MPK, productSecret: "ModelSecret00001" });
await devices.setModel(MPK, JSON.stringify(MODEL));
devices.putProduct({ productKey: GPK, productSecret: "GatewaySecret001", nodeType: "gateway" });
for (const deviceName of NAMES)
  for (const productKey of [MPK, GPK])
    devices.putDevice({ productKey, deviceName, deviceSecret: secretOf(deviceName) });
const server = useServer({ profile: "platform", devices });
let used = 0;
const readers: UpstreamReader[] = [];
afterEach(() => {
  for (const reader of readers.splice(0)) reader.close();
});

type Body = Record<string, unknown>;

/** Messages of devices, one after the other; notices of who came and went are passed over. */
function listen(): () => Promise<UpstreamMessage & { body: Body }> {
  const reader = server.broker.upstream();
  readers.push(reader);
  const messages = reader[Symbol.asyncIterator]();
  return async () => {
    for (;;) {
      const { value, done } = await messages.next();
      if (done) throw new Error("the feed has ended");
      if (value.kind === "data") return { ...value, body: parsed(value.payload) };
    }
  };
}

function parsed(payload: Buffer): Body {
  try {
    return JSON.parse(payload.toString()) as Body;
  } catch {
    return {};
  }
}

async function open(version: Version, productKey: string) {
  const deviceName = NAMES[used++];
  const client: RawClient = await connectDevice(server, version, deviceName, {
    productKey,
    extensions: "_ss=1",
  });
  const iotId = devices.findDevice(productKey, deviceName)?.iotId;
  const send = (path: string, body: unknown, id: unknown = "2"): Promise<unknown> =>
    client.publish(
      `/sys/${productKey}/${deviceName}/${path}`,
      typeof body === "string" ? body : JSON.stringify({ id, version: "1.0", params: body }),
      { qos: 1 },
    );
  return { client, deviceName, iotId, send, own: `/${productKey}/${deviceName}/` };
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[UP-1] property posts of a product with a thing model: items with times, what failed apart", async () => {
    const next = listen();
    const { send, own, iotId, deviceName } = await open(version, MPK);
    const before = Date.now();
    await send("thing/event/property/post", {
      Level: { value: 5, time: 1_510_799_670_074 },
      Power: 1,
      Bad: 7,
    });
    const { topic, body, time, device } = await next();
    expect(topic).toBe(`${own}thing/event/property/post`);
    expect(device).toEqual({ productKey: MPK, deviceName });
    expect(time).toBeGreaterThanOrEqual(before);
    expect(body).toEqual({
      deviceType: "Ammeter",
      iotId,
      requestId: "2",
      productKey: MPK,
      gmtCreate: time,
      deviceName,
      items: { Level: { value: 5, time: 1_510_799_670_074 }, Power: { value: 1, time } },
      checkFailedData: { Bad: { value: 7, time, code: 6304, message: "tsl parse: params not exist -> Bad" } },
    });
  });

  test("[UP-1] events, batches, history, answers, tags and what has no form of its own", async () => {
    const next = listen();
    const { send, own, deviceName } = await open(version, MPK);
    const expectUp = async (path: string, body: Body): Promise<void> => {
      const up = await next();
      expect(up.topic).toBe(own + path);
      expect(up.body).toMatchObject(body);
    };
    await send("thing/event/Broken/post", { value: { ErrorCode: 3 }, time: 5 });
    await expectUp("thing/event/Broken/post", {
      identifier: "Broken",
      name: "broken down",
      type: "alert",
      value: { ErrorCode: 3 },
      time: 5,
    });
    await send("thing/event/Unknown/post", { n: 1 });
    await expectUp("thing/event/Unknown/post", {
      value: expect.not.objectContaining({ n: 1 }),
      checkFailedData: { value: { n: 1 }, code: 6304 },
    });
    const batch = server.broker.upstream();
    const values = [
      { value: 1, time: 1 },
      { value: 2, time: 2 },
    ];
    await send("thing/event/property/batch/post", {
      properties: { Level: values, Power: [{ value: 1, time: 1 }] },
      events: { Broken: [{ value: { ErrorCode: 1 }, time: 3 }] },
    });
    const path = "thing/event/property/post";
    await expectUp(path, { items: { Level: { value: 1, time: 1 }, Power: { value: 1, time: 1 } } });
    await expectUp(path, { items: { Level: { value: 2, time: 2 } } });
    await expectUp("thing/event/Broken/post", { value: { ErrorCode: 1 }, time: 3 });
    const ids = new Set<string>();
    for await (const { messageId } of batch) if (ids.add(messageId).size === 3) break; // each has its own
    const identity = { productKey: MPK, deviceName };
    await send("thing/event/property/history/post", [
      {
        identity,
        properties: [{ Level: values[0] }],
        events: [{ Broken: { value: { ErrorCode: 2 }, time: 9 } }],
      },
    ]);
    await expectUp("thing/event/property/history/post", { items: { Level: { value: 1, time: 1 } } });
    await expectUp("thing/event/Broken/history/post", { time: 9 });
    await send("thing/service/property/set_reply", '{"id":"77","code":200,"data":{}}');
    await expectUp("thing/downlink/reply/message", {
      requestId: "77",
      code: 200,
      message: "success",
      topic: `/sys${own}thing/service/property/set`,
      data: {},
    });
    await send("thing/service/Reset_reply", '{"id":"78","code":100001,"data":{"a":1},"message":"stuck"}');
    await expectUp("thing/downlink/reply/message", { code: 100001, message: "stuck", data: { a: 1 } });
    await send("thing/deviceinfo/update", [{ attrKey: "room", attrValue: "a1" }]);
    await expectUp("thing/deviceinfo/update", { value: [{ attrKey: "room", attrValue: "a1" }] });
    await send("thing/list/found", [{ productKey: MPK, deviceName: NAMES[0] }]);
    await expectUp("thing/list/found", {
      gwDeviceName: deviceName,
      devices: [
        { ...{ productKey: MPK, deviceName: NAMES[0] }, iotId: devices.findDevice(MPK, NAMES[0])?.iotId },
      ],
    });
    await send("thing/property/desired/get", ["Level"]);
    await expectUp("thing/property/desired/get", { params: ["Level"] });
    await send("thing/something/else", { x: 1 });
    await expectUp("thing/something/else", { params: { x: 1 } });
  });

  test("[UP-1] without a thing model: as sent, under its own topic; what was refused does not go up", async () => {
    const next = listen();
    const { send, own } = await open(version, PK);
    const many = Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`p${i}`, i]));
    await send("thing/event/property/post", "no JSON");
    await send("thing/event/property/post", many);
    const text = '{ "id": 7, "params": {"a" :1} }';
    await send("thing/event/property/post", text);
    const up = await next();
    expect([up.topic, up.payload.toString()]).toEqual([`/sys${own}thing/event/property/post`, text]);
    await send("thing/service/property/set_reply", '{"id":"77","code":200,"data":{}}');
    expect((await next()).topic).toBe(`/sys${own}thing/service/property/set_reply`);
  });

  test("[UP-1] firmware: a new version once, and how an upgrade ended", async () => {
    const next = listen();
    const { client, own, deviceName } = await open(version, PK);
    const device = { productKey: PK, deviceName };
    const inform = (text: string) =>
      client.publish(
        `/ota/device/inform${own.slice(0, -1)}`,
        JSON.stringify({ id: 1, params: { version: text } }),
        { qos: 1 },
      );
    await inform("1");
    await inform("1");
    expect((await next()).topic).toBe(`${own}ota/version/post`);
    const firmware = {
      version: "2",
      url: "https://f.example/",
      size: 1,
      sign: "0".repeat(32),
      signMethod: "Md5",
    } as const;
    await server.broker.things.upgrade(device, firmware);
    await inform("2");
    expect((await next()).body).toMatchObject({ moduleName: "default", moduleVersion: "2" });
    const { topic, body } = await next();
    expect(topic).toBe(`${own}ota/upgrade`);
    expect(body).toMatchObject({ status: "SUCCEEDED", srcVersion: "1", destVersion: "2" });
  });

  test("[UP-1] [GW-4] a sub-device over its gateway: the reply goes to the gateway, the message is the sub-device's", async () => {
    const next = listen();
    const gateway = await open(version, GPK);
    const subDevice = NAMES[used++];
    await devices.updateDevice(MPK, subDevice, {
      gateway: { productKey: GPK, deviceName: gateway.deviceName },
    });
    const clientId = "x";
    const input = { clientId, productKey: MPK, deviceName: subDevice, timestamp: "1" };
    const login = {
      ...input,
      signMethod: "hmacsha256",
      sign: sign("hmacsha256", secretOf(subDevice), signContent(input)),
    };
    await gateway.client.publish(
      `/ext/session${gateway.own}combine/login`,
      JSON.stringify({ id: "1", params: login }),
    );
    expect(JSON.parse((await gateway.client.receive()).text)).toMatchObject({ code: 200 });
    const topic = `/sys/${MPK}/${subDevice}/thing/event/property/post`;
    await gateway.client.publish(topic, JSON.stringify({ id: 9, params: { Level: 42 } }));
    const reply = await gateway.client.receive();
    expect([reply.topic, JSON.parse(reply.text)]).toMatchObject([`${topic}_reply`, { id: 9, code: 200 }]);
    const up = await next();
    expect(up.device).toEqual({ productKey: MPK, deviceName: subDevice });
    expect(up.body).toMatchObject({ deviceName: subDevice, items: { Level: { value: 42 } } });
    expect(server.broker.things.properties(up.device)).toMatchObject({ Level: { value: 42 } });
    await server.broker.things.setProperties(up.device, { Level: 1 });
    expect((await gateway.client.receive()).topic).toBe(
      `/sys/${MPK}/${subDevice}/thing/service/property/set`,
    );
    await gateway.client.expectNothing();
  });
});
