// Subscriptions that the server's side ends for a device, over real sockets in 3.1.1 and 5.0.
import { describe, expect, test } from "vitest";
import type { RunLogEntry } from "../../../../src/platform/run-log/entry.ts";
import { useHeldServer } from "../../../store/held-store.ts";
import { BOTH, keptSession } from "../../../support/server.ts";
import { connectDevice, PK } from "../../signed-device.ts";
import { Gateway, registryWithGateways } from "../../signed-gateway.ts";

const NAMES = Array.from({ length: 20 }, (_, i) => `left${i}`);
const GATES = ["leftGate0", "leftGate1"];
const { held, server } = useHeldServer({
  profile: "platform",
  devices: registryWithGateways(NAMES, GATES),
  platform: { rates: { enabled: false } },
});
let used = 0;
const nextName = (): string => NAMES[used++];
const own = (deviceName: string, suffix = "get"): string => `/${PK}/${deviceName}/user/${suffix}`;
const idOf = (deviceName: string) => ({ productKey: PK, deviceName });
const operationError = (code: string, message: RegExp) =>
  expect.objectContaining({ name: "OperationError", code, message: expect.stringMatching(message) });
const logOf = (deviceName: string): Promise<readonly RunLogEntry[]> =>
  server.broker.runLog.search({ device: idOf(deviceName) });
