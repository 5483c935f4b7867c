// The two levels of the platform over real sockets: nothing comes with QoS 2, the packets of QoS 2 end a connection, and what
// the publisher decides in 3.x holds for a device that was away while the broker was started again.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openStore } from "../../../../src/store/open-store.ts";
import { ALL, BOTH, TestServer, useServer } from "../../../support/server.ts";
import { connectDevice, PK, registryOf } from "../../signed-device.ts";

const NAMES = Array.from({ length: 40 }, (_, i) => `level${i}`);
const devices = registryOf(...NAMES);
const options = { profile: "platform", devices, platform: { rates: { enabled: false } } } as const;
const server = useServer(options);
const decided = useServer({
  ...options,
  platform: { rates: { enabled: false }, qos: { publisherDecides5: true } },
});
let used = 0;
const nextName = (): string => NAMES[used++];
const own = (deviceName: string): string => `/${PK}/${deviceName}/user/both`;

describe.each(ALL)("MQTT %s", (_name, version) => {
  const kept = version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {};

  test.each(["the lower of both", "the publisher's"])(
    "[QOS-1] [QOS-2] [QOS-3] a message of QoS 2 comes with 1: online, stored and retained; in 5.0 %s",
    async (decides) => {
      const at = decides === "the publisher's" ? decided : server;
      const deviceName = nextName();
      const topic = own(deviceName);
      const first = await connectDevice(at, version, deviceName, { clean: false, ...kept });
      await first.subscribe({ filter: topic, qos: 2 });
      await at.broker.publish({ topic, payload: "online", qos: 2 });
      expect(await first.receive()).toMatchObject({ text: "online", qos: 1 });
      await first.disconnect();
      await at.broker.publish({ topic, payload: "stored", qos: 2 });
      const second = await connectDevice(at, version, deviceName, { clean: false, ...kept });
      expect(await second.receive()).toMatchObject({ text: "stored", qos: 1 });
      if (version !== 5) return;
      await at.broker.publish({ topic, payload: "retained", qos: 2, retain: true });
      expect(await second.receive()).toMatchObject({ text: "retained", qos: 1 });
      await second.subscribe({ filter: topic, qos: 2 });
      expect(await second.receive()).toMatchObject({ text: "retained", qos: 1, retain: true });
    },
  );

  test.each(["pubrec", "pubrel", "pubcomp"] as const)("[NET-4] %s ends the connection", async (type) => {
    const device = await connectDevice(server, version, nextName());
    const first = { pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 }[type];
    device.send(Buffer.of(first, 2, 0, 1));
    await device.expectEnd(0x82);
  });
});

test.each(BOTH)(
  "[QOS-2] [SESS-2] MQTT %s: the same after the broker was started again",
  async (_name, version) => {
    const directory = mkdtempSync(join(tmpdir(), "levels-"));
    let store = await openStore({ directory, level: "process" });
    const again = new TestServer(() => ({ ...options, store }));
    const deviceName = nextName();
    const topic = own(deviceName);
    const connect = { clean: false, properties: version === 5 ? { sessionExpiryInterval: 100 } : {} };
    try {
      await again.start();
      const first = await connectDevice(again, version, deviceName, connect);
      await first.subscribe({ filter: topic, qos: 0 });
      await first.disconnect();
      await again.stop();
      store = await openStore({ directory, level: "process" });
      await again.start();
      await again.broker.publish({ topic, payload: "stored", qos: 1 });
      await again.broker.publish({ topic, payload: "stored too", qos: 2 });
      const second = await connectDevice(again, version, deviceName, connect);
      expect(second.connack.sessionPresent).toBe(true);
      // In 5.0 the subscription has QoS 0, and nothing is kept for it.
      if (version === 5) return await second.expectNothing();
      expect(await second.receive()).toMatchObject({ text: "stored", qos: 1 });
      expect(await second.receive()).toMatchObject({ text: "stored too", qos: 1 });
    } finally {
      await again.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  },
);
