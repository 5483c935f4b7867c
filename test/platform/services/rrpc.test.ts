// Synchronous calls: who may answer, under which name, and until when. The connection is a stand-in here; over sockets see
// the interoperability tests.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MessageIds } from "../../../src/platform/shared/message-ids.ts";
import { Rrpc } from "../../../src/platform/services/rrpc.ts";
import { DEFAULT_SETTINGS } from "../../../src/platform/settings/settings.ts";
import { RouteTable } from "../../../src/platform/services/route-table.ts";
import type { DeviceMessage, OnlineDevice, PushMessage } from "../../../src/platform/contract/service.ts";

const device = { productKey: "a1EXAMPLE01", deviceName: "device1" };
const other = { productKey: "a1EXAMPLE01", deviceName: "device2" };
const HELLO = Buffer.from("hello");

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setup(...exts: (string | undefined)[]) {
  const online = exts.map(
    (ext, i): OnlineDevice => ({
      device,
      sessionKey: `session${i}`,
      extensions: new Map(ext === undefined ? [] : [["ext", ext]]),
      userProperties: [],
      connectedAt: 0,
    }),
  );
  const pushed: PushMessage[] = [];
  const strays: string[] = [];
  const half = new Set<OnlineDevice>();
  const throttled = new Set<string>();
  const rrpc = new Rrpc({
    devices: {
      onlineOf: (asked) => (asked.deviceName === device.deviceName ? online : []),
      push: async (_device, message, _needs, sessionKey = "") => {
        pushed.push(message);
        return throttled.has(sessionKey) ? "throttled" : "sent";
      },
    },
    ids: new MessageIds(),
    isHalfOpen: (one) => half.has(one),
    events: { stray: (_message, id) => strays.push(id) },
    settings: { ...DEFAULT_SETTINGS.rrpc, maxCalls: 3 },
  });
  const table = new RouteTable([rrpc]);
  const answer = (topic: string, payload: string): void => {
    const found = table.find(topic);
    if (found === undefined) throw new Error(`no route for ${topic}`);
    const message = { device: found.device, topic, payload: Buffer.from(payload) } as DeviceMessage;
    found.route.handle(message, found.levels);
  };
  return { rrpc, pushed, strays, half, throttled, online, answer };
}

describe("names of a call", () => {
  test("[RRPC-1] without a topic: the system topics, the payload unchanged", async () => {
    const { rrpc, pushed, answer } = setup("1");
    const call = rrpc.call(device, Buffer.from([0, 255, 10]));
    const [{ topic, payload, qos }] = pushed;
    expect(topic).toMatch(/^\/sys\/a1EXAMPLE01\/device1\/rrpc\/request\/\d{1,20}$/);
    expect([...(payload as Uint8Array)]).toEqual([0, 255, 10]);
    expect(qos ?? 0).toBe(0); // [RRPC-3]
    answer(topic.replace("request", "response"), "world");
    expect(await call).toMatchObject({ code: "SUCCESS", payload: Buffer.from("world") });
    expect(rrpc.size).toBe(0);
  });

  test.each([
    ["1", true],
    ["3", true],
    ["0", false],
    ["2", false],
    [undefined, false],
    ["x", false],
  ])("[RRPC-2] with a topic and ext=%s: custom %s", async (ext, custom) => {
    const { rrpc, pushed, answer } = setup(ext);
    const topic = "/a1EXAMPLE01/device1/user/get";
    const call = rrpc.call(device, HELLO, { topic });
    const { messageId } = { messageId: /\/(\d+)/.exec(pushed[0].topic)?.[1] };
    const request = custom
      ? `/ext/rrpc/${messageId}${topic}`
      : `/sys/a1EXAMPLE01/device1/rrpc/request/${messageId}`;
    expect(pushed[0].topic).toBe(request);
    answer(custom ? request : request.replace("request", "response"), "yes");
    expect(await call).toMatchObject({ code: "SUCCESS" });
  });

  test("[RRPC-2] a thing service over its own topic", () => {
    const { rrpc, pushed } = setup("3");
    rrpc.call(device, HELLO, { topic: "/sys/a1EXAMPLE01/device1/thing/service/x" });
    expect(pushed[0].topic).toMatch(/^\/ext\/rrpc\/\d+\/sys\/a1EXAMPLE01\/device1\/thing\/service\/x$/);
  });

  test.each([
    "/a1EXAMPLE01/device2/user/get",
    "a1EXAMPLE01/device1/user/get",
    "/a1EXAMPLE01/device1/+",
    "/sys/a1EXAMPLE01/device2/x",
  ])("a topic that is not the device's is refused: %s", async (topic) => {
    const { rrpc, pushed } = setup("1");
    await expect(rrpc.call(device, HELLO, { topic })).rejects.toMatchObject({ code: "RRPC_TOPIC" });
    expect(pushed).toEqual([]);
  });
});

