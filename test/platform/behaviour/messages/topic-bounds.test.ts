// How long and deep topics may be and how many subscriptions there are, over real sockets in 3.1.1 and 5.0.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../../support/raw-client.ts";
import { BOTH, eventually, useServer } from "../../../support/server.ts";
import type { Version } from "../../../support/wire.ts";
import { connectDevice, PK, registryOf, secretOf } from "../../signed-device.ts";

const NAMES = Array.from({ length: 40 }, (_, i) => `bounds${i}`);
function registry() {
  const devices = registryOf(...NAMES);
  devices.putProduct({
    productKey: PK,
    productSecret: "ProductSecret001",
    topicClasses: [
      { suffix: "/user/get", permission: "SUB" },
      { suffix: "/user/both", permission: "ALL" },
      { suffix: `/user/${"a".repeat(128 - `/${PK}/bounds0/user/`.length)}`, permission: "ALL" },
      { suffix: "/user/a/b/c/d", permission: "ALL" },
      { suffix: "/user/cfg/#", permission: "SUB" },
    ],
  });
  return devices;
}
const server = useServer({
  profile: "platform",
  devices: registry(),
  platform: { subscribe: { maxPerBroadcast: 3 }, rates: { enabled: false } },
});
let used = 0;
const nextName = (): string => NAMES[used++];
const own = (deviceName: string, suffix: string): string => `/${PK}/${deviceName}/user/${suffix}`;
const refusal = (version: Version, reason: number): number => (version === 5 ? reason : 0x80);

