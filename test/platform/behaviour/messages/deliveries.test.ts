// How often a device may be sent to, over real sockets in 3.1.1 and 5.0: what comes by routing and what the server's side sends.
import { describe, expect, test } from "vitest";
import { sign } from "../../../../src/platform/sign-in/signature.ts";
import type { RawClient } from "../../../support/raw-client.ts";
import { BOTH, eventually, type TestServer, useServer } from "../../../support/server.ts";
import type { Version } from "../../../support/wire.ts";
import { connectDevice, PK, registryOf, secretOf } from "../../signed-device.ts";
import { timePasses } from "../../../support/time.ts";

const own = (deviceName: string, suffix = "get"): string => `/${PK}/${deviceName}/user/${suffix}`;
const idOf = (deviceName: string) => ({ productKey: PK, deviceName });
const numbers = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => String(from + i));
const RATE_LIMIT = expect.objectContaining({ name: "OperationError", code: "RATE_LIMIT" });

/** Names for both versions, a device for each test. */
function names(count: number): { readonly all: string[]; next(version: Version): string } {
  const all = [4, 5].flatMap((version) => Array.from({ length: count }, (_, i) => `paced${version}.${i}`));
  const used = new Map<Version, number>();
  return {
    all,
    next(version) {
      const n = used.get(version) ?? 0;
      used.set(version, n + 1);
      return `paced${version}.${n}`;
    },
  };
}

/** Payloads that have come; QoS 1 is acknowledged. */
function texts(device: RawClient, packets = device.pending()): string[] {
  const found: string[] = [];
  for (const packet of packets) {
    if (packet.type !== "publish") continue;
    found.push(packet.text);
    if (packet.qos === 1) device.send(device.wire.puback(packet.id));
  }
  return found;
}

/** What came at once, and what comes later, until there are so many. */
async function inTwoSteps(
  device: RawClient,
  count: number,
): Promise<[now: string[], later: string[], ms: number]> {
  const now = texts(device, await device.fence());
  const start = performance.now();
  const later: string[] = [];
  await eventually(() => {
    later.push(...texts(device));
    return now.length + later.length >= count;
  }, `${count} messages`);
  return [now, later, performance.now() - start];
}

async function outcomes(count: number, publish: (i: number) => Promise<unknown>): Promise<string[]> {
  const all = await Promise.allSettled(Array.from({ length: count }, (_, i) => publish(i)));
  return all.map((one) => (one.status === "fulfilled" ? "sent" : (one.reason as { code: string }).code));
}

const logged = async (server: TestServer, deviceName: string, code: number) =>
  (await server.broker.runLog.search({ device: idOf(deviceName), code })).map(
    ({ businessType, operation }) => [businessType, operation],
  );

describe("by default", () => {
  const devices = names(2);
  const server = useServer({ profile: "platform", devices: registryOf(...devices.all) });

  test.each(BOTH)(
    "[SESS-3] MQTT %s: 50 messages a second to a device; a publish beyond fails, of QoS 1 it waits",
    async (_name, version) => {
      const name = devices.next(version);
      const device = await connectDevice(server, version, name);
      await device.subscribe([{ filter: own(name), qos: 1 }]);
      const publish = (i: number, qos: 0 | 1 = 0) =>
        server.broker.publish({ topic: own(name), payload: String(i), qos });
      expect(await outcomes(49, publish)).toEqual(Array(49).fill("sent"));
      expect(await outcomes(1, () => publish(49))).toEqual(["sent"]);
      await expect(publish(50)).rejects.toEqual(RATE_LIMIT);
      await publish(51, 1);
      await publish(52, 1);
      const [now, later] = await inTwoSteps(device, 52);
      expect(now).toEqual(numbers(50));
      expect(later).toEqual(["51", "52"]);
    },
  );
});

