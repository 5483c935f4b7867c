// Which connections reach which device.
import { describe, expect, test } from "vitest";
import { DeviceConnections } from "../../../src/platform/connections/device-connections.ts";
import type { PlatformHost } from "../../../src/platform/contract/host.ts";
import type { OnlineDevice, PushOutcome } from "../../../src/platform/contract/service.ts";

const device = { productKey: "pk", deviceName: "dev1" };
const gateway = { productKey: "pk", deviceName: "gate" };
const sub = { productKey: "pk2", deviceName: "sub1" };
const message = { topic: "t", payload: "x" };

function setup(outcomes: Record<string, PushOutcome> = {}, codes: Record<string, number[] | undefined> = {}) {
  const pushed: [string, boolean][] = [];
  const ended: string[] = [];
  const forgotten: string[] = [];
  const host: PlatformHost = {
    push: async (key, _message, implied) => {
      pushed.push([key, implied]);
      return outcomes[key] ?? "sent";
    },
    publish: async () => {},
    connectionOf: () => undefined,
    disconnect: (key) => {
      ended.push(key);
      return true;
    },
    park: () => {},
    unpark: () => {},
    endSession: (key) => void forgotten.push(key),
    subscriptionsOf: () => [],
    subscribe: (key) => codes[key] && Promise.resolve(codes[key]),
    unsubscribe: (key) => codes[key] && Promise.resolve(codes[key]),
    forgetRetained: () => {},
    grantsChanged: () => {},
    interestChanged: () => {},
    paceFor: () => {},
    count: () => {},
    notice: () => {},
  };
  const connections = new DeviceConnections(host);
  const online = (
    id: typeof device,
    sessionKey = `${id.productKey}/${id.deviceName}`,
    ss?: string,
  ): OnlineDevice => ({
    device: id,
    sessionKey,
    extensions: new Map(ss === undefined ? [] : [["_ss", ss]]),
    userProperties: [],
    connectedAt: 0,
  });
  return { connections, online, pushed, ended, forgotten };
}

describe("pushes", () => {
  test("[SUB-5] without a subscription only where it is always so, or was declared with _ss=1", async () => {
    const { connections, online, pushed } = setup();
    connections.connected(online(device));
    for (const needs of ["always", "declared", "explicit"] as const)
      await connections.push(device, message, needs);
    connections.connected(online(device, "pk/dev1", "1"));
    for (const needs of ["always", "declared", "explicit"] as const)
      await connections.push(device, message, needs);
    expect(pushed.map(([, implied]) => implied)).toEqual([true, false, false, true, true, false]);
  });

  test("[SESS-0] to every session of a device, or to one; the best outcome is told", async () => {
    const { connections, online, pushed } = setup({
      "pk/dev1": "offline",
      "pk/dev1/a": "queued",
      "pk/dev1/b": "sent",
    });
    connections.connected(online(device, "pk/dev1/a"));
    connections.connected(online(device, "pk/dev1/b"));
    expect(await connections.push(device, message, "explicit")).toBe("sent");
    expect(pushed.map(([key]) => key).sort()).toEqual(["pk/dev1", "pk/dev1/a", "pk/dev1/b"]);
    expect(await connections.push(device, message, "explicit", "pk/dev1/a")).toBe("queued");
  });

  test("to the kept session of one that is away", async () => {
    const { connections, pushed } = setup();
    await connections.push(device, message, "explicit");
    expect(pushed).toEqual([["pk/dev1", false]]);
    expect(connections.onlineOf(device)).toEqual([]);
  });
});

describe("[GW-4] gateways", () => {
  test("a sub-device is reached over its gateway, and the gateway may speak for it, until it is unlinked", async () => {
    const { connections, online, pushed } = setup();
    connections.connected(online(gateway, "pk/gate", "1"));
    const speaks = (session: string, own: typeof device): boolean =>
      connections.speakerIn("/sys/pk2/sub1/thing/event/property/post", own, session).deviceName === "sub1";
    expect(speaks("pk/gate", gateway)).toBe(false);
    connections.link(sub, "pk/gate");
    expect(speaks("pk/gate", gateway)).toBe(true);
    expect(speaks("pk/other", device)).toBe(false);
    await connections.push(sub, message, "declared");
    expect(pushed).toEqual([["pk/gate", true]]);
    expect(connections.onlineOf(sub)).toHaveLength(1);
    expect(connections.unlink(sub)).toBe("pk/gate");
    expect(speaks("pk/gate", gateway)).toBe(false);
    expect(connections.unlink(sub)).toBeUndefined();
  });

  test("a login at another gateway moves it; a gateway that goes takes its sub-devices with it", () => {
    const { connections, online } = setup();
    connections.connected(online(gateway));
    connections.link(sub, "pk/gate");
    connections.link(sub, "pk/gate2");
    expect(connections.subDeviceCount("pk/gate")).toBe(0);
    expect(connections.disconnected(gateway, "pk/gate")).toEqual([]);
    expect(connections.disconnected({ productKey: "pk", deviceName: "gate2" }, "pk/gate2")).toEqual([sub]);
    expect(connections.gatewayOf(sub)).toBeUndefined();
  });

  test("ending a device ends its own connections only", () => {
    const { connections, online, ended, forgotten } = setup();
    connections.connected(online(device));
    connections.connected(online(gateway));
    expect(connections.disconnect(device, 0x98, "disabled")).toBe(1);
    expect(ended).toEqual(["pk/dev1"]);
    connections.forget(device);
    expect(forgotten).toEqual(["pk/dev1"]);
  });
});

describe("[SUB-4] subscriptions for a device with several connections", () => {
  const filters = ["a", "b", "c", "d"];
  const both = (codes: Record<string, number[] | undefined>): DeviceConnections => {
    const { connections, online } = setup({}, codes);
    connections.connected(online(device));
    connections.connected(online(device, "token"));
    return connections;
  };

  test("made: the highest QoS that one has granted, else the first one's no", async () => {
    const connections = both({ token: [0, 0x87, 0x97, 2], "pk/dev1": [1, 0, 0x8f, 0x80] });
    expect(await connections.subscribe(device, filters, 2)).toEqual([1, 0, 0x97, 2]);
    // One that is gone by then does not count.
    expect(await both({ token: [0x87, 0, 1, 2] }).subscribe(device, filters, 2)).toEqual([0x87, 0, 1, 2]);
    expect(await both({}).subscribe(device, filters, 2)).toBeUndefined();
  });

  test("ended: the first no, else success where there was one", async () => {
    const connections = both({ token: [0, 0x11, 0, 0x97], "pk/dev1": [0x11, 0x11, 0x83, 0x80] });
    expect(await connections.unsubscribe(device, filters)).toEqual([0, 0x11, 0x83, 0x97]);
    expect(await both({}).unsubscribe(device, filters)).toBeUndefined();
  });
});
