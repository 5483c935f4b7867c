// The official Node SDK as a gateway, unmodified: topology, login, and sub-devices that live on the gateway's connection.
import { expect } from "vitest";
import { connectDevice, PK, registryOf, secretOf } from "../platform/signed-device.ts";
import { eventually, ours } from "../support/server.ts";
import type { SdkProcess } from "./sdk-process.ts";
import { useSdkServer } from "./sdk-server.ts";

const GPK = "a1GATEWAY01";
const OPEN = "a1OPEN00001";
const devices = registryOf("sub1", "sub2", "sub3");
devices.putProduct({ productKey: GPK, productSecret: "GatewaySecret001", nodeType: "gateway" });
for (const deviceName of ["gate1", "gate2", "gate3"])
  devices.putDevice({ productKey: GPK, deviceName, deviceSecret: secretOf(deviceName) });
devices.putProduct({ productKey: OPEN, productSecret: "OpenSecret000001", dynamicRegistration: true });

const { server, start } = useSdkServer(devices);

const triple = (deviceName: string) => ({ productKey: PK, deviceName, deviceSecret: secretOf(deviceName) });

/** Connected, its own subscriptions made. */
async function gateway(deviceName: string): Promise<SdkProcess> {
  const one = start({ productKey: GPK, deviceName }, { kind: "gateway" });
  await one.ready(`/${GPK}/${deviceName}/user/get`);
  return one;
}

ours("[GW-1] adds, lists and removes a relation", async () => {
  const one = await gateway("gate1");
  const named = { productKey: PK, deviceName: "sub1" };
  one.command({ do: "addTopo", devices: [triple("sub1")] });
  expect(await one.next("addTopo")).toMatchObject({ reply: { code: 200, data: [named] } });
  one.command({ do: "getTopo" });
  expect(await one.next("getTopo")).toMatchObject({ reply: { code: 200, data: [named] } });
  one.command({ do: "removeTopo", devices: [named] });
  expect(await one.next("removeTopo")).toMatchObject({ reply: { code: 200 } });
  one.command({ do: "getTopo" });
  expect(await one.next("getTopo")).toMatchObject({ reply: { code: 200, data: [] } });
  const wrong = { ...triple("sub1"), deviceSecret: "wrong" };
  one.command({ do: "addTopo", devices: [wrong] });
  expect(await one.next("addTopo")).toMatchObject({ reply: { code: 401 } });
});

ours("[GW-2] registers a sub-device and gets its secret, with which it may log in", async () => {
  const one = await gateway("gate2");
  const fresh = { productKey: OPEN, deviceName: "fresh1" };
  one.command({ do: "registerSubDevice", devices: [fresh] });
  const { reply } = (await one.next("registerSubDevice")) as unknown as {
    reply: { code: number; data: { deviceSecret: string }[] };
  };
  expect(reply).toMatchObject({ code: 200, data: [fresh] });
  const device = { ...fresh, deviceSecret: reply.data[0].deviceSecret };
  one.command({ do: "addTopo", devices: [device] });
  expect(await one.next("addTopo")).toMatchObject({ reply: { code: 200 } });
  one.command({ do: "login", device });
  expect(await one.next("login")).toMatchObject({ reply: { code: 200, data: fresh } });
  expect(devices.isOnline(fresh)).toBe(true);
});

ours("[GW-3] [GW-4] a sub-device logs in, posts, is told, serves a call, and logs out", async () => {
  const one = await gateway("gate3");
  const named = { productKey: PK, deviceName: "sub2" };
  const prefix = `/sys/${PK}/sub2/thing`;
  const posted: string[] = [];
  const stop = await server.broker.subscribe(`${prefix}/event/#`, ({ payload }) => {
    posted.push(Buffer.from(payload).toString());
  });
  try {
    // Another one: the SDK keeps the object of a refused login, and hands it what is for its successor.
    one.command({ do: "login", device: triple("sub1") });
    expect(await one.next("login")).toMatchObject({ reply: { code: 6401 } });
    one.command({ do: "addTopo", devices: [triple("sub2")] });
    await one.next("addTopo");
    one.command({ do: "login", device: triple("sub2") });
    expect(await one.next("login")).toMatchObject({ reply: { code: 200, data: named } });
    expect(devices.isOnline(named)).toBe(true);
    await one.fence(`/${PK}/sub2/user/get`);

    one.command({ do: "postProps", of: "sub2", params: { Power: 1 } });
    await eventually(() => posted.length > 0, "the sub-device's property arrives");
    expect(JSON.parse(posted[0])).toMatchObject({
      params: { Power: 1 },
      method: "thing.event.property.post",
    });

    const set = { method: "thing.service.property.set", id: "7", params: { Power: 0 }, version: "1.0.0" };
    await server.broker.publish({ topic: `${prefix}/service/property/set`, payload: JSON.stringify(set) });
    expect(await one.next("props", (event) => event["of"] === "sub2")).toMatchObject({
      params: { Power: 0 },
    });

    await server.broker.publish({ topic: `/${PK}/sub2/user/get`, payload: "for sub2", qos: 1 });
    expect(await one.next("message", ({ topic }) => topic === `/${PK}/sub2/user/get`)).toMatchObject({
      payload: "for sub2",
    });

    one.command({ do: "onService", of: "sub2", name: "ask", data: { answer: 42 }, mode: "sync" });
    await one.fence(`/${PK}/sub2/user/get`);
    const call = { id: "8", version: "1.0.0", method: "thing.service.ask", params: { question: 6 } };
    const answer = await server.broker.rrpc(named, JSON.stringify(call));
    if (answer.code !== "SUCCESS") throw new Error(answer.code);
    expect(JSON.parse(Buffer.from(answer.payload).toString())).toEqual({
      id: "8",
      code: 200,
      data: { answer: 42 },
    });

    one.command({ do: "logout", device: named });
    expect(await one.next("logout")).toMatchObject({ reply: { code: 200 } });
    expect(devices.isOnline(named)).toBe(false);
  } finally {
    await one.end();
    await stop();
  }
});

ours("[GW-4] a sub-device that connects by itself leaves its gateway, which is told 427", async () => {
  const one = await gateway("gate1");
  try {
    const error = `/ext/error/${GPK}/gate1`;
    await one.fence(error);
    one.command({ do: "addTopo", devices: [triple("sub3")] });
    await one.next("addTopo");
    one.command({ do: "login", device: triple("sub3") });
    await one.next("login");
    await connectDevice(server, 4, "sub3");
    const { payload } = await one.next("message", ({ topic }) => topic === error);
    expect(JSON.parse(String(payload))).toMatchObject({ code: 427, data: { deviceName: "sub3" } });
  } finally {
    await one.end();
    server.drop();
  }
});
