// `millrace rrpc`, `shadow`, `upstream` and `log`, as a user runs them: through a running broker, and without one where that is
// possible.
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createBroker } from "../../../src/broker.ts";
import { signedCredentials } from "../../../src/platform/demo.ts";
import { openRegistry } from "../../../src/platform/registry/index.ts";
import type { Firmware } from "../../../src/platform/services/ota/firmware-state.ts";
import { timePasses } from "../../support/time.ts";
import { type Ended, type Launched, type Running, Workplace } from "../executable.ts";

const PLATFORM = ["--listen", "tcp://localhost:0", "--log-level", "warn", "--rate-limits", "off"];
const PK = "a1EXAMPLE01";
const SECRET = "the secret of pump1";

let workplace: Workplace;
let data: string;
const clients: MqttClient[] = [];
beforeEach(() => {
  workplace = new Workplace();
  data = workplace.data;
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  workplace.close();
});

const millrace = (...args: string[]): Promise<Ended> => workplace.command([...args, "--data", data]);
const launch = (...args: string[]): Launched => workplace.launch([...args, "--data", data]);

async function succeed(...args: string[]): Promise<Ended> {
  const ended = await millrace(...args);
  expect([args, ended.code, ended.stderr]).toEqual([args, 0, expect.not.stringContaining("millrace:")]);
  return ended;
}

async function fail(code: number, message: RegExp, ...args: string[]): Promise<Ended> {
  const ended = await millrace(...args);
  expect([args, ended.code]).toEqual([args, code]);
  expect(ended.stderr).toMatch(message);
  return ended;
}

async function connect(port: number, version: 4 | 5, deviceName = "pump1"): Promise<MqttClient> {
  const device = { productKey: PK, deviceName, deviceSecret: SECRET };
  const { clientId, username, password } = signedCredentials(device, { securemode: 3 });
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
    clientId,
    username,
    password,
    protocolVersion: version,
    reconnectPeriod: 0,
  });
  clients.push(client);
  return client;
}

async function startBroker(): Promise<Running> {
  const running = await workplace.start(...PLATFORM);
  await succeed("product", "create", "--product-key", PK, "--name", "Pumps");
  await succeed("device", "create", PK, "pump1", "--device-secret", SECRET);
  return running;
}

/** Product and device, and firmware the device is told of, before a broker runs on the data directory. */
async function upgradeTold(firmware: Omit<Firmware, "signMethod">): Promise<void> {
  const registry = await openRegistry(data);
  await registry.createProduct({ productKey: PK, name: "Pumps" });
  await registry.createDevice({ productKey: PK, deviceName: "pump1", deviceSecret: SECRET });
  const broker = await createBroker({ profile: "platform", devices: registry, listeners: [] });
  await broker.things.upgrade({ productKey: PK, deviceName: "pump1" }, { ...firmware, signMethod: "SHA256" });
  await broker.close();
  await registry.close();
}

const entries = async (...args: string[]) =>
  JSON.parse((await succeed("log", ...args, "--json")).stdout) as {
    operation: string;
    status: number;
    content: { Message?: string };
  }[];

