// The worked vectors of the device password, and what the official Node SDK computes.
import { createRequire } from "node:module";
import { describe, expect, it } from "vitest";
import { signedCredentials } from "../../../src/platform/demo.ts";
import {
  parseSignMethod,
  type SignMethod,
  sign,
  signContent,
  verifySignature,
} from "../../../src/platform/sign-in/signature.ts";
import { connectRequest, outcome } from "../../access/requests.ts";
import { C_SDK, cSdkRequest, exampleRegistry, PK, platformPolicy, SECRET } from "../devices.ts";

const bytes = (text: string) => Buffer.from(text);
const policy = platformPolicy();

async function signIn(
  clientId: string,
  username: string,
  password: string,
  level: 3 | 4 | 5 = 4,
): Promise<string> {
  return outcome(await policy.connect(connectRequest({ clientId, username, password, level })));
}

describe("[AUTH-5] [AUTH-6] document example", () => {
  const withAll = {
    hmacmd5: "14B198324FE55E1D3C88F2E705E201EE",
    hmacsha1: "FAFD82A3D602B37FB0FA8B7892F24A477F851A14",
    hmacsha256: "6074A46A91B1EBB2CC4EA42790AD0E80202C9843859FC292E57C4EB19FAD9E57",
  };
  const withoutTimestamp = {
    hmacmd5: "2CE7304EC0DDD548EB1492D65AC0B334",
    hmacsha1: "3504E4DF7CE4766D30F796EE973C9CE7FC5425CB",
    hmacsha256: "C8CB3DCB7159682438E5FD9A9C34F398E41BB8EDB6F222795E307BAFEE151090",
  };
  const methods = Object.keys(withAll) as SignMethod[];

  it("content", () => {
    expect(signContent({ clientId: "12345", deviceName: "device", productKey: "pk", timestamp: "789" })).toBe(
      "clientId12345deviceNamedeviceproductKeypktimestamp789",
    );
  });
  it.each(methods)("%s, everything signed, upper and lower case", async (method) => {
    const password = withAll[method];
    const input = { clientId: "12345", deviceName: "device", productKey: "pk", timestamp: "789" };
    expect(sign(method, "secret", signContent(input))).toBe(password);
    const clientId = `12345|securemode=3,signmethod=${method},timestamp=789|`;
    expect(await signIn(clientId, "device&pk", password)).toBe("accepted");
    expect(await signIn(clientId, "device&pk", password.toLowerCase())).toBe("accepted");
    expect(await signIn(clientId.replace(method, method.toUpperCase()), "device&pk", password)).toBe(
      "accepted",
    );
  });
  it("no signmethod: hmacmd5", async () => {
    expect(await signIn("12345|securemode=2,timestamp=789|", "device&pk", withAll.hmacmd5)).toBe("accepted");
    expect(await signIn("12345|securemode=2,timestamp=789|", "device&pk", withAll.hmacsha1)).toBe("4/0x86");
  });
  it.each(methods)("%s without timestamp, whether the field carries one or not", async (method) => {
    const password = withoutTimestamp[method];
    expect(await signIn(`12345|securemode=3,signmethod=${method}|`, "device&pk", password)).toBe("accepted");
    expect(await signIn(`12345|signmethod=${method},timestamp=789|`, "device&pk", password)).toBe("accepted");
  });
  it("neither client id nor timestamp signed", async () => {
    const password = "EF1338106EBF173868958116F51797C8B9149855";
    expect(await signIn("12345|securemode=3,signmethod=hmacsha1,timestamp=789|", "device&pk", password)).toBe(
      "accepted",
    );
  });
  it("timestamp signed, client id not", async () => {
    const password = sign("hmacsha1", "secret", "deviceNamedeviceproductKeypktimestamp789");
    expect(await signIn("12345|signmethod=hmacsha1,timestamp=789|", "device&pk", password)).toBe("accepted");
  });
  it("optional fields become obligatory by option", async () => {
    const strict = platformPolicy({ settings: { auth: { optionalSignatureFields: false } } });
    const request = (password: string) =>
      connectRequest({
        clientId: "12345|signmethod=hmacsha1,timestamp=789|",
        username: "device&pk",
        password,
      });
    expect(outcome(await strict.connect(request(withAll.hmacsha1)))).toBe("accepted");
    expect(outcome(await strict.connect(request(withoutTimestamp.hmacsha1)))).toBe("4/0x86");
  });
});

