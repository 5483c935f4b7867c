// Registration and pre-authentication over HTTP, as the SDKs ask for them, and what a hostile client gets.
import { request as httpsRequest } from "node:https";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sign, signContent } from "../../src/platform/sign-in/signature.ts";
import { PK, registryOf, secretOf } from "../platform/signed-device.ts";
import { testCertificate } from "../support/certificate.ts";
import { BOTH, TestServer } from "../support/server.ts";

const registry = registryOf("device1", "device2", "device3", "device4", "device5");
let server: TestServer;
let base: string;
let port: number;

beforeAll(async () => {
  server = new TestServer({
    profile: "platform",
    devices: registry,
    platform: { rates: { enabled: false }, http: { maxBodyBytes: 2_000 } },
    limits: { handshakeTimeout: 500 },
    listeners: [
      { kind: "auto", port: 0 },
      { kind: "http", port: 0 },
      { kind: "https", port: 0, tls: await testCertificate() },
    ],
  });
  await server.start();
  port = server.broker.listeners[1].port;
  base = `http://127.0.0.1:${port}`;
  await registry.updateProduct(PK, { dynamicRegistration: true });
});
afterAll(() => server.stop());

type Answer = { code: number; message: string; data?: Record<string, string> };

async function post(path: string, fields: Record<string, string> | string): Promise<Answer> {
  const response = await fetch(base + path, { method: "POST", body: new URLSearchParams(fields) });
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
}

function registration(deviceName: string, changes: Record<string, string> = {}): Record<string, string> {
  const secret = "ProductSecret001";
  const fields: Record<string, string> = {
    productKey: PK,
    deviceName,
    random: "8Ygb7ULYh53B6OA",
    ...changes,
  };
  const content = `deviceName${deviceName}productKey${fields.productKey}random${fields.random}`;
  return { sign: sign("hmacsha256", secret, content), signMethod: "hmacsha256", ...fields };
}

const register = (fields: Record<string, string> | string) => post("/auth/register/device", fields);