describe.each([4, 5] as const)("MQTT version %i", (version) => {
  test("a call of a device: its bytes, or why there are none", { timeout: 60_000 }, async () => {
    const { ports } = await startBroker();
    await fail(1, /^millrace: OFFLINE: /m, "rrpc", PK, "pump1", "x");
    const device = await connect(ports[0], version);
    await device.subscribeAsync(`/sys/${PK}/pump1/rrpc/request/+`);
    await fail(1, /^millrace: TIMEOUT: /m, "rrpc", PK, "pump1", "x", "--timeout", "1000");
    device.on("message", (topic, payload) => {
      device.publish(
        topic.replace("request", "response"),
        Buffer.concat([payload, Buffer.from([0x20, 0xe2, 0x82, 0xac])]),
      );
    });
    expect((await succeed("rrpc", PK, "pump1", "5")).stdout).toBe("5 €");
    expect(JSON.parse((await succeed("rrpc", PK, "pump1", "5", "--json")).stdout)).toEqual({
      code: "SUCCESS",
      messageId: expect.stringMatching(/^\d+$/),
      payload: "5 €",
    });
    await fail(1, /no device "nobody"/, "rrpc", PK, "nobody", "x");
    await fail(1, /timeoutMs/, "rrpc", PK, "pump1", "x", "--timeout", "5");
    expect((await entries("--device", `${PK}/pump1`, "--code", "1905")).length).toBe(1);
  });

  test("a message to nobody is an error, one to who is away is none", { timeout: 60_000 }, async () => {
    const { ports } = await startBroker();
    await fail(1, /names product "a1NONE", which there is not/, "publish", "/a1NONE/pump1/user/get", "x");
    await fail(1, /names product "a1NONE"/, "publish", "/broadcast/a1NONE/news", "x");
    await fail(
      1,
      /names device "pump9", which product a1EXAMPLE01 has not/,
      "publish",
      `/${PK}/pump9/user/get`,
      "x",
    );
    await fail(
      1,
      /names device "pump9"/,
      "publish",
      `/sys/${PK}/pump9/thing/service/a`,
      "x",
      "--qos",
      "1",
      "--retain",
    );
    await succeed("publish", `/${PK}/pump1/user/get`, "x");
    await succeed("publish", `/broadcast/${PK}/news`, "x");
    // What devices choose themselves is nobody's name.
    await succeed("product", "create", "--product-key", "a1FREE", "--free-topics");
    await succeed("publish", "/a1NONE/pump1/user/get", "x");
    await fail(1, /names product "a1NONE"/, "publish", "/sys/a1NONE/pump1/thing/x", "x");
    await (await connect(ports[0], version)).endAsync();
  });

  test("what a device said of its firmware is shown with it", { timeout: 60_000 }, async () => {
    const { ports, child, exited } = await startBroker();
    const shown = async () => JSON.parse((await succeed("device", "show", PK, "pump1", "--json")).stdout).ota;
    expect(await shown()).toBeNull();
    const device = await connect(ports[0], version);
    const say = (params: object) =>
      device.publishAsync(`/ota/device/inform/${PK}/pump1`, JSON.stringify({ id: "1", params }), { qos: 1 });
    await say({ version: "1.0" });
    await say({ version: "7", module: "MCU" });
    await device.endAsync();
    child.kill("SIGTERM");
    await exited;
    const told = { reportedAt: expect.stringMatching(/^20.*Z$/) };
    const modules = [
      { module: "MCU", version: "7", upgrade: null },
      { module: "default", version: "1.0", upgrade: null },
    ];
    expect(await shown()).toEqual({ ...told, modules });
    const { stdout } = await succeed("device", "show", PK, "pump1");
    expect(stdout).toMatch(/^module {2}MCU {2}7\nmodule {2}default {2}1\.0\notaReportedAt {2}20/m);
  });

  test("how far an upgrade under way has come is shown by the broker that runs", {
    timeout: 60_000,
  }, async () => {
    // Told by the embedder's side before: no command does that.
    await upgradeTold({ version: "2.0", url: "https://example.com/2.0", size: 9, sign: "0".repeat(64) });
    const { ports } = await workplace.start(...PLATFORM);
    const shown = async (): Promise<string> =>
      (await succeed("device", "show", PK, "pump1")).stdout.replace(/^(?!module).*\n/gm, "");
    const upgrade = async (): Promise<object> =>
      JSON.parse((await succeed("device", "show", PK, "pump1", "--json")).stdout).ota.modules[0].upgrade;
    /** What is shown is a second behind. */
    const comes = (what: RegExp): Promise<void> =>
      expect.poll(shown, { timeout: 20_000, interval: 200 }).toMatch(what);
    expect(await shown()).toMatch(/^module {2}default {2}- {2}2\.0: pushed, 20\S+Z\n$/);

    const device = await connect(ports[0], version);
    const say = (what: string, params: object): Promise<unknown> =>
      device.publishAsync(`/ota/device/${what}/${PK}/pump1`, JSON.stringify({ id: "1", params }), { qos: 1 });
    await say("inform", { version: "1.0" });
    await say("progress", { step: "40", desc: "downloading" });
    await comes(/^module {2}default {2}1\.0 {2}2\.0: progress 40% \(downloading\), 20\S+Z\n$/);
    expect(await upgrade()).toEqual({
      version: "2.0",
      from: null,
      state: "progress",
      step: 40,
      desc: "downloading",
      time: expect.stringMatching(/^20.*Z$/),
    });
    await say("progress", { step: -3, desc: "checksum" });
    await comes(/^module {2}default {2}1\.0 {2}2\.0: failed -3 \(checksum\), /);
    await say("progress", { step: 100 });
    await comes(/^module {2}default {2}1\.0 {2}2\.0: progress 100%, /);
    await say("inform", { version: "2.0" });
    await comes(/^module {2}default {2}2\.0 {2}2\.0: done 100%, /);
    expect(await upgrade()).toMatchObject({ state: "done", step: 100, desc: null });
  });

  test("upstream follows, a line each, and ends behind N", { timeout: 60_000 }, async () => {
    const { ports } = await startBroker();
    const { output, exited } = launch("upstream", "--product", PK, "--count", "3");
    const device = await connect(ports[0], version);
    const topic = `/${PK}/pump1/user/update`;
    const properties =
      version === 5
        ? { userProperties: { k: "v" }, correlationData: Buffer.from([0, 255]), responseTopic: "r/t" }
        : undefined;
    // Until the feed has its reader, nothing is kept for it.
    await vi.waitFor(
      async () => {
        await device.publishAsync(topic, "hello", { qos: 1, ...(properties && { properties }) });
        expect(output.text.split("\n").length).toBeGreaterThan(3);
      },
      { timeout: 20_000, interval: 100 },
    );
    expect(await exited).toBe(0);
    const lines = output.text.trim().split("\n");
    expect(lines.length).toBe(3);
    const line = JSON.parse(lines[2]);
    expect(line).toMatchObject({
      kind: "data",
      productKey: PK,
      deviceName: "pump1",
      topic,
      payload: "hello",
    });
    if (version === 5)
      expect(line.properties).toMatchObject({
        correlationData: "AP8=",
        responseTopic: "r/t",
        userProperties: [["k", "v"]],
      });
  });

  test("shadows, of a broker that runs and of one that does not", { timeout: 60_000 }, async () => {
    const { ports, child, exited } = await startBroker();
    await fail(1, /has no shadow yet/, "shadow", "get", PK, "pump1");
    const device = await connect(ports[0], version);
    await device.subscribeAsync(`/shadow/get/${PK}/pump1`);
    const told = new Promise<Buffer>((resolve) =>
      device.once("message", (_topic, payload) => resolve(payload)),
    );
    const update = (n: number) =>
      JSON.stringify({ method: "update", state: { desired: { speed: n } }, version: n });
    expect(JSON.parse((await succeed("shadow", "update", PK, "pump1", update(1))).stdout)).toEqual({
      version: 1,
      pushed: "sent",
    });
    expect(JSON.parse((await told).toString())).toMatchObject({ method: "control", version: 1 });
    await fail(1, /409: /, "shadow", "update", PK, "pump1", update(1));
    await fail(2, /JSON/, "shadow", "update", PK, "pump1", "{");
    child.kill("SIGTERM");
    await exited;
    expect(JSON.parse((await succeed("shadow", "update", PK, "pump1", update(2))).stdout)).toMatchObject({
      version: 2,
    });
    const shadow = JSON.parse((await succeed("shadow", "get", PK, "pump1")).stdout);
    expect(shadow).toMatchObject({ state: { desired: { speed: 2 } }, version: 2 });
    await fail(1, /no device "nobody"/, "shadow", "get", PK, "nobody");
  });
});

