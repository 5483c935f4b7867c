// One contract for every registry: in memory, and in the database file of a data directory.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError, OperationError } from "../../src/errors.ts";
import { type Device, MemoryRegistry, openRegistry, type Registry } from "../../src/platform/registry.ts";
import { DEFAULT_CLASSES } from "../../src/platform/topic-classes.ts";

const PK = "a1x";
const ID = { productKey: PK, deviceName: "devA" };
const FINGERPRINT = "0123456789abcdef".repeat(4);

interface Kind {
  readonly name: string;
  readonly open: (directory: string) => Promise<Registry>;
  readonly keeps: boolean;
}
const KINDS: readonly Kind[] = [
  { name: "MemoryRegistry", open: async () => new MemoryRegistry(), keeps: false },
  { name: "openRegistry()", open: (directory) => openRegistry(directory), keeps: true },
];

describe.each(KINDS)("$name", ({ open, keeps }) => {
  let directory: string;
  let registry: Registry;
  let told: string[];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "millrace-registry-"));
    registry = await open(directory);
    told = [];
    follow(registry);
  });
  afterEach(async () => {
    await registry.close();
    rmSync(directory, { recursive: true });
  });

  function follow(of: Registry): void {
    for (const name of ["product.created", "product.changed", "product.deleted"] as const)
      of.on(name, ({ productKey }) => void told.push(`${name} ${productKey}`));
    for (const kind of ["created", "changed", "enabled", "disabled", "reset", "deleted"] as const)
      of.on(`device.${kind}`, ({ deviceName }) => void told.push(`device.${kind} ${deviceName}`));
  }

  /** Closes and opens it where it keeps anything. */
  async function reopen(): Promise<void> {
    if (!keeps) return;
    await registry.close();
    registry = await open(directory);
    follow(registry);
  }

  const product = (fields = {}) => registry.createProduct({ productKey: PK, productSecret: "ps", ...fields });
  const device = (fields = {}) => registry.createDevice({ ...ID, ...fields });

  it("makes keys, secrets and ids in the platform's form", async () => {
    const made = await registry.createProduct();
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
    const one = await registry.createDevice({ productKey: made.productKey, deviceName: "pump" });
    expect(one).toMatchObject({
      deviceSecret: expect.stringMatching(/^[0-9a-f]{32}$/),
      iotId: expect.stringMatching(/^[A-Za-z0-9]{20}000100$/),
      nickname: "",
      enabled: true,
      activatedAt: undefined,
    });
    expect(registry.findByIotId(one.iotId)).toEqual(one);
    expect(registry.stateOf(one)).toMatchObject({ status: "UNACTIVE", lastOnlineAt: undefined });
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
    const made = await product(fields);
    expect(made).toEqual({ productKey: PK, productSecret: "ps", ...fields });
    await registry.createDevice({ productKey: PK, deviceName: "gate" });
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
    expect(await registry.createDevice(full)).toEqual(full);
    await reopen();
    expect(registry.findProduct(PK)).toEqual(made);
    expect(registry.findProductByName("Wasserzähler")).toEqual(made);
    expect(registry.findDevice(PK, "devA")).toEqual(full);
    expect(registry.findByCertificate(FINGERPRINT)).toEqual(full);
    expect(registry.subDevicesOf(full.gateway!)).toEqual([full]);
    expect(registry.countDevices(PK)).toBe(2);
  });

  it("takes names such as __proto__ for data like any other", async () => {
    for (const key of ["constructor", "valueOf", "hasOwnProperty"]) {
      expect(registry.findProduct(key)).toBeUndefined();
      await registry.createProduct({ productKey: key });
      for (const deviceName of ["__proto__", "constructor", "toString"]) {
        expect(registry.findDevice(key, deviceName)).toBeUndefined();
        await registry.createDevice({ productKey: key, deviceName });
      }
      await reopen();
      expect(registry.devicesOf(key).map((one) => one.deviceName)).toEqual([
        "__proto__",
        "constructor",
        "toString",
      ]);
    }
    expect(({} as Record<string, unknown>)["deviceSecret"]).toBeUndefined();
  });

  it("changes products, and counts the generation up", async () => {
    await product();
    let { generation } = registry;
    const counted = () => {
      const before = generation;
      generation = registry.generation;
      return generation > before;
    };
    await registry.updateProduct(PK, { freeTopics: true, name: "Pumps" });
    expect(counted()).toBe(true);
    await registry.addTopicClass(PK, { suffix: "/user/new", permission: "ALL" });
    expect(counted()).toBe(true);
    expect(registry.findProduct(PK)?.topicClasses).toHaveLength(4);
    await registry.removeTopicClass(PK, "/user/get");
    expect(counted()).toBe(true);
    await expect(registry.removeTopicClass(PK, "/user/get")).rejects.toMatchObject({
      code: "REGISTRY_MISSING",
    });
    await registry.setModel(PK, '{"properties":[]}');
    expect(told).toEqual(["product.created a1x", ...Array(4).fill("product.changed a1x")]);
    await reopen();
    expect(registry.findModel(PK)).toBe('{"properties":[]}');
    expect(registry.findProduct(PK)).toMatchObject({ name: "Pumps", freeTopics: true });
    expect(registry.findProductByName("Pumps")?.productKey).toBe(PK);
    await registry.updateProduct(PK, { name: "Pipes" });
    expect(registry.findProductByName("Pumps")).toBeUndefined();
    await registry.createProduct({ productKey: "a1y", name: "Pumps" });
    await expect(registry.updateProduct(PK, { name: "Pumps" })).rejects.toThrow(/name of product a1y/);
    await registry.setModel(PK, undefined);
    expect(registry.findModel(PK)).toBeUndefined();
  });

  it("changes devices and tells what it was", async () => {
    await product();
    const made = await device();
    await registry.updateDevice(PK, "devA", { nickname: "Pump 1", tags: [["room", "12"]] });
    await registry.disableDevice(PK, "devA");
    await registry.disableDevice(PK, "devA");
    expect(registry.stateOf(registry.findDevice(PK, "devA")!).status).toBe("DISABLE");
    await reopen();
    expect(registry.findDevice(PK, "devA")).toEqual({
      ...made,
      nickname: "Pump 1",
      tags: [["room", "12"]],
      enabled: false,
    });
    await registry.enableDevice(PK, "devA");
    await registry.enableDevice(PK, "devA");
    await registry.resetDevice(PK, "devA");
    const deleted = await registry.deleteDevice(PK, "devA");
    expect(deleted.nickname).toBe("Pump 1");
    expect(registry.findDevice(PK, "devA")).toBeUndefined();
    expect(registry.findByIotId(made.iotId)).toBeUndefined();
    expect(registry.countDevices(PK)).toBe(0);
    expect(told).toEqual([
      "product.created a1x",
      "device.created devA",
      "device.changed devA",
      "device.disabled devA",
      "device.enabled devA",
      "device.reset devA",
      "device.deleted devA",
    ]);
    await expect(registry.deleteDevice(PK, "devA")).rejects.toMatchObject({ code: "REGISTRY_MISSING" });
    await expect(registry.updateDevice("a1nix", "devA", {})).rejects.toThrow(/no such product/);
  });

  it("[AUTH-14] [NET-3] is told of connections", async () => {
    await product();
    await device();
    const state = () => registry.stateOf(registry.findDevice(PK, "devA")!);
    const before = Date.now();
    registry.connected(ID, "5", "10.0.0.1");
    await registry.settled();
    expect(registry.findDevice(PK, "devA")).toMatchObject({
      activatedAt: expect.closeTo(before, -4),
      protocolFamily: "5",
    });
    expect(state()).toMatchObject({ status: "ONLINE", remoteAddress: "10.0.0.1", lastOfflineAt: undefined });
    // A second connection takes over: the first ends behind its beginning.
    registry.connected(ID, "5", "10.0.0.2");
    registry.disconnected(ID);
    expect([state().status, registry.isOnline(ID), registry.onlineCount]).toEqual(["ONLINE", true, 1]);
    registry.disconnected(ID);
    expect([state().status, registry.isOnline(ID), registry.onlineCount]).toEqual(["OFFLINE", false, 0]);
    const last = state();
    expect(last.lastOnlineAt).toBeGreaterThanOrEqual(before);
    expect(last.lastOfflineAt).toBeGreaterThanOrEqual(last.lastOnlineAt!);
    await reopen();
    expect(state()).toEqual(last);
    await registry.resetDevice(PK, "devA");
    expect(registry.findDevice(PK, "devA")).toMatchObject({
      activatedAt: undefined,
      protocolFamily: undefined,
    });
    expect(state().status).toBe("UNACTIVE");
    // A new device of that name has no past.
    await registry.deleteDevice(PK, "devA");
    await device();
    expect(state()).toMatchObject({ lastOnlineAt: undefined, lastOfflineAt: undefined });
  });

  it("pages through devices in the order of their names", async () => {
    await product();
    await registry.createProduct({ productKey: "a1x0" });
    const names = Array.from({ length: 2_050 }, (_, i) => `dev-${String(i).padStart(5, "0")}`);
    await Promise.all([
      ...names.map((deviceName) => registry.createDevice({ productKey: PK, deviceName })).reverse(),
      registry.createDevice({ productKey: "a1x0", deviceName: "other" }),
    ]);
    const found: string[] = [];
    for (let after: string | undefined; ; after = found[found.length - 1]) {
      const page = registry.devicesOf(PK, { after });
      if (page.length === 0) break;
      expect(page.length).toBeLessThanOrEqual(1_000);
      found.push(...page.map(({ deviceName }) => deviceName));
    }
    expect(found).toEqual(names);
    expect(registry.devicesOf(PK, { after: "dev-00007", limit: 2 }).map((one) => one.deviceName)).toEqual([
      "dev-00008",
      "dev-00009",
    ]);
    expect(registry.devicesOf("a1nix")).toEqual([]);
    expect(registry.countDevices(PK)).toBe(2_050);
  });

  it("deletes a product that has devices only when told to, and each of them", async () => {
    await product({ name: "Pumps" });
    await device({ certificate: FINGERPRINT });
    for (let i = 0; i < 1_200; i++) void device({ deviceName: `dev-${i}` });
    await expect(registry.deleteProduct(PK)).rejects.toMatchObject({ code: "REGISTRY_IN_USE" });
    expect(registry.findDevice(PK, "devA")).toBeDefined();
    told = [];
    const deleting = registry.deleteProduct(PK, { withDevices: true });
    await expect(registry.createProduct({ productKey: PK })).rejects.toMatchObject({
      code: "REGISTRY_BUSY",
    });
    await deleting;
    expect(told.filter((text) => text.startsWith("device.deleted"))).toHaveLength(1_201);
    expect(registry.findByCertificate(FINGERPRINT)).toBeUndefined();
    await registry.createProduct({ productKey: PK, name: "Pumps" });
    await reopen();
    expect(registry.devicesOf(PK)).toEqual([]);
    expect(registry.countDevices(PK)).toBe(0);
  });

  it("[GW-1] knows the gateway of a device, and its devices", async () => {
    await product({ nodeType: "gateway" });
    await device();
    await registry.createProduct({ productKey: "a1sub" });
    for (let i = 0; i < 5; i++) await registry.createDevice({ productKey: "a1sub", deviceName: `sub${i}` });
    const bind = (name: string, gateway: object | undefined) =>
      registry.updateDevice("a1sub", name, { gateway } as never);
    for (let i = 0; i < 4; i++) await bind(`sub${i}`, ID);
    const names = (after?: Device) => registry.subDevicesOf(ID, after, 2).map((one) => one.deviceName);
    expect(names()).toEqual(["sub0", "sub1"]);
    expect(names(registry.findDevice("a1sub", "sub1"))).toEqual(["sub2", "sub3"]);
    await bind("sub1", undefined);
    await registry.deleteDevice("a1sub", "sub0");
    expect(names()).toEqual(["sub2", "sub3"]);
    await expect(bind("sub4", { productKey: "a1sub", deviceName: "sub2" })).rejects.toThrow(
      /none of gateways/,
    );
    await expect(bind("sub4", { productKey: PK, deviceName: "nobody" })).rejects.toThrow(/no device/);
    await expect(registry.updateDevice(PK, "devA", { gateway: ID })).rejects.toThrow(/of itself/);
  });

  it("[TOPIC-4] refuses what could not sign in, or would hide another entry, and changes nothing", async () => {
    await expect(device()).rejects.toThrow(/no such product/);
    await expect(product({ productKey: "a/b" })).rejects.toThrow(ConfigError);
    await expect(product({ productSecret: "" })).rejects.toThrow(/productSecret: is empty/);
    await expect(product({ nodeType: "robot" })).rejects.toThrow(/use device or gateway/);
    await expect(product({ name: "abc" })).rejects.toThrow(/4 to 30/);
    const twice = [DEFAULT_CLASSES[0], DEFAULT_CLASSES[0]];
    await expect(product({ topicClasses: twice })).rejects.toThrow(/stands twice/);
    const many = Array.from({ length: 51 }, (_, i) => ({ suffix: `/user/t${i}`, permission: "PUB" }));
    await expect(product({ topicClasses: many })).rejects.toThrow(/50 at most/); // [TOPIC-4]
    await product({ topicClasses: many.slice(1) });
    await expect(registry.addTopicClass(PK, { suffix: "/user/z", permission: "SUB" })).rejects.toThrow(/50/);
    await expect(product()).rejects.toMatchObject({ code: "REGISTRY_EXISTS" });
    await expect(device({ deviceName: "abc" })).rejects.toThrow(/4 to 32/);
    await expect(device({ deviceSecret: "" })).rejects.toThrow(ConfigError);
    await expect(
      device({
        tags: [
          ["a", "1"],
          ["a", "2"],
        ],
      }),
    ).rejects.toThrow(/stands twice/);
    const made = await device({ certificate: FINGERPRINT });
    await expect(device()).rejects.toThrow(/already/);
    await expect(device({ deviceName: "devB", iotId: made.iotId })).rejects.toThrow(OperationError);
    await expect(device({ deviceName: "devB", certificate: FINGERPRINT })).rejects.toThrow(/bound to devA/);
    expect(registry.findDevice(PK, "devB")).toBeUndefined();
    expect(registry.countDevices(PK)).toBe(1);
    await expect(registry.setModel(PK, "[]")).rejects.toThrow(/no JSON object/);
    await expect(registry.setModel(PK, "{")).rejects.toThrow(/not JSON/);
  });

  it("lets one of many at once have a name", async () => {
    await product();
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => device()));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const named = await Promise.allSettled(
      Array.from({ length: 20 }, () => registry.createProduct({ name: "Twins" })),
    );
    expect(named.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(registry.products).toHaveLength(2);
  });

  describe("import", () => {
    const row = (line: number, fields = {}) => ({
      line,
      productKey: PK,
      deviceName: `dev-${line}`,
      deviceSecret: `secret ${line}`,
      ...fields,
    });

    it("shows its rows all at once, with the products they need", async () => {
      await product();
      await device({ deviceName: "dev-1", deviceSecret: "secret 1" });
      const started = await registry.beginImport();
      await expect(registry.beginImport()).rejects.toMatchObject({ code: "REGISTRY_BUSY" });
      const rows = Array.from({ length: 1_300 }, (_, i) => row(i + 1));
      expect(await started.add(rows)).toEqual([]);
      expect(
        await started.add([
          row(2_001, { productKey: "a1new", nickname: "Pump 1" }),
          row(2_002, { productKey: "a1new", productSecret: "given" }),
          row(2_003, { productKey: "a1new" }),
        ]),
      ).toEqual([]);
      expect(registry.findDevice(PK, "dev-2")).toBeUndefined();
      expect(registry.findProduct("a1new")).toBeUndefined();
      expect(registry.devicesOf(PK)).toHaveLength(1);
      await expect(device({ deviceName: "dev-2" })).rejects.toMatchObject({ code: "REGISTRY_BUSY" });
      await expect(registry.deleteDevice(PK, "dev-2")).rejects.toMatchObject({ code: "REGISTRY_BUSY" });
      await expect(registry.deleteProduct(PK, { withDevices: true })).rejects.toMatchObject({
        code: "REGISTRY_BUSY",
      });
      const listed: string[] = [];
      let count = 0;
      const all = new Promise<void>((resolve) => {
        registry.on("devices.imported", async (event) => {
          count = event.count;
          for await (const one of event.devices()) listed.push(one.deviceName);
          resolve();
        });
      });
      expect(await started.finish()).toEqual({ added: 1_302, unchanged: 1, products: 1 });
      await all;
      expect([count, listed.length]).toEqual([1_302, 1_302]);
      expect(told.slice(-1)).toEqual(["product.created a1new"]);
      await reopen();
      expect(registry.countDevices(PK)).toBe(1_300);
      expect(registry.findProduct("a1new")?.productSecret).toBe("given");
      expect(registry.findDevice("a1new", "dev-2001")).toMatchObject({ nickname: "Pump 1" });
      expect(registry.findDevice(PK, "dev-1300")?.deviceSecret).toBe("secret 1300");
      await (await registry.beginImport()).abort();
    });

    it("imports nothing where a row is bad, and names each", async () => {
      await product();
      await device({ deviceName: "dev-1", deviceSecret: "another" });
      const started = await registry.beginImport();
      const bad = await started.add([
        row(1),
        row(2),
        row(3, { deviceName: "dev-2" }),
        row(4, { deviceName: "x" }),
        row(5, { deviceSecret: "" }),
        row(6, { productKey: "no/key" }),
        row(7, { productSecret: "wrong" }),
        row(8, { productKey: "a1new", productSecret: "one" }),
        row(9, { productKey: "a1new", productSecret: "two" }),
        row(10, { nickname: "x" }),
      ]);
      expect(bad.map(({ line, message }) => `${line} ${message.split(":")[0]}`)).toEqual([
        "1 deviceSecret",
        "3 deviceName",
        "4 deviceName",
        "5 deviceSecret",
        "6 productKey",
        "7 productSecret",
        "9 productSecret",
        "10 nickname",
      ]);
      await expect(started.finish()).rejects.toThrow(/8 of 10 rows are bad/);
      expect(registry.devicesOf(PK).map((one) => one.deviceName)).toEqual(["dev-1"]);
      expect(registry.findProduct("a1new")).toBeUndefined();
      await reopen();
      expect(registry.countDevices(PK)).toBe(1);
      // Nothing is left in the way.
      await registry.createProduct({ productKey: "a1new" });
      await device({ deviceName: "dev-2" });
    });
  });
});