const filtersOf = (deviceName: string): string[] =>
  server.broker.subscriptionsOf(idOf(deviceName)).map(({ filter }) => filter);

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[SUB-4] ends what the device subscribed itself and what was subscribed for it", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    await device.subscribe([
      { filter: own(name), qos: 1 },
      { filter: own(name, "cfg/#"), qos: 0 },
    ]);
    await server.broker.subscribeDevice(idOf(name), [own(name, "both")]);
    const asked = [own(name), own(name, "both"), own(name, "nothing"), "a/#/b", ""];
    expect(await server.broker.unsubscribeDevice(idOf(name), asked)).toEqual([0, 0, 0x11, 0x8f, 0x8f]);
    expect(filtersOf(name)).toEqual([own(name, "cfg/#")]);
    await server.broker.publish({ topic: own(name), payload: "gone" });
    await server.broker.publish({ topic: own(name, "cfg/a"), payload: "there" });
    expect(await device.receive()).toMatchObject({ text: "there" });
    await device.expectNothing();
    // Nothing stands in the way of another one, and it counts as the one it is [SUB-2].
    expect(await device.subscribe([{ filter: own(name), qos: 1 }])).toMatchObject({ reasons: [1] });
    expect(filtersOf(name)).toHaveLength(2);
  });

  test("[SUB-4] makes room for others of the device [SUB-2]", async () => {
    const name = nextName();
    const device = await connectDevice(server, version, name);
    for (let i = 0; i < 100; i += 10)
      await server.broker.subscribeDevice(
        idOf(name),
        Array.from({ length: 10 }, (_, j) => own(name, `cfg/${i + j}`)),
      );
    expect((await device.subscribe(own(name))).reasons).toEqual([version === 5 ? 0x97 : 0x80]);
    await server.broker.unsubscribeDevice(idOf(name), [own(name, "cfg/7")]);
    expect((await device.subscribe(own(name))).reasons).toEqual([0]);
  });

  test("[SUB-4] n-1, n, n+1 topics, none, another's, and a device that is away", async () => {
    const [name, other] = [nextName(), nextName()];
    const device = await connectDevice(server, version, name);
    const topics = (count: number): string[] =>
      Array.from({ length: count }, (_, i) => own(name, `cfg/${i}`));
    const codes = (count: number): number[] => Array(count).fill(0x11);
    for (const count of [9, 10])
      expect(await server.broker.unsubscribeDevice(idOf(name), topics(count))).toEqual(codes(count));
    for (const count of [0, 11])
      await expect(server.broker.unsubscribeDevice(idOf(name), topics(count))).rejects.toEqual(
        operationError("SUBSCRIBE_TOPICS", /^topics: /),
      );
    expect(await server.broker.unsubscribeDevice(idOf(name), [own(other)])).toEqual([0x87]);
    await device.disconnect();
    await device.closed();
    await expect(server.broker.unsubscribeDevice(idOf(name), topics(1))).rejects.toEqual(
      operationError("DEVICE_OFFLINE", /offline/),
    );
  });

  test("[SUB-4] a kept session has lost it when the promise resolves, and after it came back", async () => {
    const name = nextName();
    const { clientId: _, ...kept } = keptSession();
    const device = await connectDevice(server, version, name, kept);
    await device.subscribe([{ filter: own(name), qos: 1 }]);
    held.hold();
    let ended = false;
    const codes = server.broker.unsubscribeDevice(idOf(name), [own(name)]).then((given) => {
      ended = true;
      return given;
    });
    const commit = await held.commits(1);
    expect(ended).toBe(false);
    commit.succeed();
    held.release();
    expect(await codes).toEqual([0]);
    await device.disconnect();
    await device.closed();
    await server.broker.publish({ topic: own(name), payload: "lost", qos: 1 });
    const again = await connectDevice(server, version, name, { ...kept, clean: false });
    await again.expectNothing();
    expect(filtersOf(name)).toEqual([]);
  });

  test("[SUB-4] what the store could not strike off stands again, and the answer says so", async () => {
    const name = nextName();
    const { clientId: _, ...kept } = keptSession();
    const device = await connectDevice(server, version, name, kept);
    await device.subscribe([{ filter: own(name), qos: 1 }]);
    held.hold();
    const codes = server.broker.unsubscribeDevice(idOf(name), [own(name), own(name, "none")]);
    (await held.commits(1)).fail();
    held.release();
    const [first, second] = await codes;
    expect(first).toBeGreaterThanOrEqual(0x80);
    expect(second).toBe(first);
    expect(filtersOf(name)).toEqual([own(name)]);
    await server.broker.publish({ topic: own(name), payload: "still" });
    expect(await device.receive()).toMatchObject({ text: "still" });
  });

  test("[SUB-4] of a sub-device in the connection of its gateway, and no one else's", async () => {
    const [sub, other] = [nextName(), nextName()];
    const gateway = await Gateway.open(server, version, GATES[version === 5 ? 1 : 0]);
    await gateway.with(sub, other);
    for (const one of [sub, other]) {
      await gateway.client.subscribe([{ filter: own(one), qos: 1 }]);
    }
    expect(await server.broker.unsubscribeDevice(idOf(sub), [own(sub), own(other)])).toEqual([0, 0x87]);
    expect(filtersOf(sub)).toEqual([]);
    expect(filtersOf(other)).toEqual([own(other)]);
  });

  test("[LOG-1] the call and what it ended have one trace id, and listeners are told", async () => {
    const name = nextName();
    const told: string[] = [];
    const off = server.broker.on("client.unsubscribed", ({ filter }) => void told.push(filter));
    const device = await connectDevice(server, version, name);
    await device.subscribe(own(name));
    await server.broker.unsubscribeDevice(idOf(name), [own(name), own("nobody")]);
    off();
    expect(told).toEqual([own(name)]);
    const entries = (await logOf(name)).filter(({ operation }) => operation !== "online").slice(1);
    expect(entries.map(({ businessType, operation, status }) => [businessType, operation, status])).toEqual([
      ["API call", "UnsubscribeTopic", 200],
      ["unsubscribe", own(name), 200],
      ["unsubscribe", own("nobody"), 403],
    ]);
    expect(new Set(entries.map(({ traceId }) => traceId)).size).toBe(1);
    expect(entries[0].content).toEqual({
      Params: { topics: [own(name), own("nobody")] },
      ResultData: { codes: [0, 0x87] },
    });
  });
});
