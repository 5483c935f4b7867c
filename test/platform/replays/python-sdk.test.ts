// What the Python Link SDK puts on the wire: SHA-1 in lower case, a timestamp in seconds, ext=1, numbers as ids, shadow updates
// at QoS 1, and no SUBSCRIBE for system topics.
import { describe, expect, test } from "vitest";
import { ALL, useServer } from "../../support/server.ts";
import { type Connect, PK, replay, replayRegistry, SECRET } from "./registry.ts";
import { sign } from "../../../src/platform/sign-in/signature.ts";

const server = useServer({
  profile: "platform",
  platform: { rates: { enabled: false } },
  devices: replayRegistry(),
});
const ID = { productKey: PK, deviceName: "device1" };
const TIMESTAMP = "1700000000";
const content = `clientId${PK}&device1deviceNamedevice1productKey${PK}timestamp${TIMESTAMP}`;
const PYTHON: Connect = {
  clientId: `${PK}&device1|securemode=3,signmethod=hmacsha1,ext=1,_ss=1,lan=Python,_v=1.2.13,sii=a1,b2,timestamp=${TIMESTAMP}|`,
  password: sign("hmacsha1", SECRET, content).toLowerCase(),
  keepAlive: 60,
  clean: true,
};

describe.each(ALL)("MQTT %s", (_name, version) => {
  const connect = () => replay(server, version, PYTHON);

  test("[AUTH-2] [AUTH-5] [AUTH-7] unknown words, SHA-1, a timestamp in seconds: let in", async () => {
    const { connack } = await connect();
    expect(connack.reason).toBe(0);
  });

  test("[SHADOW-1] [SUB-5] a shadow update at QoS 1 is acknowledged and answered without a SUBSCRIBE", async () => {
    const client = await connect();
    const payload = `{"method":"update","state":{"reported":{"a":${version}}},"version":${Date.now() + version * 100}}`;
    client.send(client.wire.publish(`/shadow/update/${PK}/device1`, payload, { qos: 1, id: 7 }));
    expect(await client.of("puback", 7)).toMatchObject({ reason: 0 });
    const { topic, text } = await client.receive();
    expect(topic).toBe(`/shadow/get/${PK}/device1`);
    expect(JSON.parse(text)).toMatchObject({ payload: { status: "success" } });
  });

  test("[RRPC-2] ext=1: a call on a custom topic that it subscribed itself comes once", async () => {
    const client = await connect();
    const topic = `/${PK}/device1/user/get`;
    await client.subscribe(`/ext/rrpc/+${topic}`);
    const call = server.broker.rrpc(ID, "question", { topic });
    const request = await client.receive();
    await client.publish(request.topic, "answer");
    expect(await call).toMatchObject({ code: "SUCCESS", payload: Buffer.from("answer") });
    // Subscribed and implied: one copy, and its own answer does not come back.
    await client.expectNothing();
  });

  test("[TOPIC-8] its firmware version, told with a number as id, is let through", async () => {
    const client = await connect();
    await client.publish(`/ota/device/inform/${PK}/device1`, '{"id": 1, "params": {"version": "1.0.0"}}', {
      qos: 1,
    });
    await client.expectNothing();
  });
});
