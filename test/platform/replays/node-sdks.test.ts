// What the vendor's Node SDKs put on the wire: 1.0.1 with line breaks in its ClientID and a PUBLISH in front of its SUBSCRIBEs,
// 1.2.8 with sixteen SUBSCRIBEs, both with a persistent session under a ClientID that changes with each start.
import { describe, expect, test } from "vitest";
import { useServer } from "../../support/server.ts";
import { type Connect, connectBytes, PK, replay, replayRegistry, SECRET } from "./registry.ts";
import { sign } from "../../../src/platform/sign-in/signature.ts";

const server = useServer({
  profile: "platform",
  platform: { rates: { enabled: false } },
  devices: replayRegistry(),
});
const sys = (suffix: string): string => `/sys/${PK}/device1/${suffix}`;
const session = (call: string): string => `/ext/session/${PK}/device1/combine/${call}`;
const GET = `/${PK}/device1/user/get`;

function node(timestamp: string): Connect {
  const content = `clientId${PK}&device1deviceNamedevice1productKey${PK}timestamp${timestamp}`;
  return {
    clientId: `${PK}&device1|securemode=3,signmethod=hmacsha1,timestamp=${timestamp},lan=NodeJS,_v=1.2.8|`,
    password: sign("hmacsha1", SECRET, content).toLowerCase(),
    keepAlive: 60,
    clean: false,
  };
}

function olderNode(timestamp: string): Connect {
  const id = `${PK}&device1_aliyun-iot-device-sdk-js`;
  const content = `clientId${id}deviceNamedevice1productKey${PK}timestamp${timestamp}`;
  return {
    clientId: `${id}|securemode=3,\n        signmethod=hmacsha1,\n        timestamp=${timestamp}|`,
    password: sign("hmacsha1", SECRET, content).toLowerCase(),
    keepAlive: 60,
    clean: false,
  };
}

describe("1.2.8", () => {
  const FILTERS = [
    sys("thing/event/property/post_reply"),
    sys("thing/service/property/set"),
    sys("thing/event/+/post_reply"),
    sys("thing/deviceinfo/update_reply"),
    sys("thing/deviceinfo/delete_reply"),
    sys("thing/config/get_reply"),
    `/shadow/get/${PK}/device1`,
    sys("thing/config/push"),
    sys("thing/config/push_reply"),
    sys("thing/topo/add_reply"),
    sys("thing/topo/delete_reply"),
    sys("thing/topo/get_reply"),
    session("login_reply"),
    session("logout_reply"),
    sys("thing/sub/register_reply"),
    sys("rrpc/request/+"),
  ];

  test("[AUTH-5] the worked password, in lower case", async () => {
    expect(node("1700000000000").password).toBe("d6434526edea88a0db505b3bb5f065e7d64ad572");
    await replay(server, 4, node("1700000000000"));
  });

  test("[AUTH-2] a bar inside a value", async () => {
    const connect = node("1700000000000");
    await replay(server, 4, { ...connect, clientId: connect.clientId.replace("NodeJS", "JS|Ali") });
  });

  test("[TOPIC-8] sixteen SUBSCRIBEs of one filter each, in one write: all granted, nobody is cut off", async () => {
    const client = await replay(server, 4, node("1700000000000"));
    client.send(...FILTERS.map((filter, index) => client.wire.subscribe(index + 1, [{ filter, qos: 1 }])));
    for (const index of FILTERS.keys())
      expect(await client.next("suback")).toMatchObject({ id: index + 1, reasons: [1] });
    await client.expectNothing();
  });

  test("[SUB-5] a message that two filters match comes once to each call for it", async () => {
    const client = await replay(server, 4, node("1700000000000"));
    client.send(...FILTERS.map((filter, index) => client.wire.subscribe(index + 1, [{ filter, qos: 1 }])));
    for (const _filter of FILTERS) await client.next("suback");
    const call = server.broker.rrpc({ productKey: PK, deviceName: "device1" }, "question");
    const { topic } = await client.receive();
    client.send(client.wire.publish(topic.replace("request", "response"), "answer"));
    expect(await call).toMatchObject({ code: "SUCCESS" });
    await client.expectNothing();
  });

  test("[SESS-0] [SESS-1] another start, another ClientID: the session and what waits in it are there", async () => {
    const first = await replay(server, 4, node("1700000000001"));
    await first.subscribe([{ filter: GET, qos: 1 }]);
    await first.disconnect();
    await server.broker.publish({ topic: GET, payload: "meanwhile", qos: 1 });
    const second = await replay(server, 4, node("1700000000002"));
    expect(second.connack.sessionPresent).toBe(true);
    expect(await second.receive()).toMatchObject({ topic: GET, text: "meanwhile", qos: 1 });
  });

  test("[CONN-1] a second start closes the first one's connection without a word, and stays", async () => {
    const first = await replay(server, 4, node("1700000000001"));
    const second = await replay(server, 4, node("1700000000002"));
    await first.expectClosed();
    await second.expectNothing();
  });

  test("[AUTH-5] `signAlgorithm: sha256` says one thing and signs another: refused with 4, again and again", async () => {
    const connect = node("1700000000000");
    const wrong = { ...connect, clientId: connect.clientId.replace("hmacsha1", "hmacsha256") };
    for (let attempt = 0; attempt < 5; attempt++) {
      const client = await server.open(4);
      client.send(connectBytes(wrong));
      const [refusal] = await client.closed();
      expect(refusal.bytes.toString("hex")).toBe("20020004");
    }
    // Who hammered with a wrong signature has not locked the device out.
    await replay(server, 4, connect);
  });
});

describe("1.0.1", () => {
  test("[AUTH-2] line breaks and blanks inside the ClientID are no reason to refuse", async () => {
    await replay(server, 4, olderNode("1700000000000"));
  });

  test("[TOPIC-8] tags in front of everything, a SUBSCRIBE and its request in one write: taken in order, nothing is lost", async () => {
    const tags = JSON.stringify({
      id: "1",
      version: "1.0",
      params: [{ attrKey: "SYS_SDK_LANGUAGE", attrValue: "NodeJS", domain: "SYSTEM" }],
      method: "thing.deviceinfo.update",
    });
    const topic = sys("thing/deviceinfo/update");
    const heard: string[] = [];
    const stop = await server.broker.subscribe(topic, ({ payload }) => {
      heard.push(Buffer.from(payload).toString());
    });
    const client = await server.open(4);
    client.send(
      connectBytes({ ...olderNode("1700000000000"), clean: true }),
      client.wire.publish(topic, tags),
      client.wire.subscribe(1, [{ filter: `/shadow/get/${PK}/device1`, qos: 1 }]),
      client.wire.publish(`/shadow/update/${PK}/device1`, '{"method":"get"}'),
    );
    expect(await client.next("connack")).toMatchObject({ reason: 0 });
    expect((await client.next("suback")).reasons).toEqual([1]);
    // It is answered though nothing was subscribed when the bytes left.
    expect((await client.receive()).topic).toBe(`/shadow/get/${PK}/device1`);
    expect(heard).toEqual([tags]);
    await stop();
  });
});
