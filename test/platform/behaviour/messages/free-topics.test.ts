// Products with free topics over real sockets, in 3.1.1 and 5.0: what their devices may say to each other, and that no other
// product hears it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MemoryRegistry } from "../../../../src/platform/registry/index.ts";
import { openStore } from "../../../../src/store/open-store.ts";
import { BOTH, eventually, TestServer, useServer } from "../../../support/server.ts";
import type { RawClient } from "../../../support/raw-client.ts";
import type { Version } from "../../../support/wire.ts";
import { connectDevice, type DeviceConnect, secretOf } from "../../signed-device.ts";

const PRODUCTS = ["free1", "free2", "plain1"];
const BOTH_WAYS = { suffix: "/user/both", permission: "ALL" } as const;
function registry(): MemoryRegistry {
  const devices = new MemoryRegistry();
  for (const productKey of PRODUCTS) {
    devices.putProduct({
      productKey,
      productSecret: "ProductSecret001",
      freeTopics: productKey !== "plain1",
      topicClasses: [BOTH_WAYS],
    });
    for (const deviceName of ["one1", "two2"])
      devices.putDevice({ productKey, deviceName, deviceSecret: secretOf(deviceName) });
  }
  return devices;
}
const options = { profile: "platform", platform: { rates: { enabled: false } } } as const;
const devices = registry();
const server = useServer({ ...options, devices });
const connect = (version: Version, productKey: string, deviceName: string, more: DeviceConnect = {}) =>
  connectDevice(server, version, deviceName, { productKey, ...more });

/** Sends from one device; those named receive it, the others do not. */
async function heardBy(sender: RawClient, topic: string, receivers: RawClient[], others: RawClient[]) {
  for (const qos of [0, 1] as const) {
    await sender.publish(topic, `QoS ${qos}`, { qos });
    for (const receiver of receivers)
      expect(await receiver.receive()).toMatchObject({ topic, text: `QoS ${qos}` });
  }
  for (const other of others) await other.expectNothing();
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const refused = version === 5 ? 0x87 : 0x80;

  test("[TOPIC-10] what is free may be said and heard, what is reserved or some product's may not", async () => {
    const device = await connect(version, "free1", "one1");
    const free = ["aaa/bbb", "aaa/+", "aaa/#", "/foo/bar", "/foo/#", "sys/x"];
    const held = ["#", "/#", "+/#", "+/bbb", "/+/x", "/sys/x", "/as/x", "$SYS/#"];
    const { reasons } = await device.subscribe(free.slice(0, 6));
    expect(reasons).toEqual(free.map(() => 0));
    expect((await device.subscribe(held)).reasons).toEqual(held.map(() => refused));
    const foreign = [
      "/free2/one1/user/both",
      "/plain1/x",
      "/free1/two2/user/both",
      "/free1/one1/user/x",
      "a/$b",
    ];
    expect((await device.subscribe(foreign)).reasons).toEqual(foreign.map(() => refused));
    for (const topic of ["/sys/x", "/free2/one1/user/both", "/plain1/x"])
      expect((await device.publish(topic, "x", { qos: 1 }))?.reason ?? 0).toBe(version === 5 ? 0x87 : 0);
  });

  test("[TOPIC-10] on every other product nothing is free", async () => {
    const device = await connect(version, "plain1", "one1");
    expect((await device.subscribe(["aaa/bbb", "/foo/bar"])).reasons).toEqual([refused, refused]);
    expect((await device.publish("aaa/bbb", "x", { qos: 1 }))?.reason ?? 0).toBe(version === 5 ? 0x87 : 0);
  });

  test("[TOPIC-10] messages go between devices of the same product only", async () => {
    const [one, two] = [await connect(version, "free1", "one1"), await connect(version, "free1", "two2")];
    const [other, another] = [
      await connect(version, "free2", "one1"),
      await connect(version, "free2", "two2"),
    ];
    for (const device of [one, two, other, another])
      await device.subscribe([
        { filter: "aaa/bbb", qos: 1 },
        { filter: "/foo/#", qos: 1 },
      ]);
    await heardBy(one, "aaa/bbb", [one, two], [other, another]);
    await heardBy(other, "/foo/bar", [other, another], [one, two]);
    const seen: string[] = [];
    const stop = await server.broker.subscribe(
      "aaa/bbb",
      ({ payload }) => void seen.push(`${Buffer.from(payload)}`),
    );
    await heardBy(another, "aaa/bbb", [other, another], [one, two]);
    stop();
    expect(seen).toEqual(["QoS 0", "QoS 1"]);
    await server.broker.publish({ topic: "aaa/bbb", payload: "to all" });
    for (const device of [one, two, other, another])
      expect(await device.receive()).toMatchObject({ text: "to all" });
  });

  test("[TOPIC-10] one that is away gets what its own product said", async () => {
    const kept = { clean: false, ...(version === 5 && { properties: { sessionExpiryInterval: 100 } }) };
    for (const productKey of ["free1", "free2"]) {
      const device = await connect(version, productKey, "two2", kept);
      await device.subscribe({ filter: "away/x", qos: 1 });
      await device.disconnect();
    }
    const one = await connect(version, "free1", "one1");
    await one.publish("away/x", "for us", { qos: 1 });
    const two = await connect(version, "free1", "two2", kept);
    expect(await two.receive()).toMatchObject({ topic: "away/x", text: "for us" });
    await (await connect(version, "free2", "two2", kept)).expectNothing();
  });
});

