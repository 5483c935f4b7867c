// What a device is told over real sockets, in 3.1.1 and 5.0: services, configuration, raw bytes, firmware; and its answers.
import { describe, expect, test } from "vitest";
import { BOTH } from "../../../support/server.ts";
import { PK } from "../../signed-device.ts";
import { MPK, RPK, useThings } from "./thing-client.ts";

const { devices, server, open } = await useThings();

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("services: asynchronous ones on their topic, synchronous ones over RRPC in the form the device takes [RRPC-2]", async () => {
    const { things } = server.broker;
    const thing = await open(version, MPK);
    const sent = await things.invoke(thing.id, "Reset", { Delay: 5 });
    const { topic, body } = await thing.told();
    expect(topic).toBe(thing.topic("thing/service/Reset"));
    expect(body).toEqual({
      method: "thing.service.Reset",
      id: sent.requestId,
      params: { Delay: 5 },
      version: "1.0.0",
    });
    expect(BigInt(sent.requestId)).toBeLessThan(2n ** 63n);
    await expect(things.invoke(thing.id, "Reset", { Delay: 61 })).rejects.toMatchObject({
      code: "THING_VALUE",
    });
    await expect(things.invoke(thing.id, "Re/set")).rejects.toMatchObject({ code: "THING_SERVICE" });
    for (const [ext, request, answer] of [
      ["", /^\/sys\/[^/]+\/[^/]+\/rrpc\/request\/(\d+)$/, (id: string) => `rrpc/response/${id}`],
      [",ext=3", /^\/ext\/rrpc\/(\d+)\/sys\/[^/]+\/[^/]+\/thing\/service\/Measure$/, undefined],
    ] as const) {
      const called = await open(version, MPK, { extensions: `_ss=1${ext}` });
      const result = things.invoke(called.id, "Measure");
      const asked = await called.told();
      const id = request.exec(asked.topic)?.[1] ?? "";
      expect(asked.topic).toMatch(request);
      const reply = JSON.stringify({ id: asked.body.id, code: 200, data: { Heat: 5 } });
      await called.client.publish(answer === undefined ? asked.topic : called.topic(answer(id)), reply);
      expect(await result).toMatchObject({ code: "SUCCESS", answer: { code: 200, data: { Heat: 5 } } });
    }
    expect((await things.invoke({ productKey: MPK, deviceName: "nobody1" }, "Measure")).code).toBe("OFFLINE");
  });

  test("configuration: what the SDKs insist on, 6710 without one, and pushing it", async () => {
    const { things } = server.broker;
    const thing = await open(version);
    await things.setConfig(PK, undefined);
    const params = { configScope: "product", getType: "file" };
    expect((await thing.ask("thing/config/get", params)).code).toBe(6710);
    const config = await things.setConfig(PK, { url: "https://files.example/c.json", content: "{}" });
    const wanted = {
      configId: config?.configId,
      configSize: 2,
      sign: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
      signMethod: "Sha256",
      url: "https://files.example/c.json",
      getType: "file",
    };
    expect((await thing.ask("thing/config/get", params)).data).toEqual(wanted);
    expect((await thing.ask("thing/config/get", { configScope: "other" })).code).toBe(460);
    expect(await things.pushConfig(thing.id)).toBe("sent");
    expect(await thing.told()).toMatchObject({
      topic: thing.topic("thing/config/push"),
      body: { method: "thing.config.push", params: wanted },
    });
    const asked = { configScope: "device", getType: "content" };
    expect((await thing.ask("thing/config/log/get", asked)).data).toEqual({
      getType: "content",
      content: { mode: 0 },
    });
    await things.setLogReport(thing.id, true);
    expect(await thing.told()).toMatchObject({ topic: thing.topic("thing/config/log/push") });
    expect((await thing.ask("thing/config/log/get", asked)).data).toMatchObject({ content: { mode: 1 } });
    expect((await thing.ask("thing/log/post", ["2026 FATAL x"])).code).toBe(200);
  });

  test("raw data: a product of such devices gets an answer to each, and bytes as they are", async () => {
    const thing = await open(version, RPK);
    await thing.send("thing/model/up_raw", Buffer.from([1, 2, 255]));
    expect((await thing.reply("thing/model/up_raw")).code).toBe(200);
    expect(await server.broker.things.sendRaw(thing.id, Buffer.from([0, 255]))).toBe("sent");
    const { topic, payload } = await thing.client.receive();
    expect([topic, ...payload]).toEqual([thing.topic("thing/model/down_raw"), 0, 255]);
  });

  test("firmware: versions, an upgrade with what the SDKs read, progress, success and failure", async () => {
    const { things } = server.broker;
    const thing = await open(version);
    const ota = (what: string, params: object) =>
      thing.client.publish(
        `/ota/device/${what}/${PK}/${thing.deviceName}`,
        JSON.stringify({ id: 1, params }),
        { qos: 1 },
      );
    await ota("inform", { version: "1.0.0" });
    await ota("inform", { version: "7", module: "MCU" });
    expect(Object.fromEntries(things.firmware(thing.id).versions)).toEqual({ default: "1.0.0", MCU: "7" });
    expect(devices.findDevice(PK, thing.deviceName)?.firmwareVersion).toBe("1.0.0");
    expect((await thing.ask("thing/ota/firmware/get", {})).data).toEqual({});
    const firmware = {
      version: "1.1.0",
      url: "https://files.example/f.bin",
      size: 4096,
      sign: "ab".repeat(32),
      signMethod: "SHA256",
    } as const;
    const upgrade = () => things.firmware(thing.id).upgrades.get("default");
    expect(await things.upgrade(thing.id, firmware)).toBe("sent");
    const told = await thing.told();
    expect(told).toMatchObject({
      topic: `/ota/device/upgrade/${PK}/${thing.deviceName}`,
      body: { data: firmware },
    });
    expect((await thing.ask("thing/ota/firmware/get", {})).data).toEqual(firmware);
    await ota("request", { version: "1.0.0" });
    expect((await thing.told()).body).toMatchObject({ data: firmware });
    await ota("progress", { step: "40", desc: "downloading" });
    expect(upgrade()).toMatchObject({ state: "progress", step: 40, from: "1.0.0" });
    await ota("progress", { step: "-2", desc: "no room" });
    expect(upgrade()).toMatchObject({ state: "failed", step: -2, desc: "no room" });
    await ota("inform", { version: "1.1.0" });
    expect(upgrade()).toMatchObject({ state: "done" });
    expect((await thing.ask("thing/ota/firmware/get", {})).data).toEqual({});
    await expect(things.upgrade(thing.id, { ...firmware, sign: "ab" })).rejects.toMatchObject({
      code: "THING_FIRMWARE",
    });
    for (const bad of [
      "no JSON",
      "[]",
      '{"params":{"version":5}}',
      '{"params":{"version":"1","module":"a/b"}}',
    ])
      await thing.client.publish(`/ota/device/inform/${PK}/${thing.deviceName}`, bad, { qos: 1 });
    expect(things.firmware(thing.id).versions.size).toBe(2);
    // Sixteen modules at most; those it has go on.
    const inform = (version: string, module: string) =>
      thing.client.publish(
        `/ota/device/inform/${PK}/${thing.deviceName}`,
        JSON.stringify({ params: { version, module } }),
      );
    for (let i = 0; i < 16; i++) await inform("1", `m${i}`);
    await inform("8", "MCU");
    await thing.ask("thing/ota/firmware/get", {}); // behind them
    expect(things.firmware(thing.id).versions.size).toBe(16);
    expect(things.firmware(thing.id).versions.has("m14")).toBe(false);
    expect(things.firmware(thing.id).versions.get("MCU")).toBe("8");
  });
});