test("[STATUS-1] who was online when the broker was killed went with it, as the business side is told, and the log", {
  timeout: 60_000,
}, async () => {
  const first = await startBroker();
  await succeed("device", "create", PK, "pump2");
  await succeed("device", "create", PK, "pump5", "--device-secret", SECRET);
  await succeed("device", "create", PK, "pump0", "--device-secret", SECRET);
  (await connect(first.ports[0], 4, "pump0")).on("error", () => {});
  const versions = [
    ["pump1", 4],
    ["pump5", 5],
  ] as const;
  const shown = async (name: string) =>
    JSON.parse((await succeed("device", "show", PK, name, "--json")).stdout) as {
      status: string;
      lastOnlineAt: string;
      lastOfflineAt: string | null;
      remoteAddress: string;
    };
  const came = new Map<string, Awaited<ReturnType<typeof shown>>>();
  for (const [name, version] of versions) {
    (await connect(first.ports[0], version, name)).on("error", () => {});
    came.set(name, await shown(name));
    expect(came.get(name)).toMatchObject({ status: "ONLINE", lastOfflineAt: null });
  }
  // That it is there is written with the times, and then every five seconds, by another process: they have to pass.
  await timePasses(6_500);
  const killedAt = Date.now();
  first.child.kill("SIGKILL");
  await first.exited;

  const { ports } = await workplace.start(...PLATFORM);
  // It has come again before anybody asks: that it went is old news.
  await connect(ports[0], 4, "pump0");
  const reader = launch("upstream", "--count", "2");
  expect(await reader.exited).toBe(0);
  const told = reader.output.text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(told.map(({ kind }) => kind)).toEqual(["status", "status"]);
  const statuses = told.map(({ payload }) => JSON.parse(payload) as { deviceName: string });
  for (const [name] of versions) {
    const before = came.get(name);
    const gone = await shown(name);
    expect(gone).toMatchObject({ status: "OFFLINE", lastOnlineAt: before?.lastOnlineAt });
    const lastSeen = Date.parse(gone.lastOfflineAt ?? "");
    expect(lastSeen).toBeGreaterThan(killedAt - 6_000);
    expect(lastSeen).toBeLessThanOrEqual(killedAt);
    const log = await entries("--device", `${PK}/${name}`, "--code", "400");
    expect(log.map(({ operation, content }) => [operation, content.Message])).toEqual([
      ["offline", "the broker stopped without notice"],
    ]);
    expect(statuses.filter(({ deviceName }) => deviceName === name)).toEqual([
      expect.objectContaining({
        status: "offline",
        utcLastTime: gone.lastOfflineAt,
        clientIp: before?.remoteAddress,
      }),
    ]);
  }
  expect((await shown("pump2")).lastOfflineAt).toBeNull();
  const { lastOfflineAt } = await shown("pump1");
  // Once: the next one hears of what is new alone.
  const next = launch("upstream", "--count", "1");
  await vi.waitFor(
    async () => {
      const again = await connect(ports[0], 4);
      again.end();
      expect(next.output.text).not.toBe("");
    },
    { timeout: 20_000, interval: 200 },
  );
  expect(JSON.parse(JSON.parse(next.output.text.split("\n")[0]).payload).utcLastTime).not.toBe(lastOfflineAt);
});