describe("of 5 a second", () => {
  const devices = names(12);
  const registry = registryOf(...devices.all);
  const server = useServer(
    {
      profile: "platform",
      devices: registry,
      platform: {
        rates: { deliveriesPerSecond: 5, accountDeliveriesPerSecond: 0, qos0PerSecond: 0, qos1PerSecond: 0 },
        gateway: { maxSubDevices: 3 },
      },
    },
    { concurrent: true },
  );
  const counted = (name: string): number => server.broker.metrics()[name];

  describe.each(BOTH)("MQTT %s", (_name, version) => {
    test("[SESS-3] a publish of the server's side: counted, logged, and let through when the second is over", async () => {
      const name = devices.next(version);
      const device = await connectDevice(server, version, name);
      await device.subscribe([{ filter: own(name), qos: 0 }]);
      const before = counted("dropped.delivery_rate");
      const publish = (i: number) => server.broker.publish({ topic: own(name), payload: String(i) });
      const start = Date.now();
      expect(await outcomes(7, publish)).toEqual([...Array(5).fill("sent"), "RATE_LIMIT", "RATE_LIMIT"]);
      expect(counted("dropped.delivery_rate") - before).toBe(2);
      expect(texts(device, await device.fence())).toEqual(numbers(5));
      expect(await logged(server, name, 9324)).toEqual([
        ["API call", "Pub"],
        ["cloud-to-device message", own(name)],
        ["API call", "Pub"],
        ["cloud-to-device message", own(name)],
      ]);
      await eventually(async () => (await outcomes(1, () => publish(7)))[0] === "sent", "the next second");
      expect(Date.now() - start).toBeGreaterThanOrEqual(1_000);
      expect(texts(device, await device.fence())).toEqual(["7"]);
    });

    test.each([0, 1] as const)("[SESS-3] a device's own topic, QoS %i", async (qos) => {
      const name = devices.next(version);
      const topic = own(name, "both");
      const device = await connectDevice(server, version, name);
      await device.subscribe([{ filter: topic, qos }]);
      const [dropped, waited] = [counted("dropped.delivery_rate"), counted("queued.rate")];
      const packets = Array.from({ length: 8 }, (_, i) =>
        device.wire.publish(topic, String(i), qos === 0 ? {} : { qos, id: i + 1 }),
      );
      device.send(Buffer.concat(packets));
      const [now, later, ms] = await inTwoSteps(device, qos === 0 ? 5 : 8);
      expect(now).toEqual(numbers(5));
      expect(later).toEqual(qos === 0 ? [] : ["5", "6", "7"]);
      expect(counted("dropped.delivery_rate") - dropped).toBe(qos === 0 ? 3 : 0);
      expect(counted("queued.rate") - waited).toBe(qos === 0 ? 0 : 1);
      if (qos === 1) expect(ms).toBeGreaterThan(800);
      // One entry tells of all of a second.
      const failed = await logged(server, name, 9324);
      expect(failed).toEqual(qos === 0 ? [["cloud-to-device message", topic]] : []);
    });

    // These wait for the rate of a device of their own, and count nothing of the others: side by side.
    test.concurrent("[SESS-3] RRPC and what services push fail beyond it; other devices notice nothing", async () => {
      const [name, other] = [devices.next(version), devices.next(version)];
      const device = await connectDevice(server, version, name, { extensions: "_ss=1" });
      const neighbour = await connectDevice(server, version, other, { extensions: "_ss=1" });
      const { things } = server.broker;
      for (let i = 0; i < 4; i++) expect(await things.sendRaw(idOf(name), Buffer.from("x"))).toBe("sent");
      const called = server.broker.rrpc(idOf(name), "call", { timeoutMs: 1_000 });
      await expect(server.broker.rrpc(idOf(name), "another")).rejects.toEqual(RATE_LIMIT);
      expect(await things.sendRaw(idOf(name), Buffer.from("x"))).toBe("throttled");
      expect(await things.sendRaw(idOf(name), Buffer.from("later"), { qos: 1 })).toBe("queued");
      expect(await things.sendRaw(idOf(other), Buffer.from("x"))).toBe("sent");
      expect(texts(neighbour, await neighbour.fence())).toEqual(["x"]);
      const [now, later] = await inTwoSteps(device, 6);
      expect([now, later]).toEqual([["x", "x", "x", "x", "call"], ["later"]]);
      expect((await called).code).toBe("TIMEOUT");
      expect(await logged(server, name, 9324)).toEqual([
        ["cloud-to-device message", expect.stringMatching(/rrpc\/request/)],
        ["API call", "RRpc"],
        ["cloud-to-device message", `/sys/${PK}/${name}/thing/model/down_raw`],
      ]);
    });

    test.concurrent("[SESS-3] what was kept while it was away comes at that rate, in order", async () => {
      const name = devices.next(version);
      const kept = { clean: false, properties: version === 5 ? { sessionExpiryInterval: 100 } : {} };
      const before = await connectDevice(server, version, name, kept);
      await before.subscribe([{ filter: own(name), qos: 1 }]);
      await before.disconnect();
      for (let i = 0; i < 12; i++)
        await server.broker.publish({ topic: own(name), payload: String(i), qos: 1 });
      const device = await connectDevice(server, version, name, kept);
      const [now, later, ms] = await inTwoSteps(device, 12);
      expect(now).toEqual(numbers(5));
      expect(later).toEqual(numbers(7, 5));
      expect(ms).toBeGreaterThan(1_800);
    });

    test.concurrent("[SESS-3] it goes on where the device connects again", async () => {
      const name = devices.next(version);
      const kept = { clean: false, properties: version === 5 ? { sessionExpiryInterval: 100 } : {} };
      const before = await connectDevice(server, version, name, kept);
      await before.subscribe([{ filter: own(name), qos: 1 }]);
      const publish = (i: number) => server.broker.publish({ topic: own(name), payload: String(i), qos: 1 });
      for (let i = 0; i < 7; i++) await publish(i);
      expect(texts(before, await before.fence())).toEqual(numbers(5));
      await before.disconnect();
      const device = await connectDevice(server, version, name, kept);
      const [now, later] = await inTwoSteps(device, 2);
      expect([...now, ...later]).toEqual(["5", "6"]);
      expect(now.length).toBeLessThan(2);
    });
  });

  test("[SESS-3] MQTT 5.0: retained messages wait for their turn, none is lost", async () => {
    const name = devices.next(5);
    for (let i = 0; i < 12; i++)
      await server.broker.publish({ topic: own(name, `cfg/${i}`), payload: String(i), retain: true });
    const device = await connectDevice(server, 5, name);
    await device.subscribe([{ filter: own(name, "cfg/#"), qos: 0 }]);
    const [now, later, ms] = await inTwoSteps(device, 12);
    expect(now).toHaveLength(5);
    expect([...now, ...later].map(Number).sort((a, b) => a - b)).toEqual(numbers(12).map(Number));
    expect(ms).toBeGreaterThan(1_800);
  });

  test.each(BOTH)(
    "[SESS-3] [GW-4] [SUB-4] MQTT %s: each sub-device at a gateway has the rate for itself",
    async (_name, version) => {
      const suffix = `${version}`;
      const gateway = `paced-gate${suffix}`;
      const subs = ["a", "b"].map((letter) => `paced-sub${suffix}${letter}`);
      registry.putProduct({ productKey: "a1GATEWAY01", productSecret: "s", nodeType: "gateway" });
      registry.putDevice({ productKey: "a1GATEWAY01", deviceName: gateway, deviceSecret: secretOf(gateway) });
      const device = await connectDevice(server, version, gateway, {
        productKey: "a1GATEWAY01",
        extensions: "_ss=1",
      });
      const ask = async (topic: string, params: unknown): Promise<void> => {
        await device.publish(topic, JSON.stringify({ id: "1", version: "1.0", params }));
        expect(JSON.parse((await device.receive()).text)).toMatchObject({ code: 200 });
      };
      for (const sub of subs) {
        registry.putDevice({ productKey: PK, deviceName: sub, deviceSecret: secretOf(sub) });
        const content = `clientIdxdeviceName${sub}productKey${PK}timestamp1`;
        const params = {
          ...idOf(sub),
          clientId: "x",
          timestamp: "1",
          signMethod: "hmacSha256",
          sign: sign("hmacsha256", secretOf(sub), content),
        };
        await ask(`/sys/a1GATEWAY01/${gateway}/thing/topo/add`, [params]);
        await ask(`/ext/session/a1GATEWAY01/${gateway}/combine/login`, params);
        await device.subscribe([{ filter: own(sub), qos: 0 }]);
      }
      const publish = (sub: string) => (i: number) =>
        server.broker.publish({ topic: own(sub), payload: `${sub} ${i}` });
      for (const sub of subs)
        expect(await outcomes(6, publish(sub))).toEqual([...Array(5).fill("sent"), "RATE_LIMIT"]);
      expect(texts(device, await device.fence())).toHaveLength(10);
      // What is subscribed for one behind it may be that one's only [SUB-4].
      const asked = [own(subs[0], "cfg/#"), own(subs[1]), `/sys/a1GATEWAY01/${gateway}/thing/#`];
      expect(await server.broker.subscribeDevice(idOf(subs[0]), asked)).toEqual([1, 0x87, 0x87]);
      expect(server.broker.subscriptionsOf(idOf(subs[0])).map(({ filter }) => filter)).toEqual([
        own(subs[0]),
        own(subs[0], "cfg/#"),
      ]);
      // And the gateway its own, of which the answers to what it asked have taken four.
      expect(
        await server.broker.things.sendRaw(
          { productKey: "a1GATEWAY01", deviceName: gateway },
          Buffer.from("x"),
        ),
      ).toBe("sent");
    },
  );
});