/** Reasons of one SUBSCRIBE. */
async function ask(device: RawClient, filters: string[]): Promise<readonly number[]> {
  return (await device.subscribe(filters)).reasons;
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[TOPIC-5] a topic of 128 bytes passes, one of 129 does not", async () => {
    const deviceName = version === 5 ? "bounds0" : "bounds1";
    used = Math.max(used, 2);
    const device = await connectDevice(server, version, deviceName);
    const longest = own(deviceName, "a".repeat(128 - own(deviceName, "").length));
    expect(Buffer.byteLength(longest)).toBe(128);
    expect(await ask(device, [longest, `${longest}a`, own(deviceName, `cfg/${"b".repeat(100)}`)])).toEqual([
      0,
      refusal(version, 0x8f),
      refusal(version, 0x8f),
    ]);
    expect((await device.publish(longest, "fits", { qos: 1 }))?.reason ?? 0).toBe(0);
    expect(await device.receive()).toMatchObject({ topic: longest, text: "fits" });
    const beyond = await device.publish(`${longest}a`, "does not", { qos: 1 });
    expect(beyond?.reason ?? 0).toBe(version === 5 ? 0x90 : 0);
    await device.expectNothing();
  });

  test("[TOPIC-6] seven slashes pass, eight do not; system topics may have more", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName);
    const seven = own(deviceName, "a/b/c/d");
    const pack = `/sys/${PK}/${deviceName}/thing/event/property/pack/post_reply`;
    expect(
      await ask(device, [seven, own(deviceName, "cfg/b/c/d"), own(deviceName, "cfg/b/c/d/e"), pack]),
    ).toEqual([0, 0, refusal(version, 0x8f), 0]);
    expect((await device.publish(seven, "x", { qos: 1 }))?.reason ?? 0).toBe(0);
    await device.receive();
    const deep = await device.publish(own(deviceName, "a/b/c/d/e"), "x", { qos: 1 });
    expect(deep?.reason ?? 0).toBe(version === 5 ? 0x90 : 0);
  });

  test("[SUB-1] eight filters in one SUBSCRIBE are judged one by one, nine are all refused", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName);
    const filters = Array.from({ length: 9 }, (_, i) => own(deviceName, `cfg/${i}`));
    expect(await ask(device, filters)).toEqual(Array(9).fill(refusal(version, 0x97)));
    expect(server.broker.subscriptionsOf({ productKey: PK, deviceName })).toEqual([]);
    expect(await ask(device, [...filters.slice(0, 7), own("bounds0", "get")])).toEqual([
      ...Array(7).fill(0),
      refusal(version, 0x87),
    ]);
  });

  test("[SUB-2] a hundred subscriptions, no more; the same one again does not count", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName);
    const filters = Array.from({ length: 100 }, (_, i) => own(deviceName, `cfg/${i}`));
    for (let i = 0; i < 100; i += 8) {
      const some = filters.slice(i, i + 8);
      expect(await ask(device, some)).toEqual(some.map(() => 0));
    }
    const beyond = refusal(version, 0x97);
    expect(await ask(device, [own(deviceName, "get"), own(deviceName, "both"), filters[7]])).toEqual([
      beyond,
      beyond,
      0,
    ]);
    await device.unsubscribe(filters[3]);
    expect(await ask(device, [own(deviceName, "get"), own(deviceName, "both")])).toEqual([0, beyond]);
  });

  test("[TOPIC-9] a filter of broadcast topics has so many subscribers and no more", async () => {
    const filter = `/broadcast/${PK}/${version === 5 ? "five" : "three"}`;
    const devices: RawClient[] = [];
    for (let i = 0; i < 4; i++) devices.push(await connectDevice(server, version, nextName()));
    for (const device of devices.slice(0, 3)) expect(await ask(device, [filter])).toEqual([0]);
    expect(await ask(devices[0], [filter])).toEqual([0]);
    expect(await ask(devices[3], [filter])).toEqual([refusal(version, 0x97)]);
    await devices[1].unsubscribe(filter);
    expect(await ask(devices[3], [filter])).toEqual([0]);
  });

  test("[TOPIC-9] a broadcast topic has so many devices, under whichever filters they get it", async () => {
    const topic = `/broadcast/${PK}/many${version}/x`;
    const wild = `/broadcast/${PK}/many${version}/#`;
    const over = [refusal(version, 0x97)];
    const devices: RawClient[] = [];
    for (let i = 0; i < 5; i++) devices.push(await connectDevice(server, version, nextName()));
    const [one, two, three, four, five] = devices;
    expect(await ask(one, [topic])).toEqual([0]);
    expect(await ask(two, [wild])).toEqual([0]);
    expect(await ask(three, [`/broadcast/${PK}/many${version}/+`])).toEqual([0]);
    // A fourth under none of the filters there are, nor a new one.
    for (const filter of [topic, wild, `/broadcast/${PK}/+/x`])
      expect(await ask(four, [filter])).toEqual(over);
    if (version === 5) expect(await ask(four, [`$share/g/${topic}`])).toEqual(over);
    // One that gets it already is no further device; another topic has room.
    expect(await ask(one, [wild])).toEqual([0]);
    expect(await ask(four, [`/broadcast/${PK}/other${version}/x`])).toEqual([0]);
    await one.unsubscribe(topic);
    expect(await ask(four, [topic])).toEqual(over);
    await one.unsubscribe(wild);
    expect(await ask(four, [topic])).toEqual([0]);
    // A device that goes makes room, too.
    await two.disconnect();
    await eventually(async () => (await ask(five, [topic]))[0] === 0, "room for the fifth");
  });

  test("[SUB-3] [SUB-4] a subscription holds at once, and says since when; UNSUBSCRIBE ends it at once", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName);
    const filter = own(deviceName, "get");
    const before = Date.now();
    await device.subscribe({ filter, qos: 1 });
    await server.broker.publish({ topic: filter, payload: "at once" });
    expect(await device.receive()).toMatchObject({ text: "at once" });
    const [subscription, ...others] = server.broker.subscriptionsOf({ productKey: PK, deviceName });
    expect(others).toEqual([]);
    expect(subscription).toMatchObject({ filter, qos: 1 });
    expect(subscription.since).toBeGreaterThanOrEqual(before);
    expect(subscription.since).toBeLessThanOrEqual(Date.now());
    await device.unsubscribe(filter);
    expect(server.broker.subscriptionsOf({ productKey: PK, deviceName })).toEqual([]);
    await server.broker.publish({ topic: filter, payload: "too late" });
    await device.expectNothing();
  });

  test("[PERM-1] a PUBLISH without permission is dropped, and acknowledged where it has QoS 1", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName);
    const other = await connectDevice(server, version, nextName());
    await other.subscribe(own(NAMES[used - 1], "get"));
    for (const topic of [own(NAMES[used - 1], "get"), own(deviceName, "get"), "aaa/bbb"]) {
      expect((await device.publish(topic, "forged", { qos: 1 }))?.reason ?? 0).toBe(version === 5 ? 0x87 : 0);
      await device.publish(topic, "forged");
    }
    await device.fence();
    await other.expectNothing();
  });
});

describe("with closeOnUnauthorized", () => {
  const closing = useServer({
    profile: "platform",
    devices: registryOf("closing1"),
    platform: { subscribe: { closeOnUnauthorized: true } },
  });
  test.each(BOTH)(
    "[PERM-2] MQTT %s: a SUBSCRIBE without permission ends the connection",
    async (_name, version) => {
      const device = await connectDevice(closing, version, "closing1", {
        deviceSecret: secretOf("closing1"),
      });
      await device.subscribe(own("closing1", "get"));
      const before = closing.broker.metrics()["subscribe.refused"] ?? 0;
      device.send(
        device.wire.subscribe(7, [{ filter: own("closing1", "both") }, { filter: own("other", "get") }]),
      );
      await device.expectEnd(0x87);
      expect(closing.broker.metrics()["subscribe.refused"]).toBe(before + 1);
      const entries = await closing.broker.runLog.search({
        device: { productKey: PK, deviceName: "closing1" },
      });
      const refused = entries.filter(
        ({ businessType, status }) => businessType === "subscribe" && status !== 200,
      );
      expect(refused.at(-1)).toMatchObject({ operation: own("other", "get"), status: 403 });
      expect(refused.length).toBe(before + 1);
      expect(closing.broker.subscriptionsOf({ productKey: PK, deviceName: "closing1" })).toEqual([]);
    },
  );
});