describe("MQTT 5.0", () => {
  test("[TOPIC-10] [V5-10] the members of a group are of one product", async () => {
    const filter = "$share/testGroup/user/post";
    const [one, two] = [await connect(5, "free1", "one1"), await connect(5, "free1", "two2")];
    const other = await connect(5, "free2", "one1");
    for (const device of [two, other]) expect((await device.subscribe(filter)).reasons).toEqual([0]);
    for (let i = 0; i < 6; i++) await one.publish("user/post", String(i));
    for (let i = 0; i < 6; i++) expect(await two.receive()).toMatchObject({ text: String(i) });
    await other.expectNothing();
    await two.unsubscribe(filter);
    await other.publish("user/post", "ours");
    expect(await other.receive()).toMatchObject({ text: "ours" });
  });

  test("[TOPIC-10] [V5-5] [V5-6] retained messages and Wills stay in their product too", async () => {
    const [one, other] = [await connect(5, "free1", "one1"), await connect(5, "free2", "one1")];
    await one.publish("kept/x", "of one", { qos: 1, retain: true });
    await other.publish("kept/x", "of the other", { qos: 1, retain: true });
    for (const [productKey, text] of [
      ["free1", "of one"],
      ["free2", "of the other"],
    ]) {
      const device = await connect(5, productKey, "two2");
      await device.subscribe(["kept/#", "will/x"]);
      expect(await device.receive()).toMatchObject({ topic: "kept/x", text, retain: true });
      await device.expectNothing();
      const dying = await connect(5, "free1", "one1", { will: { topic: "will/x", payload: "gone", qos: 0 } });
      dying.destroy();
      if (productKey === "free1")
        expect(await device.receive()).toMatchObject({ topic: "will/x", text: "gone" });
      else await server.broker.publish({ topic: "kept/y", payload: "fence" });
      if (productKey === "free2") expect(await device.receive()).toMatchObject({ text: "fence" });
    }
  });
});

test("[TOPIC-10] [V5-5] what the server retains on a free topic waits for every product, until one has something newer", async () => {
  const retain = (payload: string) =>
    server.broker.publish({ topic: "server/x", payload, qos: 1, retain: true });
  const one = await connect(5, "free1", "one1");
  const texts = async (client: RawClient) =>
    (await client.fence()).flatMap((packet) => (packet.type === "publish" ? [packet.text] : []));
  const waiting = async (productKey: string) => {
    const device = await connect(5, productKey, "two2");
    await device.subscribe("server/#");
    const found = await texts(device);
    await device.disconnect();
    return found;
  };
  await retain("of the server");
  expect([await waiting("free1"), await waiting("free2")]).toEqual([["of the server"], ["of the server"]]);
  await one.publish("server/x", "of one", { qos: 1, retain: true });
  expect([await waiting("free1"), await waiting("free2")]).toEqual([["of one"], ["of the server"]]);
  await one.publish("server/x", "", { qos: 1, retain: true });
  expect([await waiting("free1"), await waiting("free2")]).toEqual([[], ["of the server"]]);
  await retain("anew");
  expect([await waiting("free1"), await waiting("free2")]).toEqual([["anew"], ["anew"]]);
  await retain("");
  expect([await waiting("free1"), await waiting("free2")]).toEqual([[], []]);
});