describe("of all devices", () => {
  const devices = names(10);
  const server = useServer({
    profile: "platform",
    devices: registryOf(...devices.all),
    platform: {
      rates: { deliveriesPerSecond: 15, accountDeliveriesPerSecond: 20 },
      broadcast: { callsPerMinute: 0 },
    },
  });
  /** The next test finds the rate unused. What waits its turn has a timer, so that time has to pass. */
  const over = (): Promise<void> => timePasses(1_050);

  test.each(BOTH)(
    "[LIMIT-3] MQTT %s: beyond it a publish fails, of QoS 1 it waits its turn",
    async (_name, version) => {
      const [one, two] = [devices.next(version), devices.next(version)];
      const [first, second] = [
        await connectDevice(server, version, one),
        await connectDevice(server, version, two),
      ];
      await first.subscribe([{ filter: own(one), qos: 1 }]);
      await second.subscribe([{ filter: own(two), qos: 1 }]);
      const before = server.broker.metrics()["dropped.delivery_rate_of_all"];
      const publish = (name: string, qos: 0 | 1) => (i: number) =>
        server.broker.publish({ topic: own(name), payload: String(i), qos });
      expect(await outcomes(12, publish(one, 0))).toEqual(Array(12).fill("sent"));
      expect(await outcomes(9, publish(two, 0))).toEqual([...Array(8).fill("sent"), "RATE_LIMIT"]);
      expect(server.broker.metrics()["dropped.delivery_rate_of_all"] - before).toBe(1);
      await publish(one, 1)(12);
      await publish(two, 1)(13);
      expect(texts(first, await first.fence())).toEqual(numbers(12));
      expect(texts(second, await second.fence())).toEqual(numbers(8));
      const [[, laterFirst], [, laterSecond]] = await Promise.all([
        inTwoSteps(first, 1),
        inTwoSteps(second, 1),
      ]);
      expect([laterFirst, laterSecond]).toEqual([["12"], ["13"]]);
      await over();
    },
  );

  test.each(BOTH)(
    "[LIMIT-3] [BCAST-1] MQTT %s: broadcasts have a rate of their own",
    async (_name, version) => {
      const name = devices.next(version);
      const device = await connectDevice(server, version, name, { extensions: "_ss=1" });
      await device.subscribe([{ filter: own(name), qos: 1 }]);
      const other = await connectDevice(server, version, devices.next(version), { extensions: "_ss=1" });
      const send = async (id: string) => server.broker.things.sendRaw(idOf(id), Buffer.from("x"));
      for (let i = 0; i < 10; i++) expect(await send(name)).toBe("sent");
      const third = devices.next(version);
      await connectDevice(server, version, third, { extensions: "_ss=1" });
      for (let i = 0; i < 10; i++) expect(await send(third)).toBe("sent");
      expect(await send(name)).toBe("throttled");
      expect((await server.broker.broadcast(PK, "all")).devices).toBe(3);
      expect(texts(other, await other.fence())).toEqual(["all"]);
      await over();
    },
  );
});

