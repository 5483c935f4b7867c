// The vendor's older Node SDK, unmodified: a ClientID with line breaks in it, tags posted before anything is subscribed, a
// shadow, and a gateway whose sub-device connects a second time by itself.
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { PK, registryOf, secretOf } from "../platform/signed-device.ts";
import { eventually, PEER } from "../support/server.ts";
import type { SdkProcess } from "./sdk-process.ts";
import { useSdkServer } from "./sdk-server.ts";

const SDK = "aliyun-iot-device-sdk";
function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve(SDK);
    return true;
  } catch {
    return false;
  }
}
const installed = isInstalled();
if (!installed) console.warn(`left out: ${SDK} is not installed (npm ci)`);
const withSdk = test.skipIf(!installed || PEER);

const GPK = "a1GATEWAY01";
const devices = registryOf("device1", "device2", "sub1");
devices.putProduct({ productKey: GPK, productSecret: "GatewaySecret001", nodeType: "gateway" });
devices.putDevice({ productKey: GPK, deviceName: "gate1", deviceSecret: secretOf("gate1") });
const platform = useSdkServer(devices);
const { server } = platform;

function start(deviceName: string, more: object = {}, kind: "device" | "gateway" = "device"): SdkProcess {
  const productKey = kind === "gateway" ? GPK : PK;
  return platform.start({ productKey, deviceName, ...more }, { kind, sdk: SDK });
}

withSdk.each(["md5", "sha1", "sha256"])(
  "[AUTH-2] [AUTH-5] line breaks in the ClientID, signed with %s: let in, and it hears what it subscribed",
  async (signAlgorithm) => {
    const one = start("device1", { signAlgorithm });
    const topic = `/${PK}/device1/user/get`;
    await one.ready(topic);
    await server.broker.publish({ topic, payload: "from the server", qos: 1 });
    expect(await one.next("message", (event) => event["topic"] === topic)).toMatchObject({
      payload: "from the server",
    });
  },
);

withSdk("[TOPIC-8] what it posts at its start, before it subscribes, arrives", async () => {
  const tags: string[] = [];
  const stop = await server.broker.subscribe(`/sys/${PK}/device2/thing/deviceinfo/update`, ({ payload }) => {
    tags.push(Buffer.from(payload).toString());
  });
  const one = start("device2");
  await one.ready(`/${PK}/device2/user/get`);
  await eventually(() => tags.length === 1, "its tags arrive");
  expect(JSON.parse(tags[0])).toMatchObject({
    method: "thing.deviceinfo.update",
    params: [{ attrKey: "SYS_SDK_LANGUAGE", attrValue: "NodeJS", domain: "SYSTEM" }, {}, {}],
  });
  await stop();
});

withSdk("[SHADOW-1] its shadow: reported, read", async () => {
  const one = start("device2");
  await one.ready(`/${PK}/device2/user/get`);
  one.command({ do: "postShadow", reported: { colour: "red" } });
  expect(await one.next("shadow")).toMatchObject({ message: { payload: { status: "success" } } });
  one.command({ do: "getShadow" });
  expect(await one.next("shadow")).toMatchObject({
    message: { payload: { state: { reported: { colour: "red" } } } },
  });
});

withSdk(
  "[GW-3] [CONN-1] its sub-device logs in and also connects by itself: it ends up online, once",
  async () => {
    const one = start("gate1", {}, "gateway");
    const device = { productKey: PK, deviceName: "sub1", deviceSecret: secretOf("sub1") };
    await one.ready(`/${GPK}/gate1/user/get`);
    one.command({ do: "addTopo", devices: [device] });
    expect(await one.next("addTopo")).toMatchObject({ reply: { code: 200 } });
    one.command({ do: "login", device: { ...device, brokerUrl: `mqtt://127.0.0.1:${server.port}/` } });
    expect(await one.next("login")).toMatchObject({ reply: { code: 200 } });
    await eventually(() => devices.isOnline(device), "the sub-device is online");
    expect(one.events.filter(({ event }) => event === "error")).toEqual([]);
  },
);
