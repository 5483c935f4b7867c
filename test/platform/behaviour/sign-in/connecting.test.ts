// How often a device may connect, over which protocol it may come back, and what AUTH is worth: over real sockets.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ReasonCode } from "../../../../src/protocol/reason-codes.ts";
import type { RawClient } from "../../../support/raw-client.ts";
import { BOTH, eventually, TestServer, useServer } from "../../../support/server.ts";
import type { ConnectOptions, Version } from "../../../support/wire.ts";
import { connectDevice, deviceConnect, PK, registryOf } from "../../signed-device.ts";

const WRONG = { password: "0".repeat(64) };
const NAMES = Array.from({ length: 60 }, (_, i) => `device${i}`);
const registry = registryOf(...NAMES);
const server = useServer({ profile: "platform", devices: registry });
let used = 0;
const nextName = (): string => NAMES[used++];

async function refused(
  on: TestServer,
  version: Version,
  options: ConnectOptions,
  code3: number,
  reason: number,
): Promise<void> {
  const client = await on.open(version);
  client.send(client.wire.connect(options));
  await client.expectRefusal(code3, reason);
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[CONN-3] five attempts in a minute are let in, the sixth is refused", async () => {
    const name = nextName();
    for (let i = 0; i < 5; i++) await connectDevice(server, version, name);
    await refused(server, version, deviceConnect(name), 3, ReasonCode.connectionRateExceeded);
    await refused(server, version, deviceConnect(name), 3, ReasonCode.connectionRateExceeded);
    // It is the device's own affair.
    await (await connectDevice(server, version, nextName())).fence();
  });

  test("[CONN-3] a stranger with wrong credentials waits, and locks nobody out but his own address", async () => {
    const name = nextName();
    for (let i = 0; i < 5; i++) await refused(server, version, deviceConnect(name, WRONG), 4, 0x86);
    for (let i = 0; i < 3; i++) await refused(server, version, deviceConnect(name, WRONG), 3, 0x9f);
    const elsewhere = await server.open(version, { localAddress: "127.0.0.2" });
    await elsewhere.connect(deviceConnect(name));
    await elsewhere.fence();
  });

  test("[CONN-3] [AUTH-13] the same for a name that does not exist: the refusals tell nothing", async () => {
    const name = `nobody${version}`;
    for (let i = 0; i < 5; i++) await refused(server, version, deviceConnect(name, WRONG), 4, 0x86);
    await refused(server, version, deviceConnect(name, WRONG), 3, 0x9f);
  });

  test("[NET-4] an Authentication Method in CONNECT, and an AUTH packet, are bad methods", async () => {
    if (version !== 5) return;
    const properties = { authenticationMethod: "SCRAM-SHA-256" };
    await refused(server, 5, deviceConnect(nextName(), { properties }), 5, 0x8c);
    const device = await connectDevice(server, 5, nextName());
    device.send(device.wire.auth(0x19, { authenticationMethod: "SCRAM-SHA-256" }));
    await device.expectEnd(0x8c);
  });

  test("[AUTH-14] the first connection activates a device, once", async () => {
    const name = nextName();
    const state = () => registry.findDevice(PK, name);
    expect(state()?.activatedAt).toBeUndefined();
    await refused(server, version, deviceConnect(name, WRONG), 4, 0x86);
    expect(state()?.activatedAt).toBeUndefined();
    const client = await connectDevice(server, version, name);
    await client.fence();
    await eventually(() => state()?.activatedAt !== undefined, "it is activated");
    const first = state();
    expect(first && registry.stateOf(first).status).toBe("ONLINE");
    await connectDevice(server, version, name);
    expect(state()?.activatedAt).toBe(first?.activatedAt);
  });
});

describe("[NET-3] protocol family", () => {
  const family = (name: string) => registry.findDevice(PK, name)?.protocolFamily;

  test("from 3.x to 5.0 once, and never back; after a reset anew", async () => {
    const name = nextName();
    await connectDevice(server, 3, name);
    await connectDevice(server, 4, name);
    await eventually(() => family(name) === "3.x", "3.x is noted");
    await connectDevice(server, 5, name);
    await eventually(() => family(name) === "5", "5.0 is noted");
    await refused(server, 4, deviceConnect(name), 5, 0x84);
    await refused(server, 3, deviceConnect(name), 5, 0x84);
    await refused(server, 4, deviceConnect(name, WRONG), 4, 0x86);
    await registry.resetDevice(PK, name);
    await connectDevice(server, 4, name);
  });
});

describe("settings", () => {
  let other: TestServer;
  let busy: RawClient;
  beforeAll(async () => {
    other = new TestServer({
      profile: "platform",
      devices: registryOf("device1", "device2", "device3"),
      platform: {
        connection: { attemptsPerMinute: 0, attemptsPerSecond: 2 },
        mqtt5: { oneFamily: false },
        codes: { account: { code3: 5, reason: 0x97 } },
      },
    });
    await other.start();
  });
  afterAll(() => other.stop());

  test("[CONN-4] all devices together: so many in a second, with the codes of the settings; then again", async () => {
    const names = ["device1", "device2", "device3"];
    const answers = await Promise.all(
      names.map(async (name) => {
        const client = await other.open(4);
        client.send(client.wire.connect(deviceConnect(name)));
        return (await client.of("connack")).reason;
      }),
    );
    expect(answers.sort()).toEqual([0, 0, 5]);
    await eventually(async () => {
      busy = await other.open(4);
      busy.send(busy.wire.connect(deviceConnect("device3")));
      return (await busy.of("connack")).reason === 0;
    }, "the second is over");
    await busy.fence();
  });

  test("[NET-3] may be switched off", async () => {
    await eventually(async () => {
      const client = await other.open(5);
      client.send(client.wire.connect(deviceConnect("device1")));
      return (await client.of("connack")).reason === 0;
    }, "5.0 signs in");
    await eventually(async () => {
      const client = await other.open(4);
      client.send(client.wire.connect(deviceConnect("device1")));
      return (await client.of("connack")).reason === 0;
    }, "3.1.1 signs in");
  });

  test("without rates a device connects as often as it likes", async () => {
    const free = new TestServer({
      profile: "platform",
      devices: registryOf("device1"),
      platform: { rates: { enabled: false } },
    });
    await free.start();
    for (let i = 0; i < 20; i++) await connectDevice(free, 4, "device1");
    for (let i = 0; i < 20; i++) await refused(free, 4, deviceConnect("device1", WRONG), 4, 0x86);
    await free.stop();
  });
});