test("[SUB-4] topics subscribed for a device, and what it has", { timeout: 60_000 }, async () => {
  const { ports } = await startBroker();
  const topic = `/${PK}/pump1/user/get`;
  const subscribe = ["device", "subscribe", PK, "pump1"];
  await fail(1, /DEVICE_OFFLINE|is offline/, ...subscribe, "--topic", topic);
  const device = await connect(ports[0], 5);
  const before = Date.now();
  expect((await succeed(...subscribe, "--topic", topic, "--qos", "0")).stdout).toBe(`QoS 0  ${topic}\n`);
  const heard = new Promise<string>((resolve) => device.once("message", (_, text) => resolve(`${text}`)));
  await succeed("publish", topic, "for you");
  expect(await heard).toBe("for you");
  const held = JSON.parse((await succeed("device", "subscriptions", PK, "pump1", "--json")).stdout);
  expect(held).toEqual([{ filter: topic, qos: 0, since: expect.any(Number) }]);
  expect(held[0].since).toBeGreaterThanOrEqual(before);
  expect((await succeed("device", "subscriptions", PK, "pump1")).stdout).toMatch(
    /^\d{4}-\S+Z {2}QoS 0 {2}\/a1EXAMPLE01\/pump1\/user\/get\n$/,
  );
  const foreign = `/${PK}/pump2/user/get`;
  const refused = await fail(
    1,
    /pump2\/user\/get: not one/,
    ...subscribe,
    "--topic",
    topic,
    "--topic",
    foreign,
  );
  expect(refused.stdout).toBe(`QoS 1  ${topic}\n0x87   ${foreign}\n`);
  const unsubscribe = ["device", "unsubscribe", PK, "pump1", "--topic"];
  expect((await succeed(...unsubscribe, topic)).stdout).toBe(`ended  ${topic}\n`);
  expect(JSON.parse((await succeed("device", "subscriptions", PK, "pump1", "--json")).stdout)).toEqual([]);
  expect(JSON.parse((await succeed(...unsubscribe, topic, "--json")).stdout)).toEqual([
    { topic, code: 0x11 },
  ]);
  const notIts = await fail(
    1,
    /pump2\/user\/get: not a subscription/,
    ...unsubscribe,
    topic,
    "--topic",
    foreign,
  );
  expect(notIts.stdout).toBe(`none   ${topic}\n0x87   ${foreign}\n`);
  await fail(2, /--topic names/, "device", "unsubscribe", PK, "pump1");
  await fail(1, /no device "nobody"/, "device", "subscriptions", PK, "nobody");
  await fail(2, /--topic names/, ...subscribe);
  await fail(2, /--qos is 0 or 1/, ...subscribe, "--topic", topic, "--qos", "2");
});

