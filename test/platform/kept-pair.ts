// A gateway and its sub-device over real sockets, for what is kept for one that logged in with cleanSession false.
import { expect } from "vitest";
import { sign } from "../../src/platform/sign-in/signature.ts";
import type { RawClient } from "../support/raw-client.ts";
import { eventually, type TestServer } from "../support/server.ts";
import type { Version } from "../support/wire.ts";
import { connectDevice, type DeviceConnect, PK, registryOf, secretOf } from "./signed-device.ts";

export const GPK = "a1GATEWAY01";
export const NAMES = Array.from({ length: 60 }, (_, i) => `sub${String(i).padStart(2, "0")}`);
/** Those of a test file. */
export const devices = registryOf(...NAMES);
devices.putProduct({ productKey: GPK, productSecret: "GatewaySecret001", nodeType: "gateway" });
for (const name of NAMES)
  devices.putDevice({
    productKey: GPK,
    deviceName: `gate-${name}`,
    deviceSecret: secretOf(`gate-${name}`),
  });
export const options = { profile: "platform", devices, platform: { rates: { enabled: false } } } as const;
export const KEPT = { clean: false, properties: { sessionExpiryInterval: 1_000 } } as const;
let used = 0;
/** One that no test has used. */
export const nextName = (): string => NAMES[used++];

function signed(deviceName: string) {
  const clientId = `${PK}&${deviceName}`;
  const content = `clientId${clientId}deviceName${deviceName}productKey${PK}timestamp1581417203000`;
  return {
    productKey: PK,
    deviceName,
    clientId,
    timestamp: "1581417203000",
    signMethod: "hmacSha256",
    sign: sign("hmacsha256", secretOf(deviceName), content),
  };
}

/** A gateway and a sub-device of it. */
export class Pair {
  readonly sub = nextName();
  gate = `gate-${this.sub}`;
  readonly topic = `/${PK}/${this.sub}/user/both`;
  readonly version: Version;
  readonly at: TestServer;
  client!: RawClient;

  constructor(version: Version, at: TestServer) {
    this.version = version;
    this.at = at;
  }

  /** The gateway connects, for the first time or again. */
  async open(connect: DeviceConnect = {}): Promise<this> {
    const signedIn = { productKey: GPK, extensions: "_ss=1", ...connect };
    this.client = await connectDevice(this.at, this.version, this.gate, signedIn);
    return this;
  }

  async #ask(topic: string, params: unknown): Promise<void> {
    await this.client.publish(topic, JSON.stringify({ id: "1", version: "1.0", params }));
    const reply = await this.client.receive();
    expect(reply.topic).toBe(`${topic}_reply`);
    expect(JSON.parse(reply.text)).toMatchObject({ code: 200 });
  }

  relate = (): Promise<void> => this.#ask(`/sys/${GPK}/${this.gate}/thing/topo/add`, [signed(this.sub)]);
  login = (cleanSession?: "true" | "false"): Promise<void> =>
    this.#ask(`/ext/session/${GPK}/${this.gate}/combine/login`, { ...signed(this.sub), cleanSession });
  logout = (): Promise<void> =>
    this.#ask(`/ext/session/${GPK}/${this.gate}/combine/logout`, {
      productKey: PK,
      deviceName: this.sub,
    });

  /** Logged in, and subscribed to its topic. */
  async begin(
    cleanSession: "true" | "false" | undefined,
    connect: DeviceConnect = {},
    qos: 0 | 1 = 1,
  ): Promise<this> {
    await this.open(connect);
    await this.relate();
    await this.login(cleanSession);
    expect((await this.client.subscribe([{ filter: this.topic, qos }])).reasons).toEqual([qos]);
    return this;
  }

  async send(...texts: string[]): Promise<void> {
    for (const payload of texts) await this.at.broker.publish({ topic: this.topic, payload, qos: 1 });
  }

  /** These come next, as QoS 1, in this order. */
  async expectTexts(...texts: string[]): Promise<void> {
    const got: string[] = [];
    for (const _ of texts) {
      const message = await this.client.receive();
      expect(message).toMatchObject({ topic: this.topic, qos: 1 });
      got.push(message.text);
    }
    expect(got).toEqual(texts);
    await this.client.expectNothing();
  }

  /** The gateway's connection is gone, and the broker knows. */
  async lose(): Promise<void> {
    this.client.destroy();
    await eventually(
      () => !devices.isOnline({ productKey: PK, deviceName: this.sub }),
      "the sub-device is offline",
    );
  }
}
