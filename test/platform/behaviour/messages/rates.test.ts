// How often devices may publish, over real sockets in 3.1.1 and 5.0.
import { describe, expect, test } from "vitest";
import { BOTH, type TestServer, useServer } from "../../../support/server.ts";
import type { RawClient } from "../../../support/raw-client.ts";
import { connectDevice, ownTopic, PK, registryOf } from "../../signed-device.ts";
import { clockStands, leap } from "../../../support/time.ts";

/** Sends messages "0", "1", … of one QoS in one go. */
function burst(device: RawClient, topic: string, count: number, qos: 0 | 1): void {
  const packets = Array.from({ length: count }, (_, i) =>
    device.wire.publish(topic, String(i), { qos, id: i + 1 }),
  );
  device.send(Buffer.concat(packets));
}

/** Texts that reach the server's side, as far as a fence. */
async function heard(
  server: TestServer,
  device: RawClient,
  topic: string,
  act: () => void,
): Promise<string[]> {
  const texts: string[] = [];
  const stop = await server.broker.subscribe(
    topic,
    ({ payload }) => void texts.push(`${Buffer.from(payload)}`),
  );
  act();
  await device.fence();
  stop();
  return texts;
}

/** How many lines with this code the run log has of a device. */
const lines = async ({ broker }: TestServer, deviceName: string, code: number): Promise<number> =>
  (await broker.runLog.search({ device: { productKey: PK, deviceName }, code })).length;

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

describe("by default", () => {
  const server = useServer({
    profile: "platform",
    devices: registryOf("rates3", "rates5", "other3", "other5"),
  });

  test.each(BOTH)(
    "[LIMIT-2] MQTT %s: 30 messages of QoS 0 a second, the others are dropped",
    async (_name, version) => {
      const deviceName = `rates${version === 5 ? 5 : 3}`;
      const device = await connectDevice(server, version, deviceName);
      const before = server.broker.metrics()["dropped.rate"];
      const topic = ownTopic(deviceName);
      expect(await heard(server, device, topic, () => burst(device, topic, 40, 0))).toEqual(numbers(30));
      expect(server.broker.metrics()["dropped.rate"] - before).toBe(10);
    },
  );

  test.each(BOTH)(
    "[LIMIT-2] MQTT %s: 10 of QoS 1, the others get no PUBACK; other devices notice nothing",
    async (_name, version) => {
      const deviceName = `rates${version === 5 ? 5 : 3}`;
      const device = await connectDevice(server, version, deviceName);
      const topic = ownTopic(deviceName);
      const texts: string[] = [];
      const stop = await server.broker.subscribe(
        topic,
        ({ payload }) => void texts.push(`${Buffer.from(payload)}`),
      );
      burst(device, topic, 15, 1);
      const ids = (await device.fence()).flatMap((packet) => (packet.type === "puback" ? [packet.id] : []));
      stop();
      expect(texts).toEqual(numbers(10));
      expect(ids).toEqual(Array.from({ length: 10 }, (_, i) => i + 1));
      const other = `other${version === 5 ? 5 : 3}`;
      const neighbour = await connectDevice(server, version, other);
      expect(
        await heard(server, neighbour, ownTopic(other), () => burst(neighbour, ownTopic(other), 10, 1)),
      ).toEqual(numbers(10));
    },
  );
});

describe("of an account", () => {
  const server = useServer({
    profile: "platform",
    devices: registryOf("one3", "two3", "one5", "two5"),
    platform: { rates: { accountPerSecond: 20, qos1PerSecond: 15 } },
  });

  test.each(BOTH)(
    "[LIMIT-3] MQTT %s: all devices together have a rate; beyond it a message is dropped without PUBACK",
    // All of it in one second, whatever the machine takes for it.
    (_name, version) =>
      clockStands(async () => {
        const suffix = version === 5 ? 5 : 3;
        const before = server.broker.metrics()["dropped.rate"];
        const one = await connectDevice(server, version, `one${suffix}`);
        const two = await connectDevice(server, version, `two${suffix}`);
        burst(one, ownTopic(`one${suffix}`), 12, 1);
        const first = (await one.fence()).filter((packet) => packet.type === "puback");
        expect(first).toHaveLength(12);
        burst(two, ownTopic(`two${suffix}`), 12, 1);
        const ids = (await two.fence()).flatMap((packet) => (packet.type === "puback" ? [packet.id] : []));
        expect(ids).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
        expect(server.broker.metrics()["dropped.rate"] - before).toBe(4);
        expect(await lines(server, `two${suffix}`, 9324)).toBeGreaterThan(0);
        expect(await lines(server, `one${suffix}`, 9324)).toBe(0);
        await leap(1_050);
        burst(two, ownTopic(`two${suffix}`), 1, 1);
        expect((await two.fence()).filter((packet) => packet.type === "puback")).toHaveLength(1);
        await leap(1_050); // The next one finds the rate unused.
      }),
  );
});

