// Messages and subscriptions nobody has a right to, and packets that break the protocol or its bounds.
import { expect } from "vitest";
import { lengthed, type Properties, raw, u16 } from "../../support/wire.ts";
import { deviceConnect, PK } from "../signed-device.ts";
import { connect, dropped, nextName, server, thing, walk } from "./harness.ts";

walk([
  {
    name: "[PERM-1] [TOPIC-1] a PUBLISH on another device's topic, a foreign product's, the platform's own",
    counts: { "publish.denied": 9 },
    run: async (version) => {
      const [name, other] = [nextName(), nextName()];
      const client = await connect(version, name);
      const theirs = await connect(version, other);
      await theirs.subscribe([`/${PK}/${other}/user/get`, `/shadow/get/${PK}/${other}`]);
      for (const topic of [
        `/${PK}/${other}/user/get`,
        `/${PK}/${other}/user/update`,
        "/a1OTHER00001/device1/user/update",
        `/shadow/get/${PK}/${other}`,
        `/shadow/update/${PK}/${other}`,
        thing(other, "event/property/post"),
        "/ext/register",
        "$SYS/broker/uptime",
        "free",
      ])
        await dropped(client, topic);
      await theirs.expectNothing();
      return { deviceName: name, code: 9236 };
    },
  },
  {
    name: "[PERM-2] [TOPIC-7] filters that reach over other devices",
    counts: { "subscribe.refused": 8 },
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name);
      const filters = [
        "#",
        "/#",
        "+/#",
        `/${PK}/+/user/get`,
        `/${PK}/#`,
        "/sys/#",
        `/+/${name}/user/get`,
        "$SYS/#",
      ];
      for (const filter of filters) {
        const { reasons } = await client.subscribe(filter);
        expect(reasons, filter).toEqual([version === 5 ? 0x87 : 0x80]);
      }
      expect((await client.subscribe(`/${PK}/${name}/user/get`)).reasons).toEqual([0]);
      return { deviceName: name, code: 403 };
    },
  },
  {
    name: "[QOS-1] a PUBLISH of QoS 2, of QoS 3",
    counts: { "errors.protocol": 2 },
    run: async (version) => {
      const names = [nextName(), nextName()];
      const first = await connect(version, names[0]);
      first.send(first.wire.publish(`/${PK}/x/user/update`, "x", { qos: 2, id: 1 }));
      await first.expectEnd(0x9b);
      const second = await connect(version, names[1]);
      second.send(raw(0x36, lengthed("t"), u16(1), version === 5 ? Buffer.of(0) : "", "x"));
      await second.expectEnd(0x81);
      return [
        { deviceName: names[0], code: 400, text: "QoS above the Maximum QoS" },
        { deviceName: names[1], code: 400 },
      ];
    },
  },
  {
    name: "[NET-4] a second CONNECT, and a packet only a server sends",
    counts: { "errors.protocol": 2 },
    run: async (version) => {
      const names = [nextName(), nextName()];
      const first = await connect(version, names[0]);
      first.send(first.wire.connect(deviceConnect(names[0])));
      await first.expectEnd(0x82);
      const second = await connect(version, names[1]);
      second.send(Buffer.from("d000", "hex"));
      await second.expectEnd(0x82);
      return [
        { deviceName: names[0], code: 400, text: "a second CONNECT" },
        { deviceName: names[1], code: 400, text: "pingresp from a client" },
      ];
    },
  },
  {
    name: "[TOPIC-7] a PUBLISH on a name with a wildcard",
    counts: { "errors.protocol": 1 },
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name);
      client.send(client.wire.publish(`/${PK}/+/user/update`, "x"));
      await client.expectEnd(0x90);
      return { deviceName: name, code: 400, text: "wildcard in a Topic Name" };
    },
  },
  {
    name: "[LIMIT-1] a packet of more than 256 KiB",
    counts: { "refused.packet_size": 1 },
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name);
      client.send(
        client.wire.publish(`/${PK}/${name}/user/update`, Buffer.alloc(262_144), { qos: 1, id: 1 }),
      );
      // 3.x: passed over, no PUBACK, and the connection goes on.
      if (version === 5) await client.expectEnd(0x95);
      else await client.expectNothing();
      return version === 5
        ? { deviceName: name, code: 400, text: "packet above the Maximum Packet Size" }
        : { deviceName: name, code: 9320, text: "larger than a packet may be" };
    },
  },
  {
    name: "[SUB-1] nine filters in one SUBSCRIBE",
    counts: { "refused.filters": 1, "subscribe.refused": 9 },
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name);
      const filters = Array.from({ length: 9 }, () => `/${PK}/${name}/user/get`);
      const { reasons } = await client.subscribe(filters);
      expect(reasons).toEqual(Array(9).fill(version === 5 ? 0x97 : 0x80));
      expect((await client.subscribe(filters.slice(1))).reasons).toEqual(Array(8).fill(0));
      return { deviceName: name, code: 400, text: "quota exceeded" };
    },
  },
  {
    name: "[TOPIC-5] [TOPIC-6] topics that are too long, or too deep",
    counts: { "subscribe.refused": 2, "publish.denied": 2 },
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name);
      for (const filter of [`/${PK}/${name}/user/${"x".repeat(128)}`, `/${PK}/${name}/user/a/b/c/d/e`])
        expect((await client.subscribe(filter)).reasons).toEqual([version === 5 ? 0x8f : 0x80]);
      for (const topic of [`/${PK}/${name}/user/${"x".repeat(128)}`, `/${PK}/${name}/user/a/b/c/d/e`])
        expect((await client.publish(topic, "x", { qos: 1 }))?.reason).toBe(version === 5 ? 0x90 : 0);
      return { deviceName: name, code: 1903, text: "too long, or too deep" };
    },
  },
  {
    name: "[V5-7] [V5-8] properties over their limits",
    only5: true,
    counts: { "publish.denied": 5 },
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name);
      const topic = `/${PK}/${name}/user/update`;
      const pair = (key: string, value = ""): [string, string] => [key, value];
      const reasonOf = async (properties: Properties): Promise<number | undefined> =>
        (await client.publish(topic, "x", { qos: 1, properties }))?.reason;
      const many = Array.from({ length: 21 }, (_, index) => pair(`k${index}`));
      expect(await reasonOf({ userProperty: many.slice(1) })).toBeLessThan(0x80);
      expect(await reasonOf({ userProperty: many })).toBe(0x97);
      expect(await reasonOf({ userProperty: [pair("_own")] })).toBe(0x83);
      expect(await reasonOf({ userProperty: [pair("k".repeat(64), "v".repeat(65))] })).toBe(0x83);
      expect(await reasonOf({ responseTopic: "r".repeat(129) })).toBe(0x83);
      expect(await reasonOf({ correlationData: Buffer.alloc(129) })).toBe(0x83);
      const quiet = { userProperty: [pair("_own")] };
      await client.publish(topic, "dropped without a word", { qos: 0, properties: quiet });
      await client.fence();
      const lines = await server.broker.runLog.search({
        device: { productKey: PK, deviceName: name },
        code: 9321,
      });
      expect(lines.map(({ content }) => content.Params?.qos)).toEqual([1, 1, 1, 1, 1, 0]);
      return { deviceName: name, code: 9321, text: "too many User Properties" };
    },
  },
  {
    name: "[LIMIT-2] a flood of three hundred messages in one write",
    counts: { "dropped.rate": 300 },
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name);
      const topic = `/${PK}/${name}/user/update`;
      let heard = 0;
      const stop = await server.broker.subscribe(topic, () => void heard++);
      client.send(...Array.from({ length: 300 }, () => client.wire.publish(topic, "x")));
      client.send(
        ...Array.from({ length: 60 }, (_, id) => client.wire.publish(topic, "y", { qos: 1, id: id + 1 })),
      );
      const acknowledged = (await client.fence()).filter(({ type }) => type === "puback");
      // A window of a second, in which thirty of QoS 0 and ten of QoS 1 are let through; nothing tells of the others.
      expect(heard).toBeGreaterThanOrEqual(40);
      expect(heard).toBeLessThanOrEqual(80);
      expect(acknowledged.length).toBeGreaterThanOrEqual(10);
      expect(acknowledged.length).toBeLessThanOrEqual(20);
      await stop();
      return { deviceName: name, code: 9324 };
    },
  },
  {
    name: "[LIMIT-4] more bytes than a connection may bring in a second",
    counts: { "delayed.bandwidth": 1 },
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name);
      const topic = `/${PK}/${name}/user/update`;
      let bytes = 0;
      const stop = await server.broker.subscribe(topic, ({ payload }) => {
        bytes += payload.length;
      });
      for (let i = 0; i < 5; i++) client.send(client.wire.publish(topic, Buffer.alloc(200_000)));
      await client.fence();
      expect(bytes).toBe(1_000_000); // later, and all of it
      await stop();
      return { deviceName: name, code: 429 };
    },
  },
]);
