import { describe, expect, it } from "vitest";
import type { ConnectRequest } from "../../../src/access/policy.ts";
import { ConfigError } from "../../../src/errors.ts";
import { resolveLimits } from "../../../src/limits.ts";
import { DEFAULT_SETTINGS, resolveSettings } from "../../../src/platform/settings/settings.ts";
import { LOOPBACK, outcome, PUBLIC, SECURE } from "../../access/requests.ts";
import { cSdkRequest, exampleRegistry, PK, platformPolicy } from "../devices.ts";

const policy = platformPolicy();
const will = { topic: "x", payload: new Uint8Array(), qos: 0, retain: false, properties: {} } as const;

async function decide(overrides: Partial<Omit<ConnectRequest, "password">>, on = policy): Promise<string> {
  return outcome(await on.connect(cSdkRequest(overrides)));
}

describe("[SESS-0] [CONN-1] identity", () => {
  it("is the device, whatever the client id", async () => {
    const first = await policy.connect(cSdkRequest());
    expect(first).toMatchObject({
      ok: true,
      allowAllPublish: false,
      identity: {
        clientId: "a1EXAMPLE01.device1",
        username: "device1&a1EXAMPLE01",
        sessionKey: "a1EXAMPLE01/device1",
        data: { productKey: PK, deviceName: "device1" },
      },
    });
    const device2 = "device2&a1EXAMPLE01";
    expect(await decide({ username: device2 })).toBe("4/0x86");
  });
  it("answers synchronously with a registry in memory, later with another", async () => {
    expect(policy.connect(cSdkRequest())).not.toBeInstanceOf(Promise);
    const memory = exampleRegistry();
    const remote = {
      generation: 1,
      findProduct: (pk: string) => memory.findProduct(pk),
      findDevice: async (pk: string, dn: string) => memory.findDevice(pk, dn),
    };
    const decision = platformPolicy({ registry: remote }).connect(cSdkRequest());
    expect(decision).toBeInstanceOf(Promise);
    expect(outcome(await decision)).toBe("accepted");
  });
  it("is never anonymous, not on loopback either, and no AUTH exchange replaces the signature", async () => {
    expect(await decide({ username: undefined, stream: LOOPBACK })).toBe("4/0x86");
    expect(await decide({ clientId: "c1", username: undefined })).toBe("2/0x85");
    expect(outcome(await policy.connect(cSdkRequest({ password: "x" }), "device1&a1EXAMPLE01"))).toBe(
      "4/0x86",
    );
    expect(policy.authenticate).toBeUndefined();
  });
});

describe("[CONN-5] keep alive", () => {
  it.each([
    [0, "2/0x80"],
    [29, "2/0x80"],
    [30, "accepted"],
    [1200, "accepted"],
    [1201, "2/0x80"],
  ])("%i s: %s", async (keepAlive, expected) => {
    expect(await decide({ keepAlive, level: 4 })).toBe(expected);
    expect(await decide({ keepAlive, level: 5 })).toBe(expected);
  });
  it("the refusal says why", async () => {
    expect(await policy.connect(cSdkRequest({ keepAlive: 0 }))).toMatchObject({
      reasonString: "Keep Alive must be 30 to 1200 seconds",
    });
  });
  it("[V5-1] Server Keep Alive is the device's value, in 5.0", async () => {
    expect(await policy.connect(cSdkRequest({ keepAlive: 99, level: 5 }))).toMatchObject({
      serverKeepAlive: 99,
    });
    expect((await policy.connect(cSdkRequest({ level: 4 }))) as object).toMatchObject({
      serverKeepAlive: undefined,
    });
  });
});

describe("[NET-2] MQTT 5.0 is a switch", () => {
  it("off: 0x84, 3.x unharmed", async () => {
    for (const settings of [{ mqtt5: { enabled: false } }, { instance: { type: "public" } }] as const) {
      const off = platformPolicy({ settings });
      expect(off.capabilities.mqtt5).toBe(false);
      expect(await decide({ level: 5 }, off)).toBe("1/0x84");
      expect(await decide({ level: 4 }, off)).toBe("accepted");
    }
  });
  it("a public instance may have it switched on", () => {
    expect(resolveSettings({ instance: { type: "public" }, mqtt5: { enabled: true } }).mqtt5.enabled).toBe(
      true,
    );
  });
});

describe("[SESS-5] will in 3.x", () => {
  it("is thrown away in 3.x and kept in 5.0", async () => {
    expect(await policy.connect(cSdkRequest({ will, level: 3 }))).toMatchObject({
      ok: true,
      keepWill: false,
    });
    expect(await policy.connect(cSdkRequest({ will, level: 4 }))).toMatchObject({
      ok: true,
      keepWill: false,
    });
    expect(await policy.connect(cSdkRequest({ will, level: 5 }))).toMatchObject({ ok: true, keepWill: true });
  });
});

