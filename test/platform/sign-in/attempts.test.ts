import { beforeEach, afterEach, describe, expect, it, vi } from "vitest";
import { resolveSettings } from "../../../src/platform/settings/settings.ts";
import { Attempts } from "../../../src/platform/sign-in/attempts.ts";
import { PreAuth } from "../../../src/platform/sign-in/pre-auth.ts";
import { sign } from "../../../src/platform/sign-in/signature.ts";
import { LOOPBACK, outcome, PUBLIC, SECURE } from "../../access/requests.ts";
import { cSdkRequest, exampleRegistry, PK, platformPolicy, SECRET } from "../devices.ts";

const policyWith = (connection: object) =>
  platformPolicy({ settings: { rates: { enabled: true }, connection } });
type Overrides = Parameters<typeof cSdkRequest>[0];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("[CONN-3] the window", () => {
  it("slides, and refused attempts do not extend it", async () => {
    const policy = policyWith({ attemptsPerMinute: 2 });
    const attempt = async () => outcome(await policy.connect(cSdkRequest()));
    expect(await attempt()).toBe("accepted");
    vi.advanceTimersByTime(30_000);
    expect(await attempt()).toBe("accepted");
    for (let i = 0; i < 29; i++) {
      vi.advanceTimersByTime(1_000);
      expect(await attempt()).toBe("3/0x9f");
    }
    vi.advanceTimersByTime(1_000);
    expect(await attempt()).toBe("accepted"); // a minute after the first
    expect(await attempt()).toBe("3/0x9f");
    vi.advanceTimersByTime(30_000);
    expect(await attempt()).toBe("accepted"); // a minute after the second
  });

  it("of failures is one per device and address", async () => {
    const policy = policyWith({ failuresPerMinute: 1 });
    const fail = async (overrides: Overrides = {}) =>
      outcome(await policy.connect(cSdkRequest({ password: "x", ...overrides })));
    expect(await fail({ stream: PUBLIC })).toBe("4/0x86");
    expect(await fail({ stream: PUBLIC })).toBe("3/0x9f");
    expect(await fail({ stream: LOOPBACK })).toBe("4/0x86");
    expect(await fail({ stream: PUBLIC, username: `device2&${PK}` })).toBe("4/0x86");
    expect(await fail({ stream: PUBLIC, password: undefined })).toBe("3/0x9f");
    vi.advanceTimersByTime(60_000);
    expect(await fail({ stream: PUBLIC })).toBe("4/0x86");
  });

  it("of failures is kept for so many devices and addresses, the latest", async () => {
    const policy = policyWith({ failuresPerMinute: 1, trackedFailures: 2 });
    const fail = async (deviceName: string) =>
      outcome(await policy.connect(cSdkRequest({ username: `${deviceName}&${PK}`, password: "x" })));
    for (const name of ["aaaa", "bbbb", "cccc"]) expect(await fail(name)).toBe("4/0x86");
    expect(await fail("cccc")).toBe("3/0x9f");
    expect(await fail("bbbb")).toBe("3/0x9f");
    expect(await fail("aaaa")).toBe("4/0x86");
  });
});

describe("a disabled device, or one of another family", () => {
  it("uses up no attempts", async () => {
    const registry = exampleRegistry("disabled");
    const settings = { rates: { enabled: true }, connection: { attemptsPerMinute: 1 } };
    const policy = platformPolicy({ registry, settings });
    for (let i = 0; i < 3; i++) expect(outcome(await policy.connect(cSdkRequest()))).toBe("5/0x8a");
    await registry.enableDevice(PK, "device1");
    expect(outcome(await policy.connect(cSdkRequest()))).toBe("accepted");
  });
});

