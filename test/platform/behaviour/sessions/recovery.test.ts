// The core traps and is built anew while devices are connected: what they may say to whom is as before, over real sockets in
// 3.1.1 and 5.0.
import { afterEach, describe, expect, test, vi } from "vitest";
import type { MemoryRegistry } from "../../../../src/platform/registry/index.ts";
import { trapNext } from "../../../handlers/trap.ts";
import { BOTH, useServer } from "../../../support/server.ts";
import type { RawClient } from "../../../support/raw-client.ts";
import type { Version } from "../../../support/wire.ts";
import { CLASSES } from "../../devices.ts";
import { connectDevice, type DeviceConnect, secretOf } from "../../signed-device.ts";
import { Gateway, GPK, registryWithGateways } from "../../signed-gateway.ts";

const FREE = ["free1", "free2"];
const NAMES = ["one3", "two3", "bad3", "one5", "two5", "bad5"];
const SUBS = ["sub3", "own3", "mine3", "sub5", "own5", "mine5"];
const devices: MemoryRegistry = registryWithGateways(SUBS, ["gate3", "gate5"]);
for (const productKey of FREE) {
  devices.putProduct({
    productKey,
    productSecret: "ProductSecret001",
    freeTopics: true,
    topicClasses: CLASSES,
  });
  for (const deviceName of NAMES)
    devices.putDevice({ productKey, deviceName, deviceSecret: secretOf(deviceName) });
}
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const options = { profile: "platform", devices, logger: quiet } as const;
const server = useServer({ ...options, platform: { rates: { enabled: false } } });
const limited = useServer({ ...options, platform: { rates: { qos1PerSecond: 5 } } });
afterEach(() => void vi.restoreAllMocks());
const KEPT = { clean: false, properties: { sessionExpiryInterval: 1_000 } };

async function trap(at = server, version: Version = 4): Promise<void> {
  const before = at.broker.metrics()["errors.trap"] ?? 0;
  const offender = await connectDevice(at, version, `bad${version === 5 ? 5 : 3}`, { productKey: "free1" });
  trapNext("route");
  offender.send(offender.wire.pingreq());
  await offender.closed();
  expect(at.broker.metrics()["errors.trap"]).toBe(before + 1);
}

