// Dynamic registration over MQTT and sign-in with the tokens it gives, over real sockets with TLS, in 3.1.1 and 5.0.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { signedCredentials } from "../../../../src/platform/demo.ts";
import { sign } from "../../../../src/platform/sign-in/signature.ts";
import { testCertificate } from "../../../support/certificate.ts";
import type { RawClient } from "../../../support/raw-client.ts";
import { BOTH, eventually, TestServer } from "../../../support/server.ts";
import type { ConnectOptions, Version } from "../../../support/wire.ts";
import { PK, registryOf, secretOf } from "../../signed-device.ts";

const NAMES = Array.from({ length: 50 }, (_, i) => `device${i}`);
const registry = registryOf(...NAMES);
let server: TestServer;
let used = 0;
let name: string;
let products = 0;

beforeAll(async () => {
  const tls = await testCertificate();
  server = new TestServer({
    profile: "platform",
    devices: registry,
    platform: { dynreg: { maxSeconds: 1 }, rates: { enabled: false } },
    listeners: [
      { kind: "tls", port: 0, tls },
      { kind: "tcp", port: 0 },
    ],
  });
  await server.start();
  await registry.updateProduct(PK, { dynamicRegistration: true });
});
afterAll(() => server.stop());
beforeEach(() => {
  name = NAMES[used++];
});

interface Asked extends ConnectOptions {
  readonly type?: "register" | "regnwl";
  readonly extensions?: string;
  readonly deviceName?: string;
  readonly productKey?: string;
  readonly secret?: string;
}

/** The CONNECT of a registration, as the C SDK sends it [DYN-2]. */
function registration(asked: Asked = {}): ConnectOptions {
  const {
    type = "register",
    deviceName = name,
    productKey = PK,
    secret = "ProductSecret001",
    ...rest
  } = asked;
  const { extensions = "random=123,signmethod=hmacsha256,securemode=2", ...options } = rest;
  const random = /random=([^,]*)/.exec(extensions)?.[1];
  return {
    clientId: `${deviceName}.${productKey}|${extensions},authType=${type}|`,
    username: `${deviceName}&${productKey}`,
    password: sign("hmacsha256", secret, `deviceName${deviceName}productKey${productKey}random${random}`),
    keepAlive: 0,
    ...options,
  };
}

const TLS = { transport: "tls" } as const;

async function register(version: Version, asked?: Asked): Promise<RawClient> {
  return server.connect(version, registration(asked), TLS);
}

async function refused(
  version: Version,
  options: ConnectOptions,
  code3: number,
  reason: number,
  plain = false,
) {
  const target = plain ? { port: server.broker.listeners[1].port } : TLS;
  const client = await server.open(version, target);
  client.send(client.wire.connect(options));
  await client.expectRefusal(code3, reason);
}

async function told(client: RawClient): Promise<{ topic: string; [field: string]: string }> {
  const { topic, text } = await client.receive();
  return { topic, ...JSON.parse(text) };
}

const newProduct = async (): Promise<string> => {
  const { productKey } = await registry.createProduct({
    productKey: `dyn${++products}`,
    productSecret: "ProductSecret001",
    dynamicRegistration: true,
  });
  return productKey;
};

