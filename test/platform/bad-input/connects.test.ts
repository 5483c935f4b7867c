// CONNECTs that are malformed, wrong, too many or no CONNECTs at all.
import { sign } from "../../../src/platform/sign-in/signature.ts";
import { deviceConnect, PK, secretOf } from "../signed-device.ts";
import { connect, devices, nextName, OPEN, OPEN_SECRET, refused, server, walk } from "./harness.ts";

walk([
  {
    name: "[AUTH-1] a ClientID without bars",
    counts: { "connects.refused": 1 },
    run: async (version) => ({
      deviceName: await refused(version, { clientId: "no bars" }, 2, 0x85),
      code: 460,
    }),
  },
  {
    name: "[AUTH-3] a client id of 65 characters",
    counts: { "connects.refused": 1 },
    run: async (version) => ({
      deviceName: await refused(version, { clientId: `${"a".repeat(65)}|securemode=3|` }, 2, 0x85),
      code: 460,
    }),
  },
  {
    name: "[AUTH-4] a user name of the wrong form",
    counts: { "connects.refused": 1 },
    run: async (version) => void (await refused(version, { username: "nobody" }, 4, 0x86)),
  },
  {
    name: "[AUTH-5] a wrong signature",
    counts: { "connects.refused": 1 },
    run: async (version) => ({
      deviceName: await refused(version, { password: "0".repeat(64) }, 4, 0x86),
      code: 6287,
    }),
  },
  {
    name: "[AUTH-13] a name that does not exist is answered as a wrong signature is",
    counts: { "connects.refused": 1 },
    run: async (version) => void (await refused(version, {}, 4, 0x86, "stranger")),
  },
  {
    name: "[AUTH-5] a password of 60,000 bytes",
    counts: { "connects.refused": 1 },
    run: async (version) => ({
      deviceName: await refused(version, { password: "f".repeat(60_000) }, 4, 0x86),
      code: 6287,
    }),
  },
  {
    name: "[AUTH-2] a thousand entries, names such as __proto__ among them",
    counts: {},
    run: async (version) => {
      const entries = `${"__proto__=1,constructor=2,".repeat(30)}securemode=3,signmethod=hmacsha256`;
      const name = nextName();
      const password = sign("hmacsha256", secretOf(name), `clientIdxdeviceName${name}productKey${PK}`);
      await connect(version, name, { clientId: `x|${entries}|`, password });
      return undefined;
    },
  },
  {
    name: "[CONN-3] a sixth CONNECT within a minute, all of them right",
    counts: { "connects.refused": 1 },
    run: async (version) => {
      const name = nextName();
      for (let attempt = 0; attempt < 5; attempt++) await connect(version, name);
      await refused(version, {}, 3, 0x9f, name);
      return { deviceName: name, code: 429 };
    },
  },
  {
    name: "[CONN-3] forty CONNECTs with a wrong signature do not lock the device out",
    counts: { "connects.refused": 40 },
    run: async (version) => {
      const name = nextName();
      for (let attempt = 0; attempt < 40; attempt++) {
        const client = await server.open(version);
        client.send(client.wire.connect(deviceConnect(name, { password: "00" })));
        await client.closed();
      }
      // Counted for the name and the address it came from: the device itself comes from another one.
      await server.connect(version, deviceConnect(name), { localAddress: "127.0.0.2" });
      return { deviceName: name, code: 6287 };
    },
  },
  {
    name: "[NET-11] bytes that are no MQTT, and nothing but the half of a CONNECT",
    counts: { "closed.connect_timeout": 1 },
    run: async (version) => {
      const noise = await server.open(version);
      noise.send(Buffer.from("00ff00ff", "hex"));
      await noise.closed();
      const half = await server.open(version);
      half.send(half.wire.connect(deviceConnect(nextName())).subarray(0, 20));
      await half.closed();
      return undefined;
    },
  },
  {
    name: "[DYN-4] a sixth registration of one name",
    counts: { "connects.refused": 1 },
    run: async (version) => {
      const deviceName = nextName();
      const tokens = Array.from({ length: 5 }, (_, i) => ({ clientId: `client${i}`, deviceToken: "token" }));
      await devices.createDevice({ productKey: OPEN, deviceName, tokens });
      const client = await server.open(version);
      const signed = `deviceName${deviceName}productKey${OPEN}random1`;
      client.send(
        client.wire.connect({
          clientId: "x|securemode=-2,authType=regnwl,random=1,signmethod=hmacsha256|",
          username: `${deviceName}&${OPEN}`,
          password: sign("hmacsha256", OPEN_SECRET, signed),
        }),
      );
      await client.expectRefusal(4, 0x86);
      return { productKey: OPEN, deviceName, code: 6293 };
    },
  },
  {
    name: "[DYN-1] a registration where the product lets nobody register",
    counts: { "connects.refused": 1 },
    run: async (version) => {
      const name = nextName();
      const password = sign("hmacsha256", "ProductSecret001", `deviceName${name}productKey${PK}random1`);
      const clientId = "x|securemode=2,authType=register,random=1,signmethod=hmacsha256|";
      return { deviceName: await refused(version, { clientId, password }, 4, 0x86, name), code: 6288 };
    },
  },
  {
    name: "[V5-7] a CONNECT with properties over their limits",
    only5: true,
    counts: { "connects.refused": 2 },
    run: async (version) => {
      const name = nextName();
      const many = Array.from({ length: 21 }, (_, i): [string, string] => [`k${i}`, ""]);
      await refused(version, { properties: { userProperty: many } }, 2, 0x97, name);
      await refused(version, { properties: { userProperty: [["_own", ""]] } }, 2, 0x83, name);
      return { deviceName: name, code: 460 };
    },
  },
]);
