// Gateways and their sub-devices over real sockets, in 3.1.1 and 5.0.
import { describe, expect, test, vi } from "vitest";
import { sign } from "../../../../src/platform/sign-in/signature.ts";
import type { RawClient } from "../../../support/raw-client.ts";
import { BOTH, eventually, useServer } from "../../../support/server.ts";
import type { Version } from "../../../support/wire.ts";
import { connectDevice, deviceConnect, PK, registryOf, secretOf } from "../../signed-device.ts";

const GPK = "a1GATEWAY01";
const NAMES = Array.from({ length: 70 }, (_, i) => `sub${String(i).padStart(2, "0")}`);
const GATES = Array.from({ length: 50 }, (_, i) => `gate${String(i).padStart(2, "0")}`);
const devices = registryOf(...NAMES);
devices.putProduct({ productKey: GPK, productSecret: "GatewaySecret001", nodeType: "gateway" });
for (const deviceName of GATES)
  devices.putDevice({ productKey: GPK, deviceName, deviceSecret: secretOf(deviceName) });
devices.putProduct({
  productKey: "a1OPEN00001",
  productSecret: "OpenSecret000001",
  dynamicRegistration: true,
});

const server = useServer({
  profile: "platform",
  devices,
  platform: {
    gateway: { maxSubDevices: 3, maxBatch: 3, maxRegistrations: 2 },
    dynreg: { requireTls: false },
  },
});
let usedSubs = 0;
let usedGates = 0;
const nextSub = (): string => NAMES[usedSubs++];

interface Reply {
  id: unknown;
  code: number;
  message: string;
  data: unknown;
}

class Gate {
  readonly client: RawClient;
  readonly name: string;
  #id = 0;
  constructor(client: RawClient, name: string) {
    this.client = client;
    this.name = name;
  }
  static async open(version: Version, name = GATES[usedGates++]): Promise<Gate> {
    return new Gate(
      await connectDevice(server, version, name, { productKey: GPK, extensions: "_ss=1" }),
      name,
    );
  }
  /** Asks and returns the reply, whose id must be the request's. */
  async ask(topic: string, params: unknown, id: string | number = `${++this.#id}`): Promise<Reply> {
    await this.client.publish(topic, JSON.stringify({ id, version: "1.0", params }));
    const message = await this.client.receive();
    expect(message.topic).toBe(`${topic}_reply`);
    const reply = JSON.parse(message.text) as Reply;
    expect(reply.id).toBe(id);
    return reply;
  }
  topo(call: string, params: unknown): Promise<Reply> {
    return this.ask(`/sys/${GPK}/${this.name}/thing/topo/${call}`, params);
  }
  session(call: string, params: unknown): Promise<Reply> {
    return this.ask(`/ext/session/${GPK}/${this.name}/combine/${call}`, params);
  }
  login(deviceName: string, change: object = {}): Promise<Reply> {
    return this.session("login", { ...signed(deviceName), ...change });
  }
  /** With a sub-device that is related and logged in. */
  async with(deviceName: string): Promise<void> {
    expect((await this.topo("add", [signed(deviceName)])).code).toBe(200);
    expect((await this.login(deviceName)).code).toBe(200);
  }
  async error(): Promise<Reply> {
    const message = await this.client.receive();
    expect(message.topic).toBe(`/ext/error/${GPK}/${this.name}`);
    return JSON.parse(message.text) as Reply;
  }
}