const byToken = (given: { [field: string]: string }): ConnectOptions => ({
  clientId: `${given.clientId}|authType=connwl,securemode=-2,_ss=1,ext=3,_v=sdk-c-4.1.0|`,
  username: `${given.deviceName}&${given.productKey}`,
  password: given.deviceToken,
  keepAlive: 60,
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[DYN-2] [DYN-3] register: the secret comes unasked, and signs in", async () => {
    const client = await register(version);
    const answer = await told(client);
    expect(answer).toEqual({
      topic: "/ext/register",
      productKey: PK,
      deviceName: name,
      deviceSecret: secretOf(name),
    });
    client.destroy();
    const { deviceSecret } = answer;
    const credentials = signedCredentials(
      { productKey: PK, deviceName: name, deviceSecret },
      { securemode: 2 },
    );
    await (await server.connect(version, { ...credentials, keepAlive: 60 }, TLS)).fence();
  });

  test("[TOPIC-8] what the server alone says comes unasked, and no device may subscribe or say it", async () => {
    const productKey = await newProduct();
    for (const [type, topic] of [
      ["register", "/ext/register"],
      ["regnwl", "/ext/regnwl"],
    ] as const) {
      if (type === "register")
        await registry.createDevice({ productKey, deviceName: name, deviceSecret: secretOf(name) });
      else await registry.deleteDevice(productKey, name);
      const client = await register(version, { productKey, type });
      expect((await told(client)).topic).toBe(topic);
      client.destroy();
    }
    const secret = { productKey: PK, deviceName: name, deviceSecret: secretOf(name) };
    const signed = signedCredentials(secret, { securemode: 2 });
    const device = await server.connect(version, { ...signed, keepAlive: 60 }, TLS);
    const heard: string[] = [];
    const stop = await server.broker.subscribe("/ext/#", ({ topic }) => void heard.push(topic));
    const topics = ["/ext/register", "/ext/regnwl", "/ext/auth/identity/response"];
    const { reasons } = await device.subscribe([...topics, "/ext/+", "/ext/#"]);
    expect(reasons).toEqual(Array(5).fill(version === 5 ? 0x87 : 0x80));
    for (const topic of topics) {
      const answer = await device.publish(topic, "{}", { qos: 1 });
      if (version === 5) expect(answer?.reason).toBe(0x87);
    }
    await device.expectNothing();
    await stop();
    expect(heard).toEqual([]);
  });

  test("[DYN-2] securemode -2 too, MD5 where no method is named, lower case", async () => {
    const extensions = "random=abc,securemode=-2";
    const content = `deviceName${name}productKey${PK}randomabc`;
    const password = sign("hmacmd5", "ProductSecret001", content).toLowerCase();
    expect(await told(await register(version, { extensions, password }))).toMatchObject({ deviceName: name });
  });

  test("[DYN-2] without random, with another method, or over TCP: 2; a wrong signature: 4", async () => {
    const without = { extensions: "signmethod=hmacsha256,securemode=2" };
    await refused(version, registration(without), 2, 0x85);
    const method = { extensions: "random=123,signmethod=hmacsha512,securemode=2" };
    await refused(version, registration(method), 2, 0x85);
    await refused(version, registration(), 2, 0x85, true);
    await refused(version, registration({ secret: "another" }), 4, 0x86);
    await refused(version, registration({ productKey: "a1NOBODY" }), 4, 0x86);
  });

  test("[DYN-1] switched off: refused, by either way, and who is activated goes on", async () => {
    const productKey = await newProduct();
    const device = await registry.createDevice({ productKey, deviceName: name, deviceSecret: "s" });
    await registry.updateProduct(productKey, { dynamicRegistration: false });
    await refused(version, registration({ productKey }), 4, 0x86);
    await refused(version, registration({ productKey, type: "regnwl" }), 4, 0x86);
    const credentials = signedCredentials(device, { securemode: 2 });
    await (await server.connect(version, { ...credentials, keepAlive: 60 }, TLS)).fence();
  });

  test("[DYN-3] unknown or activated devices are refused; after a reset the same secret is told", async () => {
    await refused(version, registration({ deviceName: "nobody" }), 4, 0x86);
    const credentials = signedCredentials(
      { productKey: PK, deviceName: name, deviceSecret: secretOf(name) },
      { securemode: 2 },
    );
    await server.connect(version, { ...credentials, keepAlive: 60 }, TLS);
    await eventually(() => registry.findDevice(PK, name)?.activatedAt !== undefined, "it is activated");
    await refused(version, registration(), 4, 0x86);
    await registry.resetDevice(PK, name);
    expect(await told(await register(version))).toMatchObject({ deviceSecret: secretOf(name) });
  });

  test("[AUTH-13] a disabled device is told nothing, by either way, once it has proved itself", async () => {
    await registry.disableDevice(PK, name);
    for (const type of ["register", "regnwl"] as const) {
      await refused(version, registration({ type }), 5, 0x8a);
      await refused(version, registration({ type, secret: "another" }), 4, 0x86);
    }
    expect(registry.findDevice(PK, name)?.tokens).toEqual([]);
    await registry.enableDevice(PK, name);
    expect(await told(await register(version))).toMatchObject({ deviceSecret: secretOf(name) });
  });

  test("[AUTH-11] devices of a product with certificates get neither secret nor token, and one they had ends", async () => {
    const productKey = await newProduct();
    await registry.createDevice({ productKey, deviceName: name, deviceSecret: "s" });
    const given = await told(await register(version, { productKey, type: "regnwl" }));
    await registry.updateProduct(productKey, { authType: "x509" });
    for (const type of ["register", "regnwl"] as const)
      await refused(version, registration({ productKey, type }), 4, 0x86);
    await refused(version, byToken(given), 5, 0x87);
  });

  test("[DYN-5] no messaging, no presence, no disturbance; closed when its time is over", async () => {
    const credentials = signedCredentials(
      { productKey: PK, deviceName: name, deviceSecret: secretOf(name) },
      { securemode: 2 },
    );
    const productKey = await newProduct();
    const fresh = await registry.createDevice({ productKey, deviceName: name, deviceSecret: secretOf(name) });
    const notices = server.broker.upstream();
    const client = await register(version, {
      productKey,
      clean: false,
      properties: { sessionExpiryInterval: 1_000 },
      will: { topic: `/${productKey}/${name}/user/update`, payload: "gone" },
    });
    await told(client);
    const { wire } = client;
    const topic = `/${productKey}/${name}/user/update`;
    const heard: string[] = [];
    const stop = await server.broker.subscribe("#", ({ topic }) => void heard.push(topic));
    client.send(wire.subscribe(500, [`/${productKey}/${name}/user/get`, "/ext/register"]));
    for (const qos of [0, 1] as const)
      for (let id = 1; id < 200; id++)
        client.send(wire.publish(topic, "not for you", { qos, ...(qos > 0 && { id }) }));
    await server.broker.publish({ topic: `/${productKey}/${name}/user/get`, payload: "not for you" });
    await client.expectNothing();
    await stop();
    expect(heard).toEqual([`/${productKey}/${name}/user/get`]);
    const log = await server.broker.runLog.search({ device: { productKey, deviceName: name } });
    expect(log.filter(({ status }) => status === 403).map(({ operation }) => operation)).toContain(
      `/${productKey}/${name}/user/get`,
    );
    expect(log.some(({ operation, status }) => operation === topic && status !== 200)).toBe(true);
    await client.expectEnd(0xa0);
    // Nobody was told, nothing is activated.
    expect(registry.stateOf(registry.findDevice(productKey, name) ?? fresh)).toMatchObject({
      status: "UNACTIVE",
      lastOnlineAt: undefined,
    });
    await server.broker.publish({ topic: "x", payload: "y" });
    const device = await server.connect(version, { ...credentials, keepAlive: 60 }, TLS);
    for await (const message of notices) {
      expect(message.device).toMatchObject({ productKey: PK, deviceName: name });
      break;
    }
    await device.fence();
  });

  test("[DYN-5] the device's own connection stays while another registers in its name", async () => {
    const productKey = await newProduct();
    const first = await told(await register(version, { productKey, type: "regnwl" }));
    const device = await server.connect(version, byToken(first), TLS);
    await told(await register(version, { productKey, type: "regnwl" }));
    await device.fence();
    expect(registry.stateOf(registry.findDevice(productKey, name) ?? expect.fail()).status).toBe("ONLINE");
  });

  test("[DYN-4] regnwl: the device is made; five pairs for one name, no sixth", async () => {
    const productKey = await newProduct();
    const pairs = [];
    for (let i = 0; i < 5; i++)
      pairs.push(await told(await register(version, { productKey, deviceName: "many", type: "regnwl" })));
    expect(pairs[0]).toMatchObject({ topic: "/ext/regnwl", productKey, deviceName: "many" });
    expect(new Set(pairs.map((pair) => pair.clientId)).size).toBe(5);
    expect(new Set(pairs.map((pair) => pair.deviceToken)).size).toBe(5);
    await refused(version, registration({ productKey, deviceName: "many", type: "regnwl" }), 4, 0x86);
    for (const pair of pairs) await (await server.connect(version, byToken(pair), TLS)).fence();
  });

  test("[DYN-4] many at once for one name: exactly five pairs", async () => {
    const productKey = await newProduct();
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const client = await server.open(version, TLS);
        client.send(client.wire.connect(registration({ productKey, deviceName: "many", type: "regnwl" })));
        return (await client.of("connack")).reason;
      }),
    );
    expect(answers.filter((code) => code === 0)).toHaveLength(5);
    expect(registry.findDevice(productKey, "many")?.tokens).toHaveLength(5);
  });

  test("[AUTH-10] a token signs in with its own client id alone; a reset ends it", async () => {
    const productKey = await newProduct();
    const type = "regnwl";
    const one = await told(await register(version, { productKey, type }));
    const two = await told(await register(version, { productKey, type }));
    await refused(version, { ...byToken(one), password: two.deviceToken }, 4, 0x86);
    await refused(version, { ...byToken(one), password: undefined }, 4, 0x86);
    await refused(version, byToken({ ...one, clientId: "nobody" }), 4, 0x86);
    await refused(version, byToken({ ...one, deviceName: "nobody" }), 4, 0x86);
    const client = await server.connect(version, byToken(one), TLS);
    await registry.resetDevice(productKey, name);
    await client.expectEnd(0x98);
    await refused(version, byToken(one), 4, 0x86);
  });

  test("[AUTH-10] [SESS-0] [CONN-1] each token has a session of its own, and a message goes to each", async () => {
    const productKey = await newProduct();
    const get = `/${productKey}/${name}/user/get`;
    const kept = { clean: false, properties: { sessionExpiryInterval: 1_000 } };
    const pairs = [];
    for (let i = 0; i < 2; i++)
      pairs.push(await told(await register(version, { productKey, type: "regnwl" })));
    const [one, two] = await Promise.all(
      pairs.map((pair) => server.connect(version, { ...byToken(pair), ...kept }, TLS)),
    );
    await one.subscribe({ filter: get, qos: 1 });
    await two.subscribe({ filter: get, qos: 1 });
    await server.broker.publish({ topic: get, payload: "both", qos: 1 });
    expect((await one.receive()).text).toBe("both");
    expect((await two.receive()).text).toBe("both");
    // A second connection with the first token takes over from the first, and leaves the second alone.
    const again = await server.connect(version, { ...byToken(pairs[0]), ...kept }, TLS);
    await one.expectEnd(0x8e);
    expect(again.connack.sessionPresent).toBe(true);
    await two.fence();
  });

  test("[SUB-2] a token has a hundred subscriptions, of all kinds together", async () => {
    const given = await told(await register(version, { type: "regnwl" }));
    const client = await server.connect(version, byToken(given), TLS);
    const filters = Array.from({ length: 104 }, (_, i) =>
      i % 2 === 0 ? `/broadcast/${PK}/${i}` : `/sys/${PK}/${name}/thing/${i}`,
    );
    const codes: number[] = [];
    for (let i = 0; i < filters.length; i += 8)
      codes.push(...(await client.subscribe(filters.slice(i, i + 8))).reasons);
    expect(codes).toEqual([...Array(100).fill(0), ...Array(4).fill(version === 5 ? 0x97 : 0x80)]);
  });
});

describe("settings", () => {
  test("[DYN-2] dynreg.requireTls off: over TCP too", async () => {
    const open = new TestServer({
      profile: "platform",
      devices: registry,
      platform: { dynreg: { requireTls: false } },
    });
    await open.start();
    const client = await open.connect(4, registration());
    expect(await told(client)).toMatchObject({ deviceSecret: secretOf(name) });
    client.destroy();
    await open.stop();
  });

  test("[DYN-5] no session of a registration is kept, whatever it asks for", async () => {
    const alone = new TestServer({
      profile: "platform",
      devices: registry,
      platform: { dynreg: { requireTls: false }, rates: { enabled: false } },
    });
    await alone.start();
    for (const version of [4, 5] as const) {
      const asked = registration({ clean: false, properties: { sessionExpiryInterval: 1_000 } });
      const client = await alone.connect(version, asked);
      await told(client);
      if (version === 5) expect(client.connack.properties.sessionExpiryInterval).toBe(0);
      expect(alone.broker.metrics()["clients.total"]).toBe(1);
      client.destroy();
      await eventually(() => alone.broker.metrics()["clients.total"] === 0, "its session has ended");
    }
    await alone.stop();
  });
});
