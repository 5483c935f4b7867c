// Who speaks in the platform's matrix: every kind of client there is, each opened anew for the path it walks.
import { CLASSES } from "../platform/devices.ts";
import { deviceConnect, PK, secretOf } from "../platform/signed-device.ts";
import { Gateway, GPK, registryWithGateways } from "../platform/signed-gateway.ts";
import type { DeviceId } from "../../src/platform/names/user-name.ts";
import { sign } from "../../src/platform/sign-in/signature.ts";
import type { RawClient } from "../support/raw-client.ts";
import type { TestServer } from "../support/server.ts";
import type { ConnectOptions, Version } from "../support/wire.ts";
import { FOREIGN, OTHER } from "./platform-cells.ts";

/** A product with free topics [TOPIC-10]. */
export const FREE_PK = "a1FREE00001";
/** One whose devices register themselves [DYN-4]. */
const OPEN_PK = "a1OPEN00001";
const OPEN_SECRET = "OpenSecret000001";
const TOKEN = { clientId: "client1", deviceToken: "a token of the matrix" };

/** A client, and in whose name it speaks. */
export interface Speaker {
  readonly client: RawClient;
  readonly productKey: string;
  readonly deviceName: string;
  /** The CONNECT of whose connection it is, with these options. */
  readonly sign: (options?: ConnectOptions) => ConnectOptions;
}

export interface SpeakerKind {
  readonly kind: string;
  /** Its rights are those of the table; otherwise it has none on these topics. */
  readonly speaks: boolean;
  /** Still so in its next connection, without doing anything. */
  readonly lasts: boolean;
  /** Free topics are open to it. */
  readonly free?: boolean;
  /** Its connection has no session that another could take over, and its Will is not refused, and never sent [DYN-5]. */
  readonly errand?: boolean;
  /** Gets what services send without subscribing it [SUB-5]. */
  readonly declared?: boolean;
  readonly open: (server: TestServer, version: Version, options?: ConnectOptions) => Promise<Speaker>;
}

const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const DEVICES = names("device", 600);
const GATEWAYS = names("gate", 300);
const FREE = names("free", 60);
let devices = 0;
let gateways = 0;
let freeDevices = 0;

export function matrixRegistry() {
  const registry = registryWithGateways([FOREIGN], GATEWAYS);
  for (const deviceName of DEVICES)
    registry.putDevice({ productKey: PK, deviceName, deviceSecret: secretOf(deviceName), tokens: [TOKEN] });
  const free = { productSecret: "FreeSecret000001", freeTopics: true, topicClasses: CLASSES };
  registry.putProduct({ productKey: FREE_PK, ...free });
  for (const deviceName of FREE)
    registry.putDevice({ productKey: FREE_PK, deviceName, deviceSecret: secretOf(deviceName) });
  registry.putProduct({ productKey: OTHER, productSecret: "OtherSecret00001" });
  registry.putDevice({ productKey: OTHER, deviceName: FOREIGN, deviceSecret: secretOf(FOREIGN) });
  const open = { productSecret: OPEN_SECRET, dynamicRegistration: true, topicClasses: CLASSES };
  registry.putProduct({ productKey: OPEN_PK, ...open });
  return registry;
}

async function itself(
  server: TestServer,
  version: Version,
  { productKey, deviceName }: DeviceId,
  options: ConnectOptions,
): Promise<Speaker> {
  const connect = (more?: ConnectOptions): ConnectOptions =>
    deviceConnect(deviceName, { productKey, ...more });
  const client = await server.connect(version, connect(options));
  return { client, productKey, deviceName, sign: connect };
}

/** A gateway, and a sub-device that is related to it. */
async function subDevice(server: TestServer, version: Version, options: ConnectOptions) {
  const name = GATEWAYS[gateways++];
  const deviceName = DEVICES[devices++];
  const gate = await Gateway.open(server, version, name, options);
  if ((await gate.relate(deviceName)) !== 200) throw new Error("no topology");
  const connect = (more?: ConnectOptions): ConnectOptions =>
    deviceConnect(name, { productKey: GPK, extensions: "_ss=1", ...more });
  const speaker: Speaker = { client: gate.client, productKey: PK, deviceName, sign: connect };
  return { gate, speaker };
}