test("[TOPIC-10] a product made later takes the free names that begin with its key, and hands on nothing", async () => {
  const one = await connect(5, "free1", "one1");
  const before = server.broker.metrics()["retained.count"];
  for (const topic of ["/late1/two2/user/both", "/late1/x", "/late2/x"])
    await one.publish(topic, "planted", { qos: 1, retain: true });
  expect(server.broker.metrics()["retained.count"]).toBe(before + 3);
  await one.subscribe("/late1/x");
  expect(await one.receive()).toMatchObject({ text: "planted" });
  await devices.putProduct({
    productKey: "late1",
    productSecret: "ProductSecret009",
    topicClasses: [BOTH_WAYS],
  });
  devices.putDevice({ productKey: "late1", deviceName: "two2", deviceSecret: secretOf("two2") });
  await eventually(
    () => server.broker.metrics()["retained.count"] === before + 1,
    "what was retained there has ended",
  );
  const late = await connect(5, "late1", "two2");
  await late.subscribe("/late1/two2/user/both");
  await late.expectNothing();
  expect((await one.publish("/late1/x", "mine", { qos: 1 }))?.reason).toBe(0x87);
  // It has ended for good, also where the product goes again; other names stand as before.
  await devices.deleteDevice("late1", "two2");
  await devices.deleteProduct("late1");
  const two = await connect(5, "free1", "two2");
  await two.subscribe(["/late1/#", "/late2/#"]);
  expect(await two.receive()).toMatchObject({ topic: "/late2/x" });
  await two.expectNothing();
});

test.each(BOTH)(
  "[TOPIC-10] MQTT %s: who has subscribed a free name hears nothing of a product that takes it",
  async (_name, version) => {
    await devices.resetDevice("free1", "one1"); // it has spoken 5.0 [NET-3]
    const one = await connect(version, "free1", "one1");
    const productKey = `taken${version}`;
    const topic = `/${productKey}/two2/user/both`;
    expect((await one.subscribe([`/${productKey}/#`, topic])).reasons).toEqual([0, 0]);
    expect((await one.publish(topic, "free", { qos: 1 }))?.reason ?? 0).toBe(0);
    expect(await one.receive()).toMatchObject({ text: "free" });
    devices.putProduct({ productKey, topicClasses: [BOTH_WAYS] });
    devices.putDevice({ productKey, deviceName: "two2", deviceSecret: secretOf("two2") });
    await server.broker.publish({ topic, payload: "not for strangers" });
    expect((await one.publish(topic, "forged", { qos: 1 }))?.reason ?? 0).toBe(version === 5 ? 0x87 : 0);
    const two = await connect(version, productKey, "two2");
    await two.subscribe(topic);
    await two.publish(topic, "its own", { qos: 1 });
    expect(await two.receive()).toMatchObject({ text: "its own" });
    await one.expectNothing();
    await devices.deleteProduct(productKey, { withDevices: true });
  },
);

test("[TOPIC-10] [V5-5] free names are of no one device: more than a hundred are kept, however they look", async () => {
  await devices.resetDevice("free2", "one1");
  const one = await connect(5, "free2", "one1");
  const topics = Array.from({ length: 102 }, (_, i) => `/kept/names/${i}`);
  for (const topic of topics)
    expect((await one.publish(topic, "x", { qos: 1, retain: true }))?.reason).toBeLessThan(0x80);
  for (const topic of topics) await one.publish(topic, "", { qos: 1, retain: true });
});

