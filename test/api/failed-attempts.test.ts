// Wrong credentials over HTTP: bounded for each address, and for each product from an address, without locking anybody else out.
import { request } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sign, signContent } from "../../src/platform/sign-in/signature.ts";
import { PK, registryOf, secretOf } from "../platform/signed-device.ts";
import { BOTH, TestServer } from "../support/server.ts";

const OTHER = "a1OTHER0001";
const registry = registryOf("device1", "device2", "device3");
registry.putProduct({ productKey: OTHER, productSecret: "ProductSecret002", dynamicRegistration: true });
registry.putDevice({ productKey: OTHER, deviceName: "device1", deviceSecret: secretOf("device1") });
let server: TestServer;
let lines: object[];

beforeEach(async () => {
  lines = [];
  const note = (fields: object): void => void lines.push(fields);
  server = new TestServer({
    profile: "platform",
    devices: registry,
    platform: {
      connection: { failuresPerMinute: 3 },
      dynreg: { failuresPerMinute: 4, requireTls: false },
      http: { failuresPerMinute: 6 },
    },
    logger: { debug: () => {}, info: note, warn: () => {}, error: () => {} },
    listeners: [
      { kind: "auto", port: 0 },
      { kind: "http", port: 0 },
    ],
  });
  await server.start();
  await registry.updateProduct(PK, { dynamicRegistration: true });
});
afterEach(() => server.stop());

/** The `code` of the answer; `from` is the client's address. */
function post(path: string, fields: Record<string, string>, from = "127.0.0.1"): Promise<number> {
  const body = new URLSearchParams(fields).toString();
  const { port } = server.broker.listeners[1];
  return new Promise((resolve, reject) => {
    const options = { port, host: "127.0.0.1", localAddress: from, method: "POST", path, agent: false };
    request(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => {
        expect(response.statusCode).toBe(200);
        resolve((JSON.parse(text) as { code: number }).code);
      });
    })
      .on("error", reject)
      .end(body);
  });
}

function registration(deviceName: string, secret = "ProductSecret001", productKey = PK) {
  const content = `deviceName${deviceName}productKey${productKey}random9`;
  const signed = sign("hmacsha256", secret, content);
  return { productKey, deviceName, random: "9", sign: signed, signMethod: "hmacsha256" };
}
const register = (fields: Record<string, string>, from?: string): Promise<number> =>
  post("/auth/register/device", fields, from);

function triple(deviceName: string, secret = secretOf(deviceName)): Record<string, string> {
  const input = { clientId: "c", deviceName, productKey: PK, timestamp: "1" };
  return { ...input, signmethod: "hmacsha256", sign: sign("hmacsha256", secret, signContent(input)) };
}

test("[DYN-6] guesses at a product's secret count whichever device they name, from one address", async () => {
  // Right ones count nothing.
  for (let i = 0; i < 10; i++) expect(await register(registration("device1"))).toBe(200);
  for (const name of ["device1", "device2", "nobody", "nobody2"])
    expect(await register(registration(name, "guess"))).toBe(6600);
  // From here on not even a right one tells.
  expect(await register(registration("device1", "guess"))).toBe(429);
  expect(await register(registration("device1"))).toBe(429);
  // No name is locked: another address, and another product from this one.
  expect(await register(registration("device1"), "127.0.0.2")).toBe(200);
  expect(await register(registration("device1", "ProductSecret002", OTHER))).toBe(200);
  const metrics = server.broker.metrics();
  expect(metrics["refused.attempts"]).toBe(2);
  expect(lines).toContainEqual(
    expect.objectContaining({ metric: "refused.attempts", info: "127.0.0.1: too many failed attempts" }),
  );
  expect(JSON.stringify(lines)).not.toContain("ProductSecret");
});

test("[DYN-6] an address that fails for one product after the other is not heard any more", async () => {
  for (let i = 0; i < 6; i++)
    expect(await register(registration("device1", "guess", `a1NOBODY00${i}`))).toBe(6250);
  expect(await register(registration("device1"))).toBe(429);
  expect(await post("/auth/devicename", triple("device1"))).toBe(429);
  expect(await register(registration("device1"), "127.0.0.2")).toBe(200);
  expect(await post("/auth/devicename", triple("device1"), "127.0.0.2")).toBe(200);
});

test("[AUTH-15] a device's secret is not to be guessed either, and other devices and addresses are heard", async () => {
  for (let i = 0; i < 3; i++) expect(await post("/auth/devicename", triple("device2", "guess"))).toBe(400);
  expect(await post("/auth/devicename", triple("device2"))).toBe(429);
  expect(await post("/auth/devicename", triple("device1"))).toBe(200);
  expect(await post("/auth/devicename", triple("device2"), "127.0.0.2")).toBe(200);
  expect(server.broker.metrics()["refused.attempts"]).toBe(1);
});

test.each(BOTH)(
  "[DYN-2] MQTT %s: the same guesses count over MQTT, and together with those over HTTP",
  async (_name, version) => {
    const attempt = async (deviceName: string, secret: string): Promise<number> => {
      const client = await server.open(version);
      const answer = await client.connect({
        clientId: "c|securemode=2,authType=register,random=9,signmethod=hmacsha256|",
        username: `${deviceName}&${PK}`,
        password: sign("hmacsha256", secret, `deviceName${deviceName}productKey${PK}random9`),
      });
      return answer.reason;
    };
    const [wrong, barred] = version === 5 ? [0x86, 0x9f] : [4, 3];
    for (const name of ["guess001", "guess002", "guess003"]) expect(await attempt(name, "guess")).toBe(wrong);
    expect(await register(registration("guess004", "guess"))).toBe(6600);
    expect(await attempt("device3", "ProductSecret001")).toBe(barred);
    expect(await register(registration("device3"))).toBe(429);
  },
);