test("[LOG-1] the log, followed, searched, and read without a broker", { timeout: 60_000 }, async () => {
  const { ports, child, exited } = await startBroker();
  const following = launch("log", "--device", `${PK}/pump1`, "--follow", "--json");
  const device = await connect(ports[0], 5);
  await device.publishAsync(`/${PK}/other/user/update`, "x", { qos: 1 }).catch(() => {});
  await vi.waitFor(() => expect(following.output.text).toContain("9236"), { timeout: 10_000 });
  const followed = following.output.text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).operation);
  expect(followed[0]).toBe("online");
  following.child.kill("SIGTERM");
  await device.endAsync();
  const [refused] = await entries("--failures", "--since", "10m");
  expect(refused).toMatchObject({ status: 9236, content: { Message: "topic authorization failed" } });
  expect(await entries("--device", `${PK}/pump2`)).toEqual([]);
  const evil = await connect(ports[0], 5);
  await evil.publishAsync("/evil\u001b[2J\u009b31m", "x", { qos: 1 }).catch(() => {});
  await vi.waitFor(async () =>
    expect((await succeed("log", "--keyword", "evil")).stdout).toContain(": /evil\\u001b[2J\\u009b31m "),
  );
  await evil.endAsync();
  const line = (await succeed("log", "--code", "9236", "--keyword", "other")).stdout;
  expect(line).toMatch(
    /^\d{4}-\S+Z {2}a1EXAMPLE01\/pump1 {2}9236 {2}device-to-cloud message: \/a1EXAMPLE01\/other\/user\/update {2}topic auth/,
  );
  child.kill("SIGTERM");
  await exited;
  const offline = await entries("--keyword", "the device disconnected");
  expect(offline.map(({ operation }) => operation)).toEqual(["offline", "offline"]);
  await fail(1, /no broker runs/, "log", "--follow");
  await fail(1, /no broker runs/, "upstream");
  await fail(1, /no broker runs/, "rrpc", PK, "pump1", "x");
  await fail(2, /--since/, "log", "--since", "soon");
  await fail(2, /--device/, "log", "--device", "pump1");
  await fail(2, /--count/, "upstream", "--count", "0");
});

test("a reader that reads nothing loses messages; the broker and its other clients do not wait", {
  timeout: 60_000,
}, async () => {
  const { ports } = await startBroker();
  const slow = launch("upstream");
  slow.child.stdout?.pause();
  const device = await connect(ports[0], 4);
  const topic = `/${PK}/pump1/user/update`;
  await vi.waitFor(
    async () => {
      await device.publishAsync(topic, "first", { qos: 1 });
      expect(slow.child.stdout?.readableLength).toBeGreaterThan(0);
    },
    { timeout: 20_000, interval: 50 },
  );
  const body = Buffer.alloc(200_000, "x");
  for (let i = 0; i < 200; i++) await device.publishAsync(topic, body, { qos: 1 });
  expect((await entries("--limit", "1")).length).toBe(1);
  slow.child.kill("SIGKILL");
  await slow.exited;
});
