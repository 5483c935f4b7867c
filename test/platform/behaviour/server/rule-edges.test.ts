// Edges of rules that other tests only pass by: what a rule does not forbid, and whom it does not reach. Over real sockets, in
// 3.1.1 and 5.0.
import { describe, expect, test } from "vitest";
import { BOTH, useServer } from "../../../support/server.ts";
import type { Version } from "../../../support/wire.ts";
import { connectDevice, deviceConnect, PK, secretOf } from "../../signed-device.ts";
import { Gateway, GPK, registryWithGateways, signedSub } from "../../signed-gateway.ts";

const NAMES = Array.from({ length: 60 }, (_, i) => `device${i}`);
const GATES = Array.from({ length: 10 }, (_, i) => `gate${i}`);
const TOKENS = [{ clientId: "client1", deviceToken: "token" }];
const devices = registryWithGateways(NAMES, GATES);
const server = useServer({
  profile: "platform",
  devices,
  platform: {
    gateway: { maxSubDevices: 3, loginsPerSecond: 12 },
    broadcast: { callsPerMinute: 0 },
    connection: { attemptsPerMinute: 0 },
  },
});
let used = 0;
let gates = 0;
const nextName = (): string => NAMES[used++];
const openGateway = (version: Version): Promise<Gateway> => Gateway.open(server, version, GATES[gates++]);

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[BCAST-1] a broadcast reaches no device of another product", async () => {
    const device = await connectDevice(server, version, nextName());
    const gate = await openGateway(version);
    await server.broker.broadcast(PK, "for PK");
    expect((await device.receive()).text).toBe("for PK");
    await gate.client.expectNothing();
    // It was not even tried: that would stand in its log.
    const found = await server.broker.runLog.search({
      device: { productKey: GPK, deviceName: gate.name },
      businessType: "cloud-to-device message",
    });
    expect(found).toEqual([]);
    await server.broker.broadcast(GPK, "for GPK");
    expect((await gate.client.receive()).text).toBe("for GPK");
    await device.expectNothing();
  });

  test("[AUTH-13] a device that is deleted leaves no session to the next one of its name", async () => {
    const deviceName = nextName();
    const kept = { clean: false, properties: { sessionExpiryInterval: 1_000 } };
    const topic = `/${PK}/${deviceName}/user/get`;
    for (const how of ["connected", "away"]) {
      const device = await connectDevice(server, version, deviceName, kept);
      expect(device.connack.sessionPresent, how).toBe(false);
      await device.subscribe([{ filter: topic, qos: 1 }]);
      if (how === "away") {
        await device.disconnect();
        await server.broker.publish({ topic, payload: "for the old one", qos: 1 });
      }
      await devices.deleteDevice(PK, deviceName);
      if (how === "connected") await device.expectEnd(0x98);
      await devices.createDevice({ productKey: PK, deviceName, deviceSecret: secretOf(deviceName) });
    }
    const next = await connectDevice(server, version, deviceName, kept);
    expect(next.connack.sessionPresent).toBe(false);
    await next.expectNothing();
  });

  test("[LIMIT-6] 428: more sub-devices than may be online, one by one and in a batch", async () => {
    const gate = await openGateway(version);
    const subs = Array.from({ length: 4 }, nextName);
    const gateway = { productKey: GPK, deviceName: gate.name };
    // Related by the server's side, which is not bound to the number.
    for (const sub of subs) await devices.updateDevice(PK, sub, { gateway });
    for (const sub of subs.slice(0, 2)) expect(await gate.login(sub)).toBe(200);
    const batch = `/ext/session/${GPK}/${gate.name}/combine/batch_login`;
    expect(await gate.ask(batch, { deviceList: subs.slice(2).map(signedSub) })).toBe(428);
    expect(await gate.login(subs[2])).toBe(200);
    expect(await gate.login(subs[3])).toBe(428);
    // One that is logged in already is none more.
    expect(await gate.login(subs[0])).toBe(200);
    expect(await gate.logout(subs[0])).toBe(200);
    expect(await gate.login(subs[3])).toBe(200);
  });

  test("[LIMIT-6] 429: more logins of sub-devices in a second than a gateway may ask for; another's are not concerned", async () => {
    const [gate, other] = [await openGateway(version), await openGateway(version)];
    const [sub, theirs] = [nextName(), nextName()];
    expect([await gate.relate(sub), await other.relate(theirs)]).toEqual([200, 200]);
    const login = `/ext/session/${GPK}/${gate.name}/combine/login`;
    const request = JSON.stringify({ id: "1", params: signedSub(sub) });
    const { client } = gate;
    client.send(...Array.from({ length: 20 }, () => client.wire.publish(login, request)));
    const codes: number[] = [];
    while (codes.length < 20)
      codes.push((JSON.parse((await client.receive()).text) as { code: number }).code);
    expect(codes).toEqual([...Array(12).fill(200), ...Array(8).fill(429)]);
    expect(await other.login(theirs)).toBe(200);
  });

  test("[GW-4] [PERM-1] each message for a sub-device that is not logged in is answered 520", async () => {
    const gate = await openGateway(version);
    const sub = nextName();
    expect(await gate.relate(sub)).toBe(200);
    for (let time = 0; time < 3; time++) {
      await gate.client.publish(`/${PK}/${sub}/user/update`, "x");
      const { topic, text } = await gate.client.receive();
      expect(topic).toBe(`/ext/error/${GPK}/${gate.name}`);
      expect(JSON.parse(text)).toMatchObject({ code: 520, data: { productKey: PK, deviceName: sub } });
    }
  });

  test("[TOPIC-5] the broker's own names of calls may be longer than a topic may", async () => {
    const deviceName = nextName();
    const device = await connectDevice(server, version, deviceName, { extensions: "ext=1" });
    const front = `/sys/${PK}/${deviceName}/thing/service/`;
    const topic = front + "x".repeat(128 - front.length);
    expect((await device.subscribe([`/ext/rrpc/+${topic}`])).reasons).toEqual([0]);
    const call = server.broker.rrpc({ productKey: PK, deviceName }, "x", { topic });
    const request = await device.receive();
    expect(request.topic.length).toBeGreaterThan(128);
    expect((await device.publish(request.topic, "yes", { qos: 1 }))?.reason).toBe(0);
    expect(await call).toMatchObject({ code: "SUCCESS" });
  });
});

