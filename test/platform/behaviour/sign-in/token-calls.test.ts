// Calls of a device that is connected several times, each time with a token of its own, over real sockets in 3.1.1 and 5.0:
// every session is asked, and the first answer counts.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../../support/raw-client.ts";
import { BOTH, useServer } from "../../../support/server.ts";
import type { Publish } from "../../../support/packet.ts";
import type { Version } from "../../../support/wire.ts";
import { connectDevice, PK, registryOf, secretOf } from "../../signed-device.ts";

const NAMES = Array.from({ length: 24 }, (_, i) => `device${i}`);
const TOKENS = Array.from({ length: 3 }, (_, i) => ({ clientId: `client${i}`, deviceToken: `token ${i}` }));
const devices = registryOf();
for (const deviceName of NAMES)
  devices.putDevice({ productKey: PK, deviceName, deviceSecret: secretOf(deviceName), tokens: TOKENS });
const server = useServer({
  profile: "platform",
  devices,
  platform: { rates: { enabled: false }, rrpc: { minTimeoutMs: 50 } },
});
let used = 0;
const nextName = (): string => NAMES[used++];

const byToken = (deviceName: string, at: number, extensions: string) => ({
  clientId: `${TOKENS[at].clientId}|securemode=-2,authType=connwl,${extensions}|`,
  username: `${deviceName}&${PK}`,
  password: TOKENS[at].deviceToken,
  keepAlive: 60,
});

/** A connection for each of these `extensions`, with the tokens in turn. */
async function sessions(version: Version, name: string, ...extensions: string[]): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (const [at, own] of extensions.entries())
    clients.push(await server.connect(version, byToken(name, at, own)));
  return clients;
}

const answerTo = ({ topic }: Publish): string => topic.replace("/request/", "/response/");

