// Shadows and broadcasts over real sockets, in 3.1.1 and 5.0.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../../support/raw-client.ts";
import { BOTH } from "../../../support/server.ts";
import { connectDevice, PK, useDevices } from "../../signed-device.ts";

const { server, nextName } = useDevices("device", 60, {
  platform: { rates: {}, broadcast: { callsPerMinute: 3, topicCallsPerSecond: 0 } },
});

interface Said {
  method: string;
  version?: number;
  timestamp: number;
  payload: {
    status: string;
    version?: number;
    state?: object;
    metadata?: object;
    content?: { errorcode: string };
  };
}

async function ask(device: RawClient, deviceName: string, request: unknown): Promise<Said> {
  await device.publish(
    `/shadow/update/${PK}/${deviceName}`,
    typeof request === "string" ? request : JSON.stringify(request),
    { qos: 1 },
  );
  return heard(device, deviceName);
}

async function heard(device: RawClient, deviceName: string): Promise<Said> {
  const message = await device.receive();
  expect(message.topic).toBe(`/shadow/get/${PK}/${deviceName}`);
  if (message.qos > 0) await device.acknowledge(message);
  return JSON.parse(message.text) as Said;
}

test("[SHADOW-1] a device that is not there has no shadow that waits for it", async () => {
  const nobody = { productKey: PK, deviceName: "nobody" };
  const wanted = { method: "update", state: { desired: { on: 1 } }, version: 1 };
  await expect(server.broker.shadows.update(nobody, wanted)).rejects.toMatchObject({
    code: "REGISTRY_MISSING",
  });
  expect(server.broker.shadows.get(nobody)).toBeUndefined();
});

describe.each(BOTH)("MQTT %s: shadows", (_name, version) => {
  test("[SHADOW-2] a request has twice the bytes of a document at most", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name, { extensions: "_ss=1" });
    const sized = (bytes: number): string => `{"method":"get","padding":"${"x".repeat(bytes - 29)}"}`;
    expect(sized(32_768).length).toBe(32_768);
    expect(await ask(device, name, sized(32_768))).toMatchObject({ payload: { status: "success" } });
    expect(await ask(device, name, sized(32_769))).toMatchObject({
      payload: { status: "error", content: { errorcode: "400" } },
    });
  });

  test("[SHADOW-1] update, get, delete; with a subscription and with _ss=1", async () => {
    for (const extensions of [undefined, "_ss=1"]) {
      const deviceName = nextName();
      const device = await connectDevice(server, version, deviceName, { extensions });
      if (extensions === undefined) await device.subscribe(`/shadow/get/${PK}/${deviceName}`);
      const now = Date.now();
      expect(
        await ask(device, deviceName, {
          method: "update",
          state: { reported: { colour: "red" } },
          version: now,
        }),
      ).toMatchObject({ method: "reply", payload: { status: "success", version: now } });
      const got = await ask(device, deviceName, { method: "get" });
      expect(got).toMatchObject({
        method: "reply",
        version: now,
        payload: { status: "success", state: { reported: { colour: "red" } } },
      });
      expect(got.payload.metadata).toHaveProperty("reported.colour.timestamp");
      const gone = { method: "delete", state: { reported: "null" }, version: now + 1 };
      expect(await ask(device, deviceName, gone)).toMatchObject({ payload: { status: "success" } });
      expect((await ask(device, deviceName, { method: "get" })).payload.state).toEqual({});
    }
  });

  test("[SHADOW-1] what the server wants is pushed, and lies in the shadow of one that is away", async () => {
    const deviceName = nextName();
    const id = { productKey: PK, deviceName };
    const device = await connectDevice(server, version, deviceName, { extensions: "_ss=1" });
    const wanted = { method: "update", state: { desired: { colour: "blue" } }, version: 1 };
    expect(await server.broker.shadows.update(id, wanted)).toEqual({ ok: true, version: 1, pushed: "sent" });
    expect(await heard(device, deviceName)).toMatchObject({
      method: "control",
      version: 1,
      payload: { status: "success", state: { desired: { colour: "blue" } } },
    });
    const done = { method: "update", state: { reported: { colour: "blue" }, desired: "null" }, version: 2 };
    expect(await ask(device, deviceName, done)).toMatchObject({ payload: { status: "success", version: 2 } });
    expect(server.broker.shadows.get(id)).toMatchObject({
      version: 2,
      state: { reported: { colour: "blue" } },
    });
    await device.disconnect();
    expect(await server.broker.shadows.update(id, { ...wanted, version: 2 })).toMatchObject({
      ok: false,
      code: 409,
    });
    expect(await server.broker.shadows.update(id, { ...wanted, version: 3 })).toMatchObject({ ok: true });
    const again = await connectDevice(server, version, deviceName, { extensions: "_ss=1" });
    expect((await ask(again, deviceName, { method: "get" })).payload.state).toMatchObject({
      desired: { colour: "blue" },
    });
  });

  test.each<[string, unknown]>([
    ["400", "{"],
    ["400", `{"method":"update","state":${"[".repeat(50)}${"]".repeat(50)}}`],
    ["401", {}],
    ["402", { method: "update", version: 1 }],
    ["403", { method: "update", version: "x", state: { reported: { a: 1 } } }],
    ["404", { method: "update", version: 1, state: {} }],
    ["405", { method: "update", version: 1, state: { reported: {} } }],
    ["406", { method: "replace" }],
    ["407", ""],
  ])("[SHADOW-2] code %s", async (code, request) => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName, { extensions: "_ss=1" });
    const said = await ask(device, deviceName, request);
    expect(said).toMatchObject({
      method: "reply",
      payload: { status: "error", content: { errorcode: code } },
    });
    expect(said.timestamp).toBeGreaterThan(1_700_000_000);
  });

  test("[SHADOW-2] twenty requests a second are answered, the next ones are dropped", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName, { extensions: "_ss=1" });
    const topic = `/shadow/update/${PK}/${deviceName}`;
    for (let i = 0; i < 25; i++) device.send(device.wire.publish(topic, '{"method":"get"}', {}));
    for (let i = 0; i < 20; i++) await heard(device, deviceName);
    await device.expectNothing();
  });
});

