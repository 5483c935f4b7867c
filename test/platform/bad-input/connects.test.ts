// CONNECTs that are malformed, wrong, too many or no CONNECTs at all.
import { sign } from "../../../src/platform/sign-in/signature.ts";
import { deviceConnect, PK, secretOf } from "../signed-device.ts";
import { connect, nextName, refused, server, walk } from "./harness.ts";

walk([
  {
    name: "[AUTH-1] a ClientID without bars",
    run: async (version) => ({
      deviceName: await refused(version, { clientId: "no bars" }, 2, 0x85),
      code: 460,
    }),
  },
  {
    name: "[AUTH-3] a client id of 65 characters",
    run: async (version) =>
      void (await refused(version, { clientId: `${"a".repeat(65)}|securemode=3|` }, 2, 0x85)),
  },
  {
    name: "[AUTH-4] a user name of the wrong form",
    run: async (version) => void (await refused(version, { username: "nobody" }, 4, 0x86)),
  },
  {
    name: "[AUTH-5] a wrong signature",
    run: async (version) => ({
      deviceName: await refused(version, { password: "0".repeat(64) }, 4, 0x86),
      code: 6287,
    }),
  },
  {
    name: "[AUTH-13] a name that does not exist is answered as a wrong signature is",
    run: async (version) => void (await refused(version, {}, 4, 0x86, "stranger")),
  },
  {
    name: "[AUTH-5] a password of 60,000 bytes",
    run: async (version) => void (await refused(version, { password: "f".repeat(60_000) }, 4, 0x86)),
  },
  {
    name: "[AUTH-2] a thousand entries, names such as __proto__ among them",
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
    run: async (version) => {
      const name = nextName();
      for (let attempt = 0; attempt < 5; attempt++) await connect(version, name);
      await refused(version, {}, 3, 0x9f, name);
      return { deviceName: name, code: 429 };
    },
  },
  {
    name: "[CONN-3] forty CONNECTs with a wrong signature do not lock the device out",
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
    run: async (version) => {
      const noise = await server.open(version);
      noise.send(Buffer.from("00ff00ff", "hex"));
      await noise.closed();
      const half = await server.open(version);
      half.send(half.wire.connect(deviceConnect(nextName())).subarray(0, 20));
      return undefined;
    },
  },
]);