describe("[AUTH-9] securemode", () => {
  const strict = platformPolicy({ settings: { auth: { strictSecureMode: true } } });
  // The signature does not cover securemode: the same password goes with each.
  const mode = (value: string) => cSdkRequest().clientId.replace("securemode=2", `securemode=${value}`);

  it("a mismatch is accepted and logged", async () => {
    const logged: [object, string][] = [];
    const logger = { info: (fields: object, message: string) => void logged.push([fields, message]) };
    const logging = platformPolicy({ logger });
    expect(await decide({ stream: PUBLIC }, logging)).toBe("accepted");
    expect(logged).toEqual([
      [
        { productKey: PK, deviceName: "device1", remoteAddress: PUBLIC.remoteAddress },
        "securemode=2 over tcp",
      ],
    ]);
    expect(await decide({ stream: SECURE }, logging)).toBe("accepted");
    expect(await decide({ clientId: mode("3"), stream: LOOPBACK }, logging)).toBe("accepted");
    expect(logged).toHaveLength(1);
  });
  it("strict: refused with 2 / 0x85", async () => {
    expect(await decide({ stream: LOOPBACK }, strict)).toBe("2/0x85");
    expect(await decide({ clientId: mode("3"), stream: SECURE }, strict)).toBe("2/0x85");
    expect(await decide({ stream: SECURE }, strict)).toBe("accepted");
    expect(await decide({ clientId: mode("3"), stream: LOOPBACK }, strict)).toBe("accepted");
    expect(await decide({ clientId: mode("-1"), stream: LOOPBACK }, strict)).toBe("accepted");
  });
});

describe("[CONN-7] [CONN-8] return and reason codes", () => {
  it("every refusal is one that a CONNACK may carry", () => {
    const inConnack = [
      0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
    ];
    inConnack.push(0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f);
    for (const { code3, reason } of Object.values(DEFAULT_SETTINGS.codes)) {
      expect([1, 2, 3, 4, 5]).toContain(code3);
      expect(inConnack).toContain(reason);
    }
  });
  it.each([
    ["clientId", { clientId: "a" }],
    ["credentials", { username: "device1" }],
    ["keepAlive", { keepAlive: 1 }],
  ] as const)("%s can be configured", async (name, overrides) => {
    const other = platformPolicy({ settings: { codes: { [name]: { code3: 3, reason: 0x88 } } } });
    expect(await decide(overrides, other)).toBe("3/0x88");
  });
  it("disabled, secureMode and mqtt5Disabled too", async () => {
    const code = { code3: 3, reason: 0x88 } as const;
    const settings = {
      auth: { strictSecureMode: true },
      mqtt5: { enabled: false },
      codes: { disabled: code, secureMode: code, mqtt5Disabled: code },
    };
    const other = platformPolicy({ settings, registry: exampleRegistry("disabled") });
    expect(await decide({ stream: SECURE }, other)).toBe("3/0x88");
    expect(await decide({ stream: LOOPBACK }, other)).toBe("3/0x88");
    expect(await decide({ level: 5 }, other)).toBe("3/0x88");
  });
});

describe("settings", () => {
  it.each([
    [{ connection: { minKeepAliveSeconds: 100, maxKeepAliveSeconds: 99 } }, "connection.maxKeepAliveSeconds"],
    [{ auth: { maxClientIdFieldBytes: 10 } }, "auth.maxClientIdFieldBytes"],
    [{ codes: { disabled: { code3: 5, reason: 0 } } }, "codes.disabled.reason"],
  ] as const)("refuses %j and names the option", (overrides, path) => {
    expect(() => resolveSettings(overrides)).toThrow(ConfigError);
    expect(() => resolveSettings(overrides)).toThrow(path);
  });
  it("keep-alive bounds, field length and assigned identifier act", async () => {
    const other = platformPolicy({
      settings: {
        connection: { minKeepAliveSeconds: 0 },
        auth: { maxClientIdFieldBytes: 200, assignedClientId: "{dn}@{pk}" },
      },
    });
    expect(await decide({ keepAlive: 0 }, other)).toBe("accepted");
    expect(await decide({ clientId: `a|x=${"y".repeat(200)}|` }, other)).toBe("2/0x85");
    const clientId = "|timestamp=2524608000000,signmethod=hmacsha256|";
    const password = "DF3534C4D263617C74376DC52B02972888A16A85D6CC4499637489B3BB93618F";
    expect(await other.connect(cSdkRequest({ clientId, password, level: 5 }))).toMatchObject({
      assignedClientId: "device1@a1EXAMPLE01",
    });
  });
});

describe("capabilities", () => {
  it("[QOS-1] [QOS-2] [QOS-3] [QOS-4] [SESS-5] [V5-1] are the platform's", () => {
    expect(policy.capabilities).toEqual({
      maximumQos: 1,
      retain3: false,
      retain5: true,
      wildcardSubscriptions: true,
      subscriptionIdentifiers: false,
      sharedSubscriptions3: false,
      sharedSubscriptions5: true,
      publisherQos3: true,
      publisherQos5: false,
      dedupeQos1: true,
      receiveMaximum: 100,
      unacknowledged3: 100,
      topicAliasMaximum: 20,
      maximumPacketSize: 262_144,
      announceAll: true,
      discardOversize3: true,
      mqtt5: true,
      queueOverflow: "oldest",
      maxQueueAge: 604_800,
      enhancedAuthentication: false,
      optionReasons: { qos3: 0x81, reserved: 0x82 },
      validatePayloadFormat: false,
      filtersPerSubscribe: 8,
      sendWindow5: 100,
      propertyBounds: {
        userProperties: 20,
        userPropertyCharacters: 128,
        responseTopic: 128,
        correlationData: 128,
      },
    });
  });
  it("[QOS-3] qos.publisherDecides5, overrides, and lower limits of the broker", () => {
    expect(
      platformPolicy({ settings: { qos: { publisherDecides5: true } } }).capabilities.publisherQos5,
    ).toBe(true);
    expect(platformPolicy({ capabilities: { retain3: true } }).capabilities.retain3).toBe(true);
    const limits = resolveLimits({ receiveMaximum: 5, topicAliasMaximum: 4, maxPacketSize: 1_000 });
    expect(platformPolicy({ limits }).capabilities).toMatchObject({
      receiveMaximum: 5,
      topicAliasMaximum: 4,
      maximumPacketSize: 1_000,
    });
  });
});
