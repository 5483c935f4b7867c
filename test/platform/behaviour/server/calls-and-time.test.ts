// Synchronous calls and the time service, over real sockets, in 3.1.1 and 5.0.
import { describe, expect, test } from "vitest";
import { BOTH, useServer } from "../../../support/server.ts";
import { connectDevice, PK, registryOf } from "../../signed-device.ts";

const NAMES = Array.from({ length: 40 }, (_, i) => `device${i}`);
const server = useServer({ profile: "platform", devices: registryOf(...NAMES) });
let used = 0;
const nextName = (): string => NAMES[used++];

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[RRPC-1] a device that subscribed is called, and its answer ends the call, with QoS 0 or 1 [RRPC-3]", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName);
    await device.subscribe(`/sys/${PK}/${deviceName}/rrpc/request/+`);
    for (const qos of [0, 1] as const) {
      const call = server.broker.rrpc({ productKey: PK, deviceName }, Buffer.from([1, 0, 255]));
      const request = await device.receive();
      expect(request.qos).toBe(0);
      expect([...request.payload]).toEqual([1, 0, 255]);
      await device.publish(request.topic.replace("request", "response"), `answer ${qos}`, { qos });
      expect(await call).toMatchObject({ code: "SUCCESS", payload: Buffer.from(`answer ${qos}`) });
    }
  });

  test("[RRPC-7] one that did not subscribe gets nothing and the call times out; with _ss=1 it is called [SUB-5]", async () => {
    const silent = nextName();
    const declared = nextName();
    const device = await connectDevice(server, version, silent);
    const quiet = server.broker.rrpc({ productKey: PK, deviceName: silent }, "x", { timeoutMs: 1_000 });
    const other = await connectDevice(server, version, declared, { extensions: "_ss=1,ext=3" });
    const call = server.broker.rrpc({ productKey: PK, deviceName: declared }, "x");
    const request = await other.receive();
    await other.publish(request.topic.replace("request", "response"), "yes");
    expect(await call).toMatchObject({ code: "SUCCESS" });
    expect(await quiet).toMatchObject({ code: "TIMEOUT" });
    await device.expectNothing();
  });

  test("[RRPC-2] over the device's own topic: the answer on the same name is not looped back", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName, { extensions: "ext=1" });
    const topic = `/${PK}/${deviceName}/user/get`;
    await device.subscribe(`/ext/rrpc/+${topic}`);
    const call = server.broker.rrpc({ productKey: PK, deviceName }, "question", { topic });
    const request = await device.receive();
    expect(request.topic).toMatch(new RegExp(`^/ext/rrpc/\\d+${topic}$`));
    await device.publish(request.topic, "answer");
    expect(await call).toMatchObject({ code: "SUCCESS", payload: Buffer.from("answer") });
    await device.expectNothing();
  });

  test("[RRPC-5] a device that is offline; [RRPC-6] another one cannot answer", async () => {
    const deviceName = nextName();
    const stranger = nextName();
    expect(await server.broker.rrpc({ productKey: PK, deviceName }, "x")).toMatchObject({ code: "OFFLINE" });
    const device = await connectDevice(server, version, deviceName);
    const other = await connectDevice(server, version, stranger);
    await device.subscribe(`/sys/${PK}/${deviceName}/rrpc/request/+`);
    const call = server.broker.rrpc({ productKey: PK, deviceName }, "x");
    const answer = (await device.receive()).topic.replace("request", "response");
    await other.publish(answer, "foreign");
    await other.fence();
    await device.publish(answer, "own");
    expect(await call).toMatchObject({ payload: Buffer.from("own") });
  });

  test("[NTP-1] the time, to one that subscribed and to one that declared _ss=1, once", async () => {
    for (const extensions of [undefined, "_ss=1"]) {
      const deviceName = nextName();
      const device = await connectDevice(server, version, deviceName, { extensions });
      const response = `/ext/ntp/${PK}/${deviceName}/response`;
      if (extensions === undefined) await device.subscribe(response);
      const before = Date.now();
      await device.publish(`/ext/ntp/${PK}/${deviceName}/request`, '{"deviceSendTime":"100"}', { qos: 1 });
      const { topic, text } = await device.receive();
      expect(topic).toBe(response);
      const answer = JSON.parse(text) as Record<string, string>;
      expect(answer.deviceSendTime).toBe("100");
      expect(Number(answer.serverRecvTime)).toBeGreaterThanOrEqual(before);
      expect(Number(answer.serverSendTime)).toBeLessThanOrEqual(Date.now());
      await device.expectNothing();
    }
  });

  test("a device that subscribed although it declared _ss=1 gets each message once", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName, { extensions: "_ss=1" });
    await device.subscribe(`/ext/ntp/${PK}/${deviceName}/response`);
    await device.publish(`/ext/ntp/${PK}/${deviceName}/request`, '{"deviceSendTime":1}');
    expect((await device.receive()).text).toContain('"deviceSendTime":1');
    await device.expectNothing();
  });

  test("what the server does not take is no service: a request of a stranger, and another's topic", async () => {
    const device = await connectDevice(server, version, nextName());
    const foreign = `/ext/ntp/${PK}/${nextName()}/request`;
    await device.publish(foreign, '{"deviceSendTime":1}');
    await device.expectNothing();
  });
});
