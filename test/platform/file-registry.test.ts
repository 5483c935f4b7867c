import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError, OperationError } from "../../src/errors.ts";
import { DEMO_PRODUCT_KEY, ensureDemo, signedCredentials } from "../../src/platform/demo.ts";
import { FileRegistry } from "../../src/platform/file-registry.ts";
import { MemoryRegistry } from "../../src/platform/registry.ts";
import { DEFAULT_CLASSES } from "../../src/platform/topic-classes.ts";
import { connectRequest, outcome } from "../access/requests.ts";
import { platformPolicy } from "./devices.ts";

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-registry-"));
  path = join(directory, "data", "devices.json");
});
afterEach(() => rm(directory, { recursive: true }));

const product = { productKey: "a1x", productSecret: "ps" };
const device = { productKey: "a1x", deviceName: "devA", deviceSecret: "ds" };

describe("FileRegistry", () => {
  it("keeps products, classes, devices and status over a restart", async () => {
    const registry = await FileRegistry.open(path);
    expect(registry.isNew).toBe(true);
    const topicClasses = [{ suffix: "/user/x", permission: "ALL" }] as const;
    await registry.putProduct({ ...product, topicClasses });
    await registry.putDevice(device);
    await registry.putDevice({ ...device, deviceName: "devB", status: "disabled" });
    const again = await FileRegistry.open(path);
    expect(again.isNew).toBe(false);
    expect(again.findProduct("a1x")).toEqual({ ...product, topicClasses });
    expect(again.devicesOf("a1x")).toEqual([
      { ...device, status: "enabled" },
      { ...device, deviceName: "devB", status: "disabled" },
    ]);
    expect(await again.removeDevice("a1x", "devB")).toBe(true);
    expect(await again.removeDevice("a1x", "devB")).toBe(false);
    expect((await FileRegistry.open(path)).findDevice("a1x", "devB")).toBeUndefined();
    expect(await again.removeProduct("a1x")).toBe(true);
    expect((await FileRegistry.open(path)).products).toEqual([]);
  });

  it("is for its owner's eyes only, file and directory, and leaves no temporary file", async () => {
    const registry = await FileRegistry.open(path);
    await registry.putProduct(product);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, "data"))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(directory, "data"))).toEqual(["devices.json"]);
  });

  it("writes what many changes at once made of it", async () => {
    const registry = await FileRegistry.open(path);
    const changes: Promise<unknown>[] = [registry.putProduct(product)];
    for (let i = 0; i < 200; i++) changes.push(registry.putDevice({ ...device, deviceName: `dev-${i}` }));
    await changes[0];
    for (let i = 0; i < 100; i++) changes.push(registry.removeDevice("a1x", `dev-${i}`));
    await Promise.all(changes);
    expect((await FileRegistry.open(path)).devicesOf("a1x")).toHaveLength(100);
  });

  it("reports a write that fails, and writes again at the next change", async () => {
    const registry = await FileRegistry.open(join(directory, "devices.json"));
    await registry.putProduct(product);
    await rm(directory, { recursive: true });
    await writeFile(directory, "a file where the directory was");
    await expect(registry.putDevice(device)).rejects.toThrow(OperationError);
    await rm(directory);
    await registry.putDevice({ ...device, deviceName: "devB" });
    expect((await FileRegistry.open(registry.path)).devicesOf("a1x")).toHaveLength(2);
  });

  it.each([
    ["not JSON", "{", /the file: is not JSON/],
    ["another version", '{"version":2,"products":[]}', /version: is 2, this program reads 1/],
    ["no list", '{"version":1,"products":{}}', /products: is not a list/],
    [
      "no secret",
      '{"version":1,"products":[{"productKey":"a"}]}',
      /products\[0\]\.productSecret: is not a text/,
    ],
    [
      "a bad class",
      '{"version":1,"products":[{"productKey":"a","productSecret":"s","topicClasses":[{"suffix":"x","permission":"SUB"}],"devices":[]}]}',
      /products\[0\]\.topicClasses: .*begins with no slash/,
    ],
    [
      "a bad device",
      '{"version":1,"products":[{"productKey":"a","productSecret":"s","topicClasses":[],"devices":[{"deviceName":"a/b/c","deviceSecret":"s","status":"enabled"}]}]}',
      /products\[0\]\.devices\[0\]\.deviceName: .*4 to 32/,
    ],
    [
      "a bad status",
      '{"version":1,"products":[{"productKey":"a","productSecret":"s","topicClasses":[],"devices":[{"deviceName":"devA","deviceSecret":"s","status":"on"}]}]}',
      /devices\[0\]\.status: .*enabled or disabled/,
    ],
  ])("names file and place: %s", async (_, text, message) => {
    const file = join(directory, "devices.json");
    await writeFile(file, text);
    await expect(FileRegistry.open(file)).rejects.toThrow(ConfigError);
    await expect(FileRegistry.open(file)).rejects.toThrow(message);
    await expect(FileRegistry.open(file)).rejects.toThrow(file);
  });

  it("tells an unreadable file from a missing one", async () => {
    await expect(FileRegistry.open(directory)).rejects.toThrow(OperationError);
  });
});