describe("of bytes", () => {
  const PER_SECOND = 20_000;
  const server = useServer({
    profile: "platform",
    devices: registryOf("bytes3", "bytes5", "calm3", "calm5"),
    platform: { rates: { bytesPerSecond: PER_SECOND, qos0PerSecond: 0 } },
  });
  const delayed = (): number => server.broker.metrics()["delayed.bandwidth"] ?? 0;

  test.each(BOTH)(
    "[LIMIT-4] MQTT %s: a connection that brings more is read later, in order; others are not",
    async (_name, version) => {
      const suffix = version === 5 ? 5 : 3;
      const topic = ownTopic(`bytes${suffix}`);
      const device = await connectDevice(server, version, `bytes${suffix}`, { keepAlive: 30 });
      const calm = await connectDevice(server, version, `calm${suffix}`);
      const before = delayed();
      const sizes: number[] = [];
      const stop = await server.broker.subscribe(topic, ({ payload }) => void sizes.push(payload.length));
      const start = performance.now();
      device.send(device.wire.publish(topic, Buffer.alloc(PER_SECOND / 2)));
      await device.fence();
      expect(delayed()).toBe(before);
      device.send(device.wire.publish(topic, Buffer.alloc(PER_SECOND)));
      device.send(device.wire.publish(topic, Buffer.alloc(PER_SECOND / 4)));
      await calm.fence();
      await device.fence();
      const took = performance.now() - start;
      stop();
      expect(sizes).toEqual([PER_SECOND / 2, PER_SECOND, PER_SECOND / 4]);
      expect(delayed()).toBeGreaterThan(before);
      expect(await lines(server, `bytes${suffix}`, 429)).toBeGreaterThan(0);
      expect(await lines(server, `calm${suffix}`, 429)).toBe(0);
      // 35,000 bytes have come in full before anything behind them was answered; a chunk may be read ahead.
      expect(took).toBeGreaterThan(500);
    },
  );
});

describe("with rateReason", () => {
  const server = useServer({
    profile: "platform",
    devices: registryOf("reason3", "reason5"),
    platform: { v5: { rateReason: true }, rates: { qos1PerSecond: 2 } },
  });

  test.each(BOTH)("[LIMIT-2] MQTT %s: PUBACK 0x97 in 5.0, nothing in 3.x", async (_name, version) => {
    const deviceName = `reason${version === 5 ? 5 : 3}`;
    const device = await connectDevice(server, version, deviceName);
    burst(device, ownTopic(deviceName), 4, 1);
    const reasons = (await device.fence()).flatMap((p) => (p.type === "puback" ? [p.reason] : []));
    expect(reasons.map((reason) => (reason === 0x10 ? 0 : (reason ?? 0)))).toEqual(
      version === 5 ? [0, 0, 0x97, 0x97] : [0, 0],
    );
  });
});

describe("with rates off", () => {
  const server = useServer({
    profile: "platform",
    devices: registryOf("free3", "free5"),
    platform: { rates: { enabled: false } },
  });

  test.each(BOTH)("[LIMIT-2] MQTT %s: everything passes", async (_name, version) => {
    const deviceName = `free${version === 5 ? 5 : 3}`;
    const device = await connectDevice(server, version, deviceName);
    const topic = ownTopic(deviceName);
    expect(await heard(server, device, topic, () => burst(device, topic, 200, 0))).toEqual(numbers(200));
  });
});