async function strays(deviceName: string): Promise<unknown[]> {
  const found = await server.broker.runLog.search({ device: { productKey: PK, deviceName }, code: 1904 });
  return found.map(({ content }) => content.Params?.["topic"]);
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[SESS-0] what the platform tells a device waits for each of its tokens that is away", async () => {
    const deviceName = nextName();
    const kept = { clean: false, properties: { sessionExpiryInterval: 100 } };
    const connect = (at: number) => server.connect(version, { ...byToken(deviceName, at, "ext=0"), ...kept });
    const topic = `/sys/${PK}/${deviceName}/thing/service/property/set`;
    for (const at of [0, 1]) {
      const client = await connect(at);
      await client.subscribe({ filter: topic, qos: 1 });
      await client.disconnect();
    }
    await server.broker.things.setProperties({ productKey: PK, deviceName }, { speed: version }, { qos: 1 });
    for (const token of [0, 1]) {
      const message = await (await connect(token)).receive();
      expect([message.topic, JSON.parse(message.text).params]).toEqual([topic, { speed: version }]);
    }
  });

  test("[RRPC-6] [SESS-0] each session is asked; the first answer ends the call, the others are strays", async () => {
    const deviceName = nextName();
    const clients = await sessions(version, deviceName, "_ss=1", "_ss=1", "_ss=1");
    const reader = server.broker.upstream();
    const call = server.broker.rrpc({ productKey: PK, deviceName }, "which of you?");
    const requests = await Promise.all(clients.map((client) => client.receive()));
    expect(new Set(requests.map(({ topic }) => topic)).size).toBe(1);
    for (const { text, qos } of requests) expect([text, qos]).toEqual(["which of you?", 0]);
    const answer = answerTo(requests[0]);
    for (const at of [1, 0, 2])
      expect((await clients[at].publish(answer, `session ${at}`, { qos: 1 }))?.reason).toBe(0);
    expect(await call).toMatchObject({ code: "SUCCESS", payload: Buffer.from("session 1") });
    expect(await strays(deviceName)).toEqual([answer, answer]);
    // No answer goes to another session, or up to the business side.
    for (const client of clients) await client.expectNothing();
    await clients[0].publish(`/${PK}/${deviceName}/user/update`, "the end", { qos: 1 });
    for await (const { kind, payload } of reader) {
      if (kind !== "data") continue;
      expect(payload.toString()).toBe("the end");
      break;
    }
  });

  test("[RRPC-6] the session with the device's own secret is one of them, and one session answering twice counts once", async () => {
    const deviceName = nextName();
    const own = await connectDevice(server, version, deviceName, { extensions: "_ss=1" });
    const [token] = await sessions(version, deviceName, "_ss=1");
    const call = server.broker.rrpc({ productKey: PK, deviceName }, "x");
    const answer = answerTo(await own.receive());
    expect(answerTo(await token.receive())).toBe(answer);
    own.send(own.wire.publish(answer, "first"), own.wire.publish(answer, "second"));
    expect(await call).toMatchObject({ payload: Buffer.from("first") });
    await own.fence();
    await token.publish(answer, "third", { qos: 1 });
    expect(await strays(deviceName)).toHaveLength(2);
  });

  test("[RRPC-7] those that subscribed are asked; the call times out when none did; late answers count for nothing", async () => {
    const deviceName = nextName();
    const [first, second] = await sessions(version, deviceName, "ext=0", "ext=0");
    const id = { productKey: PK, deviceName };
    expect(await server.broker.rrpc(id, "x", { timeoutMs: 60 })).toMatchObject({ code: "TIMEOUT" });
    await second.subscribe(`/sys/${PK}/${deviceName}/rrpc/request/+`);
    const call = server.broker.rrpc(id, "y", { timeoutMs: 60 });
    const answer = answerTo(await second.receive());
    await first.expectNothing();
    expect(await call).toMatchObject({ code: "TIMEOUT" });
    // Also of the session that was not asked.
    for (const client of [second, first]) await client.publish(answer, "late", { qos: 1 });
    expect(await strays(deviceName)).toEqual([answer, answer]);
  });

  test("[RRPC-2] each in its own form: on the custom topic where it takes such calls, else on the system's", async () => {
    for (const answering of [0, 1]) {
      const deviceName = nextName();
      const topic = `/${PK}/${deviceName}/user/get`;
      const clients = await sessions(version, deviceName, "ext=1", "_ss=1");
      await clients[0].subscribe(`/ext/rrpc/+${topic}`);
      const call = server.broker.rrpc({ productKey: PK, deviceName }, "x", { topic });
      const [custom, system] = await Promise.all(clients.map((client) => client.receive()));
      expect(custom.topic).toMatch(new RegExp(`^/ext/rrpc/\\d+${topic}$`));
      const id = custom.topic.split("/")[3];
      expect(system.topic).toBe(`/sys/${PK}/${deviceName}/rrpc/request/${id}`);
      const answers = [custom.topic, answerTo(system)];
      await clients[answering].publish(answers[answering], "yes");
      expect(await call).toMatchObject({ payload: Buffer.from("yes") });
      await clients[1 - answering].publish(answers[1 - answering], "me too", { qos: 1 });
      expect(await strays(deviceName)).toEqual([answers[1 - answering]]);
    }
  });

  test("[RRPC-5] one that leaves takes nothing from the others; without any the device is offline", async () => {
    const deviceName = nextName();
    const clients = await sessions(version, deviceName, "_ss=1", "_ss=1");
    const id = { productKey: PK, deviceName };
    const call = server.broker.rrpc(id, "x");
    const [request] = await Promise.all(clients.map((client) => client.receive()));
    await clients[0].disconnect();
    await clients[1].publish(answerTo(request), "still here");
    expect(await call).toMatchObject({ payload: Buffer.from("still here") });
    await clients[1].disconnect();
    expect(await server.broker.rrpc(id, "x")).toMatchObject({ code: "OFFLINE" });
  });
});