test("[SUB-2] [TOPIC-10] a hundred subscriptions of a device, whatever its free names look like", async () => {
  await devices.resetDevice("free1", "one1");
  const one = await connect(4, "free1", "one1");
  const ask = async (filters: string[]) => {
    const codes: number[] = [];
    for (let i = 0; i < filters.length; i += 8)
      codes.push(...(await one.subscribe(filters.slice(i, i + 8))).reasons);
    return codes;
  };
  const names = (count: number, name: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => name(i));
  // Each has two levels where other topics name a device.
  expect(await ask(names(60, (i) => `/taken9/${i}/x`))).toEqual(Array(60).fill(0));
  expect(await ask(names(41, (i) => `/no${i}/names/x`))).toEqual([...Array(40).fill(0), 0x80]);
  expect(await ask(["/free1/one1/user/both", "aaa/bbb", "/no0/names/x"])).toEqual([0x80, 0x80, 0]);
  devices.putProduct({ productKey: "taken9", topicClasses: [BOTH_WAYS] });
  expect(await ask(names(61, (i) => `again/${i}`))).toEqual([...Array(60).fill(0), 0x80]);
  await one.unsubscribe("again/3");
  expect(await ask(["/free1/one1/user/both", "aaa/bbb"])).toEqual([0, 0x80]);
  await devices.deleteProduct("taken9");
});

test("[TOPIC-10] what a deleted product has retained ends with it, whether a broker runs or not", async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), "free-topics-"));
  const registries = { now: registry() };
  let store = await openStore({ directory: dataDirectory, level: "process" });
  const again = new TestServer(() => ({ ...options, sysInterval: 0, devices: registries.now, store }));
  const retained = () => again.broker.metrics()["retained.count"];
  try {
    await again.start();
    for (const productKey of ["free1", "free2"]) {
      const device = await connectDevice(again, 5, "one1", { productKey });
      await device.publish("kept/x", `of ${productKey}`, { qos: 1, retain: true });
      await device.publish(`/${productKey}/one1/user/both`, "own", { qos: 1, retain: true });
      await device.disconnect();
    }
    expect(retained()).toBe(4);
    await registries.now.deleteProduct("free1", { withDevices: true });
    await eventually(() => retained() === 2, "what it has retained has ended");
    const two = await connectDevice(again, 5, "two2", { productKey: "free2" });
    await two.subscribe("kept/x");
    expect(await two.receive()).toMatchObject({ text: "of free2" });
    await two.disconnect();
    await again.stop();

    store = await openStore({ directory: dataDirectory, level: "process" });
    registries.now = registry();
    await registries.now.deleteProduct("free2", { withDevices: true });
    await again.start();
    await eventually(() => retained() === 0, "the next start ends it");
  } finally {
    await again.stop();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
});

test("[TOPIC-10] after a restart products are apart as before", async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), "free-topics-"));
  let store = await openStore({ directory: dataDirectory, level: "process" });
  const again = new TestServer(() => ({ ...options, devices: registry(), store }));
  const kept = { clean: false, properties: { sessionExpiryInterval: 100 } };
  const login = (productKey: string, deviceName: string, more: DeviceConnect = {}) =>
    connectDevice(again, 5, deviceName, { productKey, ...more });
  try {
    await again.start();
    for (const productKey of ["free2", "free1"]) {
      const device = await login(productKey, "two2", kept);
      await device.subscribe([
        { filter: "a/b", qos: 1 },
        { filter: "$share/g/a/c", qos: 1 },
      ]);
      await device.publish("kept/x", `of ${productKey}`, { qos: 1, retain: true });
      await device.disconnect();
    }
    await again.stop();
    store = await openStore({ directory: dataDirectory, level: "process" });
    await again.start();
    for (const how of ["first", "second"]) {
      const one = await login("free1", "one1");
      for (const topic of ["a/b", "a/c"]) await one.publish(topic, how, { qos: 1 });
      const two = await login("free1", "two2", kept);
      expect([await two.receive(), await two.receive()].map(({ topic }) => topic).sort()).toEqual([
        "a/b",
        "a/c",
      ]);
      await two.subscribe("kept/x");
      expect(await two.receive()).toMatchObject({ text: "of free1" });
      await two.unsubscribe("kept/x");
      await two.disconnect();
      const other = await login("free2", "two2", kept);
      await other.expectNothing();
      await other.disconnect();
    }
  } finally {
    await again.stop();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
});