test("[NET-3] [SESS-0] a token is an identity of its own: the device's family does not bind it", async () => {
  const deviceName = nextName();
  const deviceSecret = secretOf(deviceName);
  await devices.deleteDevice(PK, deviceName);
  await devices.createDevice({ productKey: PK, deviceName, deviceSecret, tokens: TOKENS });
  await (await connectDevice(server, 5, deviceName)).disconnect();
  const refused = await server.open(4);
  refused.send(refused.wire.connect(deviceConnect(deviceName)));
  await refused.expectRefusal(5, 0x84);
  const byToken = await server.connect(4, {
    clientId: `${TOKENS[0].clientId}|securemode=-2,authType=connwl|`,
    username: `${deviceName}&${PK}`,
    password: TOKENS[0].deviceToken,
    keepAlive: 60,
  });
  await byToken.fence();
});

test("[NET-3] [SESS-0] nor does the family of a token bind the device", async () => {
  const deviceName = nextName();
  const deviceSecret = secretOf(deviceName);
  await devices.deleteDevice(PK, deviceName);
  await devices.createDevice({ productKey: PK, deviceName, deviceSecret, tokens: TOKENS });
  const byToken = await server.connect(5, {
    clientId: `${TOKENS[0].clientId}|securemode=-2,authType=connwl|`,
    username: `${deviceName}&${PK}`,
    password: TOKENS[0].deviceToken,
    keepAlive: 60,
  });
  await byToken.fence();
  await (await connectDevice(server, 4, deviceName)).fence();
});