describe("[AUTH-2] [AUTH-7] what real SDKs send", () => {
  it.each([
    C_SDK.clientId,
    "a1EXAMPLE01.device1|timestamp=2524608000000,_ss=1,_v=sdk-c-4.1.0,securemode=2,signmethod=hmacsha256,ext=3,_conn=tls_1f|",
    "a1EXAMPLE01.device1|timestamp=2524608000000,_ss=1,_v=sdk-c-4.1.0,securemode=2,signmethod=hmacsha256,ext=3,|",
    "a1EXAMPLE01.device1|timestamp=2524608000000,_ss=1,_v=4,securemode=2,signmethod=hmacsha256,ext=3,1700000000000000000|",
  ])("C SDK: %s", async (clientId) => {
    expect(await signIn(clientId, C_SDK.username, C_SDK.password)).toBe("accepted");
    expect(await signIn(clientId, C_SDK.username, C_SDK.password, 5)).toBe("accepted");
    expect(await signIn(clientId, C_SDK.username, C_SDK.password, 3)).toBe("accepted");
  });

  it.each([
    "a1EXAMPLE01&device1|securemode=3,signmethod=hmacsha1,timestamp=1700000000000,lan=NodeJS,_v=1.2.8|",
    "a1EXAMPLE01&device1|securemode=2,signmethod=hmacsha1,timestamp=1700000000000,lan=JS|Ali,_v=1.2.8|",
    "a1EXAMPLE01&device1|securemode=3,\n        signmethod=hmacsha1,\n        timestamp=1700000000000|",
  ])("JavaScript SDK: %j", async (clientId) => {
    expect(await signIn(clientId, C_SDK.username, "d6434526edea88a0db505b3bb5f065e7d64ad572")).toBe(
      "accepted",
    );
  });

  it.each([
    ["hmacmd5", "41540aa9bab61f06b1cfcc8880fee54e"],
    ["hmacsha1", "e675a934135e0e70a10e1417bd61b1e658b07fdc"],
    ["hmacsha256", "1e4ed1299fe93e85f4f57b78e0b1e1d6e2f7276d70295e12200d00865dfdb319"],
  ])("a free client id, %s", async (method, password) => {
    const clientId = `mac-00-11-22|securemode=2,signmethod=${method},timestamp=1700000000000|`;
    expect(await signIn(clientId, C_SDK.username, password)).toBe("accepted");
  });

  it("the unmodified Node SDK's own connect parameters, over TCP and TLS", async () => {
    const require = createRequire(import.meta.url);
    const Model = require("alibabacloud-iot-device-sdk/lib/model") as new (
      config: object,
    ) => {
      genConnectPrarms(): {
        clientId: string;
        username: string;
        password: string;
        keepalive: number;
        clean: boolean;
      };
    };
    for (const brokerUrl of ["mqtt://localhost:1883", "mqtts://localhost:8883"]) {
      const model = new Model({ productKey: PK, deviceName: "device1", deviceSecret: SECRET, brokerUrl });
      const { clientId, username, password, keepalive, clean } = model.genConnectPrarms();
      const secure = brokerUrl.startsWith("mqtts");
      const stream = { ...connectRequest().stream, secure };
      const strict = platformPolicy({ settings: { auth: { strictSecureMode: true } } });
      const request = connectRequest({
        clientId,
        username,
        password,
        keepAlive: keepalive,
        cleanStart: clean,
        stream,
      });
      expect(outcome(await strict.connect(request))).toBe("accepted");
      expect(outcome(await strict.connect({ ...request, username: `device2&${PK}` }))).toBe("4/0x86");
    }
  });
});

