// How many retained messages a device may have, over real sockets in 5.0; in 3.1.1 it has none [SESS-5].
import { afterEach, expect, test } from "vitest";
import { MemoryRegistry } from "../../../../src/platform/registry/index.ts";
import type { RawClient } from "../../../support/raw-client.ts";
import { useServer } from "../../../support/server.ts";
import { connectDevice, PK, secretOf } from "../../signed-device.ts";

const MOST = 100;
/** Topics a device may publish on: a product has 50 classes at most, the others are the server's. */
const OWN = 5;
const NAMES = ["keeper", "neighbour", "by-the-server", "both-kinds"];
const registry = new MemoryRegistry();
registry.putProduct({
  productKey: PK,
  productSecret: "ProductSecret001",
  topicClasses: [
    { suffix: "/user/kept/#", permission: "SUB" },
    ...Array.from({ length: OWN }, (_, i) => ({
      suffix: `/user/kept/${MOST - OWN + 1 + i}`,
      permission: "ALL" as const,
    })),
  ],
});
for (const deviceName of NAMES)
  registry.putDevice({ productKey: PK, deviceName, deviceSecret: secretOf(deviceName) });

const server = useServer({
  profile: "platform",
  devices: registry,
  platform: { rates: { enabled: false } },
});
const topicOf = (deviceName: string, number: number): string => `/${PK}/${deviceName}/user/kept/${number}`;

/** Sets one; the reason code of its PUBACK. */
async function retain(device: RawClient, topic: string, payload: string, properties = {}): Promise<number> {
  const id = device.id();
  device.send(device.wire.publish(topic, payload, { qos: 1, id, retain: true, properties }));
  return (await device.of("puback", id)).reason;
}

/** Retained messages below a filter, as a subscription of their device gets them. */
async function retained(device: RawClient, filter: string): Promise<string[]> {
  await device.subscribe({ filter, qos: 0 });
  const packets = await device.fence();
  await device.unsubscribe(filter);
  return packets.flatMap((packet) => (packet.type === "publish" && packet.retain ? [packet.topic] : []));
}

/** All below `count`, those by the device that it may set. */
async function fill(device: RawClient, deviceName: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const topic = topicOf(deviceName, i);
    if (i <= MOST - OWN) await server.broker.publish({ topic, payload: "said", retain: true });
    else expect(await retain(device, topic, "said")).toBeLessThan(0x80);
  }
}

afterEach(async () => {
  for (const deviceName of NAMES)
    for (let i = 0; i <= MOST; i++)
      await server.broker.publish({ topic: topicOf(deviceName, i), payload: "", retain: true });
});

test("[V5-5] a hundred topics; the next is forwarded with 0x97 and not kept, until there is room", async () => {
  const device = await connectDevice(server, 5, "keeper");
  const all = `/${PK}/keeper/user/kept/#`;
  await fill(device, "keeper", MOST - 1);
  expect(await retain(device, topicOf("keeper", MOST - 1), "the last")).toBeLessThan(0x80);

  const heard: string[] = [];
  const stop = await server.broker.subscribe(
    all,
    ({ payload }) => void heard.push(`${Buffer.from(payload)}`),
  );
  expect(await retain(device, topicOf("keeper", MOST), "too many")).toBe(0x97);
  await device.fence();
  stop();
  expect(heard).toEqual(["too many"]);
  const kept = await retained(device, all);
  expect(kept).toHaveLength(MOST);
  expect(kept).not.toContain(topicOf("keeper", MOST));

  // One that is there may be replaced, and one that goes makes room.
  expect(await retain(device, topicOf("keeper", MOST - 1), "anew")).toBeLessThan(0x80);
  expect(await retain(device, topicOf("keeper", MOST - 2), "")).toBeLessThan(0x80);
  expect(await retain(device, topicOf("keeper", MOST), "in its place")).toBeLessThan(0x80);
  expect(await retained(device, all)).toHaveLength(MOST);

  const neighbour = await connectDevice(server, 5, "neighbour");
  expect(await retain(neighbour, topicOf("neighbour", MOST), "its own")).toBeLessThan(0x80);
});

test("[V5-5] those on system topics count with those on its own", async () => {
  const name = "both-kinds";
  const device = await connectDevice(server, 5, name);
  await fill(device, name, MOST - 1);
  const system = (i: number) => `/sys/${PK}/${name}/thing/event/kept/x${i}`;
  expect(await retain(device, system(0), "{}")).toBeLessThan(0x80);
  expect(await retain(device, system(1), "{}")).toBe(0x97);
  expect(await retain(device, topicOf(name, MOST), "too many")).toBe(0x97);
});

test("[V5-5] the server's count too, and are not refused", async () => {
  const name = "by-the-server";
  const device = await connectDevice(server, 5, name);
  for (let i = 0; i < MOST; i++)
    await server.broker.publish({ topic: topicOf(name, i), payload: "said", retain: true });
  expect(await retain(device, topicOf(name, MOST), "one more")).toBe(0x97);
  await server.broker.publish({ topic: topicOf(name, MOST), payload: "said", retain: true });
  expect(await retained(device, `/${PK}/${name}/user/kept/#`)).toHaveLength(MOST + 1);
});

test("[V5-5] QoS 0 and the Will of a device are bound alike", async () => {
  const will = { topic: topicOf("keeper", MOST), payload: "gone", qos: 1 as const, retain: true };
  const device = await connectDevice(server, 5, "keeper", { will });
  const all = `/${PK}/keeper/user/kept/#`;
  await fill(device, "keeper", MOST);
  device.send(device.wire.publish(topicOf("keeper", MOST), "silently", { qos: 0, retain: true }));
  expect(await retained(device, all)).not.toContain(topicOf("keeper", MOST));
  let fired = (): void => {};
  const gone = new Promise<void>((resolve) => {
    fired = resolve;
  });
  const stop = await server.broker.subscribe(will.topic, fired);
  device.destroy();
  await gone;
  stop();
  const again = await connectDevice(server, 5, "keeper");
  const kept = await retained(again, all);
  expect(kept).toHaveLength(MOST);
  expect(kept).not.toContain(will.topic);
});