function signed(deviceName: string, secret = secretOf(deviceName), productKey = PK) {
  const clientId = `${productKey}&${deviceName}`;
  const content = `clientId${clientId}deviceName${deviceName}productKey${productKey}timestamp1581417203000`;
  return {
    productKey,
    deviceName,
    clientId,
    timestamp: "1581417203000",
    signMethod: "hmacSha256",
    sign: sign("hmacsha256", secret, content),
  };
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[DYN-5] [GW-4] a sub-device that registers over a connection of its own stays logged in at its gateway", async () => {
    const sub = nextSub();
    const gate = await Gate.open(version);
    await gate.with(sub);
    await devices.updateProduct(PK, { dynamicRegistration: true });
    const registering = await server.connect(version, {
      clientId: "x|random=1,authType=regnwl,securemode=2,signmethod=hmacsha256|",
      username: `${sub}&${PK}`,
      password: sign("hmacsha256", "ProductSecret001", `deviceName${sub}productKey${PK}random1`),
      keepAlive: 60,
    });
    expect((await registering.receive()).topic).toBe("/ext/regnwl");
    expect((await gate.client.subscribe(`/${PK}/${sub}/user/get`)).reasons).toEqual([0]);
    await registering.disconnect();
    expect((await gate.client.subscribe(`/${PK}/${sub}/user/both`)).reasons).toEqual([0]);
    await gate.client.expectNothing();
    await devices.updateProduct(PK, { dynamicRegistration: false });
  });

  test("[GW-1] topology: added with a signature, listed, deleted", async () => {
    const gate = await Gate.open(version);
    const sub = nextSub();
    const named = { productKey: PK, deviceName: sub };
    expect(await gate.topo("get", {})).toMatchObject({ code: 200, data: [] });
    expect(await gate.topo("add", [signed(sub)])).toMatchObject({
      code: 200,
      message: "success",
      data: [named],
    });
    expect(await gate.topo("get", {})).toMatchObject({ code: 200, data: [named] });
    expect((await gate.topo("delete", [named])).code).toBe(200);
    expect(await gate.topo("get", {})).toMatchObject({ data: [] });
    expect((await gate.topo("delete", [named])).code).toBe(6401);
  });

  test("[GW-1] what is wrong: 401, 460, 6100, 6402, 6400, 6619", async () => {
    const gate = await Gate.open(version);
    const other = await Gate.open(version);
    const sub = nextSub();
    const add = async (...items: unknown[]) => (await gate.topo("add", items)).code;
    expect(await add(signed(sub, "wrong"))).toBe(401);
    expect(await add()).toBe(460);
    expect(await add({ deviceName: sub })).toBe(460);
    expect(await add(signed("nobody"))).toBe(6100);
    expect(await add(signed(gate.name, secretOf(gate.name), GPK))).toBe(6402);
    expect((await other.topo("add", [signed(sub)])).code).toBe(200);
    expect(await add(signed(sub))).toBe(6619);
    for (let i = 0; i < 3; i++) expect(await add(signed(nextSub()))).toBe(200);
    expect(await add(signed(nextSub()))).toBe(6400); // [LIMIT-6]
    const there = (await gate.topo("get", {})).data as { deviceName: string }[];
    expect(await add(...there.map(({ deviceName }) => signed(deviceName)))).toBe(200); // none is new
    expect(await add(...[1, 2, 3, 4].map(() => signed(sub)))).toBe(460);
  });

  test("what is no Alink object is answered 6207 with an empty id, as for things", async () => {
    const gate = await Gate.open(version);
    const topics = [
      ...["topo/add", "topo/delete", "topo/get", "sub/register", "proxy/provisioning/product_register"].map(
        (call) => `/sys/${GPK}/${gate.name}/thing/${call}`,
      ),
      ...["login", "batch_login", "logout", "batch_logout"].map(
        (call) => `/ext/session/${GPK}/${gate.name}/combine/${call}`,
      ),
    ];
    const malformed = (): number => server.broker.metrics()["platform.alink_malformed"] ?? 0;
    for (const topic of topics) {
      for (const bad of ["no JSON", "[1]"]) {
        const before = malformed();
        await gate.client.publish(topic, bad);
        const { topic: repliedOn, text } = await gate.client.receive();
        expect(repliedOn).toBe(`${topic}_reply`);
        expect(JSON.parse(text)).toMatchObject({ code: 6207, id: "", data: {} });
        expect(malformed()).toBe(before + 1);
      }
    }
  });

  test("[GW-1] the C SDK's spelling: signmethod, a number as timestamp, lower-case hex", async () => {
    const gate = await Gate.open(version);
    const sub = nextSub();
    const { signMethod, ...rest } = signed(sub);
    const item = { ...rest, signmethod: signMethod, timestamp: 1581417203000, sign: rest.sign.toLowerCase() };
    expect((await gate.topo("add", [item])).code).toBe(200);
  });

  test("[GW-2] registration of sub-devices: product switch, foreign gateway, activated, too many", async () => {
    const gate = await Gate.open(version);
    const topic = `/sys/${GPK}/${gate.name}/thing/sub/register`;
    const fresh = { productKey: "a1OPEN00001", deviceName: `fresh${version}` };
    const reply = await gate.ask(topic, [fresh], 17);
    expect(reply.code).toBe(200);
    const [registered] = reply.data as Record<string, string>[];
    const { deviceSecret, iotId } = devices.findDevice("a1OPEN00001", fresh.deviceName) ?? {};
    expect(registered).toEqual({ ...fresh, deviceSecret, iotId });
    const code = async (...items: unknown[]) => (await gate.ask(topic, items)).code;
    expect(await code({ productKey: PK, deviceName: nextSub() })).toBe(6288);
    expect(await code({ productKey: "nobody", deviceName: "sub1" })).toBe(6250);
    expect(await code(fresh, fresh, fresh)).toBe(460);
    await connectDevice(server, version, fresh.deviceName, { productKey: "a1OPEN00001", deviceSecret });
    expect(await code(fresh)).toBe(6289);
  });

  test("[GW-2] a device that is no gateway registers nobody, and is told no secret", async () => {
    const name = nextSub();
    const device = await connectDevice(server, version, name, { extensions: "_ss=1" });
    const made = { productKey: "a1OPEN00001", deviceName: `made${version}` };
    await devices.createDevice(made);
    const fresh = { productKey: "a1OPEN00001", deviceName: `other${version}` };
    for (const [call, params] of [
      ["sub/register", [made]],
      ["sub/register", [fresh]],
      ["proxy/provisioning/product_register", { proxieds: [{ ...made, random: "1", sign: "00" }] }],
    ] as const) {
      const topic = `/sys/${PK}/${name}/thing/${call}`;
      await device.publish(topic, JSON.stringify({ id: "1", params }));
      const { topic: answered, text } = await device.receive();
      expect(answered).toBe(`${topic}_reply`);
      expect(text).toContain("6401");
      expect(text).not.toContain("deviceSecret");
    }
    expect(devices.findDevice(fresh.productKey, fresh.deviceName)).toBeUndefined();
  });

  test("[GW-1] of two gateways that take one sub-device at once the second is refused, and gets none of its list", async () => {
    const [first, second] = [await Gate.open(version), await Gate.open(version)];
    const [both, alone, known] = [nextSub(), nextSub(), nextSub()];
    expect((await second.topo("add", [signed(known)])).code).toBe(200);
    const update = devices.updateDevice.bind(devices);
    let open = (): void => {};
    const met = new Promise<void>((resolve) => {
      open = resolve;
    });
    let calls = 0;
    // As on a disk: both have looked before either is written.
    const spy = vi.spyOn(devices, "updateDevice").mockImplementation(async (...args) => {
      if (++calls === 2) open();
      await met;
      return update(...args);
    });
    try {
      const replies = await Promise.all([
        first.topo("add", [signed(both)]),
        second.topo("add", [signed(known), signed(alone), signed(both)]),
      ]);
      expect(replies.map(({ code }) => code)).toEqual([200, 6619]);
    } finally {
      spy.mockRestore();
    }
    expect(devices.findDevice(PK, both)?.gateway?.deviceName).toBe(first.name);
    expect(devices.findDevice(PK, alone)?.gateway).toBeUndefined();
    expect(devices.findDevice(PK, known)?.gateway?.deviceName).toBe(second.name);
    expect((await second.topo("add", [signed(alone)])).code).toBe(200);
  });

  test("[AUTH-11] [GW-3] no secret speaks for a sub-device of a product with certificates, and none is told", async () => {
    const gate = await Gate.open(version);
    const productKey = `a1CERT0000${version}`;
    const named = { productKey, deviceName: "cert1" };
    devices.putProduct({
      productKey,
      productSecret: "CertSecret000001",
      authType: "x509",
      dynamicRegistration: true,
    });
    devices.putDevice({ ...named, deviceSecret: secretOf("cert1") });
    const item = signed("cert1", secretOf("cert1"), productKey);
    const topic = `/sys/${GPK}/${gate.name}/thing/sub/register`;
    expect(await gate.ask(topic, [named])).toMatchObject({ code: 6288, data: {} });
    expect((await gate.topo("add", [item])).code).toBe(401);
    await devices.updateDevice(productKey, "cert1", {
      gateway: { productKey: GPK, deviceName: gate.name },
    });
    expect((await gate.session("login", item)).code).toBe(6287);
    expect(devices.isOnline(named)).toBe(false);
  });

  test("[GW-3] login: needs topology and a right signature; then the gateway speaks for the sub-device [GW-4]", async () => {
    const gate = await Gate.open(version);
    const sub = nextSub();
    const topic = `/${PK}/${sub}/user/both`;
    expect(await gate.client.subscribe(topic)).toMatchObject({ reasons: [version === 5 ? 0x87 : 0x80] });
    expect((await gate.login(sub)).code).toBe(6401);
    expect((await gate.topo("add", [signed(sub)])).code).toBe(200);
    expect((await gate.login(sub, { sign: "00" })).code).toBe(6287);
    expect((await gate.session("login", { productKey: PK })).code).toBe(460);
    expect((await gate.session("login", signed("nobody"))).code).toBe(6100);
    expect(await gate.login(sub)).toMatchObject({ code: 200, data: { productKey: PK, deviceName: sub } });
    expect((await gate.login(sub)).code).toBe(200);
    await gate.client.subscribe(topic);
    await gate.client.publish(topic, "of the sub-device", { qos: 1 });
    expect(await gate.client.receive()).toMatchObject({ topic, text: "of the sub-device" });
    expect(devices.isOnline({ productKey: PK, deviceName: sub })).toBe(true);
    expect(await gate.session("logout", { productKey: PK, deviceName: sub })).toMatchObject({ code: 200 });
    expect(devices.isOnline({ productKey: PK, deviceName: sub })).toBe(false);
    await server.broker.publish({ topic, payload: "not any more" });
    await gate.client.expectNothing();
  });

  test("[GW-4] no gateway logs out the sub-device of another", async () => {
    const [gate, stranger] = [await Gate.open(version), await Gate.open(version)];
    const sub = nextSub();
    await gate.with(sub);
    const named = { productKey: PK, deviceName: sub };
    expect(await stranger.session("logout", named)).toMatchObject({ code: 520, data: named });
    expect(await stranger.session("batch_logout", [named])).toMatchObject({ code: 520, data: named });
    expect((await stranger.topo("delete", [named])).code).toBe(6401);
    expect(devices.isOnline(named)).toBe(true);
    await gate.client.expectNothing();
  });

  test("[GW-4] a gateway with two sessions speaks for a sub-device over the one it logged in last", async () => {
    const name = `tokens${version}`;
    const tokens = [0, 1].map((at) => ({ clientId: `client${at}`, deviceToken: `token ${at}` }));
    devices.putDevice({ productKey: GPK, deviceName: name, deviceSecret: secretOf(name), tokens });
    const [first, second] = await Promise.all(
      tokens.map(async ({ clientId, deviceToken }) => {
        const own = { clientId: `${clientId}|securemode=-2,authType=connwl,_ss=1|`, keepAlive: 60 };
        const client = await server.connect(version, {
          ...own,
          username: `${name}&${GPK}`,
          password: deviceToken,
        });
        return new Gate(client, name);
      }),
    );
    const [sub, other] = [nextSub(), nextSub()];
    const named = { productKey: PK, deviceName: sub };
    await first.with(sub);
    expect((await first.topo("add", [signed(other)])).code).toBe(200);
    expect((await second.login(sub)).code).toBe(200);
    expect(await first.error()).toMatchObject({ code: 427, data: named });
    expect(await first.session("logout", named)).toMatchObject({ code: 520, data: named });
    expect(devices.isOnline(named)).toBe(true);
    expect((await first.client.subscribe(`/${PK}/${sub}/user/both`)).reasons).toEqual([
      version === 5 ? 0x87 : 0x80,
    ]);
    expect((await second.session("logout", named)).code).toBe(200);
    expect(devices.isOnline(named)).toBe(false);
  });

  test("[GW-4] replies and calls to a sub-device come over the gateway's connection", async () => {
    const gate = await Gate.open(version);
    const sub = nextSub();
    await gate.with(sub);
    await gate.client.publish(`/ext/ntp/${PK}/${sub}/request`, '{"deviceSendTime":1}');
    expect((await gate.client.receive()).topic).toBe(`/ext/ntp/${PK}/${sub}/response`);
    const call = server.broker.rrpc({ productKey: PK, deviceName: sub }, "x");
    const { topic } = await gate.client.receive();
    await gate.client.publish(topic.replace("request", "response"), "yes");
    expect(await call).toMatchObject({ code: "SUCCESS" });
  });

  test("[GW-4] a login elsewhere: 427; disabled: 522; deleted: 521; topology gone: 6401; without a session: 520", async () => {
    const gate = await Gate.open(version);
    const sub = nextSub();
    const named = { productKey: PK, deviceName: sub };
    await gate.with(sub);
    const direct = await connectDevice(server, version, sub);
    expect(await gate.error()).toMatchObject({ code: 427, data: named });
    await gate.client.publish(`/${PK}/${sub}/user/update`, "x");
    expect(await gate.error()).toMatchObject({ code: 520, data: named });
    await direct.disconnect();
    expect((await gate.login(sub)).code).toBe(200);
    await devices.disableDevice(PK, sub);
    expect(await gate.error()).toMatchObject({ code: 522, data: named });
    expect((await gate.login(sub)).code).toBe(522);
    await devices.enableDevice(PK, sub);
    expect((await gate.login(sub)).code).toBe(200);
    await gate.client.publish(
      `/sys/${GPK}/${gate.name}/thing/topo/delete`,
      JSON.stringify({ id: "9", params: [named] }),
    );
    const said = [await gate.client.receive(), await gate.client.receive()].map(({ topic }) => topic).sort();
    expect(said).toEqual([
      `/ext/error/${GPK}/${gate.name}`,
      `/sys/${GPK}/${gate.name}/thing/topo/delete_reply`,
    ]);
    await gate.with(sub);
    await devices.deleteDevice(PK, sub);
    expect(await gate.error()).toMatchObject({ code: 521, data: named });
  });

  test("[GW-4] the gateway goes, and its sub-devices with it", async () => {
    const gate = await Gate.open(version);
    const sub = nextSub();
    await gate.with(sub);
    await gate.client.disconnect();
    expect(devices.isOnline({ productKey: PK, deviceName: sub })).toBe(false);
    const again = await Gate.open(version, gate.name);
    await again.client.publish(`/${PK}/${sub}/user/update`, "x");
    expect(await again.error()).toMatchObject({ code: 520 });
  });

  test("[V5-6] [GW-4] a Will on a sub-device's topic: not with the CONNECT that ends the sub-device's login", async () => {
    const gate = await Gate.open(version);
    const sub = nextSub();
    await gate.with(sub);
    const topic = `/${PK}/${sub}/user/update`;
    const again = await server.open(version);
    const will = { topic, payload: "for another" };
    const connack = await again.connect(
      deviceConnect(gate.name, { productKey: GPK, extensions: "_ss=1", will }),
    );
    if (version === 5) {
      expect(connack).toMatchObject({ reason: 0x87 });
      // The CONNECT was refused: the one before it goes on.
      expect(await gate.login(sub)).toMatchObject({ code: 200 });
      return;
    }
    // Parsed and discarded [SESS-5].
    expect(connack).toMatchObject({ reason: 0 });
    const reader = server.broker.upstream();
    again.destroy();
    await eventually(() => !devices.isOnline({ productKey: GPK, deviceName: gate.name }), "it is gone");
    await server.broker.publish({ topic, payload: "unheard" });
    reader.close();
    for await (const { topic: said } of reader) expect(said).not.toBe(topic);
  });

  test("[STATUS-2] [GW-4] one that connects itself goes offline at its gateway first", async () => {
    const gate = await Gate.open(version);
    const sub = nextSub();
    await gate.with(sub);
    const reader = server.broker.upstream()[Symbol.asyncIterator]();
    await connectDevice(server, version, sub);
    const said: unknown[] = [];
    while (said.length < 2) {
      const { value } = await reader.next();
      if (value?.topic !== `/as/mqtt/status/${PK}/${sub}`) continue;
      said.push((JSON.parse(Buffer.from(value.payload).toString()) as { status: string }).status);
    }
    expect(said).toEqual(["offline", "online"]);
    expect(devices.isOnline({ productKey: PK, deviceName: sub })).toBe(true);
    await reader.return?.(undefined);
  });

  test("[GW-5] a batch: all or none; at most as many as the setting says; [LIMIT-6] 428 where too many are online", async () => {
    const gate = await Gate.open(version);
    const subs = [nextSub(), nextSub(), nextSub()];
    expect(
      (
        await gate.topo(
          "add",
          subs.map((sub) => signed(sub)),
        )
      ).code,
    ).toBe(200);
    const items = subs.map((sub) => {
      const { signMethod: _method, ...item } = signed(sub);
      return { ...item, cleanSession: "false" };
    });
    const batch = (deviceList: unknown) =>
      gate.session("batch_login", { signMethod: "hmacSha256", deviceList });
    expect((await batch([items[0], { ...items[1], sign: "00" }])).code).toBe(6287);
    expect(devices.isOnline({ productKey: PK, deviceName: subs[0] })).toBe(false);
    expect((await batch([...items, items[0]])).code).toBe(460);
    const reply = await batch(items);
    expect(reply).toMatchObject({ code: 200 });
    expect(reply.data).toHaveLength(3);
    const named = subs.map((deviceName) => ({ productKey: PK, deviceName }));
    expect(
      (await gate.session("batch_logout", [named[0], { productKey: PK, deviceName: "nobody" }])).code,
    ).toBe(520);
    expect((await gate.session("batch_logout", named)).code).toBe(200);
    for (const id of named) expect(devices.isOnline(id)).toBe(false);
  });

  test("a stranger's device is out of reach, logged in or not", async () => {
    const gate = await Gate.open(version);
    const thief = await Gate.open(version);
    const sub = nextSub();
    await gate.with(sub);
    expect((await thief.login(sub)).code).toBe(6401);
    await thief.client.publish(`/${PK}/${sub}/user/both`, "stolen", { qos: 1 });
    expect(await thief.client.subscribe(`/${PK}/${sub}/user/get`)).toMatchObject({
      reasons: [version === 5 ? 0x87 : 0x80],
    });
    await thief.client.expectNothing();
    await gate.client.expectNothing();
  });

  test("[LOG-1] topology, and coming and going of sub-devices, stand in the run log with their reasons", async () => {
    const gate = await Gate.open(version);
    const sub = nextSub();
    await gate.with(sub);
    expect((await gate.login(sub, { sign: "00" })).code).toBe(6287);
    await connectDevice(server, version, sub);
    expect((await gate.error()).code).toBe(427);
    const of = async (productKey: string, deviceName: string) =>
      (await server.broker.runLog.search({ device: { productKey, deviceName } })).map(
        ({ businessType, operation, status }) => `${businessType} ${operation} ${status}`,
      );
    expect(await of(PK, sub)).toEqual([
      "device behaviour online 200",
      "device behaviour offline 400",
      "device behaviour online 200",
    ]);
    const told = (await of(GPK, gate.name)).filter((text) => text.startsWith("topology"));
    expect(told).toEqual([
      "topology thing/topo/add 200",
      "topology combine/login 200",
      "topology combine/login 6287",
    ]);
    expect(JSON.stringify(await server.broker.runLog.search({ limit: 10_000 }))).not.toContain(secretOf(sub));
  });
});
