// Messages and subscriptions nobody has a right to, and packets that break the protocol or its bounds.
import { expect } from "vitest";
import { lengthed, raw, u16 } from "../../support/wire.ts";
import { deviceConnect, PK } from "../signed-device.ts";
import { connect, dropped, nextName, thing, walk } from "./harness.ts";

walk([
  {
    name: "[PERM-1] [TOPIC-1] a PUBLISH on another device's topic, a foreign product's, the platform's own",
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
    run: async (version) => {
      const first = await connect(version, nextName());
      first.send(first.wire.publish(`/${PK}/x/user/update`, "x", { qos: 2, id: 1 }));
      await first.expectEnd(0x9b);
      const second = await connect(version, nextName());
      second.send(raw(0x36, lengthed("t"), u16(1), version === 5 ? Buffer.of(0) : "", "x"));
      await second.expectEnd(0x81);
      return undefined;
    },
  },
  {
    name: "[NET-4] a second CONNECT, and a packet only a server sends",
    run: async (version) => {
      const name = nextName();
      const first = await connect(version, name);
      first.send(first.wire.connect(deviceConnect(name)));
      await first.expectEnd(0x82);
      const second = await connect(version, nextName());
      second.send(Buffer.from("20020000", "hex"));
      await second.closed();
      return undefined;
    },
  },
  {
    name: "[TOPIC-7] a PUBLISH on a name with a wildcard",
    run: async (version) => {
      const client = await connect(version, nextName());
      client.send(client.wire.publish(`/${PK}/+/user/update`, "x"));
      await client.expectEnd(0x90);
      return undefined;
    },
  },
  {
    name: "[LIMIT-1] a packet of more than 256 KiB",
    run: async (version) => {
      const name = nextName();
      const client = await connect(version, name);
      client.send(
        client.wire.publish(`/${PK}/${name}/user/update`, Buffer.alloc(262_144), { qos: 1, id: 1 }),
      );
      // 3.x: passed over, no PUBACK, and the connection goes on.
      if (version === 5) await client.expectEnd(0x95);
      else await client.expectNothing();
      return undefined;
    },
  },
]);