/** The messages received up to a fence. */
const texts = async (client: RawClient): Promise<string[]> =>
  (await client.fence()).flatMap((packet) => (packet.type === "publish" ? [packet.text] : []));

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const n = version === 5 ? 5 : 3;
  const connect = (productKey: string, name: string, more: DeviceConnect = {}) =>
    connectDevice(server, version, `${name}${n}`, { productKey, ...more });

  test("[TOPIC-10] products with free topics stay apart: live, away, in groups, retained, as Wills", async () => {
    const ones: RawClient[] = [];
    const group = version === 5 ? ["$share/g/shared/x"] : [];
    for (const productKey of FREE) {
      const away = await connect(productKey, "two", KEPT);
      await away.subscribe(["live/#", ...group].map((filter) => ({ filter, qos: 1 })));
      await away.disconnect();
      const will = { topic: "live/will", payload: `will of ${productKey}`, qos: 1 as const };
      const one = await connect(productKey, "one", version === 5 ? { will } : {});
      await one.subscribe(["live/+", "/other/x"]);
      if (version === 5) await one.publish("kept/x", `kept by ${productKey}`, { qos: 1, retain: true });
      ones.push(one);
    }
    for (let round = 0; round < 2; round++) {
      await trap(server, version);
      for (const [at, one] of ones.entries()) {
        const text = `${FREE[at]} ${round}`;
        await one.publish("live/x", text, { qos: 1 });
        await one.publish("/other/x", text);
        if (version === 5) await one.publish("shared/x", `shared ${text}`, { qos: 1 });
      }
      for (const [at, one] of ones.entries())
        expect(await texts(one)).toEqual(Array(2).fill(`${FREE[at]} ${round}`));
    }
    for (const [at, one] of ones.entries()) {
      const [own, other] = [FREE[at], FREE[1 - at]];
      if (version === 5) {
        await one.subscribe("kept/#");
        expect(await texts(one)).toEqual([`kept by ${own}`]);
        one.destroy(); // its Will comes to those of its product
        await server.broker.publish({ topic: "fence", payload: "" });
      }
      const expected = [0, 1].flatMap((round) =>
        version === 5 ? [`${own} ${round}`, `shared ${own} ${round}`] : [`${own} ${round}`],
      );
      const two = await connect(own, "two", KEPT);
      if (version === 5) expected.push(`will of ${own}`);
      const heard: string[] = [];
      while (heard.length < expected.length) heard.push((await two.receive()).text);
      expect(heard.sort()).toEqual(expected.sort());
      expect(heard.join()).not.toContain(other);
      await two.expectNothing();
    }
  });

  test("[TOPIC-10] [PERM-1] [PERM-2] what was refused before is refused after, what was allowed is allowed", async () => {
    const [one, other] = [await connect("free1", "one"), await connect("free1", "two")];
    const foreign = `/free1/two${n}/user/both`;
    const reserved = ["/sys/x", "#", foreign];
    await other.subscribe(foreign);
    const ask = async (): Promise<unknown> => {
      const reasons = (await one.subscribe([...reserved, "live/#", `/free1/one${n}/user/both`])).reasons;
      const published: unknown[] = [];
      for (const topic of [
        "/sys/x",
        foreign,
        "live/y",
        `/free1/one${n}/user/both`,
        `/free1/one${n}/user/get`,
      ])
        published.push((await one.publish(topic, "x", { qos: 1 }))?.reason);
      return { reasons, published, heard: await texts(one), others: await texts(other) };
    };
    const before = await ask();
    await trap(server, version);
    expect(await ask()).toEqual(before);
    expect(before).toMatchObject({ heard: ["x", "x"], others: [] });
  });

  test("[GW-4] a gateway speaks for its sub-devices as before, and for nobody else", async () => {
    const gate = await Gateway.open(server, version, `gate${n}`);
    await gate.with(`sub${n}`, `own${n}`);
    const topic = (name: string): string => `/a1EXAMPLE01/${name}${n}/user/both`;
    await gate.client.subscribe([topic("sub"), topic("own")]);
    await trap(server, version);
    for (const name of ["sub", "own"])
      expect((await gate.client.publish(topic(name), name, { qos: 1 }))?.reason).toBe(0);
    expect((await gate.client.publish(topic("mine"), "x", { qos: 1 }))?.reason).toBe(
      version === 5 ? 0x87 : 0,
    );
    expect(await texts(gate.client)).toEqual(["sub", "own"]);
    expect(await gate.logout(`sub${n}`)).toBe(200);
    await gate.client.publish(topic("sub"), "gone", { qos: 1 });
    await server.broker.publish({ topic: topic("sub"), payload: "gone" });
    await server.broker.publish({ topic: topic("own"), payload: "still" });
    const last = await gate.client.fence();
    expect(last.flatMap((packet) => (packet.type === "publish" ? [packet.text] : [])).at(-1)).toBe("still");
    expect(last.some((packet) => "topic" in packet && packet.topic === topic("sub"))).toBe(false);
  });

  test("[LIMIT-2] rates hold behind it, each sub-device's on its own", async () => {
    const gate = await Gateway.open(limited, version, `gate${n}`);
    await gate.with(`sub${n}`, `own${n}`);
    const topics = ["sub", "own"].map((name) => `/a1EXAMPLE01/${name}${n}/user/update`);
    const flood = async (): Promise<number[]> => {
      const heard = topics.map(() => 0);
      const stops = await Promise.all(
        topics.map((topic, at) => limited.broker.subscribe(topic, () => void heard[at]++)),
      );
      gate.client.send(
        ...Array.from({ length: 16 }, (_, i) =>
          gate.client.wire.publish(topics[i % 2], "x", { qos: 1, id: i + 1 }),
        ),
      );
      await gate.client.fence();
      for (const stop of stops) await stop();
      return heard;
    };
    await trap(limited, version);
    expect(await flood()).toEqual([5, 5]);
    expect(limited.broker.metrics()["dropped.rate"]).toBeGreaterThanOrEqual(6);
    for (const deviceName of [`sub${n}`, `own${n}`]) {
      const device = { productKey: "a1EXAMPLE01", deviceName };
      expect(await limited.broker.runLog.search({ device, code: 9324 })).not.toEqual([]);
    }
    expect(
      await limited.broker.runLog.search({ device: { productKey: GPK, deviceName: gate.name }, code: 9324 }),
    ).toEqual([]);
  });
});
