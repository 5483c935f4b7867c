// What MQTT 5.0 means for devices: sessions and messages that expire, subscription options, Wills.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../../support/raw-client.ts";
import { eventually } from "../../../support/server.ts";
import { connectDevice, PK, type DeviceConnect, ownTopic, useDevices } from "../../signed-device.ts";

const { server, nextName } = useDevices("five", 40);
const connect = (name: string, options?: DeviceConnect): Promise<RawClient> =>
  connectDevice(server, 5, name, options);
const say = (topic: string, payload: string, more: object = {}): Promise<void> =>
  server.broker.publish({ topic, payload, qos: 1, ...more });

describe("[V5-2] session expiry", () => {
  test("absent is 0: the session ends with the connection; cleanStart deletes an older one", async () => {
    const name = nextName();
    const first = await connect(name);
    await first.subscribe({ filter: ownTopic(name, "get"), qos: 1 });
    await first.disconnect();
    const second = await connect(name, { clean: false, properties: { sessionExpiryInterval: 60 } });
    expect(second.connack).toMatchObject({
      sessionPresent: false,
      properties: { sessionExpiryInterval: 60 },
    });
    await second.subscribe({ filter: ownTopic(name, "get"), qos: 1 });
    await second.disconnect();
    const third = await connect(name, { clean: true });
    expect(third.connack.sessionPresent).toBe(false);
    await say(ownTopic(name, "get"), "nobody subscribed");
    await third.expectNothing();
  });

  test("in time it is there, with subscriptions and QoS 1 messages; past its time it is not, nor are they", async () => {
    const name = nextName();
    const properties = { sessionExpiryInterval: 1 };
    const first = await connect(name, { clean: false, properties });
    await first.subscribe({ filter: ownTopic(name, "get"), qos: 1 });
    await first.disconnect();
    await say(ownTopic(name, "get"), "kept");
    const second = await connect(name, { clean: false, properties });
    expect(second.connack.sessionPresent).toBe(true);
    expect(await second.receive()).toMatchObject({ text: "kept", qos: 1 });
    const ended = new Promise<void>((resolve) => {
      const stop = server.broker.on("session.ended", ({ clientId }) => {
        if (!clientId.endsWith(name)) return;
        stop();
        resolve();
      });
    });
    await second.disconnect();
    await say(ownTopic(name, "get"), "lost");
    await ended;
    const third = await connect(name, { clean: false, properties });
    expect(third.connack.sessionPresent).toBe(false);
    await third.expectNothing();
  });

  test("changed at DISCONNECT, but not from 0", async () => {
    const name = nextName();
    const first = await connect(name, { properties: { sessionExpiryInterval: 1 } });
    await first.disconnect(0, { sessionExpiryInterval: 60 });
    const second = await connect(name, { clean: false });
    expect(second.connack.sessionPresent).toBe(true);
    second.send(second.wire.disconnect(0, { sessionExpiryInterval: 60 }));
    await second.expectEnd(0x82);
    expect((await connect(name, { clean: false })).connack.sessionPresent).toBe(false);
  });
});

describe("[V5-3] message expiry", () => {
  test("a message that has expired is not delivered; a late one carries what remains", async () => {
    const name = nextName();
    const options = { clean: false, properties: { sessionExpiryInterval: 60 } };
    const first = await connect(name, options);
    await first.subscribe({ filter: ownTopic(name, "get"), qos: 1 });
    await first.disconnect();
    const started = Date.now();
    await say(ownTopic(name, "get"), "short", { properties: { messageExpiryInterval: 1 } });
    await say(ownTopic(name, "get"), "long", { properties: { messageExpiryInterval: 60 } });
    await say(ownTopic(name, "get"), "for ever");
    await eventually(() => Date.now() - started > 1_100, "a second and a bit");
    const second = await connect(name, options);
    const late = await second.receive();
    expect(late.text).toBe("long");
    const left = late.properties?.messageExpiryInterval ?? 0;
    expect(left).toBeLessThanOrEqual(59);
    expect(left).toBeGreaterThan(40);
    expect((await second.receive()).text).toBe("for ever");
    await second.expectNothing();
  });
});

