// What is kept for a sub-device follows into its gateway's session when that logs it in: when it may, and when it must stay,
// over real sockets in 3.1.1 and 5.0. Some of it happens only between two steps of the broker: there its host is asked directly.
import { beforeEach, describe, expect, test, vi } from "vitest";
import { keyOf } from "../../../../src/platform/names/user-name.ts";
import { BrokerHost } from "../../../../src/platform-host.ts";
import { useHeldServer } from "../../../store/held-store.ts";
import { BOTH } from "../../../support/server.ts";
import { leap, useManualClock } from "../../../support/time.ts";
import { devices, GPK, KEPT, options, Pair } from "../../kept-pair.ts";
import { connectDevice, PK } from "../../signed-device.ts";

useManualClock();
const { held, server } = useHeldServer({ ...options, limits: { sessionExpiry: 100 } });

/** The broker's host, as the platform has it, and what it was asked to take back. */
let host: BrokerHost;
let unparked: number;
/** Where there is one, what is to be taken back is put here and waits. */
let later: (() => void)[] | undefined;
/** The answer to a login waits for this. */
let answers: Promise<void>;
beforeEach(() => {
  answers = Promise.resolve();
  unparked = 0;
  later = undefined;
  const { push, unpark } = BrokerHost.prototype;
  vi.spyOn(BrokerHost.prototype, "unpark").mockImplementation(function (this: BrokerHost, ...given) {
    host = this;
    unparked++;
    const act = (): void => unpark.apply(this, given);
    if (later === undefined) act();
    else later.push(act);
  });
  vi.spyOn(BrokerHost.prototype, "push").mockImplementation(async function (this: BrokerHost, ...given) {
    host = this;
    if (given[1].topic.endsWith("/combine/login_reply")) await answers;
    return push.apply(this, given);
  });
  return () => vi.restoreAllMocks();
});

const keysOf = (pair: Pair): [parked: string, gateway: string] => [
  keyOf({ productKey: PK, deviceName: pair.sub }),
  keyOf({ productKey: GPK, deviceName: pair.gate }),
];

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[GW-3] it is sent at once, with nothing else on its way to the gateway", async () => {
    const pair = await new Pair(version, server).begin("false");
    await pair.logout();
    await pair.send("one", "two");
    later = [];
    await pair.login("false");
    await pair.client.expectNothing();
    for (const act of later) act();
    for (const text of ["one", "two"]) expect(await pair.client.receive()).toMatchObject({ text, qos: 1 });
  });

  test("[GW-3] it stays where the gateway has gone again, though its session is kept", async () => {
    const pair = await new Pair(version, server).begin("false", KEPT);
    await pair.logout();
    await pair.send("one");
    await pair.client.disconnect();
    await pair.client.closed();
    host.unpark(...keysOf(pair), false);
    await pair.open({ ...KEPT });
    await pair.client.expectNothing();
    await pair.send("two");
    await pair.login("false");
    await pair.expectTexts("one", "two");
  });

  test("[GW-3] it stays with a sub-device that has a connection of its own by then", async () => {
    const pair = await new Pair(version, server).begin("false");
    await pair.logout();
    await pair.send("one");
    const direct = await connectDevice(server, version, pair.sub, KEPT);
    expect(await direct.receive()).toMatchObject({ text: "one" });
    for (const clean of [false, true]) host.unpark(...keysOf(pair), clean);
    await pair.send("two");
    expect(await direct.receive()).toMatchObject({ text: "two" });
    await pair.client.expectNothing();
    // And it is the store's as well: nothing of it was struck off.
    await direct.disconnect();
    const again = await connectDevice(server, version, pair.sub, KEPT);
    expect(again.connack.sessionPresent).toBe(true);
  });

  test("[GW-3] it stays with a sub-device whose own connection waits for the store", async () => {
    const pair = await new Pair(version, server).open();
    await pair.relate();
    // A session that would end some day: that it does not is written first.
    const first = await connectDevice(server, version, pair.sub, KEPT);
    await first.subscribe([{ filter: pair.topic, qos: 1 }]);
    await first.disconnect();
    await first.closed();
    await pair.send("one");
    held.hold();
    const direct = connectDevice(server, version, pair.sub, KEPT);
    const commit = await held.commits(1);
    for (const clean of [false, true]) host.unpark(...keysOf(pair), clean);
    commit.succeed();
    held.release();
    expect((await direct).connack.sessionPresent).toBe(true);
    expect(await (await direct).receive()).toMatchObject({ text: "one" });
    await pair.client.expectNothing();
  });

  test("[STATUS-2] [GW-4] logged in while its own connection waits for the store: offline there, before it is online", async () => {
    const pair = await new Pair(version, server).open();
    await pair.relate();
    const first = await connectDevice(server, version, pair.sub, KEPT);
    await first.disconnect();
    await first.closed();
    const id = { productKey: PK, deviceName: pair.sub };
    const reader = server.broker.upstream();
    held.hold();
    const direct = connectDevice(server, version, pair.sub, KEPT);
    const commit = await held.commits(1);
    await pair.login("false");
    commit.succeed();
    held.release();
    const device = await direct;
    expect(await pair.client.receive()).toMatchObject({ topic: `/ext/error/${GPK}/${pair.gate}` });
    // The gateway speaks for it no longer, and what is for it goes its own way.
    await device.subscribe([{ filter: pair.topic, qos: 1 }]);
    expect((await pair.client.subscribe([{ filter: pair.topic, qos: 1 }])).reasons[0]).toBeGreaterThanOrEqual(
      0x80,
    );
    await pair.send("its own");
    expect(await device.receive()).toMatchObject({ text: "its own" });
    await pair.client.expectNothing();
    expect(devices.isOnline(id)).toBe(true);
    await device.disconnect();
    const told: unknown[] = [];
    for await (const { kind, device: of, payload } of reader) {
      if (kind !== "status" || of.deviceName !== pair.sub) continue;
      told.push((JSON.parse(payload.toString()) as { status: string }).status);
      if (told.length === 4) break;
    }
    expect(told).toEqual(["online", "offline", "online", "offline"]);
  });

  test("[GW-3] nothing follows out of a session of its own that is past its end, though nobody has struck it off", async () => {
    const pair = await new Pair(version, server).open();
    await pair.relate();
    const direct = await connectDevice(server, version, pair.sub, KEPT);
    await direct.subscribe([{ filter: pair.topic, qos: 1 }]);
    await direct.disconnect();
    await direct.closed();
    await pair.send("one");
    await leap(101_000);
    await pair.login("false");
    await pair.send("two");
    await pair.client.expectNothing();
  });

  test("[GW-3] it stays where the gateway speaks for the sub-device no longer when the login is answered", async () => {
    const pair = await new Pair(version, server).begin("false");
    await pair.logout();
    await pair.send("one");
    let answer = (): void => {};
    answers = new Promise((resolve) => {
      answer = resolve;
    });
    const before = unparked;
    const login = pair.login("false");
    await vi.waitFor(() => expect(devices.isOnline({ productKey: PK, deviceName: pair.sub })).toBe(true));
    await devices.disableDevice(PK, pair.sub);
    // The gateway hears of that first.
    expect(await pair.client.receive()).toMatchObject({ topic: `/ext/error/${GPK}/${pair.gate}` });
    answer();
    await login;
    expect(unparked).toBe(before);
    await pair.client.expectNothing();
    await devices.enableDevice(PK, pair.sub);
    await pair.login("false");
    await pair.expectTexts("one");
  });
});