describe("[CONN-3] attempts with something else than a signature", () => {
  const settings = { rates: { enabled: true }, connection: { attemptsPerMinute: 2, failuresPerMinute: 1 } };

  it("each token has its own, and so has the triple [SESS-0]", async () => {
    const registry = exampleRegistry();
    const policy = platformPolicy({ registry, settings });
    const pairs = [
      await registry.issueToken({ productKey: PK, deviceName: "device1" }),
      await registry.issueToken({ productKey: PK, deviceName: "device1" }),
    ];
    for (const pair of pairs) {
      const connect = async () =>
        outcome(
          await policy.connect(
            cSdkRequest({
              clientId: `${pair?.clientId}|authType=connwl,securemode=-2|`,
              password: pair?.deviceToken,
            }),
          ),
        );
      expect([await connect(), await connect(), await connect()]).toEqual(["accepted", "accepted", "3/0x9f"]);
    }
    expect(outcome(await policy.connect(cSdkRequest()))).toBe("accepted");
  });

  it("registrations count among the device's own, whatever becomes of them [DYN-5]", async () => {
    const registry = exampleRegistry();
    await registry.updateProduct(PK, { dynamicRegistration: true });
    const policy = platformPolicy({ registry, settings });
    const register = async (deviceName: string) =>
      outcome(
        await policy.connect(
          cSdkRequest({
            stream: SECURE,
            clientId: "x|random=123,authType=register,securemode=2,signmethod=hmacsha256|",
            username: `${deviceName}&${PK}`,
            password: sign(
              "hmacsha256",
              "ProductSecret001",
              `deviceName${deviceName}productKey${PK}random123`,
            ),
          }),
        ),
      );
    expect([await register("device1"), await register("device1"), await register("device1")]).toEqual([
      "accepted",
      "accepted",
      "3/0x9f",
    ]);
    expect(outcome(await policy.connect(cSdkRequest()))).toBe("3/0x9f");
    expect([await register("nobody"), await register("nobody"), await register("nobody")]).toEqual([
      "4/0x86",
      "4/0x86",
      "3/0x9f",
    ]);
  });

  it("who fails for want of the certificate waits as one with a wrong signature does [AUTH-11]", async () => {
    const registry = exampleRegistry();
    await registry.updateProduct(PK, { authType: "x509" });
    const policy = platformPolicy({ registry, settings });
    const fail = async (username: string) =>
      outcome(await policy.connect(cSdkRequest({ stream: SECURE, username, password: "" })));
    for (const name of ["device1", "nobody"])
      expect([await fail(`${name}&${PK}`), await fail(`${name}&${PK}`)]).toEqual(["5/0x87", "3/0x9f"]);
  });
});

describe("[AUTH-15] what pre-authentication gives out", () => {
  function preAuth(auth: object, ...names: string[]) {
    const registry = exampleRegistry();
    for (const deviceName of names) registry.putDevice({ productKey: PK, deviceName, deviceSecret: SECRET });
    const settings = resolveSettings({ auth });
    const given = new PreAuth({ registry, settings, attempts: new Attempts(settings) });
    return async (deviceName: string) => {
      const proof = await given.preAuthenticate({
        device: { productKey: PK, deviceName },
        method: "hmacsha256",
        clientId: undefined,
        timestamp: undefined,
        sign: Buffer.from(sign("hmacsha256", SECRET, `deviceName${deviceName}productKey${PK}`)),
        remoteAddress: "192.0.2.7",
      });
      if (proof === undefined || proof === "barred") return expect.fail();
      return { isGood: () => given.find(proof.iotId) !== undefined, iotId: proof.iotId };
    };
  }

  it("is good for so many seconds", async () => {
    const ask = preAuth({ tokenSeconds: 60 });
    const { isGood } = await ask("device1");
    vi.advanceTimersByTime(59_999);
    expect(isGood()).toBe(true);
    vi.advanceTimersByTime(1);
    expect(isGood()).toBe(false);
  });

  it("is kept for so many devices, the latest; asking again makes one the latest", async () => {
    const ask = preAuth({ maxTokens: 2 }, "aaaa", "bbbb", "cccc");
    const [a, b] = [await ask("aaaa"), await ask("bbbb")];
    await ask("aaaa");
    const c = await ask("cccc");
    expect([a.isGood(), b.isGood(), c.isGood()]).toEqual([true, false, true]);
  });
});