function registration(deviceName: string) {
  const content = `deviceName${deviceName}productKey${OPEN_PK}random1`;
  return (more?: ConnectOptions): ConnectOptions => ({
    clientId: "x|securemode=-2,authType=regnwl,random=1,signmethod=hmacsha256|",
    username: `${deviceName}&${OPEN_PK}`,
    password: sign("hmacsha256", OPEN_SECRET, content),
    ...more,
  });
}

export const SPEAKERS: readonly SpeakerKind[] = [
  {
    kind: "a device",
    speaks: true,
    lasts: true,
    open: (server, version, options = {}) =>
      itself(server, version, { productKey: PK, deviceName: DEVICES[devices++] }, options),
  },
  {
    kind: "a device with a token",
    speaks: true,
    lasts: true,
    open: async (server, version, options = {}) => {
      const deviceName = DEVICES[devices++];
      const connect = (more?: ConnectOptions): ConnectOptions => ({
        clientId: `${TOKEN.clientId}|securemode=-2,authType=connwl|`,
        username: `${deviceName}&${PK}`,
        password: TOKEN.deviceToken,
        keepAlive: 60,
        ...more,
      });
      const client = await server.connect(version, connect(options));
      return { client, productKey: PK, deviceName, sign: connect };
    },
  },
  {
    kind: "a device of a product with free topics",
    speaks: true,
    lasts: true,
    free: true,
    open: (server, version, options = {}) =>
      itself(server, version, { productKey: FREE_PK, deviceName: FREE[freeDevices++] }, options),
  },
  {
    kind: "a gateway for itself",
    speaks: true,
    lasts: true,
    declared: true,
    open: (server, version, options = {}) => {
      const connect = { extensions: "_ss=1", ...options };
      return itself(server, version, { productKey: GPK, deviceName: GATEWAYS[gateways++] }, connect);
    },
  },
  {
    kind: "a gateway for a sub-device that is logged in",
    speaks: true,
    lasts: false,
    declared: true,
    open: async (server, version, options = {}) => {
      const { gate, speaker } = await subDevice(server, version, options);
      if ((await gate.login(speaker.deviceName)) !== 200) throw new Error("no login");
      return speaker;
    },
  },
  {
    kind: "a gateway for a sub-device that is not logged in",
    speaks: false,
    lasts: false,
    open: async (server, version, options = {}) => (await subDevice(server, version, options)).speaker,
  },
  {
    kind: "a gateway for a sub-device that has connected itself since",
    speaks: false,
    lasts: false,
    open: async (server, version, options = {}) => {
      const { gate, speaker } = await subDevice(server, version, options);
      const { deviceName } = speaker;
      if ((await gate.login(deviceName)) !== 200) throw new Error("no login");
      // What it subscribed meanwhile must bring nothing any more.
      await gate.client.subscribe([`/${PK}/${deviceName}/user/both`, `/sys/${PK}/${deviceName}/thing/#`]);
      await itself(server, version, { productKey: PK, deviceName }, {});
      await gate.client.receive(); // 427
      return speaker;
    },
  },
  {
    kind: "a device that registers itself",
    speaks: false,
    lasts: false,
    errand: true,
    open: async (server, version, options = {}) => {
      const client = await server.connect(version, registration(DEVICES[devices++])(options));
      const { deviceName } = JSON.parse((await client.receive()).text) as DeviceId;
      // A device has five tokens: each further CONNECT is another one's.
      const again = (more?: ConnectOptions): ConnectOptions => registration(DEVICES[devices++])(more);
      return { client, productKey: OPEN_PK, deviceName, sign: again };
    },
  },
];
