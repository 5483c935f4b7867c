// One contract for every registry: in memory, and in the database file of a data directory.
import { describe, expect, it } from "vitest";
import { ConfigError, OperationError } from "../../../src/errors.ts";
import type { Device } from "../../../src/platform/registry/index.ts";
import { DEFAULT_CLASSES } from "../../../src/platform/names/topic-classes.ts";
import { ID, KINDS, PK, RegistryUnderTest } from "./registry-kinds.ts";

const FINGERPRINT = "0123456789abcdef".repeat(4);

describe.each(KINDS)("$name", (kind) => {
  const under = new RegistryUnderTest(kind);

  it("makes keys, secrets and ids in the platform's form", async () => {
    const made = await under.registry.createProduct();
    expect(made).toMatchObject({
      productKey: expect.stringMatching(/^a1[A-Za-z0-9]{9}$/),
      productSecret: expect.stringMatching(/^[A-Za-z0-9]{16}$/),
      name: made.productKey,
      nodeType: "device",
      authType: "secret",
      dataFormat: "alink",
      dynamicRegistration: false,
      freeTopics: false,
      topicClasses: DEFAULT_CLASSES,
    });
    const one = await under.registry.createDevice({ productKey: made.productKey, deviceName: "pump" });
    expect(one).toMatchObject({
      deviceSecret: expect.stringMatching(/^[0-9a-f]{32}$/),
      iotId: expect.stringMatching(/^[A-Za-z0-9]{20}000100$/),
      nickname: "",
      enabled: true,
      activatedAt: undefined,
    });
    expect(under.registry.findByIotId(one.iotId)).toEqual(one);
    expect(under.registry.stateOf(one)).toMatchObject({ status: "UNACTIVE", lastOnlineAt: undefined });
  });

  it("keeps every field of products and devices", async () => {
    const fields = {
      name: "Wasserzähler",
      nodeType: "gateway",
      authType: "x509",
      dataFormat: "raw",
      dynamicRegistration: true,
      freeTopics: true,
      topicClasses: [{ suffix: "/user/x/#", permission: "SUB" }],
      createdAt: 1,
    } as const;
    const made = await under.product(fields);
    expect(made).toEqual({ productKey: PK, productSecret: "ps", ...fields });
    await under.registry.createDevice({ productKey: PK, deviceName: "gate" });
    const full: Device = {
      ...ID,
      deviceSecret: "a secret",
      iotId: "abc000100",
      nickname: "Pumpe 1",
      enabled: false,
      createdAt: 2,
      activatedAt: 3,
      protocolFamily: "5",
      tags: [
        ["__proto__", "x"],
        ["constructor", ""],
      ],
      certificate: FINGERPRINT,
      gateway: { productKey: PK, deviceName: "gate" },
      firmwareVersion: "1.0",
      tokens: [{ clientId: "CID", deviceToken: "T" }],
    };
    expect(await under.registry.createDevice(full)).toEqual(full);
    await under.reopen();
    expect(under.registry.findProduct(PK)).toEqual(made);
    expect(under.registry.findProductByName("Wasserzähler")).toEqual(made);
    expect(under.registry.findDevice(PK, "devA")).toEqual(full);
    expect(under.registry.findByCertificate(FINGERPRINT)).toEqual(full);
    expect(under.registry.subDevicesOf(full.gateway!)).toEqual([full]);
    expect(under.registry.countDevices(PK)).toBe(2);
  });

  it("takes names such as __proto__ for data like any other", async () => {
    for (const key of ["constructor", "valueOf", "hasOwnProperty"]) {
      expect(under.registry.findProduct(key)).toBeUndefined();
      await under.registry.createProduct({ productKey: key });
      for (const deviceName of ["__proto__", "constructor", "toString"]) {
        expect(under.registry.findDevice(key, deviceName)).toBeUndefined();
        await under.registry.createDevice({ productKey: key, deviceName });
      }
      await under.reopen();
      expect(under.registry.devicesOf(key).map((one) => one.deviceName)).toEqual([
        "__proto__",
        "constructor",
        "toString",
      ]);
    }
    expect(({} as Record<string, unknown>)["deviceSecret"]).toBeUndefined();
  });

  it("changes products, and counts the generation up", async () => {
    await under.product();
    let { generation } = under.registry;
    const counted = () => {
      const before = generation;
      generation = under.registry.generation;
      return generation > before;
    };
    await under.registry.updateProduct(PK, { freeTopics: true, name: "Pumps" });
    expect(counted()).toBe(true);
    await under.registry.addTopicClass(PK, { suffix: "/user/new", permission: "ALL" });
    expect(counted()).toBe(true);
    expect(under.registry.findProduct(PK)?.topicClasses).toHaveLength(4);
    await under.registry.removeTopicClass(PK, "/user/get");
    expect(counted()).toBe(true);
    await expect(under.registry.removeTopicClass(PK, "/user/get")).rejects.toMatchObject({
      code: "REGISTRY_MISSING",
    });
    await under.registry.setModel(PK, '{"properties":[]}');
    expect(under.told).toEqual(["product.created a1x", ...Array(4).fill("product.changed a1x")]);
    await under.reopen();
    expect(under.registry.findModel(PK)).toBe('{"properties":[]}');
    expect(under.registry.findProduct(PK)).toMatchObject({ name: "Pumps", freeTopics: true });
    expect(under.registry.findProductByName("Pumps")?.productKey).toBe(PK);
    await under.registry.updateProduct(PK, { name: "Pipes" });
    expect(under.registry.findProductByName("Pumps")).toBeUndefined();
    await under.registry.createProduct({ productKey: "a1y", name: "Pumps" });
    await expect(under.registry.updateProduct(PK, { name: "Pumps" })).rejects.toThrow(/name of product a1y/);
    await under.registry.setModel(PK, undefined);
    expect(under.registry.findModel(PK)).toBeUndefined();
  });

  it("changes devices and tells what it was", async () => {
    await under.product();
    const made = await under.device();
    await under.registry.updateDevice(PK, "devA", { nickname: "Pump 1", tags: [["room", "12"]] });
    await under.registry.disableDevice(PK, "devA");
    await under.registry.disableDevice(PK, "devA");
    expect(under.registry.stateOf(under.registry.findDevice(PK, "devA")!).status).toBe("DISABLE");
    await under.reopen();
    expect(under.registry.findDevice(PK, "devA")).toEqual({
      ...made,
      nickname: "Pump 1",
      tags: [["room", "12"]],
      enabled: false,
    });
    await under.registry.enableDevice(PK, "devA");
    await under.registry.enableDevice(PK, "devA");
    await under.registry.resetDevice(PK, "devA");
    const deleted = await under.registry.deleteDevice(PK, "devA");
    expect(deleted.nickname).toBe("Pump 1");
    expect(under.registry.findDevice(PK, "devA")).toBeUndefined();
    expect(under.registry.findByIotId(made.iotId)).toBeUndefined();
    expect(under.registry.countDevices(PK)).toBe(0);
    expect(under.told).toEqual([
      "product.created a1x",
      "device.created devA",
      "device.changed devA",
      "device.disabled devA",
      "device.enabled devA",
      "device.reset devA",
      "device.deleted devA",
    ]);
    await expect(under.registry.deleteDevice(PK, "devA")).rejects.toMatchObject({ code: "REGISTRY_MISSING" });
    await expect(under.registry.updateDevice("a1nix", "devA", {})).rejects.toThrow(/no such product/);
  });

  it("[AUTH-14] [NET-3] is under.told of connections", async () => {
    await under.product();
    await under.device();
    const state = () => under.registry.stateOf(under.registry.findDevice(PK, "devA")!);
    const before = Date.now();
    under.registry.connected(ID, "5", "10.0.0.1");
    await under.registry.settled();
    expect(under.registry.findDevice(PK, "devA")).toMatchObject({
      activatedAt: expect.closeTo(before, -4),
      protocolFamily: "5",
    });
    expect(state()).toMatchObject({ status: "ONLINE", remoteAddress: "10.0.0.1", lastOfflineAt: undefined });
    // A second connection takes over: the first ends behind its beginning.
    under.registry.connected(ID, "5", "10.0.0.2");
    under.registry.disconnected(ID);
    expect([state().status, under.registry.isOnline(ID), under.registry.onlineCount]).toEqual([
      "ONLINE",
      true,
      1,
    ]);
    under.registry.disconnected(ID);
    expect([state().status, under.registry.isOnline(ID), under.registry.onlineCount]).toEqual([
      "OFFLINE",
      false,
      0,
    ]);
    const last = state();
    expect(last.lastOnlineAt).toBeGreaterThanOrEqual(before);
    expect(last.lastOfflineAt).toBeGreaterThanOrEqual(last.lastOnlineAt!);
    await under.reopen();
    expect(state()).toEqual(last);
    await under.registry.resetDevice(PK, "devA");
    expect(under.registry.findDevice(PK, "devA")).toMatchObject({
      activatedAt: undefined,
      protocolFamily: undefined,
    });
    expect(state().status).toBe("UNACTIVE");
    // A new device of that name has no past.
    await under.registry.deleteDevice(PK, "devA");
    await under.device();
    expect(state()).toMatchObject({ lastOnlineAt: undefined, lastOfflineAt: undefined });
  });

  it("pages through devices in the order of their names", async () => {
    await under.product();
    await under.registry.createProduct({ productKey: "a1x0" });
    const names = Array.from({ length: 2_050 }, (_, i) => `dev-${String(i).padStart(5, "0")}`);
    await Promise.all([
      ...names.map((deviceName) => under.registry.createDevice({ productKey: PK, deviceName })).reverse(),
      under.registry.createDevice({ productKey: "a1x0", deviceName: "other" }),
    ]);
    const found: string[] = [];
    for (let after: string | undefined; ; after = found[found.length - 1]) {
      const page = under.registry.devicesOf(PK, { after });
      if (page.length === 0) break;
      expect(page.length).toBeLessThanOrEqual(1_000);
      found.push(...page.map(({ deviceName }) => deviceName));
    }
    expect(found).toEqual(names);
    expect(
      under.registry.devicesOf(PK, { after: "dev-00007", limit: 2 }).map((one) => one.deviceName),
    ).toEqual(["dev-00008", "dev-00009"]);
    expect(under.registry.devicesOf("a1nix")).toEqual([]);
    expect(under.registry.countDevices(PK)).toBe(2_050);
  });

  it("deletes a product that has devices only when under.told to, and each of them", async () => {
    await under.product({ name: "Pumps" });
    await under.device({ certificate: FINGERPRINT });
    for (let i = 0; i < 1_200; i++) void under.device({ deviceName: `dev-${i}` });
    await expect(under.registry.deleteProduct(PK)).rejects.toMatchObject({ code: "REGISTRY_IN_USE" });
    expect(under.registry.findDevice(PK, "devA")).toBeDefined();
    under.told = [];
    const deleting = under.registry.deleteProduct(PK, { withDevices: true });
    await expect(under.registry.createProduct({ productKey: PK })).rejects.toMatchObject({
      code: "REGISTRY_BUSY",
    });
    await deleting;
    expect(under.told.filter((text) => text.startsWith("device.deleted"))).toHaveLength(1_201);
    expect(under.registry.findByCertificate(FINGERPRINT)).toBeUndefined();
    await under.registry.createProduct({ productKey: PK, name: "Pumps" });
    await under.reopen();
    expect(under.registry.devicesOf(PK)).toEqual([]);
    expect(under.registry.countDevices(PK)).toBe(0);
  });

  it("[GW-1] knows the gateway of a device, and its devices", async () => {
    await under.product({ nodeType: "gateway" });
    await under.device();
    await under.registry.createProduct({ productKey: "a1sub" });
    for (let i = 0; i < 5; i++)
      await under.registry.createDevice({ productKey: "a1sub", deviceName: `sub${i}` });
    const bind = (name: string, gateway: object | undefined) =>
      under.registry.updateDevice("a1sub", name, { gateway } as never);
    for (let i = 0; i < 4; i++) await bind(`sub${i}`, ID);
    const names = (after?: Device) => under.registry.subDevicesOf(ID, after, 2).map((one) => one.deviceName);
    expect(names()).toEqual(["sub0", "sub1"]);
    expect(names(under.registry.findDevice("a1sub", "sub1"))).toEqual(["sub2", "sub3"]);
    await bind("sub1", undefined);
    await under.registry.deleteDevice("a1sub", "sub0");
    expect(names()).toEqual(["sub2", "sub3"]);
    await expect(bind("sub4", { productKey: "a1sub", deviceName: "sub2" })).rejects.toThrow(
      /none of gateways/,
    );
    await expect(bind("sub4", { productKey: PK, deviceName: "nobody" })).rejects.toThrow(/no device/);
    await expect(under.registry.updateDevice(PK, "devA", { gateway: ID })).rejects.toThrow(/of itself/);
  });

  it("[TOPIC-4] refuses what could not sign in, or would hide another entry, and changes nothing", async () => {
    await expect(under.device()).rejects.toThrow(/no such product/);
    await expect(under.product({ productKey: "a/b" })).rejects.toThrow(ConfigError);
    await expect(under.product({ productSecret: "" })).rejects.toThrow(/productSecret: is empty/);
    await expect(under.product({ nodeType: "robot" })).rejects.toThrow(/use device or gateway/);
    await expect(under.product({ name: "abc" })).rejects.toThrow(/4 to 30/);
    const twice = [DEFAULT_CLASSES[0], DEFAULT_CLASSES[0]];
    await expect(under.product({ topicClasses: twice })).rejects.toThrow(/stands twice/);
    const many = Array.from({ length: 51 }, (_, i) => ({ suffix: `/user/t${i}`, permission: "PUB" }));
    await expect(under.product({ topicClasses: many })).rejects.toThrow(/50 at most/); // [TOPIC-4]
    await under.product({ topicClasses: many.slice(1) });
    await expect(under.registry.addTopicClass(PK, { suffix: "/user/z", permission: "SUB" })).rejects.toThrow(
      /50/,
    );
    await expect(under.product()).rejects.toMatchObject({ code: "REGISTRY_EXISTS" });
    await expect(under.device({ deviceName: "abc" })).rejects.toThrow(/4 to 32/);
    await expect(under.device({ deviceSecret: "" })).rejects.toThrow(ConfigError);
    await expect(
      under.device({
        tags: [
          ["a", "1"],
          ["a", "2"],
        ],
      }),
    ).rejects.toThrow(/stands twice/);
    const made = await under.device({ certificate: FINGERPRINT });
    await expect(under.device()).rejects.toThrow(/already/);
    await expect(under.device({ deviceName: "devB", iotId: made.iotId })).rejects.toThrow(OperationError);
    await expect(under.device({ deviceName: "devB", certificate: FINGERPRINT })).rejects.toThrow(
      /bound to devA/,
    );
    expect(under.registry.findDevice(PK, "devB")).toBeUndefined();
    expect(under.registry.countDevices(PK)).toBe(1);
    await expect(under.registry.setModel(PK, "[]")).rejects.toThrow(/no JSON object/);
    await expect(under.registry.setModel(PK, "{")).rejects.toThrow(/not JSON/);
  });

  it("lets one of many at once have a name", async () => {
    await under.product();
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => under.device()));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const named = await Promise.allSettled(
      Array.from({ length: 20 }, () => under.registry.createProduct({ name: "Twins" })),
    );
    expect(named.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(under.registry.products).toHaveLength(2);
  });
});
