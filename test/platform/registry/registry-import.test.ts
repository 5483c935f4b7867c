// Rows into a registry: all of them with the products they need, or none and a reason for each that is bad.
import { describe, expect, it } from "vitest";
import { KINDS, PK, RegistryUnderTest } from "./registry-kinds.ts";

describe.each(KINDS)("import into $name", (kind) => {
  const under = new RegistryUnderTest(kind);
  const row = (line: number, fields = {}) => ({
    line,
    productKey: PK,
    deviceName: `dev-${line}`,
    deviceSecret: `secret ${line}`,
    ...fields,
  });

  it("shows its rows all at once, with the products they need", async () => {
    await under.product();
    await under.device({ deviceName: "dev-1", deviceSecret: "secret 1" });
    const started = await under.registry.beginImport();
    await expect(under.registry.beginImport()).rejects.toMatchObject({ code: "REGISTRY_BUSY" });
    const rows = Array.from({ length: 1_300 }, (_, i) => row(i + 1));
    expect(await started.add(rows)).toEqual([]);
    expect(
      await started.add([
        row(2_001, { productKey: "a1new", nickname: "Pump 1" }),
        row(2_002, { productKey: "a1new", productSecret: "given" }),
        row(2_003, { productKey: "a1new" }),
      ]),
    ).toEqual([]);
    expect(under.registry.findDevice(PK, "dev-2")).toBeUndefined();
    expect(under.registry.findProduct("a1new")).toBeUndefined();
    expect(under.registry.devicesOf(PK)).toHaveLength(1);
    await expect(under.device({ deviceName: "dev-2" })).rejects.toMatchObject({ code: "REGISTRY_BUSY" });
    await expect(under.registry.deleteDevice(PK, "dev-2")).rejects.toMatchObject({ code: "REGISTRY_BUSY" });
    await expect(under.registry.deleteProduct(PK, { withDevices: true })).rejects.toMatchObject({
      code: "REGISTRY_BUSY",
    });
    const listed: string[] = [];
    let count = 0;
    const all = new Promise<void>((resolve) => {
      under.registry.on("devices.imported", async (event) => {
        count = event.count;
        for await (const one of event.devices()) listed.push(one.deviceName);
        resolve();
      });
    });
    expect(await started.finish()).toEqual({ added: 1_302, unchanged: 1, products: 1 });
    await all;
    expect([count, listed.length]).toEqual([1_302, 1_302]);
    expect(under.told.slice(-1)).toEqual(["product.created a1new"]);
    await under.reopen();
    expect(under.registry.countDevices(PK)).toBe(1_300);
    expect(under.registry.findProduct("a1new")?.productSecret).toBe("given");
    expect(under.registry.findDevice("a1new", "dev-2001")).toMatchObject({ nickname: "Pump 1" });
    expect(under.registry.findDevice(PK, "dev-1300")?.deviceSecret).toBe("secret 1300");
    await (await under.registry.beginImport()).abort();
  });

  it("imports nothing where a row is bad, and names each", async () => {
    await under.product();
    await under.device({ deviceName: "dev-1", deviceSecret: "another" });
    const started = await under.registry.beginImport();
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
    expect(under.registry.devicesOf(PK).map((one) => one.deviceName)).toEqual(["dev-1"]);
    expect(under.registry.findProduct("a1new")).toBeUndefined();
    await under.reopen();
    expect(under.registry.countDevices(PK)).toBe(1);
    // Nothing is left in the way.
    await under.registry.createProduct({ productKey: "a1new" });
    await under.device({ deviceName: "dev-2" });
  });
});
