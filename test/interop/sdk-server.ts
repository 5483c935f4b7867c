// A platform for the vendor's Node SDKs, and their processes, which end with the test that started them.
import { afterAll, afterEach, beforeAll } from "vitest";
import type { MemoryRegistry } from "../../src/platform/registry/index.ts";
import { secretOf } from "../platform/signed-device.ts";
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
