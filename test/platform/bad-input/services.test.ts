// Nonsense for the services of the platform: calls, shadows, Alink, time, gateways.
import { expect } from "vitest";
import { PK } from "../signed-device.ts";
import {
  alink,
  connect,
  dropped,
  gateway,
  GPK,
  nested,
  nextName,
  server,
  signed,
  thing,
  walk,
} from "./harness.ts";

walk([
  {
    name: "[RRPC-4] [RRPC-6] an answer that is late, foreign, or to no call",
    counts: { "platform.rrpc_stray": 3, "platform.rrpc_timeout": 1, "publish.denied": 1 },
    run: async (version) => {
      const [name, other] = [nextName(), nextName()];
      const client = await connect(version, name, { extensions: "_ss=1" });
      const stranger = await connect(version, other);
      const call = server.broker.rrpc({ productKey: PK, deviceName: name }, "x", { timeoutMs: 60 });
      const { topic } = await client.receive();
      const answer = topic.replace("request", "response");
      await dropped(stranger, answer);
      await stranger.publish(`/sys/${PK}/${other}/rrpc/response/${topic.split("/").at(-1)}`, "stolen");
      expect(await call).toMatchObject({ code: "TIMEOUT" });
      await client.publish(answer, "late");
      await client.publish(answer, "late again");
      return [
        { deviceName: name, code: 1904 },
        { deviceName: name, code: 1905 },
        { deviceName: other, code: 1904 },
        { deviceName: other, code: 9236 },
      ];
    },
  },
  {
    name: "[SHADOW-2] shadows: no JSON, nesting, a version that is old",
    counts: { "platform.shadow_refused": 5 },
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name, { extensions: "_ss=1" });
      const ask = async (payload: string): Promise<string> => {
        await client.publish(`/shadow/update/${PK}/${name}`, payload);
        const { payload: said } = JSON.parse((await client.receive()).text) as {
          payload: { status: string; content?: { errorcode: string } };
        };
        return said.content?.errorcode ?? said.status;
      };
      const update = (reported: string, at: number): string =>
        `{"method":"update","state":{"reported":${reported}},"version":${at}}`;
      expect(await ask("{")).toBe("400");
      expect(await ask(nested(100_000))).toBe("400");
      expect(await ask(`{"method":"update","state":{"reported":{"a":${nested(6)}}},"version":1}`)).toBe(
        "400",
      );
      expect(await ask('{"method":"explode","state":{}}')).toBe("406");
      expect(await ask(update('{"__proto__":{"polluted":1},"constructor":2}', 5))).toBe("success");
      expect(await ask(update('{"a":1}', 5))).toBe("409");
      expect(JSON.stringify(server.broker.shadows.get({ productKey: PK, deviceName: name }))).toContain(
        '"__proto__":{"polluted":1}',
      );
      expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
      return [400, 406, 409].map((code) => ({ deviceName: name, code }));
    },
  },
  {
    name: "[UP-1] Alink: no JSON, deep nesting, a list for an object, names such as __proto__",
    counts: { "platform.alink_malformed": 7 },
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name, { extensions: "_ss=1" });
      const topic = thing(name, "event/property/post");
      for (const payload of [
        "{",
        "",
        "null",
        "[]",
        '"x"',
        nested(50_000),
        "\0\0",
        `{"params":${nested(200)}}`,
      ]) {
        await client.publish(topic, payload);
        // Answered with a code that is no success, or not at all: nobody can tell to which request.
        for (const packet of client.pending())
          expect(packet.type === "publish" && JSON.parse(packet.text).code, payload.slice(0, 20)).not.toBe(
            200,
          );
      }
      await client.publish(topic, '{"id":"9","params":{"__proto__":1,"constructor":2}}');
      expect(JSON.parse((await client.receive()).text)).toMatchObject({ id: "9", code: 200 });
      return { deviceName: name, code: 6207 };
    },
  },
  {
    name: "[NTP-1] a time request that is none",
    counts: { "platform.malformed": 5 },
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name, { extensions: "_ss=1" });
      for (const payload of ["{", "[]", nested(50_000), '{"deviceSendTime":{}}', '{"__proto__":1}'])
        await client.publish(`/ext/ntp/${PK}/${name}/request`, payload);
      await client.expectNothing();
      return { deviceName: name, code: 9320 };
    },
  },
  {
    name: "[GW-3] [GW-4] a sub-device that logs in twice, at its gateway and by itself",
    counts: { "platform.sub_device_ended": 1 },
    run: async (version) => {
      const sub = nextName();
      const { gate, name } = await gateway(version, sub);
      const login = `/ext/session/${GPK}/${name}/combine/login`;
      for (let time = 0; time < 2; time++) {
        await gate.publish(login, alink(signed(sub)));
        expect(JSON.parse((await gate.receive()).text)).toMatchObject({ code: 200 });
      }
      await connect(version, sub);
      const { topic, text } = await gate.receive();
      expect(topic).toBe(`/ext/error/${GPK}/${name}`);
      expect(JSON.parse(text)).toMatchObject({ code: 427 });
      return { deviceName: sub, code: 400 };
    },
  },
  {
    name: "[GW-4] a gateway that publishes, subscribes and logs in for a stranger's device",
    counts: { "publish.denied": 2, "subscribe.refused": 1, "platform.gateway_refused": 1 },
    run: async (version) => {
      const [sub, theirs] = [nextName(), nextName()];
      const { gate, name } = await gateway(version, sub);
      const other = await gateway(version, theirs);
      await other.gate.publish(`/ext/session/${GPK}/${other.name}/combine/login`, alink(signed(theirs)));
      await other.gate.receive();
      await dropped(gate, `/${PK}/${theirs}/user/both`);
      await dropped(gate, thing(theirs, "event/property/post"), alink({ a: 1 }));
      const { reasons } = await gate.subscribe(`/${PK}/${theirs}/user/get`);
      expect(reasons).toEqual([version === 5 ? 0x87 : 0x80]);
      await gate.publish(`/ext/session/${GPK}/${name}/combine/login`, alink(signed(theirs)));
      expect(JSON.parse((await gate.receive()).text)).toMatchObject({ code: 6401 });
      await other.gate.expectNothing();
      return [9236, 403, 6401].map((code) => ({ productKey: GPK, deviceName: name, code }));
    },
  },
  {
    name: "[GW-1] [GW-5] topologies and batches of nonsense",
    counts: { "platform.gateway_refused": 12 },
    run: async (version) => {
      const { gate, name } = await gateway(version, nextName());
      for (const params of [
        "null",
        "{}",
        "[[]]",
        '[{"productKey":{},"deviceName":[]}]',
        nested(30),
        '"__proto__"',
      ]) {
        await gate.publish(`/sys/${GPK}/${name}/thing/topo/add`, `{"id":1,"params":${params}}`);
        expect(JSON.parse((await gate.receive()).text).code).toBeGreaterThan(200);
        await gate.publish(`/ext/session/${GPK}/${name}/combine/batch_login`, `{"id":1,"params":${params}}`);
        expect(JSON.parse((await gate.receive()).text).code).toBeGreaterThan(200);
      }
      return { productKey: GPK, deviceName: name, code: 460 };
    },
  },
]);