describe("where the connection takes no more", () => {
  const devices = names(2);
  const server = useServer({
    profile: "platform",
    devices: registryOf(...devices.all),
    limits: { outgoingBytes: 100_000 },
    platform: { rates: { enabled: false }, runLog: { entriesPerSecond: 10_000 } },
  });

  test.each(BOTH)(
    "[SESS-3] MQTT %s: a message to it fails, and is logged as 1901",
    async (_name, version) => {
      const name = devices.next(version);
      const device = await connectDevice(server, version, name);
      await device.subscribe([
        { filter: own(name), qos: 0 },
        { filter: own(name, "both"), qos: 0 },
      ]);
      device.stream.pause();
      const payload = Buffer.alloc(50_000);
      let failure: unknown;
      for (let i = 0; i < 1_000 && failure === undefined; i++)
        await server.broker.publish({ topic: own(name), payload }).catch((error: unknown) => {
          failure = error;
        });
      expect(failure).toMatchObject({ name: "OperationError", code: "DEVICE_BUSY" });
      expect(await logged(server, name, 1901)).toEqual([
        ["API call", "Pub"],
        ["cloud-to-device message", own(name)],
      ]);
      // By routing, too.
      device.send(device.wire.publish(own(name, "both"), payload));
      await eventually(async () => (await logged(server, name, 1901)).length === 3, "the third entry");
      expect((await logged(server, name, 1901))[2]).toEqual(["cloud-to-device message", own(name, "both")]);
      device.stream.resume();
    },
  );
});

describe("with rates off", () => {
  const devices = names(1);
  const server = useServer({
    profile: "platform",
    devices: registryOf(...devices.all),
    platform: { rates: { enabled: false } },
  });

  test.each(BOTH)("[SESS-3] [LIMIT-3] MQTT %s: everything passes", async (_name, version) => {
    const name = devices.next(version);
    const device = await connectDevice(server, version, name);
    await device.subscribe([{ filter: own(name), qos: 0 }]);
    const publish = (i: number) => server.broker.publish({ topic: own(name), payload: String(i) });
    expect(await outcomes(2_500, publish)).toEqual(Array(2_500).fill("sent"));
    expect(texts(device, await device.fence())).toEqual(numbers(2_500));
  });
});
