// Sessions, expiry, subscription options, retained messages and Wills of devices over real sockets.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../../support/raw-client.ts";
import { ALL, BOTH, eventually, useServer } from "../../../support/server.ts";
import { connectDevice, deviceConnect, PK, registryOf, secretOf, useDevices } from "../../signed-device.ts";

const { server, nextName } = useDevices("kept", 60);
const own = (deviceName: string): string => `/${PK}/${deviceName}/user/both`;
const kept = (sessionExpiryInterval = 100) => ({ clean: false, properties: { sessionExpiryInterval } });
const say = (deviceName: string, payload: string, more: object = {}) =>
  server.broker.publish({ topic: own(deviceName), payload, qos: 1, ...more });

test.each(ALL)("[NET-1] MQTT %s is accepted", async (_name, version) => {
  const device = await connectDevice(server, version, nextName());
  await device.fence();
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const options = version === 5 ? kept() : { clean: false };

  test("[SESS-1] [V5-2] a session comes back with its subscriptions and messages; a clean start ends it", async () => {
    const deviceName = nextName();
    const first = await connectDevice(server, version, deviceName, options);
    expect(first.connack.sessionPresent).toBe(false);
    await first.subscribe({ filter: own(deviceName), qos: 1 });
    await first.disconnect();
    await say(deviceName, "QoS 1");
    await say(deviceName, "QoS 0", { qos: 0 });
    const second = await connectDevice(server, version, deviceName, options);
    expect(second.connack.sessionPresent).toBe(true);
    expect(await second.receive()).toMatchObject({ text: "QoS 1", qos: 1 });
    await second.expectNothing();
    await second.disconnect();
    await say(deviceName, "lost");
    const third = await connectDevice(server, version, deviceName, { ...options, clean: true });
    expect(third.connack.sessionPresent).toBe(false);
    await say(deviceName, "not subscribed");
    await third.expectNothing();
  });

  test("[SESS-4] messages of one publisher keep their order, online and stored", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName, options);
    await device.subscribe({ filter: own(deviceName), qos: 1 });
    const texts = Array.from({ length: 60 }, (_, i) => String(i));
    const received = async (from: RawClient) => {
      const seen: string[] = [];
      while (seen.length < texts.length) seen.push((await from.receive()).text);
      return seen;
    };
    for (const text of texts) await say(deviceName, text);
    expect(await received(device)).toEqual(texts);
    await device.disconnect();
    for (const text of texts) await say(deviceName, text);
    expect(await received(await connectDevice(server, version, deviceName, options))).toEqual(texts);
  });

  test("[V5-4] a publisher that subscribes its own topic hears itself, unless No Local says no", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName);
    await device.subscribe({ filter: own(deviceName) });
    await device.publish(own(deviceName), "mine", { qos: 1 });
    expect(await device.receive()).toMatchObject({ text: "mine" });
    if (version !== 5) return;
    await device.subscribe({ filter: own(deviceName), noLocal: true });
    await device.publish(own(deviceName), "mine", { qos: 1 });
    await device.expectNothing();
  });
});