describe("[V5-4] subscription options", () => {
  test("No Local: its own messages come back without it, and with it do not; QoS 0 and 1 are granted", async () => {
    const name = nextName();
    const device = await connect(name);
    expect((await device.subscribe({ filter: ownTopic(name), qos: 1 })).reasons).toEqual([1]);
    await device.publish(ownTopic(name), "echo", { qos: 1 });
    expect(await device.receive()).toMatchObject({ text: "echo", qos: 1 });
    expect((await device.subscribe({ filter: ownTopic(name), qos: 0, noLocal: true })).reasons).toEqual([0]);
    await device.publish(ownTopic(name), "no echo", { qos: 1 });
    await device.expectNothing();
    await say(ownTopic(name), "of the server");
    expect(await device.receive()).toMatchObject({ text: "of the server", qos: 0 });
  });

  test("Retain As Published and Retain Handling", async () => {
    const name = nextName();
    const device = await connect(name);
    const topic = ownTopic(name);
    await say(topic, "kept", { retain: true });
    await device.subscribe({ filter: topic, qos: 1, retainHandling: 2 });
    await device.expectNothing();
    await device.subscribe({ filter: topic, qos: 1, retainHandling: 1 });
    await device.expectNothing();
    await device.subscribe({ filter: topic, qos: 1, retainHandling: 0 });
    expect(await device.receive()).toMatchObject({ text: "kept", retain: true });
    await say(topic, "live", { retain: true });
    expect(await device.receive()).toMatchObject({ text: "live", retain: false });
    await device.subscribe({ filter: topic, qos: 1, retainHandling: 2, retainAsPublished: true });
    await say(topic, "live", { retain: true });
    expect(await device.receive()).toMatchObject({ text: "live", retain: true });
    await device.unsubscribe(topic);
    await device.subscribe({ filter: topic, qos: 1, retainHandling: 1 });
    expect(await device.receive()).toMatchObject({ text: "live", retain: true });
    await say(topic, "", { retain: true });
  });

  test.each([
    ["Retain Handling 3", 0x31, 0x82],
    ["a reserved bit", 0x41, 0x82],
    ["[QOS-1] QoS 3", 0x03, 0x81],
  ])("%s ends the connection", async (_what, options, reason) => {
    const name = nextName();
    const device = await connect(name);
    const good = device.wire.subscribe(7, { filter: ownTopic(name, "get"), qos: 1 });
    good[good.length - 1] = options;
    device.send(good);
    await device.expectEnd(reason);
  });

  test("[V5-10] a shared subscription is told nothing that was retained", async () => {
    const name = nextName();
    const device = await connect(name);
    await say(ownTopic(name), "kept", { retain: true });
    expect((await device.subscribe(`$share/group/${ownTopic(name)}`)).reasons).toEqual([0]);
    await device.expectNothing();
    await device.subscribe(ownTopic(name));
    expect(await device.receive()).toMatchObject({ text: "kept", retain: true });
    await say(ownTopic(name), "", { retain: true });
  });

  test("[SUB-5] _ss of another value than 1 is none", async () => {
    const name = nextName();
    const device = await connect(name, { extensions: "_ss=0" });
    await device.publish(`/ext/ntp/${PK}/${name}/request`, '{"deviceSendTime":"1"}');
    await device.expectNothing();
  });

  test("No Local on a shared subscription is a protocol error", async () => {
    const name = nextName();
    const device = await connect(name);
    device.send(
      device.wire.subscribe(7, { filter: `$share/group/${ownTopic(name, "get")}`, qos: 1, noLocal: true }),
    );
    await device.expectEnd(0x82);
  });
});

describe("[V5-6] Wills", () => {
  async function will(name: string, properties: object = {}, more: DeviceConnect = {}): Promise<RawClient> {
    const topic = ownTopic(name);
    return connect(name, {
      will: { topic, payload: "gone", qos: 1, properties: { userProperty: [["a", "1"]], ...properties } },
      ...more,
    });
  }

  /** Texts on the topic so far. */
  async function watch(name: string): Promise<{ seen: string[]; stop: () => void }> {
    const seen: string[] = [];
    const stop = await server.broker.subscribe(ownTopic(name), ({ payload, properties }) => {
      seen.push(`${Buffer.from(payload)} ${JSON.stringify(properties?.userProperties ?? [])}`);
    });
    return { seen, stop };
  }

  test("published where the connection breaks, with its properties, and not after a normal DISCONNECT", async () => {
    const name = nextName();
    const { seen, stop } = await watch(name);
    await (await will(name)).disconnect();
    (await will(name)).destroy();
    await eventually(() => seen.length > 0, "the Will is there");
    expect(seen).toEqual(['gone [["a","1"]]']);
    (await will(name)).send(Buffer.from([0xe0, 0x02, 0x04, 0x00])); // DISCONNECT 0x04
    await eventually(() => seen.length > 1, "the second one");
    stop();
  });

  test("delayed; a take-over that resumes the session cancels it, one with cleanStart publishes it", async () => {
    const name = nextName();
    const { seen, stop } = await watch(name);
    const expiry = { properties: { sessionExpiryInterval: 60 } };
    await will(name, { willDelayInterval: 30 }, expiry);
    const resumed = await will(name, { willDelayInterval: 30 }, { clean: false, ...expiry });
    expect(resumed.connack.sessionPresent).toBe(true);
    await resumed.fence();
    expect(seen).toEqual([]);
    await connect(name, { clean: true });
    await eventually(() => seen.length === 1, "the Will of the ended session");
    stop();
  });

  test("QoS 2 is refused with 0x9B, a topic without permission with 0x87", async () => {
    const name = nextName();
    for (const [topic, qos, reason] of [
      [ownTopic(name), 2, 0x9b],
      [ownTopic("five0", "get"), 1, 0x87],
      [ownTopic(name, "get"), 1, 0x87],
    ] as const) {
      const client = await server.open(5);
      const { deviceConnect } = await import("../../signed-device.ts");
      client.send(client.wire.connect(deviceConnect(name, { will: { topic, payload: "x", qos } })));
      await client.expectRefusal(undefined, reason);
    }
  });
});
