// The cells of the platform's matrix: who speaks, and on which topics he may publish and subscribe. A topic is written with the
// names of the device it is about; "consumed" ones end at a service and reach no subscriber.
import { sign } from "../../src/platform/sign-in/signature.ts";
import type { DeviceId } from "../../src/platform/user-name.ts";
import { CLASSES } from "../platform/devices.ts";
import { connectDevice, PK, registryOf, secretOf } from "../platform/signed-device.ts";
import type { RawClient } from "../support/raw-client.ts";
import type { TestServer } from "../support/server.ts";
import type { ConnectOptions, Version } from "../support/wire.ts";

export const GPK = "a1GATEWAY01";
/** A product with free topics [TOPIC-10]. */
export const FREE_PK = "a1FREE00001";
const OTHER = "a1OTHER00001";
/** Whom nobody here may speak for, and to whom nothing may get. */
export const FOREIGN = "foreign1";

export interface Topic {
  readonly about: string;
  readonly of: (productKey: string, deviceName: string) => string;
  readonly publish: boolean | "consumed";
  readonly subscribe: boolean;
}

const own = (about: string, suffix: string, publish: Topic["publish"], subscribe: boolean): Topic => ({
  about,
  of: (pk, dn) => suffix.replace("{own}", `${pk}/${dn}`),
  publish,
  subscribe,
});
const closed = (about: string, topic: string): Topic => ({
  about,
  of: () => topic,
  publish: false,
  subscribe: false,
});

export const TOPICS: readonly Topic[] = [
  own("own, PUB", "/{own}/user/update", true, false),
  own("own, SUB", "/{own}/user/get", false, true),
  own("own, ALL", "/{own}/user/both", true, true),
  own("own, no class", "/{own}/user/none", false, false),
  own("own, without user/", "/{own}/both", false, false),
  own("thing", "/sys/{own}/thing/anything", true, true),
  own("call", "/sys/{own}/rrpc/request/1", false, true),
  own("answer to a call", "/sys/{own}/rrpc/response/1", "consumed", false),
  own("call on a custom topic", "/ext/rrpc/1/{own}/user/both", "consumed", true),
  own("time, request", "/ext/ntp/{own}/request", "consumed", false),
  own("time, response", "/ext/ntp/{own}/response", false, true),
  own("shadow, update", "/shadow/update/{own}", "consumed", false),
  own("shadow, get", "/shadow/get/{own}", false, true),
  own("firmware, upgrade", "/ota/device/upgrade/{own}", false, true),
  own("session, reply", "/ext/session/{own}/combine/login_reply", false, true),
  own("gateway's errors", "/ext/error/{own}", false, true),
  own("broadcast to one", "/sys/{own}/broadcast/request/1", false, true),
  closed("another device's, ALL", `/${PK}/${FOREIGN}/user/both`),
  closed("another device's shadow", `/shadow/get/${PK}/${FOREIGN}`),
  closed("another device's things", `/sys/${PK}/${FOREIGN}/thing/anything`),
  closed("another product's", `/${OTHER}/${FOREIGN}/user/both`),
  closed("another product's broadcasts", `/broadcast/${OTHER}/news`),
  closed("push only", "/ext/register"),
  closed("free", "free/topic"),
  closed("free, as a level like a product's", "/free"),
  closed("the broker's own", "$SYS/anything"),
];

/** A client, and in whose name it speaks. */
export interface Speaker {
  readonly client: RawClient;
  readonly productKey: string;
  readonly deviceName: string;
  /** Whose connection it is. */
  readonly owner: DeviceId;
}

export interface SpeakerKind {
  readonly kind: string;
  /** Its rights are those of the table; otherwise it has none on these topics. */
  readonly speaks: boolean;
  /** Still so in its next connection, without doing anything. */
  readonly lasts: boolean;
  readonly open: (server: TestServer, version: Version, options?: ConnectOptions) => Promise<Speaker>;
}

const DEVICES = Array.from({ length: 400 }, (_, i) => `device${i}`);
const GATEWAYS = Array.from({ length: 200 }, (_, i) => `gate${i}`);
let devices = 0;
let gateways = 0;

export function matrixRegistry() {
  const registry = registryOf(FOREIGN, ...DEVICES);
  registry.putProduct({
    productKey: GPK,
    productSecret: "GatewaySecret001",
    nodeType: "gateway",
    topicClasses: CLASSES,
  });
  registry.putProduct({
    productKey: FREE_PK,
    productSecret: "FreeSecret000001",
    freeTopics: true,
    topicClasses: CLASSES,
  });
  registry.putProduct({ productKey: OTHER, productSecret: "OtherSecret00001" });
  for (const deviceName of ["free1", "free2"])
    registry.putDevice({ productKey: FREE_PK, deviceName, deviceSecret: secretOf(deviceName) });
  for (const deviceName of GATEWAYS)
    registry.putDevice({ productKey: GPK, deviceName, deviceSecret: secretOf(deviceName) });
  return registry;
}

async function gateway(server: TestServer, version: Version, options: ConnectOptions): Promise<Speaker> {
  const deviceName = GATEWAYS[gateways++];
  const client = await connectDevice(server, version, deviceName, {
    ...options,
    productKey: GPK,
    extensions: "_ss=1",
  });
  const owner = { productKey: GPK, deviceName };
  return { client, ...owner, owner };
}

/** Related to the gateway and, `login`, logged in over it. */
async function subDevice(
  server: TestServer,
  version: Version,
  options: ConnectOptions,
  login: boolean,
): Promise<Speaker> {
  const { client, owner } = await gateway(server, version, options);
  const gate = owner.deviceName;
  const deviceName = DEVICES[devices++];
  const named = { productKey: PK, deviceName, clientId: "c", timestamp: "1", signMethod: "hmacSha256" };
  const content = `clientIdcdeviceName${deviceName}productKey${PK}timestamp1`;
  const params = { ...named, sign: sign("hmacsha256", secretOf(deviceName), content) };
  const ask = async (topic: string, asked: unknown): Promise<void> => {
    await client.publish(topic, JSON.stringify({ id: "1", params: asked }));
    const { code } = JSON.parse((await client.receive()).text) as { code: number };
    if (code !== 200) throw new Error(`${topic}: ${code}`);
  };
  await ask(`/sys/${GPK}/${gate}/thing/topo/add`, [params]);
  if (login) await ask(`/ext/session/${GPK}/${gate}/combine/login`, params);
  return { client, productKey: PK, deviceName, owner };
}

export const SPEAKERS: readonly SpeakerKind[] = [
  {
    kind: "a device",
    speaks: true,
    lasts: true,
    open: async (server, version, options = {}) => {
      const owner = { productKey: PK, deviceName: DEVICES[devices++] };
      return { client: await connectDevice(server, version, owner.deviceName, options), ...owner, owner };
    },
  },
  {
    kind: "a gateway for itself",
    speaks: true,
    lasts: true,
    open: (server, version, options = {}) => gateway(server, version, options),
  },
  {
    kind: "a gateway for a sub-device that is logged in",
    speaks: true,
    lasts: false,
    open: (server, version, options = {}) => subDevice(server, version, options, true),
  },
  {
    kind: "a gateway for a sub-device that is not logged in",
    speaks: false,
    lasts: false,
    open: (server, version, options = {}) => subDevice(server, version, options, false),
  },
];