describe("how a call ends", () => {
  test.each([999, 8_001, Number.NaN, -1])("[RRPC-4] a time-out of %d ms is refused", async (timeoutMs) => {
    const { rrpc } = setup("1");
    await expect(rrpc.call(device, HELLO, { timeoutMs })).rejects.toMatchObject({
      code: "RRPC_TIMEOUT_VALUE",
    });
  });

  test.each([1_000, 8_000])(
    "[RRPC-4] %d ms: not a moment before, and a late answer is a stray",
    async (timeoutMs) => {
      const { rrpc, pushed, answer, strays } = setup("1");
      let result: unknown;
      rrpc.call(device, HELLO, { timeoutMs }).then((ended) => (result = ended));
      await vi.advanceTimersByTimeAsync(timeoutMs - 1);
      expect(result).toBeUndefined();
      await vi.advanceTimersByTimeAsync(1);
      expect(result).toMatchObject({ code: "TIMEOUT" });
      answer(pushed[0].topic.replace("request", "response"), "late");
      expect(strays).toHaveLength(1);
    },
  );

  test("[RRPC-5] offline, and half open", async () => {
    const { rrpc, half, online, pushed } = setup("1");
    expect(await rrpc.call(other, HELLO)).toMatchObject({ code: "OFFLINE" });
    half.add(online[0]);
    expect(await rrpc.call(device, HELLO)).toMatchObject({ code: "HALFCONN" });
    expect(pushed).toEqual([]);
  });

  test("[RRPC-5] [SESS-3] one connection of several that can be reached will do", async () => {
    const { rrpc, pushed, half, throttled, online, answer } = setup(undefined, undefined);
    half.add(online[0]);
    throttled.add("session0");
    const call = rrpc.call(device, HELLO);
    await Promise.resolve();
    answer(pushed[1].topic.replace("request", "response"), "of the other");
    expect(await call).toMatchObject({ code: "SUCCESS" });
    throttled.add("session1");
    await expect(rrpc.call(device, HELLO)).rejects.toMatchObject({ code: "RATE_LIMIT" });
    expect(rrpc.size).toBe(0);
    half.add(online[1]);
    expect(await rrpc.call(device, HELLO)).toMatchObject({ code: "HALFCONN" });
  });

  test("[RRPC-6] the first answer wins; a second, one of another device and one under another name do not count", async () => {
    const { rrpc, pushed, answer, strays } = setup("1");
    const call = rrpc.call(device, HELLO);
    const name = pushed[0].topic.replace("request", "response");
    answer(name.replace("device1", "device2"), "foreign");
    answer(name.replace(/\d+$/, "17"), "unknown");
    const id = name.split("/").at(-1);
    answer(`/ext/rrpc/${id}/a1EXAMPLE01/device1/user/get`, "another form");
    expect(strays).toHaveLength(3);
    answer(name, "first");
    answer(name, "second");
    expect(await call).toMatchObject({ code: "SUCCESS", payload: Buffer.from("first") });
    expect(strays).toHaveLength(4);
  });

  test("calls under way are bounded at n, not at n - 1", async () => {
    const { rrpc } = setup("1");
    for (let i = 0; i < 3; i++) rrpc.call(device, HELLO);
    expect(rrpc.size).toBe(3);
    await expect(rrpc.call(device, HELLO)).rejects.toMatchObject({ code: "RRPC_BUSY" });
  });

  test("several connections of one device: each is asked in its own form, the first answer wins", async () => {
    const { rrpc, pushed, answer } = setup("1", undefined);
    const call = rrpc.call(device, HELLO, { topic: "/a1EXAMPLE01/device1/user/get" });
    expect(pushed.map(({ topic }) => topic.slice(0, 5))).toEqual(["/ext/", "/sys/"]);
    answer(pushed[1].topic.replace("request", "response"), "from the second");
    expect(await call).toMatchObject({ payload: Buffer.from("from the second") });
  });

  test("thousands of calls at once, answered in any order, each get their own answer", async () => {
    const many = new Rrpc({
      devices: {
        onlineOf: () => setup("1").online,
        push: async (_d, message) => {
          topics.push(message.topic);
          return "sent";
        },
      },
      ids: new MessageIds(),
      isHalfOpen: () => false,
      settings: DEFAULT_SETTINGS.rrpc,
    });
    const topics: string[] = [];
    const calls = Array.from({ length: 5_000 }, () => many.call(device, HELLO));
    const table = new RouteTable([many]);
    for (const topic of topics.toReversed()) {
      const name = topic.replace("request", "response");
      const found = table.find(name);
      found?.route.handle({ device, topic: name, payload: Buffer.from(name) } as DeviceMessage, found.levels);
    }
    for (const result of await Promise.all(calls)) {
      expect(result.code).toBe("SUCCESS");
      if (result.code === "SUCCESS")
        expect(result.payload.toString().endsWith(`/${result.messageId}`)).toBe(true);
    }
  });
});
