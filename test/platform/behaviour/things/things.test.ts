// Thing messages over real sockets, in 3.1.1 and 5.0: what a device asks and posts, what it is answered, and what is kept.
import { describe, expect, test } from "vitest";
import { BOTH, eventually } from "../../../support/server.ts";
import { PK, secretOf } from "../../signed-device.ts";
import { GPK, MPK, useThings } from "./thing-client.ts";

const { devices, server, names, nextName, open } = await useThings();
const POST = "thing/event/property/post";

describe.each(BOTH)("MQTT %s: requests and replies", (_name, version) => {
  test("id is echoed with its JSON type, method is the topic's where there is none", async () => {
    const thing = await open(version);
    const id = `1|exp-topic|${thing.topic(`${POST}_reply`)}`;
    await thing.send(POST, {
      id,
      version: "1.0",
      params: { LightSwitch: 1 },
      method: "thing.event.property.post",
    });
    expect(await thing.reply(POST)).toEqual({
      code: 200,
      id,
      message: "success",
      method: "thing.event.property.post",
      version: "1.0",
      data: {},
    });
    await thing.send(POST, { id: 17, params: { LightSwitch: 0 }, sys: { ack: 1 } });
    expect(await thing.reply(POST)).toMatchObject({ id: 17, method: "thing.event.property.post" });
    expect(await thing.ask("thing/event/error/post", { ErrorCode: 1 })).toMatchObject({
      code: 200,
      method: "thing.event.error.post",
    });
    expect(server.broker.things.properties(thing.id)).toMatchObject({ LightSwitch: { value: 0 } });
  });

  test("sys.ack 0 asks for no reply", async () => {
    const thing = await open(version);
    await thing.send(POST, { id: "1", params: { a: 5 }, sys: { ack: 0 } }, 1);
    await thing.client.expectNothing();
    expect(server.broker.things.properties(thing.id)).toMatchObject({ a: { value: 5 } });
  });

  test("what is no Alink object is answered 6207, what lacks its params 460", async () => {
    const thing = await open(version);
    const deep = `{"id":"1","params":${"[".repeat(40)}${"]".repeat(40)}}`;
    for (const bad of ["", "no JSON", "[1]", deep, Buffer.from([0xff, 0xfe])]) {
      await thing.send(POST, bad);
      expect(await thing.reply(POST)).toMatchObject({ code: 6207, id: "" });
    }
    for (const params of [undefined, [], "x", {}, null])
      expect((await thing.ask(POST, params)).code).toBe(460);
    for (const path of ["thing/event/property/pack/post", "thing/deviceinfo/update", "thing/list/found"])
      expect((await thing.ask(path, 5)).code).toBe(460);
  });

  test("one reply: with a subscription as well as with _ss=1, none without either; a device hears its own publish only where it subscribed", async () => {
    const both = await open(version);
    await both.client.subscribe(both.topic("thing/event/+/post_reply"));
    expect((await both.ask(POST, { a: 1 })).code).toBe(200);
    await both.client.expectNothing();
    const plain = await open(version, PK, { extensions: "lan=x" });
    await plain.send(POST, { id: "1", params: { a: 1 } }, 1);
    await plain.client.expectNothing();
    await plain.client.subscribe(plain.topic("thing/#"));
    await plain.send(POST, { id: "1", params: { a: 1 } });
    const topics = [(await plain.client.receive()).topic, (await plain.client.receive()).topic];
    expect(topics.sort()).toEqual([plain.topic(POST), plain.topic(`${POST}_reply`)]);
    await plain.client.expectNothing();
  });

  test("names such as __proto__ are data", async () => {
    const thing = await open(version);
    const params = JSON.parse('{"__proto__":{"value":{"__proto__":1},"time":5},"constructor":2}') as object;
    expect((await thing.ask(POST, params)).code).toBe(200);
    await server.broker.things.flush();
    const kept = server.broker.things.properties(thing.id);
    expect(Object.keys(kept).sort()).toEqual(["__proto__", "constructor"]);
    expect(JSON.stringify(Object.getOwnPropertyDescriptor(kept, "__proto__")?.value)).toBe(
      '{"value":{"__proto__":1},"time":5}',
    );
  });

  test("[LIMIT-7] 200 properties are taken, 201 get 6106 and nothing of them is kept", async () => {
    const thing = await open(version);
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, i]));
    expect((await thing.ask(POST, many(201))).code).toBe(6106);
    expect(server.broker.things.properties(thing.id)).toEqual({});
    expect((await thing.ask(POST, many(200))).code).toBe(200);
    expect(Object.keys(server.broker.things.properties(thing.id))).toHaveLength(200);
    const list = (count: number) => ({
      properties: { Power: Array.from({ length: count }, (_, i) => ({ value: i, time: i })) },
    });
    expect((await thing.ask("thing/event/property/batch/post", list(201))).code).toBe(6106);
    expect((await thing.ask("thing/event/property/batch/post", list(200))).code).toBe(200);
    expect(server.broker.things.properties(thing.id).Power).toEqual({ value: 199, time: 199 });
  });

  test("[LIMIT-7] a pack: at most 20 sub-devices (6357), 200 events (6356), 200 properties (6106)", async () => {
    const gateway = await open(version, GPK);
    const path = "thing/event/property/pack/post";
    const events = (count: number) => ({
      Alarm: Array.from({ length: count }, (_, i) => ({ value: { n: i }, time: i })),
    });
    expect((await gateway.ask(path, { events: events(201) })).code).toBe(6356);
    expect((await gateway.ask(path, { events: events(200) })).code).toBe(200);
    const subs = names.slice(-21).map((deviceName) => ({
      identity: { productKey: MPK, deviceName },
      properties: { Level: { value: 1, time: 1 } },
    }));
    expect((await gateway.ask(path, { subDevices: subs })).code).toBe(6357);
    for (const { identity } of subs.slice(0, 20))
      await devices.updateDevice(identity.productKey, identity.deviceName, { gateway: gateway.id });
    expect((await gateway.ask(path, { subDevices: subs.slice(0, 20) })).code).toBe(200);
    expect(server.broker.things.properties(subs[19].identity)).toMatchObject({
      Level: { value: 1, time: 1 },
    });
    const wide = { properties: Object.fromEntries(Array.from({ length: 181 }, (_, i) => [`p${i}`, i])) };
    expect((await gateway.ask(path, { ...wide, subDevices: subs.slice(0, 20) })).code).toBe(6106);
  });

  test("[LIMIT-7] a gateway packs for its own sub-devices only, all or nothing", async () => {
    const gateway = await open(version, GPK);
    const [mine, strange] = [nextName(), nextName()];
    await devices.updateDevice(PK, mine, { gateway: gateway.id });
    const path = "thing/event/property/pack/post";
    const of = (deviceName: string) => ({ identity: { productKey: PK, deviceName }, properties: { a: 1 } });
    expect((await gateway.ask(path, { subDevices: [of(mine), of(strange)] })).code).toBe(6401);
    expect((await gateway.ask(path, { subDevices: [of(mine), of("nobody")] })).code).toBe(6100);
    await devices.disableDevice(PK, mine);
    expect((await gateway.ask(path, { subDevices: [of(mine)] })).code).toBe(6204);
    await devices.enableDevice(PK, mine);
    expect(server.broker.things.properties({ productKey: PK, deviceName: mine })).toEqual({});
    expect((await gateway.ask(path, { properties: { b: 2 }, subDevices: [of(mine)] })).code).toBe(200);
    expect(server.broker.things.properties({ productKey: PK, deviceName: mine })).toMatchObject({
      a: { value: 1 },
    });
    expect(server.broker.things.properties(gateway.id)).toMatchObject({ b: { value: 2 } });
    const history = [{ ...of(mine), properties: [{ a: { value: 9, time: 1 } }] }];
    expect((await gateway.ask("thing/event/property/history/post", history)).code).toBe(200);
    expect(server.broker.things.properties({ productKey: PK, deviceName: mine })).toMatchObject({
      a: { value: 1 },
    });
  });

  test("values of a thing model: what does not fit is named in the reply, the rest is taken", async () => {
    const thing = await open(version, MPK);
    const reply = await thing.ask(POST, {
      Level: 101,
      Power: 1,
      Nothing: 1,
      Position: { latitude: 5, x: 1 },
    });
    expect(reply.code).toBe(200);
    expect(Object.keys(reply.data).sort()).toEqual(["Level", "Nothing", "Position"]);
    expect(reply.data.Nothing).toContain("tsl parse: params not exist");
    expect(Object.keys(server.broker.things.properties(thing.id))).toEqual(["Power"]);
    const event = await thing.ask("thing/event/Broken/post", { ErrorCode: 10 });
    expect(event).toMatchObject({
      code: 200,
      data: { Broken: expect.stringContaining("0 to 9") as unknown },
    });
  });

  test("properties a device has too many of are told, the others kept", async () => {
    const thing = await open(version);
    const from = (first: number, count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${first + i}`, i]));
    await thing.ask(POST, from(0, 200));
    const { code, data } = await thing.ask(POST, from(150, 200));
    expect([code, Object.keys(data).length]).toEqual([200, 50]);
    expect(Object.keys(server.broker.things.properties(thing.id))).toHaveLength(300);
  });

  test("tags: set, read, deleted; what is malformed changes nothing", async () => {
    const thing = await open(version);
    const tagsOf = () => devices.findDevice(PK, thing.deviceName)?.tags;
    const tags = [
      { attrKey: "SYS_SDK_LANGUAGE", attrValue: "NodeJS", domain: "SYSTEM" },
      { attrKey: "SYS_SDK_IF_INFO", attrValue: "WiFi|", domain: "SYSTEM" },
    ];
    expect((await thing.ask("thing/deviceinfo/update", tags)).code).toBe(200);
    expect(tagsOf()).toEqual([
      ["SYS_SDK_LANGUAGE", "NodeJS"],
      ["SYS_SDK_IF_INFO", "WiFi|"],
    ]);
    for (const bad of [
      [{ attrKey: "1a", attrValue: "x" }],
      [{ attrKey: "a" }],
      [{ attrKey: "a", attrValue: "x".repeat(129) }],
      [5],
    ])
      expect((await thing.ask("thing/deviceinfo/update", bad)).code).toBe(460);
    expect(tagsOf()).toHaveLength(2);
    expect((await thing.ask("thing/deviceinfo/get", ["SYS_SDK_IF_INFO"])).data).toEqual([
      { attrKey: "SYS_SDK_IF_INFO", attrValue: "WiFi|" },
    ]);
    expect((await thing.ask("thing/deviceinfo/delete", [{ attrKey: "SYS_SDK_LANGUAGE" }])).code).toBe(200);
    expect(tagsOf()).toEqual([["SYS_SDK_IF_INFO", "WiFi|"]]);
  });

  test("desired properties: the device is told, reads them with their versions, and deletes what it has seen", async () => {
    const thing = await open(version, MPK);
    const { things } = server.broker;
    const { versions, pushed } = await things.setDesired(thing.id, { Level: 7, Name: "a" }, { Level: 0 });
    expect([versions, pushed]).toEqual([{ Level: 1, Name: 1 }, "sent"]);
    expect(await thing.told()).toMatchObject({
      topic: thing.topic("thing/service/property/set"),
      body: { method: "thing.service.property.set", params: { Level: 7, Name: "a" }, version: "1.0.0" },
    });
    await expect(things.setDesired(thing.id, { Level: 8 }, { Level: 0 })).rejects.toMatchObject({
      code: "THING_VERSION",
    });
    await expect(things.setDesired(thing.id, { Level: 101 })).rejects.toMatchObject({ code: "THING_VALUE" });
    await expect(things.setDesired(thing.id, { Heat: 1 })).rejects.toMatchObject({ code: "THING_VALUE" });
    const read = await thing.ask("thing/property/desired/get", ["Level", "Power"]);
    expect(read).toMatchObject({ code: 200, data: { Level: { value: 7, version: 1 } } });
    expect(Object.keys(read.data)).toEqual(["Level"]);
    await thing.ask("thing/property/desired/delete", { Level: { version: 9 } });
    expect(things.desired(thing.id)).toHaveProperty("Level");
    expect((await thing.ask("thing/property/desired/delete", { Level: { version: 1 }, Name: {} })).code).toBe(
      200,
    );
    expect(things.desired(thing.id)).toEqual({});
    expect((await things.setDesired(thing.id, { Level: 9 })).versions).toEqual({ Level: 2 });
  });

  test("messages that are no Alink objects are counted, and only those", async () => {
    const thing = await open(version);
    const malformed = (): number => server.broker.metrics()["platform.alink_malformed"] ?? 0;
    const before = malformed();
    expect((await thing.ask(POST, "bad params")).code).toBe(460);
    await thing.client.publish(`/ota/device/inform/${PK}/${thing.deviceName}`, '{"params":5}', { qos: 1 });
    expect(malformed()).toBe(before);
    await thing.send(POST, "no JSON");
    await thing.reply(POST);
    await thing.send("thing/service/Reset_reply", "[]");
    await thing.client.publish(`/ota/device/inform/${PK}/${thing.deviceName}`, "no JSON", { qos: 1 });
    await thing.client.publish(`/ota/device/progress/${PK}/${thing.deviceName}`, "{", { qos: 1 });
    await eventually(() => malformed() >= before + 4, "all four are counted");
    expect(malformed()).toBe(before + 4);
  });

  test("[LOG-1] what is refused, values that do not fit and answers of devices stand in the run log", async () => {
    const thing = await open(version, MPK);
    await thing.send(POST, "no JSON");
    await thing.reply(POST);
    await thing.ask(POST, { Level: 101, Power: 1 });
    await thing.send("thing/service/Reset_reply", { id: "1", code: 100_001, message: "stuck", data: {} });
    await thing.client.publish(`/ota/device/inform/${MPK}/${thing.deviceName}`, "no JSON", { qos: 1 });
    const lines = async () =>
      (await server.broker.runLog.search({ device: thing.id, limit: 100 }))
        .filter(({ businessType }) => /thing|OTA/.test(businessType))
        .map(({ businessType, operation, status }) => [businessType, operation, status]);
    const wanted = [
      ["thing model check", POST, 6207],
      ["thing model check", POST, 6306],
      ["thing model service call", "thing/service/Reset_reply", 100_001],
      ["OTA", `/ota/device/inform/${MPK}/${thing.deviceName}`, 460],
    ];
    await eventually(async () => (await lines()).length >= wanted.length, "the entries are there");
    expect(await lines()).toEqual(wanted);
  });

  test("a deleted device leaves nothing behind", async () => {
    const deviceName = `gone${version}xx`;
    await devices.createDevice({ productKey: PK, deviceName, deviceSecret: secretOf(deviceName) });
    const thing = await open(version, PK, { deviceName });
    await thing.ask(POST, { a: 1 });
    await server.broker.things.setDesired(thing.id, { a: 2 });
    await server.broker.things.flush();
    await devices.deleteDevice(PK, deviceName);
    const left = () =>
      ["properties", "desired", "firmware", "log-report"].filter((kind) =>
        devices.documents.get(kind, `${PK}/${deviceName}`),
      );
    await eventually(() => left().length === 0, "the documents are gone");
    expect(server.broker.things.properties(thing.id)).toEqual({});
  });
});