describe("MemoryRegistry", () => {
  it("refuses what could not sign in, or would hide another entry", () => {
    const registry = new MemoryRegistry();
    expect(() => registry.putDevice(device)).toThrow(/no such product/);
    expect(() => registry.putProduct({ ...product, productKey: "a/b" })).toThrow(ConfigError);
    expect(() => registry.putProduct({ ...product, productSecret: "" })).toThrow(ConfigError);
    const twice = [DEFAULT_CLASSES[0], DEFAULT_CLASSES[0]];
    expect(() => registry.putProduct({ ...product, topicClasses: twice })).toThrow(/stands twice/);
    registry.putProduct(product);
    expect(() => registry.putDevice({ ...device, deviceName: "abc" })).toThrow(/4 to 32/);
    expect(() => registry.putDevice({ ...device, deviceSecret: "" })).toThrow(ConfigError);
  });
});

describe("demo", () => {
  it("is made at the first start, with random secrets, and kept", async () => {
    const first = await ensureDemo(directory);
    expect(first.created).toBe(true);
    expect(first.demo?.product).toMatchObject({
      productKey: DEMO_PRODUCT_KEY,
      topicClasses: DEFAULT_CLASSES,
    });
    const [one, two] = first.demo!.devices;
    expect([one.deviceName, two.deviceName]).toEqual(["device1", "device2"]);
    expect(one.deviceSecret).toMatch(/^[0-9a-f]{32}$/);
    expect(two.deviceSecret).not.toBe(one.deviceSecret);
    const text = await readFile(join(directory, "devices.json"), "utf8");
    const second = await ensureDemo(directory);
    expect(second.created).toBe(false);
    expect(second.demo).toEqual(first.demo);
    expect(await readFile(join(directory, "devices.json"), "utf8")).toBe(text);
  });

  it("does not come back once removed", async () => {
    const { registry } = await ensureDemo(directory);
    await registry.removeProduct(DEMO_PRODUCT_KEY);
    const later = await ensureDemo(directory);
    expect([later.created, later.demo]).toEqual([false, undefined]);
  });

  it("prints credentials that sign in", async () => {
    const { registry, demo } = await ensureDemo(directory);
    const policy = platformPolicy({ registry });
    for (const one of demo!.devices) {
      const credentials = signedCredentials(one, { securemode: 3 });
      expect(outcome(await policy.connect(connectRequest(credentials)))).toBe("accepted");
      expect(credentials.clientId).toBe(
        `${DEMO_PRODUCT_KEY}.${one.deviceName}|securemode=3,signmethod=hmacsha256|`,
      );
    }
  });
});
