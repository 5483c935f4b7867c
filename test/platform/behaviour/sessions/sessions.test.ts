// Sessions of devices in 3.x and what is kept for them, over real sockets.
import { describe, expect, test } from "vitest";
import { ALL, BOTH, eventually } from "../../../support/server.ts";
import { connectDevice, PK, useDevices } from "../../signed-device.ts";

const { server, nextName } = useDevices("sess", 40, {
  platform: { sessions: { maxQueueSeconds: 1 } },
});
const own = (deviceName: string, suffix = "get"): string => `/${PK}/${deviceName}/user/${suffix}`;
const say = (topic: string, payload: string, qos: 0 | 1 = 1): Promise<void> =>
  server.broker.publish({ topic, payload, qos });
const keep = (version: number) =>
  version === 5 ? { clean: false, properties: { sessionExpiryInterval: 600 } } : { clean: false };

describe.each([ALL[0], ALL[1]])("MQTT %s", (_name, version) => {
  test("[SESS-1] cleanSession false keeps subscriptions and QoS 1 messages, true deletes them", async () => {
    const name = nextName();
    const first = await connectDevice(server, version, name, { clean: false });
    await first.subscribe({ filter: own(name), qos: 1 });
    await first.disconnect();
    await say(own(name), "kept");
    await say(own(name), "QoS 0 is not", 0);
    const second = await connectDevice(server, version, name, { clean: false });
    if (version === 4) expect(second.connack.sessionPresent).toBe(true);
    expect(await second.receive()).toMatchObject({ text: "kept", qos: 1 });
    await second.expectNothing();
    await second.disconnect();
    await say(own(name), "deleted");
    const third = await connectDevice(server, version, name, { clean: true });
    expect(third.connack.sessionPresent).toBe(false);
    await third.disconnect();
    const fourth = await connectDevice(server, version, name, { clean: false });
    expect(fourth.connack.sessionPresent).toBe(false);
    await say(own(name), "subscriptions are gone too");
    await fourth.expectNothing();
  });
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[SESS-2] a message older than the bound is dropped, waiting or sent and never acknowledged", async () => {
    const name = nextName();
    const first = await connectDevice(server, version, name, keep(version));
    await first.subscribe({ filter: own(name), qos: 1 });
    await say(own(name), "sent, never acknowledged");
    await first.next("publish");
    first.destroy();
    await eventually(() => server.broker.metrics()["clients.connected"] === 0, "it is away");
    const started = Date.now();
    await say(own(name), "waiting");
    await eventually(() => Date.now() - started > 1_200, "the bound has passed");
    await say(own(name), "young");
    const second = await connectDevice(server, version, name, keep(version));
    expect((await second.receive()).text).toBe("young");
    await second.expectNothing();
  });

  test("[SESS-4] messages keep their order, over a reconnect too", async () => {
    const name = nextName();
    const first = await connectDevice(server, version, name, keep(version));
    await first.subscribe({ filter: own(name), qos: 1 });
    for (let i = 0; i < 20; i++) await say(own(name), String(i));
    const got: string[] = [];
    for (let i = 0; i < 10; i++) got.push((await first.receive()).text);
    await first.disconnect();
    for (let i = 20; i < 30; i++) await say(own(name), String(i));
    const second = await connectDevice(server, version, name, keep(version));
    while (got.at(-1) !== "29") {
      const { text, dup } = await second.receive();
      if (!dup || Number(text) > Number(got.at(-1))) got.push(text);
    }
    expect(got).toEqual(Array.from({ length: 30 }, (_, i) => String(i)));
  });

  test("[QOS-4] what was not acknowledged comes again with DUP and the same identifier", async () => {
    const name = nextName();
    const first = await connectDevice(server, version, name, keep(version));
    await first.subscribe({ filter: own(name), qos: 1 });
    await say(own(name), "again");
    const sent = await first.next("publish");
    expect(sent.dup).toBe(false);
    first.destroy();
    const second = await connectDevice(server, version, name, keep(version));
    expect(await second.receive()).toMatchObject({ text: "again", dup: true, id: sent.id });
  });
});
