// What the C Link SDK 4.1 puts on the wire, and what it insists on: it subscribes no system topic, waits for a CONNACK of four
// bytes, and repeats what was not acknowledged.
import { describe, expect, test } from "vitest";
import { BOTH, useServer } from "../../support/server.ts";
import { sign } from "../../../src/platform/sign-in/signature.ts";
import { ask, type Connect, connectBytes, PK, replay, replayRegistry, SUB_SECRET } from "./registry.ts";

/** A new one for each part: an identity that has spoken 5.0 is refused in 3.1.1 ever after [NET-3]. */
const newServer = () =>
  useServer({ profile: "platform", platform: { rates: { enabled: false } }, devices: replayRegistry() });
const ID = { productKey: PK, deviceName: "device1" };
const EXTENSIONS =
  "timestamp=2524608000000,_ss=1,_v=sdk-c-4.1.0,securemode=3,signmethod=hmacsha256,ext=3,_conn=tls_0";
const PASSWORD = "1628AEC2CACB7913DCF9C794E5D99383701333332A01BA386D4753ADCBC20C92";
const C: Connect = {
  clientId: `${PK}.device1|${EXTENSIONS}|`,
  password: PASSWORD,
  keepAlive: 1200,
  clean: true,
};

describe("CONNECT", () => {
  const server = newServer();

  test("[AUTH-2] [AUTH-5] [AUTH-7] a constant timestamp, upper-case hex, unknown words: let in", async () => {
    await replay(server, 4, C);
  });

  test("[CONN-7] the CONNACK of 3.1.1 has a remaining length of exactly 2", async () => {
    const { connack } = await replay(server, 4, C);
    expect(connack.bytes.toString("hex")).toBe("20020000");
  });

  test.each([
    ["[AUTH-5] a wrong secret", { password: PASSWORD.replace("1628", "0000") }, 4, 0x86],
    ["[AUTH-1] no closing bar", { clientId: `${PK}.device1|${EXTENSIONS}` }, 2, 0x85],
    ["[CONN-5] Keep Alive beyond 1200 s", { keepAlive: 1201 }, 2, 0x80],
  ])(
    "%s: refused with the code its error names hang on, then closed",
    async (_name, change, code3, reason) => {
      const old = await server.open(4);
      old.send(connectBytes({ ...C, ...change }));
      const [refusal] = await old.closed();
      expect(refusal.bytes.toString("hex")).toBe(`2002000${code3}`);
      const five = await server.open(5);
      five.send(connectBytes({ ...C, ...change, protocol: ["MQTT", 5] }));
      const [refusal5] = await five.closed();
      expect(refusal5).toMatchObject({ type: "connack", reason });
      // Its property length is there though it is refused.
      expect(refusal5.bytes[1]).toBeGreaterThanOrEqual(3);
    },
  );

  test("[AUTH-2] a trailing comma, and a bare word for a nonce", async () => {
    await replay(server, 4, { ...C, clientId: `${PK}.device1|${EXTENSIONS},|` });
    await replay(server, 4, { ...C, clientId: `${PK}.device1|${EXTENSIONS},1700000000000000000|` });
  });

  test("[AUTH-8] 5.0 with nothing before the first bar is assigned an identifier", async () => {
    const password = "DF3534C4D263617C74376DC52B02972888A16A85D6CC4499637489B3BB93618F";
    const { connack } = await replay(server, 5, { ...C, clientId: `|${EXTENSIONS}|`, password });
    expect(connack.properties.assignedClientIdentifier).toBe(`${PK}.device1`);
    // It takes the bound of aliases from there.
    expect(connack.properties.topicAliasMaximum).toBe(20);
  });

  test("[AUTH-8] the same in 3.1.1 is refused with 2", async () => {
    const client = await server.open(4);
    client.send(connectBytes({ ...C, clientId: `|${EXTENSIONS}|` }));
    await client.expectRefusal(2, 0x85);
  });
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const server = newServer();
  const connect = () => replay(server, version, C);

  test("[CONN-5] a ping is answered at a Keep Alive of 1200 s", async () => {
    const client = await connect();
    client.send(Buffer.from("c000", "hex"), Buffer.from("c000", "hex"));
    expect((await client.next("pingresp")).bytes.toString("hex")).toBe("d000");
    expect((await client.next("pingresp")).bytes.toString("hex")).toBe("d000");
  });

  test("[NTP-1] [SUB-5] time, asked for and answered without a SUBSCRIBE", async () => {
    const client = await connect();
    const { topic, body } = await ask(
      client,
      `/ext/ntp/${PK}/device1/request`,
      '{"deviceSendTime":"1571724098000"}',
    );
    expect(topic).toBe(`/ext/ntp/${PK}/device1/response`);
    expect(body["deviceSendTime"]).toBe("1571724098000");
    for (const name of ["serverRecvTime", "serverSendTime"]) expect(body[name]).toMatch(/^\d{13}$/);
  });

  test("[SHADOW-1] [SUB-5] a shadow: updated, read, desired cleared, without a SUBSCRIBE", async () => {
    const client = await connect();
    const update = `/shadow/update/${PK}/device1`;
    const say = (payload: string) => ask(client, update, payload);
    const first = Date.now() + (version === 5 ? 1_000 : 0);
    const answers = [
      await say(`{"method":"update","state":{"reported":{"LightSwitch":1}},"version":${first}}`),
      await say('{"method":"get"}'),
      await say(`{"method":"update","state":{"desired":"null"},"version":${first + 1}}`),
      await say(`{"method":"delete","state":{"reported":"null"},"version":${first + 2}}`),
    ];
    for (const { topic, body } of answers) {
      expect(topic).toBe(`/shadow/get/${PK}/device1`);
      // Its parser needs all three.
      expect(body).toMatchObject({ method: "reply", payload: { status: "success" } });
      expect(body["timestamp"]).toBeTypeOf("number");
    }
    expect(answers[1].body).toMatchObject({
      payload: { state: { reported: { LightSwitch: 1 } } },
      version: first,
    });
  });

  test("[RRPC-1] [SUB-5] a call without a topic comes unsubscribed on …/rrpc/request/ID", async () => {
    const client = await connect();
    const call = server.broker.rrpc(ID, "question");
    const request = await client.receive();
    expect(request.topic).toMatch(new RegExp(`^/sys/${PK}/device1/rrpc/request/\\d+$`));
    client.send(client.wire.publish(request.topic.replace("request", "response"), "answer"));
    expect(await call).toMatchObject({ code: "SUCCESS", payload: Buffer.from("answer") });
  });

  test("[RRPC-2] ext=3: a call with a topic is answered on that same topic, and comes back to nobody", async () => {
    const client = await connect();
    for (const topic of [`/${PK}/device1/user/get`, `/sys/${PK}/device1/thing/service/ask`]) {
      const call = server.broker.rrpc(ID, "question", { topic });
      const request = await client.receive();
      expect(request.topic).toMatch(new RegExp(`^/ext/rrpc/\\d+${topic}$`));
      client.send(client.wire.publish(request.topic, "answer"));
      expect(await call).toMatchObject({ code: "SUCCESS", payload: Buffer.from("answer") });
      await client.expectNothing();
    }
  });

  test("[UP-1] [SUB-5] a property posted without `method` goes up, and its reply holds all its parser needs", async () => {
    const client = await connect();
    const topic = `/sys/${PK}/device1/thing/event/property/post`;
    const payload = '{"id":"1","version":"1.0","params":{"LightSwitch":0},"sys":{"ack":1}}';
    const up: string[] = [];
    const stop = await server.broker.subscribe(topic, (message) => {
      up.push(Buffer.from(message.payload).toString());
    });
    const reply = await ask(client, topic, payload);
    expect(up).toEqual([payload]);
    expect(reply.topic).toBe(`${topic}_reply`);
    expect(reply.body).toEqual({
      code: 200,
      data: {},
      id: "1",
      message: "success",
      method: "thing.event.property.post",
      version: "1.0",
    });
    // `ack` 0 asks for none.
    await client.publish(topic, payload.replace('"ack":1', '"ack":0'));
    await client.expectNothing();
    await stop();
  });

  test("[SUB-5] a property set comes unsubscribed, with a decimal id and params", async () => {
    const client = await connect();
    await server.broker.things.setProperties(ID, { LightSwitch: 1 });
    const { topic, text } = await client.receive();
    expect(topic).toBe(`/sys/${PK}/device1/thing/service/property/set`);
    const body = JSON.parse(text) as { id: string; params: object };
    expect(body).toMatchObject({ params: { LightSwitch: 1 }, method: "thing.service.property.set" });
    expect(BigInt(body.id) < 2n ** 63n).toBe(true);
    await client.publish(`${topic}_reply`, `{"id":"${body.id}","code":200,"data":{}}`);
    await client.expectNothing();
  });

  test("[TOPIC-8] its firmware version, told with a number as id, is kept", async () => {
    const client = await connect();
    await client.publish(`/ota/device/inform/${PK}/device1`, '{"id":1, "params":{"version":"1.0.0"}}');
    await client.expectNothing();
    expect(JSON.stringify([...server.broker.things.firmware(ID).versions])).toContain('"1.0.0"');
  });

  test("[GW-1] [GW-3] [GW-5] [SUB-5] batch login: `signmethod`, upper-case hex, a text as timestamp; no SUBSCRIBE", async () => {
    const client = await connect();
    const sub = { productKey: "a1SUB000001", deviceName: "sub1" };
    const content = `clientId${sub.productKey}.sub1deviceNamesub1productKey${sub.productKey}timestamp2524608000000`;
    const item = { ...sub, clientId: `${sub.productKey}.sub1`, timestamp: "2524608000000" };
    const signature = sign("hmacsha256", SUB_SECRET, content).toUpperCase();
    const add = {
      id: "1",
      version: "1.0",
      params: [{ ...item, signmethod: "hmacSha256", sign: signature }],
      sys: { ack: 1 },
    };
    const related = await ask(client, `/sys/${PK}/device1/thing/topo/add`, JSON.stringify(add));
    expect(related.topic).toBe(`/sys/${PK}/device1/thing/topo/add_reply`);
    const params = {
      signMethod: "hmacSha256",
      deviceList: [{ ...item, cleanSession: "false", sign: signature }],
    };
    const session = `/ext/session/${PK}/device1/combine`;
    const login = await ask(client, `${session}/batch_login`, JSON.stringify({ id: "2", params }));
    expect(login.topic).toBe(`${session}/batch_login_reply`);
    const logout = await ask(client, `${session}/batch_logout`, JSON.stringify({ id: "3", params: [sub] }));
    expect(logout.topic).toBe(`${session}/batch_logout_reply`);
    for (const [index, { body }] of [related, login, logout].entries()) {
      // It drops a reply without one of these.
      expect(body).toMatchObject({ id: `${index + 1}`, code: 200, message: "success", data: [sub] });
    }
  });
});
