// Dynamic registration as the vendor's Node SDKs do it, unmodified: over HTTP, then a sign-in with the secret that came.
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { PK, registryOf, secretOf } from "../platform/signed-device.ts";
import { ours, PEER, TestServer } from "../support/server.ts";
import { SdkProcess } from "./sdk-process.ts";

const run = promisify(execFile);
const SDKS = ["alibabacloud-iot-device-sdk", "aliyun-iot-device-sdk"] as const;
const NAMES = SDKS.map((_, index) => `device${index}`);
const registry = registryOf(...NAMES);
const server = new TestServer({
  profile: "platform",
  platform: { rates: { enabled: false } },
  devices: registry,
  listeners: [
    { kind: "auto", port: 0 },
    { kind: "http", port: 0 },
  ],
});
beforeAll(async () => {
  if (!PEER) await server.start();
});
afterAll(() => server.stop());

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    console.warn(`left out: ${name} is not installed (npm ci)`);
    return false;
  }
}

type Answer = { code: number; data?: { deviceSecret: string } };

describe.each(SDKS)("%s", (sdk) => {
  const deviceName = NAMES[SDKS.indexOf(sdk)];
  const withSdk = ours.skipIf(!isInstalled(sdk));

  async function register(change: object = {}): Promise<Answer> {
    const registerURL = `http://127.0.0.1:${server.broker.listeners[1].port}/auth/register/device`;
    const asked = { productKey: PK, productSecret: "ProductSecret001", deviceName, registerURL, ...change };
    const { stdout } = await run(process.execPath, [join(import.meta.dirname, "sdk-register.cjs")], {
      env: { ...process.env, SDK: sdk, REGISTER: JSON.stringify(asked) },
    });
    return JSON.parse(stdout) as Answer;
  }

  withSdk("[DYN-1] [DYN-6] gets its secret where the product allows it, and signs in with it", async () => {
    await registry.updateProduct(PK, { dynamicRegistration: false });
    expect(await register()).toMatchObject({ code: 6288 });
    await registry.updateProduct(PK, { dynamicRegistration: true });
    expect(await register({ productSecret: "wrong" })).toMatchObject({ code: 6600 });
    const { code, data } = await register();
    expect({ code, data }).toEqual({
      code: 200,
      data: { productKey: PK, deviceName, deviceSecret: secretOf(deviceName) },
    });
    const brokerUrl = `mqtt://127.0.0.1:${server.port}/`;
    const device = new SdkProcess(
      { productKey: PK, deviceName, deviceSecret: data?.deviceSecret, brokerUrl },
      { sdk },
    );
    await device.next("connect");
    await device.end();
    expect(await register()).toMatchObject({ code: 6289 });
  });
});