describe.each(BOTH)("MQTT %s: broadcasts", (_name, version) => {
  test("[BCAST-1] to every device that is online, subscribed or not; [BCAST-2] to those that subscribed the topic", async () => {
    const [one, two] = [nextName(), nextName()];
    const first = await connectDevice(server, version, one);
    const second = await connectDevice(server, version, two);
    await second.subscribe(`/broadcast/${PK}/news`);
    const { messageId, devices } = await server.broker.broadcast(PK, "hello");
    expect(devices).toBe(2);
    for (const [device, deviceName] of [
      [first, one],
      [second, two],
    ] as const)
      expect(await device.receive()).toMatchObject({
        topic: `/sys/${PK}/${deviceName}/broadcast/request/${messageId}`,
        text: "hello",
        qos: 0,
      });
    await server.broker.broadcast(PK, "news", `/broadcast/${PK}/news`);
    expect(await second.receive()).toMatchObject({ topic: `/broadcast/${PK}/news`, text: "news" });
    await first.expectNothing();
  });

  test("[BCAST-1] [BCAST-2] what is no broadcast is refused", async () => {
    const refused = (topic: string) => server.broker.broadcast(PK, "x", topic);
    await expect(refused("/broadcast/other/news")).rejects.toMatchObject({ code: "BROADCAST_TOPIC" });
    await expect(refused(`/broadcast/${PK}/+`)).rejects.toMatchObject({ code: "BROADCAST_TOPIC" });
    await expect(refused(`/broadcast/${PK}/`)).rejects.toMatchObject({ code: "BROADCAST_TOPIC" });
    const longest = `/broadcast/${PK}/`.padEnd(128, "x");
    await expect(refused(longest)).resolves.toBeDefined();
    await expect(refused(`${longest}x`)).rejects.toMatchObject({
      code: "BROADCAST_TOPIC",
      message: expect.stringContaining("more than 128 bytes"),
    });
    for (const topic of [undefined, "/broadcast/nobody/news"])
      await expect(server.broker.broadcast("nobody", "x", topic)).rejects.toMatchObject({
        code: "REGISTRY_MISSING",
      });
    await expect(server.broker.broadcast(PK, Buffer.alloc(65_537))).rejects.toMatchObject({
      code: "BROADCAST_SIZE",
    });
  });
});

test("[BCAST-1] more of them in a minute than the setting allows are refused", async () => {
  await server.broker.broadcast(PK, Buffer.alloc(65_536));
  await expect(server.broker.broadcast(PK, "x")).rejects.toMatchObject({ code: "RATE_LIMIT" });
});