describe("MQTT 5.0", () => {
  test("[V5-2] DISCONNECT sets the expiry, but not from 0 to something else", async () => {
    const deviceName = nextName();
    const first = await connectDevice(server, 5, deviceName, kept());
    await first.disconnect(0, { sessionExpiryInterval: 0 });
    const second = await connectDevice(server, 5, deviceName, { clean: false });
    expect(second.connack.sessionPresent).toBe(false);
    second.send(second.wire.disconnect(0, { sessionExpiryInterval: 60 }));
    await second.expectEnd(0x82);
  });

  test("[V5-2] an expired session has lost what was kept for it", async () => {
    const deviceName = nextName();
    const first = await connectDevice(server, 5, deviceName, kept(1));
    await first.subscribe({ filter: own(deviceName), qos: 1 });
    await first.disconnect();
    await say(deviceName, "kept for a second");
    const subscribed = () => server.broker.subscriptionsOf({ productKey: PK, deviceName }).length;
    expect(subscribed()).toBe(1);
    await eventually(() => subscribed() === 0, "the session has expired");
    const second = await connectDevice(server, 5, deviceName, kept(1));
    expect(second.connack.sessionPresent).toBe(false);
    await second.expectNothing();
  });

  test("[V5-3] a message late carries what is left of its expiry; an expired one is not pushed", async () => {
    const deviceName = nextName();
    const first = await connectDevice(server, 5, deviceName, kept());
    await first.subscribe({ filter: own(deviceName), qos: 1 });
    await first.disconnect();
    await say(deviceName, "short", { properties: { messageExpiryInterval: 1 } });
    await say(deviceName, "long", { properties: { messageExpiryInterval: 100 } });
    const end = Date.now() + 1_100;
    await eventually(() => Date.now() > end, "a second has passed");
    const second = await connectDevice(server, 5, deviceName, kept());
    const message = await second.receive();
    expect(message.text).toBe("long");
    expect(message.properties.messageExpiryInterval).toBeLessThan(100);
    await second.expectNothing();
  });

  test("[V5-4] RETAIN as published, and Retain Handling", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, 5, deviceName);
    for (const retainAsPublished of [true, false]) {
      await device.subscribe({ filter: own(deviceName), retainAsPublished, retainHandling: 2 });
      await device.publish(own(deviceName), "x", { qos: 1, retain: true });
      expect(await device.receive()).toMatchObject({ retain: retainAsPublished });
      await device.publish(own(deviceName), "y", { qos: 1 });
      expect(await device.receive()).toMatchObject({ retain: false });
    }
    await device.unsubscribe(own(deviceName));
    await device.subscribe({ filter: own(deviceName), retainHandling: 1 });
    expect(await device.receive()).toMatchObject({ text: "x", retain: true });
    await device.subscribe({ filter: own(deviceName), retainHandling: 1 });
    await device.expectNothing();
    await device.subscribe({ filter: own(deviceName), retainHandling: 0 });
    expect(await device.receive()).toMatchObject({ text: "x", retain: true });
  });

  test.each([
    ["Retain Handling 3", { retainHandling: 3 }, ""],
    ["No Local of a shared subscription", { noLocal: true }, "$share/g/"],
  ])("[V5-4] %s ends the connection with 0x82", async (_what, options, prefix) => {
    const deviceName = nextName();
    const device = await connectDevice(server, 5, deviceName);
    device.send(device.wire.subscribe(1, { filter: prefix + own(deviceName), ...options } as never));
    await device.expectEnd(0x82);
  });

  test("[V5-6] a Will with all it carries, after an end without DISCONNECT; none after one", async () => {
    const deviceName = nextName();
    const properties = { userProperty: [["a", "b"]] as [string, string][], contentType: "t" };
    const will = { topic: own(deviceName), payload: "gone", qos: 1 as const, properties };
    const seen: string[] = [];
    const stop = await server.broker.subscribe(own(deviceName), (message) => {
      seen.push(`${Buffer.from(message.payload)} ${message.properties?.contentType}`);
    });
    await (await connectDevice(server, 5, deviceName, { will })).disconnect();
    (await connectDevice(server, 5, deviceName, { will })).destroy();
    await eventually(() => seen.length > 0, "the Will");
    await (await connectDevice(server, 5, deviceName, { will })).disconnect(4);
    await eventually(() => seen.length > 1, "the Will, asked for");
    const late = { ...will, properties: { ...properties, willDelayInterval: 60 } };
    (await connectDevice(server, 5, deviceName, { ...kept(), will: late })).destroy();
    await connectDevice(server, 5, deviceName, kept()); // in time: cancelled
    await connectDevice(server, 5, deviceName, { will });
    await connectDevice(server, 5, deviceName); // taken over
    await eventually(() => seen.length > 2, "the Will of the one taken over");
    expect(seen).toEqual(["gone t", "gone t", "gone t"]);
    stop();
  });

  test.each([
    ["of QoS 2", { qos: 2 as const }, 0x9b],
    ["on a topic without permission", { topic: "no/permission" }, 0x87],
  ])("[V5-6] a Will %s is refused with the CONNECT", async (_what, change, reason) => {
    const deviceName = nextName();
    const client = await server.open(5);
    const will = { topic: own(deviceName), payload: "", qos: 0 as const, ...change };
    client.send(client.wire.connect(deviceConnect(deviceName, { will })));
    await client.expectRefusal(undefined, reason);
  });
});

describe("with strict3x", () => {
  const strict = useServer({
    profile: "platform",
    devices: registryOf("strict1"),
    platform: { sessions: { strict3x: true } },
  });

  test("[SESS-5] 3.1.1: a CONNECT with a Will is refused, a PUBLISH with RETAIN dropped", async () => {
    const topic = own("strict1");
    const refused = await strict.open(4);
    const will = { topic, payload: "", qos: 0 as const };
    refused.send(refused.wire.connect(deviceConnect("strict1", { will })));
    await refused.expectRefusal(2, 0);
    const device = await connectDevice(strict, 4, "strict1", { deviceSecret: secretOf("strict1") });
    await device.subscribe(topic);
    for (const retain of [true, false, true, false])
      await device.publish(topic, retain ? "retained" : "passes", { retain });
    for (let i = 0; i < 2; i++) expect(await device.receive()).toMatchObject({ text: "passes" });
    await device.expectNothing();
  });
});