describe("[AUTH-8] empty client id of the C Link SDK in 5.0", () => {
  const clientId =
    "|timestamp=2524608000000,_ss=1,_v=sdk-c-4.1.0,securemode=2,signmethod=hmacsha256,ext=3,_conn=tls_1f|";
  const password = "DF3534C4D263617C74376DC52B02972888A16A85D6CC4499637489B3BB93618F";

  it("is assigned {pk}.{dn}", async () => {
    const decision = await policy.connect(connectRequest({ ...C_SDK, clientId, password, level: 5 }));
    expect(decision).toMatchObject({
      ok: true,
      assignedClientId: "a1EXAMPLE01.device1",
      identity: { clientId: "a1EXAMPLE01.device1", sessionKey: "a1EXAMPLE01/device1" },
    });
  });
  it("is refused in 3.x", async () => {
    expect(await signIn(clientId, C_SDK.username, password, 4)).toBe("2/0x85");
    expect(await signIn(clientId, C_SDK.username, password, 3)).toBe("2/0x85");
  });
});

describe("[AUTH-5] refusals", () => {
  it("a changed digit, another method, another timestamp, no password, no hex", async () => {
    const { clientId, username, password } = C_SDK;
    expect(await signIn(clientId, username, password.replace("1628", "1629"))).toBe("4/0x86");
    expect(await signIn(clientId.replace("hmacsha256", "hmacsha1"), username, password)).toBe("4/0x86");
    expect(await signIn(clientId.replace("2524608000000", "2524608000001"), username, password)).toBe(
      "4/0x86",
    );
    expect(outcome(await policy.connect(cSdkRequest({ password: undefined })))).toBe("4/0x86");
    expect(await signIn(clientId, username, `${password.slice(0, -1)}G`)).toBe("4/0x86");
    expect(await signIn(clientId, username, `${password}00`)).toBe("4/0x86");
    expect(await signIn(clientId, username, "0".repeat(64))).toBe("4/0x86");
  });
  it("unknown signmethod: 2 / 0x85", async () => {
    expect(await signIn("a|signmethod=hmacsha512|", C_SDK.username, C_SDK.password)).toBe("2/0x85");
    expect(parseSignMethod("toString")).toBeUndefined();
    expect(parseSignMethod("")).toBeUndefined();
  });
  it("[AUTH-13] unknown device or product: exactly as a wrong signature", async () => {
    const wrong = await policy.connect(cSdkRequest({ password: "0".repeat(64) }));
    const unknownDevice = await policy.connect(cSdkRequest({ username: "device9&a1EXAMPLE01" }));
    const unknownProduct = await policy.connect(cSdkRequest({ username: "device1&a1NOBODY" }));
    expect(outcome(wrong)).toBe("4/0x86");
    expect(unknownDevice).toEqual(wrong);
    expect(unknownProduct).toEqual(wrong);
    // No password is right for nobody, whatever secret stands in.
    const input = { deviceName: "ghost", productKey: "pk" };
    expect(verifySignature("hmacsha1", undefined, input, bytes("00".repeat(20)))).toBe(false);
    expect(verifySignature("hmacsha1", "", input, bytes(sign("hmacsha1", "", signContent(input))))).toBe(
      true,
    );
  });
  it("[AUTH-13] disabled device: 5 / 0x8A, and only after a right signature", async () => {
    const disabled = platformPolicy({ registry: exampleRegistry("disabled") });
    expect(outcome(await disabled.connect(cSdkRequest()))).toBe("5/0x8a");
    expect(outcome(await disabled.connect(cSdkRequest({ password: "0".repeat(64) })))).toBe("4/0x86");
  });
});

describe("signedCredentials", () => {
  const device = { productKey: PK, deviceName: "device1", deviceSecret: SECRET };

  it("is the C SDK's password for the same parameters", () => {
    expect(signedCredentials(device, { securemode: 2, timestamp: "2524608000000" })).toEqual({
      clientId: "a1EXAMPLE01.device1|securemode=2,signmethod=hmacsha256,timestamp=2524608000000|",
      username: C_SDK.username,
      password: C_SDK.password,
    });
  });
  it.each(["hmacmd5", "hmacsha1", "hmacsha256"] as const)("signs in with %s", async (signMethod) => {
    const { clientId, username, password } = signedCredentials(device, {
      securemode: 3,
      signMethod,
      clientId: "x",
    });
    expect(clientId).toBe(`x|securemode=3,signmethod=${signMethod}|`);
    expect(await signIn(clientId, username, password)).toBe("accepted");
  });
});
