// Gateways and sub-devices over real sockets: a registry that holds both, and what a gateway sends for its sub-devices.
import { expect } from "vitest";
import type { MemoryRegistry } from "../../src/platform/registry/index.ts";
import { sign } from "../../src/platform/sign-in/signature.ts";
import type { RawClient } from "../support/raw-client.ts";
import type { TestServer } from "../support/server.ts";
import type { Version } from "../support/wire.ts";
import { CLASSES } from "./devices.ts";
import { connectDevice, type DeviceConnect, PK, registryOf, secretOf } from "./signed-device.ts";

export const GPK = "a1GATEWAY01";

/** Devices of the product PK, and gateways of GPK with the same topic classes. */
export function registryWithGateways(
  devices: readonly string[],
  gateways: readonly string[],
): MemoryRegistry {
  const registry = registryOf(...devices);
  const gateway = { productKey: GPK, productSecret: "GatewaySecret001", topicClasses: CLASSES };
  registry.putProduct({ ...gateway, nodeType: "gateway" });
  for (const deviceName of gateways)
    registry.putDevice({ productKey: GPK, deviceName, deviceSecret: secretOf(deviceName) });
  return registry;
}

/** What a sub-device of PK is named and signed by, in a topology or a login. */
export function signedSub(deviceName: string): object {
  const clientId = `${PK}&${deviceName}`;
  const content = `clientId${clientId}deviceName${deviceName}productKey${PK}timestamp1`;
  const named = { productKey: PK, deviceName, clientId, timestamp: "1", signMethod: "hmacSha256" };
  return { ...named, sign: sign("hmacsha256", secretOf(deviceName), content) };
}

export class Gateway {
  readonly client: RawClient;
  readonly name: string;

  private constructor(client: RawClient, name: string) {
    this.client = client;
    this.name = name;
  }

  static async open(
    server: TestServer,
    version: Version,
    name: string,
    options: DeviceConnect = {},
  ): Promise<Gateway> {
    const connect = { productKey: GPK, extensions: "_ss=1", ...options };
    return new Gateway(await connectDevice(server, version, name, connect), name);
  }

  /** Asks, and returns the code of the reply. */
  async ask(topic: string, params: unknown): Promise<number> {
    this.client.send(
      this.client.wire.publish(topic, JSON.stringify({ id: "1", version: "1.0", params }), { qos: 0 }),
    );
    const reply = await this.client.receive();
    expect(reply.topic).toBe(`${topic}_reply`);
    return (JSON.parse(reply.text) as { code: number }).code;
  }

  relate = (sub: string): Promise<number> =>
    this.ask(`/sys/${GPK}/${this.name}/thing/topo/add`, [signedSub(sub)]);
  login = (sub: string): Promise<number> =>
    this.ask(`/ext/session/${GPK}/${this.name}/combine/login`, signedSub(sub));
  logout = (sub: string): Promise<number> =>
    this.ask(`/ext/session/${GPK}/${this.name}/combine/logout`, { productKey: PK, deviceName: sub });

  /** With sub-devices that are related to it and logged in. */
  async with(...subs: string[]): Promise<this> {
    for (const sub of subs) {
      expect(await this.relate(sub)).toBe(200);
      expect(await this.login(sub)).toBe(200);
    }
    return this;
  }
}