describe("[DYN-6] registration", () => {
  test("the worked example signs as written, and the secret comes in a short answer", async () => {
    const fields = registration("device1");
    expect(fields.sign).toBe("EFBEA9556DCD9FA4D3F6EBA69B5F7217B40FDAE91B942E3ED6A92E4FCFC4D83B");
    const response = await fetch(`${base}/auth/register/device`, {
      method: "POST",
      body: new URLSearchParams(fields),
    });
    const text = await response.text();
    expect(JSON.parse(text)).toEqual({
      code: 200,
      data: { productKey: PK, deviceName: "device1", deviceSecret: secretOf("device1") },
      message: "success",
    });
    expect(text.length).toBeLessThan(192);
  });

  test.each(["hmacmd5", "HmacSHA1", "hmacSha256"])(
    "%s, in lower case, more parameters signed",
    async (signMethod) => {
      const content = `deviceNamedevice2extra1productKey${PK}random9`;
      const method = signMethod.toLowerCase() as "hmacmd5";
      const signed = sign(method, "ProductSecret001", content).toLowerCase();
      const fields = {
        random: "9",
        extra: "1",
        productKey: PK,
        deviceName: "device2",
        sign: signed,
        signMethod,
      };
      expect((await register(fields)).code).toBe(200);
    },
  );

  test.each([
    ["no random", { random: "" }, 460],
    ["a DeviceName that is none", { deviceName: "a/b" }, 460],
    ["no sign", { sign: "" }, 460],
    ["no signMethod", { signMethod: "" }, 460],
    ["another signMethod", { signMethod: "hmacsha512" }, 6292],
    ["another product", { productKey: "a1NOBODY" }, 6250],
    ["a wrong signature", { sign: "00" }, 6600],
    ["an unknown device", registration("nobody"), 6100],
  ])("%s: %#", async (_what, changes, code) => {
    expect(await register({ ...registration("device1"), ...changes })).toMatchObject({ code });
  });

  test("a field twice, and a body that is no form", async () => {
    const twice = `${new URLSearchParams(registration("device1"))}&random=2`;
    expect((await register(twice)).code).toBe(460);
    expect((await register('{"productKey":1}')).code).toBe(460);
  });

  test("an activated device, and a product whose switch is off", async () => {
    await registry.updateDevice(PK, "device3", { activatedAt: 1 });
    expect((await register(registration("device3"))).code).toBe(6289);
    await registry.updateProduct(PK, { dynamicRegistration: false });
    expect((await register(registration("device1"))).code).toBe(6288);
    await registry.updateProduct(PK, { dynamicRegistration: true });
  });

  test("[AUTH-13] a disabled device; [AUTH-11] a device that has a certificate instead", async () => {
    await registry.createDevice({ productKey: PK, deviceName: "off1", deviceSecret: "s" });
    await registry.disableDevice(PK, "off1");
    expect((await register(registration("off1"))).code).toBe(6204);
    const productKey = "certified";
    await registry.createProduct({
      productKey,
      productSecret: "ProductSecret001",
      dynamicRegistration: true,
      authType: "x509",
    });
    await registry.createDevice({ productKey, deviceName: "device1" });
    expect((await register(registration("device1", { productKey }))).code).toBe(6288);
  });

  test("over HTTPS", async () => {
    const { port: securePort } = server.broker.listeners[2];
    const body = new URLSearchParams(registration("device1")).toString();
    const text = await new Promise<string>((resolve, reject) => {
      const options = {
        port: securePort,
        method: "POST",
        path: "/auth/register/device",
        rejectUnauthorized: false,
      };
      const request = httpsRequest(options, (response) => {
        response.setEncoding("utf8").on("data", resolve);
      });
      request.on("error", reject).end(body);
    });
    expect(JSON.parse(text)).toMatchObject({ code: 200, data: { deviceSecret: secretOf("device1") } });
  });

  test("the vendor's Node SDK registers", async () => {
    const sdk = createRequire(import.meta.url)("alibabacloud-iot-device-sdk");
    const options = {
      productKey: PK,
      productSecret: "ProductSecret001",
      deviceName: "device1",
      registerURL: `${base}/auth/register/device`,
    };
    const answer = await new Promise<unknown>((resolve) => sdk.register(options, resolve));
    expect(answer).toMatchObject({ code: 200, data: { deviceSecret: secretOf("device1") } });
  });
});

function triple(deviceName: string, secret = secretOf(deviceName)): Record<string, string> {
  const input = { clientId: `${PK}.${deviceName}`, deviceName, productKey: PK, timestamp: "2524608000000" };
  const signed = sign("hmacsha256", secret, signContent(input));
  return { ...input, signmethod: "hmacsha256", sign: signed, version: "default", resources: "mqtt" };
}

