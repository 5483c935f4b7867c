// What the business side is told of a device that comes and goes in more than one way: over its gateway, with several tokens.
// The last notice must be the truth, whoever took over from whom.
import { describe, expect, test } from "vitest";
import { BOTH, eventually, useServer } from "../../../support/server.ts";
import { connectDevice, PK, secretOf } from "../../signed-device.ts";
import { Gateway, registryWithGateways } from "../../signed-gateway.ts";

const NAMES = Array.from({ length: 12 }, (_, i) => `device${i}`);
const GATES = Array.from({ length: 12 }, (_, i) => `gate${i}`);
const TOKENS = Array.from({ length: 2 }, (_, i) => ({ clientId: `client${i}`, deviceToken: `token ${i}` }));
const devices = registryWithGateways(NAMES, GATES);
for (const deviceName of ["several4", "several5"])
  devices.putDevice({ productKey: PK, deviceName, deviceSecret: secretOf(deviceName), tokens: TOKENS });
const server = useServer({ profile: "platform", devices, platform: { rates: { enabled: false } } });
let used = 0;

/** What has been told of a device since, in order: "online", "offline". */
function follow(deviceName: string) {
  const told: string[] = [];
  const reader = server.broker.upstream();
  const reading = (async () => {
    for await (const { kind, device, payload } of reader)
      if (kind === "status" && device.deviceName === deviceName)
        told.push((JSON.parse(payload.toString()) as { status: string }).status);
  })();
  return {
    told,
    expect: (...expected: string[]) =>
      eventually(() => JSON.stringify(told) === JSON.stringify(expected), `${expected}; told: ${told}`),
    close: () => {
      reader.close();
      return reading;
    },
  };
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[STATUS-2] a sub-device that connects itself takes over from its gateway: offline, then online", async () => {
    const sub = NAMES[used];
    const gate = await Gateway.open(server, version, GATES[used++]);
    const notices = follow(sub);
    await gate.with(sub);
    await notices.expect("online");
    const device = await connectDevice(server, version, sub);
    await notices.expect("online", "offline", "online");
    expect(devices.isOnline({ productKey: PK, deviceName: sub })).toBe(true);
    const found = await server.broker.runLog.search({
      device: { productKey: PK, deviceName: sub },
      businessType: "device behaviour",
    });
    expect(found.map(({ operation }) => operation)).toEqual(["online", "offline", "online"]);
    await device.disconnect();
    await notices.expect("online", "offline", "online", "offline");
    await notices.close();
  });

  test("[STATUS-2] a gateway that logs a connected device in takes over from it: offline, then online", async () => {
    const sub = NAMES[used];
    const gate = await Gateway.open(server, version, GATES[used++]);
    const notices = follow(sub);
    const device = await connectDevice(server, version, sub);
    await notices.expect("online");
    await gate.with(sub);
    await device.closed();
    await notices.expect("online", "offline", "online");
    expect(devices.isOnline({ productKey: PK, deviceName: sub })).toBe(true);
    expect(await gate.logout(sub)).toBe(200);
    await notices.expect("online", "offline", "online", "offline");
    await notices.close();
  });

  test("[STATUS-1] a device with several tokens is online from its first connection to the end of its last", async () => {
    const name = version === 5 ? "several5" : "several4";
    const notices = follow(name);
    const connect = (at: number) =>
      server.connect(version, {
        clientId: `${TOKENS[at].clientId}|securemode=-2,authType=connwl|`,
        username: `${name}&${PK}`,
        password: TOKENS[at].deviceToken,
        keepAlive: 60,
      });
    const [one, two] = [await connect(0), await connect(1)];
    await notices.expect("online");
    await one.disconnect();
    await two.fence();
    expect(devices.isOnline({ productKey: PK, deviceName: name })).toBe(true);
    await notices.expect("online");
    await two.disconnect();
    await notices.expect("online", "offline");
    await notices.close();
  });
});
