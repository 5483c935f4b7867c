// A changed product holds at once, also for topics whose permission the core remembers [AUTH-13].
import { describe, expect, test } from "vitest";
import { BOTH, eventually, useServer } from "../../../support/server.ts";
import { connectDevice, PK, registryOf } from "../../signed-device.ts";

const devices = registryOf("device1", "device2");
const server = useServer({ profile: "platform", devices });

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[TOPIC-4] a class that is taken away is refused with the very next packet, one that is added is there", async () => {
    const deviceName = version === 5 ? "device1" : "device2";
    const suffix = "/user/fleeting";
    const topic = `/${PK}/${deviceName}${suffix}`;
    const reader = server.broker.upstream();
    const seen: string[] = [];
    const read = (async () => {
      for await (const { kind, payload } of reader) if (kind === "data") seen.push(payload.toString());
    })();
    await devices.addTopicClass(PK, { suffix, permission: "ALL" });
    const device = await connectDevice(server, version, deviceName);
    const reasons: number[] = [];
    const publish = async (payload: string) => {
      reasons.push((await device.publish(topic, payload, { qos: 1 }))?.reason ?? 0);
    };
    for (const payload of ["1", "2"]) await publish(payload);
    for (const payload of ["3", "4"]) {
      await devices.removeTopicClass(PK, suffix);
      await publish(`refused ${payload}`);
      await devices.addTopicClass(PK, { suffix, permission: "ALL" });
      await publish(payload);
    }
    await devices.removeTopicClass(PK, suffix);
    const refused = version === 5 ? 0x87 : 0;
    // 0x10: accepted, and nobody has subscribed it.
    expect(reasons.map((reason) => (reason === 0x10 ? 0 : reason))).toEqual([0, 0, refused, 0, refused, 0]);
    reader.close();
    await read;
    expect(seen).toEqual(["1", "2", "3", "4"]);
  });
});

test("[V5-6] [PERM-1] a Will whose class is gone when it is due is dropped, counted and logged", async () => {
  const topic = `/${PK}/device2/user/testament`;
  await devices.resetDevice(PK, "device2");
  await devices.addTopicClass(PK, { suffix: "/user/testament", permission: "ALL" });
  const heard: string[] = [];
  const stop = await server.broker.subscribe(topic, ({ payload }) => heard.push(String(payload)));
  const dying = await connectDevice(server, 5, "device2", {
    properties: { sessionExpiryInterval: 100 },
    will: { topic, payload: "gone", qos: 1, properties: { willDelayInterval: 100 } },
  });
  const denied = server.broker.metrics()["publish.denied"];
  dying.destroy();
  await eventually(() => server.broker.metrics()["wills.waiting"] === 1, "the Will waits");
  await devices.removeTopicClass(PK, "/user/testament");
  // Its session ends: it is due.
  const next = await connectDevice(server, 5, "device2");
  await next.fence();
  expect(server.broker.metrics()).toMatchObject({ "wills.waiting": 0, "publish.denied": denied + 1 });
  const found = await server.broker.runLog.search({
    device: { productKey: PK, deviceName: "device2" },
    code: 9236,
  });
  expect(found.filter(({ operation }) => operation === topic)).toHaveLength(1);
  expect(heard).toEqual([]);
  stop();
});