describe("[AUTH-15] pre-authentication", () => {
  test.each(BOTH)("MQTT %s with the name, password, host and port that were told", async (_name, version) => {
    const { code, data } = await post("/auth/devicename", triple("device4"));
    expect(code).toBe(200);
    const { iotId, iotToken, resources } = data as unknown as {
      iotId: string;
      iotToken: string;
      resources: { mqtt: { host: string; port: number } };
    };
    expect(resources.mqtt).toEqual({ host: "127.0.0.1", port: server.port });
    const options = {
      clientId: `${PK}.device4|securemode=2,timestamp=2524608000000,signmethod=hmacsha256,gw=0,ext=0|`,
      username: iotId,
      password: iotToken,
      keepAlive: 60,
    };
    const client = await server.connect(version, options);
    expect((await client.subscribe(`/${PK}/device4/user/get`)).reasons).toEqual([0]);
    const other = await server.open(version);
    other.send(other.wire.connect({ ...options, password: "0".repeat(32) }));
    await other.expectRefusal(4, 0x86);
    await client.fence();
    // A new one takes the place of the one before.
    await post("/auth/devicename", triple("device4"));
    const late = await server.open(version);
    late.send(late.wire.connect(options));
    await late.expectRefusal(4, 0x86);
  });

  test.each(BOTH)("MQTT %s: what was told ends with the secret that was proved", async (_name, version) => {
    const again = { productKey: PK, deviceName: "again1", deviceSecret: secretOf("again1") };
    await registry.createDevice(again);
    const { data } = await post("/auth/devicename", triple("again1"));
    const options = {
      clientId: "id|securemode=3,signmethod=hmacsha256|",
      username: data?.iotId,
      password: data?.iotToken,
      keepAlive: 60,
    };
    (await server.connect(version, options)).destroy();
    // Another device of the same name is none of the one that proved itself.
    await registry.deleteDevice(PK, "again1");
    await registry.createDevice({ ...again, deviceSecret: "another" });
    const client = await server.open(version);
    client.send(client.wire.connect(options));
    await client.expectRefusal(4, 0x86);
    await registry.deleteDevice(PK, "again1");
  });

  test("[AUTH-11] a device with a certificate is told nothing for its secret, and what it was told before ends", async () => {
    const productKey = "authkinds";
    await registry.createProduct({ productKey });
    await registry.createDevice({ productKey, deviceName: "device1", deviceSecret: secretOf("device1") });
    const content = signContent({ productKey, deviceName: "device1" });
    const fields = {
      productKey,
      deviceName: "device1",
      signmethod: "hmacsha256",
      sign: sign("hmacsha256", secretOf("device1"), content),
    };
    const { code, data } = await post("/auth/devicename", fields);
    expect(code).toBe(200);
    await registry.updateProduct(productKey, { authType: "x509" });
    expect((await post("/auth/devicename", fields)).code).toBe(400);
    const client = await server.open(4);
    client.send(
      client.wire.connect({
        clientId: "id|securemode=3,signmethod=hmacsha256|",
        username: data?.iotId,
        password: data?.iotToken,
        keepAlive: 60,
      }),
    );
    await client.expectRefusal(5, 0x87);
  });

  test("a wrong triple, a disabled or unknown device, a form that is none: 400", async () => {
    expect((await post("/auth/devicename", triple("device4", "wrong"))).code).toBe(400);
    expect((await post("/auth/devicename", triple("nobody"))).code).toBe(400);
    expect((await post("/auth/devicename", "x=1")).code).toBe(400);
    await registry.disableDevice(PK, "device5");
    expect((await post("/auth/devicename", triple("device5"))).code).toBe(400);
  });
});

/** What comes back on a plain socket until it is closed. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      received += chunk;
    });
    socket.on("error", reject).on("close", () => resolve(received));
  });
}

describe("a hostile client", () => {
  test("what is not served: 404, 405", async () => {
    expect((await fetch(`${base}/nothing`)).status).toBe(404);
    expect((await fetch(`${base}/auth/register/device`)).status).toBe(405);
  });

  test("a body over the limit: 413, announced or not, and the connection ends", async () => {
    const exact = await fetch(`${base}/auth/register/device`, { method: "POST", body: "x".repeat(2_000) });
    expect(exact.status).toBe(200);
    expect(
      await raw("POST /auth/register/device HTTP/1.1\r\nHost: x\r\nContent-Length: 2001\r\n\r\n"),
    ).toMatch(/^HTTP\/1\.1 413 /);
    const chunk = `7d1\r\n${"x".repeat(2_001)}\r\n`;
    const chunked = `POST /auth/register/device HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`;
    expect(await raw(chunked)).toMatch(/^HTTP\/1\.1 413 /);
    expect(server.broker.metrics()["refused.body"]).toBe(2);
  });

  test("one that is silent, or stops in head or body, is closed at the deadline", async () => {
    expect(await raw("")).toBe("");
    expect(await raw("POST /auth/register/device HTT")).toBe("");
    expect(await raw("POST /auth/register/device HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")).toBe(
      "",
    );
    expect(await raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n")).toMatch(/404/);
    expect(server.broker.metrics()["refused.deadline"]).toBeGreaterThanOrEqual(3);
  });

  test("no HTTP, and a head that is too large", async () => {
    await raw("\x10\x0c\x00\x04MQTT");
    await raw(`GET /${"x".repeat(20_000)} HTTP/1.1\r\n\r\n`);
    expect((await register(registration("device1"))).code).toBe(200);
  });
});
