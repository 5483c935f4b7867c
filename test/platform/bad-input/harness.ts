// What the tests of malformed and hostile input share: a server, its devices, and the walk over the cases. Each case gets its
// stated reaction, is counted, and, where a device is known by it, stands in the run log; a witness notices nothing.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../support/raw-client.ts";
import { BOTH, eventually, useServer } from "../../support/server.ts";
import type { Version } from "../../support/wire.ts";
import { sign } from "../../../src/platform/sign-in/signature.ts";
import {
  connectDevice,
  type DeviceConnect,
  deviceConnect,
  PK,
  registryOf,
  secretOf,
} from "../signed-device.ts";
import { Witness } from "./witness.ts";

export const GPK = "a1GATEWAY01";
/** Its devices register themselves. */
export const OPEN = "a1OPEN00001";
export const OPEN_SECRET = "OpenSecret000001";
const NAMES = Array.from({ length: 200 }, (_, i) => `device${i}`);
const GATES = Array.from({ length: 20 }, (_, i) => `gate${i}`);
export const devices = registryOf(...NAMES);
devices.putProduct({ productKey: GPK, productSecret: "GatewaySecret001", nodeType: "gateway" });
devices.putProduct({ productKey: OPEN, productSecret: OPEN_SECRET, dynamicRegistration: true });
for (const deviceName of GATES)
  devices.putDevice({ productKey: GPK, deviceName, deviceSecret: secretOf(deviceName) });
export const server = useServer({
  profile: "platform",
  devices,
  limits: { connectTimeout: 1_500 },
  platform: { rrpc: { minTimeoutMs: 50 }, rates: { bytesPerSecond: 600_000 }, dynreg: { requireTls: false } },
});
let used = 0;
let gates = 0;
export const nextName = (): string => NAMES[used++];

/** A line of the run log that a case must leave. */
interface Line {
  readonly deviceName: string;
  readonly code: number;
  /** Stands in its reason. */
  readonly text?: string;
  /** Default: PK. */
  readonly productKey?: string;
}
export interface Case {
  readonly name: string;
  /** In 5.0 alone. */
  readonly only5?: boolean;
  /** Counters that must rise, by so much at least; a function: depending on the version. */
  readonly counts: Counts | ((version: Version) => Counts);
  /** Returns what the run log must hold; undefined: the stranger is no device, or what it does is right. */
  readonly run: (version: Version) => Promise<Line | readonly Line[] | undefined>;
}
type Counts = Readonly<Record<string, number>>;

export const connect = (version: Version, name: string, options?: DeviceConnect): Promise<RawClient> =>
  connectDevice(server, version, name, options);

export async function refused(
  version: Version,
  options: DeviceConnect,
  code3: number,
  reason: number,
  name = nextName(),
): Promise<string> {
  const client = await server.open(version);
  client.send(client.wire.connect(deviceConnect(name, options)));
  await client.expectRefusal(code3, reason);
  return name;
}

/** PUBLISH at QoS 1 that must be dropped: before 5.0 a plain PUBACK, in 5.0 the reason [PERM-1]. */
export async function dropped(client: RawClient, topic: string, payload = "x"): Promise<void> {
  const heard: string[] = [];
  const stop = await server.broker.subscribe(topic, (message) => void heard.push(message.topic));
  const { reason } = (await client.publish(topic, payload, { qos: 1 })) ?? {};
  expect(reason).toBe(client.version === 5 ? 0x87 : 0);
  expect(heard).toEqual([]);
  await stop();
}

export const nested = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`;
export const thing = (name: string, suffix: string): string => `/sys/${PK}/${name}/thing/${suffix}`;

/** A gateway, connected, with `sub` related to it. */
export async function gateway(version: Version, sub: string): Promise<{ gate: RawClient; name: string }> {
  const name = GATES[gates++];
  const gate = await connect(version, name, { productKey: GPK, extensions: "_ss=1" });
  await gate.publish(`/sys/${GPK}/${name}/thing/topo/add`, alink([signed(sub)]));
  expect(JSON.parse((await gate.receive()).text)).toMatchObject({ code: 200 });
  return { gate, name };
}

export const alink = (params: unknown): string => JSON.stringify({ id: "1", version: "1.0", params });

export function signed(deviceName: string): object {
  const clientId = `${PK}&${deviceName}`;
  const content = `clientId${clientId}deviceName${deviceName}productKey${PK}timestamp1`;
  const named = { productKey: PK, deviceName, clientId, timestamp: "1", signMethod: "hmacSha256" };
  return { ...named, sign: sign("hmacsha256", secretOf(deviceName), content) };
}

async function logged({ productKey = PK, deviceName, code, text = "" }: Line): Promise<void> {
  await eventually(async () => {
    const found = await server.broker.runLog.search({ device: { productKey, deviceName }, code });
    return found.some(({ content }) => content.Message?.includes(text));
  }, `code ${code} ${text} in the run log of ${deviceName}`);
}

const metricsOf = (names: readonly string[]): number[] => {
  const metrics = server.broker.metrics();
  return names.map((name) => metrics[name] ?? 0);
};

/** A test for each case, in 3.1.1 and 5.0. */
export function walk(cases: readonly Case[]): void {
  describe.each(BOTH)("MQTT %s", (_name, version) => {
    const here = cases.filter(({ only5 }) => only5 !== true || version === 5);
    test.each(here)("$name", async ({ run, counts }) => {
      const name = nextName();
      const witness = await Witness.of(await connect(version, name), name);
      const wanted = typeof counts === "function" ? counts(version) : counts;
      const counters = Object.keys(wanted);
      const before = metricsOf(counters);
      const lines = await witness.during(() => run(version));
      for (const line of lines === undefined ? [] : [lines].flat()) await logged(line);
      await eventually(
        () => metricsOf(counters).every((count, at) => count - before[at] >= wanted[counters[at]]),
        `${JSON.stringify(wanted)} counted, not ${metricsOf(counters).map((count, at) => count - before[at])}`,
      );
    });
  });
}
