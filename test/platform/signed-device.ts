// A device of the worked vectors over a real socket: its CONNECT as an SDK would sign it, with any extensions.
import { signedCredentials } from "../../src/platform/demo.ts";
import { MemoryRegistry } from "../../src/platform/registry/index.ts";
import type { RawClient } from "../support/raw-client.ts";
import { type ServerOptions, type TestServer, useServer } from "../support/server.ts";
import type { ConnectOptions, Version } from "../support/wire.ts";
import { CLASSES } from "./devices.ts";

export const PK = "a1EXAMPLE01";
export const secretOf = (deviceName: string): string => `secret of ${deviceName}`;

/** A registry with one product, its classes those of the vectors, and these devices. */
export function registryOf(...deviceNames: string[]): MemoryRegistry {
  const registry = new MemoryRegistry();
  registry.putProduct({ productKey: PK, productSecret: "ProductSecret001", topicClasses: CLASSES });
  for (const deviceName of deviceNames)
    registry.putDevice({ productKey: PK, deviceName, deviceSecret: secretOf(deviceName) });
  return registry;
}

export interface DeviceConnect extends ConnectOptions {
  /** Further entries of the ClientID field, "ext=1,_ss=1". */
  readonly extensions?: string;
  readonly deviceSecret?: string;
  readonly productKey?: string;
}

export function deviceConnect(deviceName: string, options: DeviceConnect = {}): ConnectOptions {
  const { extensions, deviceSecret = secretOf(deviceName), productKey = PK, ...rest } = options;
  const signed = signedCredentials({ productKey, deviceName, deviceSecret }, { securemode: 3 });
  return {
    clientId: extensions === undefined ? signed.clientId : signed.clientId.replace(/\|$/, `,${extensions}|`),
    username: signed.username,
    password: signed.password,
    keepAlive: 60,
    ...rest,
  };
}

/** A device that is connected; a refusal of its CONNECT is an error. */
export function connectDevice(
  server: TestServer,
  version: Version,
  deviceName: string,
  options?: DeviceConnect,
): Promise<RawClient> {
  return server.connect(version, deviceConnect(deviceName, options));
}

/** A topic of a device's own, of the classes of the vectors. */
export function ownTopic(deviceName: string, suffix = "both"): string {
  return `/${PK}/${deviceName}/user/${suffix}`;
}

/** A server whose rates do not count unless told so, and devices of which each test takes one that is new to it. */
export function useDevices(
  prefix: string,
  count: number,
  { platform, ...options }: Omit<ServerOptions, "profile" | "devices"> = {},
): { server: TestServer; nextName: () => string } {
  const names = Array.from({ length: count }, (_, i) => `${prefix}${i}`);
  const server = useServer({
    profile: "platform",
    devices: registryOf(...names),
    platform: { rates: { enabled: false }, ...platform },
    ...options,
  });
  let used = 0;
  return { server, nextName: () => names[used++] };
}
