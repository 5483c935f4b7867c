// A platform with products of each kind, and their devices as they speak of their thing model over a real socket.
import { expect } from "vitest";
import type { MemoryRegistry } from "../../../../src/platform/registry/index.ts";
import type { RawClient } from "../../../support/raw-client.ts";
import { type TestServer, useServer } from "../../../support/server.ts";
import type { Version } from "../../../support/wire.ts";
import { connectDevice, PK, registryOf, secretOf } from "../../signed-device.ts";
import { MODEL } from "../../thing-models.ts";

/** With a thing model. */
export const MPK = "a1MODEL0001";
/** Of gateways. */
export const GPK = "a1GATEWAY01";
/** Of devices that send raw data. */
export const RPK = "a1RAW000001";
const NAMES = Array.from({ length: 80 }, (_, i) => `thing${String(i).padStart(2, "0")}`);

export interface Reply {
  code: number;
  id: unknown;
  message: string;
  method: string;
  version: string;
  data: Record<string, unknown>;
}

export class Thing {
  readonly client: RawClient;
  readonly productKey: string;
  readonly deviceName: string;
  constructor(client: RawClient, productKey: string, deviceName: string) {
    this.client = client;
    this.productKey = productKey;
    this.deviceName = deviceName;
  }
  get id() {
    return { productKey: this.productKey, deviceName: this.deviceName };
  }
  topic(path: string): string {
    return `/sys/${this.productKey}/${this.deviceName}/${path}`;
  }
  async send(path: string, body: unknown, qos: 0 | 1 = 0): Promise<void> {
    const payload = typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    await this.client.publish(this.topic(path), payload, { qos });
  }
  /** Asks with params; the reply must be the only message that comes. */
  async ask(path: string, params: unknown, more: object = {}): Promise<Reply> {
    await this.send(path, { id: "1", version: "1.0", params, ...more });
    return this.reply(path);
  }
  async reply(path: string): Promise<Reply> {
    const { topic, text } = await this.client.receive();
    expect(topic).toBe(this.topic(`${path}_reply`));
    return JSON.parse(text) as Reply;
  }
  async told(): Promise<{ topic: string; body: Record<string, unknown> }> {
    const message = await this.client.receive();
    if (message.qos > 0) await this.client.acknowledge(message);
    return { topic: message.topic, body: JSON.parse(message.text) as Record<string, unknown> };
  }
}

export interface Things {
  readonly devices: MemoryRegistry;
  readonly server: TestServer;
  /** Of devices that every product has. */
  readonly names: readonly string[];
  /** A name that no test has had before. */
  nextName(): string;
  /** A device that no test has had before, unless it is named, connected. */
  open(
    version: Version,
    productKey?: string,
    options?: { deviceName?: string; extensions?: string },
  ): Promise<Thing>;
}

export async function useThings(): Promise<Things> {
  const devices = registryOf(...NAMES);
  devices.putProduct({ productKey: MPK, productSecret: "ModelSecret00001" });
  await devices.setModel(MPK, JSON.stringify(MODEL));
  devices.putProduct({ productKey: GPK, productSecret: "GatewaySecret001", nodeType: "gateway" });
  devices.putProduct({ productKey: RPK, productSecret: "RawSecret0000001", dataFormat: "raw" });
  for (const deviceName of NAMES)
    for (const productKey of [MPK, GPK, RPK])
      devices.putDevice({ productKey, deviceName, deviceSecret: secretOf(deviceName) });
  const server = useServer({
    profile: "platform",
    devices,
    platform: { thing: { maxProperties: 300 } },
  });
  let used = 0;
  const nextName = (): string => NAMES[used++];
  return {
    devices,
    server,
    names: NAMES,
    nextName,
    async open(version, productKey = PK, { deviceName = nextName(), extensions = "_ss=1" } = {}) {
      const client = await connectDevice(server, version, deviceName, { productKey, extensions });
      return new Thing(client, productKey, deviceName);
    },
  };
}
