// A platform for the vendor's Node SDKs, and their processes, which end with the test that started them.
import { afterAll, afterEach, beforeAll } from "vitest";
import type { MemoryRegistry } from "../../src/platform/registry/index.ts";
import { PK, registryOf, secretOf } from "../platform/signed-device.ts";
import { PEER, TestServer } from "../support/server.ts";
import { type SdkOptions, SdkProcess } from "./sdk-process.ts";

export interface SdkServer {
  readonly server: TestServer;
  /** A device of the registry, with the secret of its name. */
  start(
    config: { productKey: string; deviceName: string; [more: string]: unknown },
    options?: SdkOptions,
  ): SdkProcess;
}

export function useSdkServer(devices: MemoryRegistry): SdkServer {
  const server = new TestServer({ profile: "platform", platform: { rates: { enabled: false } }, devices });
  const open: SdkProcess[] = [];
  beforeAll(async () => {
    if (!PEER) await server.start();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.end()));
  });
  afterAll(() => server.stop());
  return {
    server,
    start(config, options) {
      const deviceSecret = secretOf(config.deviceName);
      const brokerUrl = `mqtt://127.0.0.1:${server.port}/`;
      const one = new SdkProcess({ deviceSecret, brokerUrl, ...config }, options);
      open.push(one);
      return one;
    },
  };
}

/** The one device of `useSdkDevice`. */
export const DN = "device1";
export const ID = { productKey: PK, deviceName: DN };
/** A topic that is subscribed last: what the SDK subscribes on its own is behind it. */
export const FENCE = `/${PK}/${DN}/user/get`;

/** A platform with one device, which `device` starts and waits for. */
export function useSdkDevice(): {
  server: TestServer;
  devices: MemoryRegistry;
  device: () => Promise<SdkProcess>;
} {
  const devices = registryOf(DN);
  const { server, start } = useSdkServer(devices);
  return {
    server,
    devices,
    async device() {
      const one = start(ID);
      await one.ready(FENCE);
      return one;
    },
  };
}
