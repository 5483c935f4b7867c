// What only the registry of a data directory has: the file of older releases, the demo of a first start, crashes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError, OperationError } from "../../../src/errors.ts";
import { DEMO_PRODUCT_KEY, ensureDemo, signedCredentials } from "../../../src/platform/demo.ts";
import { openRegistry, type Registry } from "../../../src/platform/registry/index.ts";
import { DEFAULT_CLASSES } from "../../../src/platform/names/topic-classes.ts";
import { connectRequest, outcome } from "../../access/requests.ts";
import { platformPolicy } from "../devices.ts";

let directory: string;
let open: Registry[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-registry-"));
  open = [];
});
afterEach(async () => {
  for (const registry of open) await registry.close();
  rmSync(directory, { recursive: true });
});

async function openHere(): Promise<Registry> {
  const registry = await openRegistry(directory);
  open.push(registry);
  return registry;
}

describe("the file", () => {
  it("is for its owner's eyes only", async () => {
    await openHere();
    expect(statSync(join(directory, "registry")).mode & 0o777).toBe(0o700);
  });

  it("is copied as it is at one moment", async () => {
    const registry = await openHere();
    await registry.createProduct({ productKey: "a1x" });
    await registry.backup(join(directory, "copy", "registry"));
    await registry.createProduct({ productKey: "a1y" });
    const copy = await openRegistry(join(directory, "copy"));
    open.push(copy);
    expect(copy.products.map(({ productKey }) => productKey)).toEqual(["a1x"]);
  });
});

describe("devices.json of older releases", () => {
  const path = () => join(directory, "devices.json");

  it("is taken over once, whole, and renamed", async () => {
    copyFileSync(new URL("fixtures/devices-1.json", import.meta.url), path());
    const registry = await openHere();
    expect(readdirSync(directory).sort()).toEqual(["devices.json.migrated", "registry"]);
    expect(registry.findProduct("a1demo00001")).toMatchObject({
      productSecret: "00112233445566aa",
      topicClasses: DEFAULT_CLASSES,
      nodeType: "device",
    });
    expect(registry.findProduct("a1B2c3D4e5F")?.topicClasses).toEqual([
      { suffix: "/cfg/#", permission: "SUB" },
    ]);
    expect(registry.findDevice("a1demo00001", "device1")).toMatchObject({
      deviceSecret: "0123456789abcdef0123456789abcdef",
      enabled: true,
    });
    expect(registry.findDevice("a1B2c3D4e5F", "__proto__")).toMatchObject({ enabled: false });
    expect((await ensureDemo(registry))?.devices[1].deviceSecret).toBe("fedcba9876543210fedcba9876543210");
    await registry.deleteDevice("a1demo00001", "device1");
    await registry.close();
    // One that turns up later is not read: it would bring back what was deleted.
    copyFileSync(`${path()}.migrated`, path());
    const again = await openHere();
    expect(again.findDevice("a1demo00001", "device1")).toBeUndefined();
    expect(existsSync(path())).toBe(true);
  });

  const product = (fields: string) =>
    `{"version":1,"products":[{"productKey":"a","productSecret":"s","topicClasses":[],"devices":[]${fields}}]}`;
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
      product(',"topicClasses":[{"suffix":"x","permission":"SUB"}]'),
      /products\[0\]\.topicClasses: .*begins with no slash/,
    ],
    [
      "a bad device",
      product(',"devices":[{"deviceName":"a/b/c","deviceSecret":"s","status":"enabled"}]'),
      /products\[0\]\.devices\[0\]\.deviceName: .*4 to 32/,
    ],
    [
      "a bad status",
      product(',"devices":[{"deviceName":"devA","deviceSecret":"s","status":"on"}]'),
      /devices\[0\]\.status: .*enabled or disabled/,
    ],
    [
      "a device twice",
      product(
        `,"devices":[${Array(2).fill('{"deviceName":"devA","deviceSecret":"s","status":"enabled"}').join()}]`,
      ),
      /cannot be taken over: .*"devA" already/,
    ],
  ])("that cannot be understood is left alone, and named with its place: %s", async (_, text, message) => {
    writeFileSync(path(), text);
    await expect(openRegistry(directory)).rejects.toThrow(ConfigError);
    await expect(openRegistry(directory)).rejects.toThrow(message);
    await expect(openRegistry(directory)).rejects.toThrow(path());
    expect(readFileSync(path(), "utf8")).toBe(text);
    rmSync(path());
    expect((await openHere()).products).toEqual([]);
  });

  it("that cannot be read is no missing one", async () => {
    const { mkdirSync } = await import("node:fs");
    mkdirSync(path());
    await expect(openRegistry(directory)).rejects.toThrow(OperationError);
  });
});

describe("demo", () => {
  it("is made at the first start, with random secrets, and kept", async () => {
    const demo = await ensureDemo(await openHere());
    expect(demo?.product).toMatchObject({ productKey: DEMO_PRODUCT_KEY, topicClasses: DEFAULT_CLASSES });
    const [one, two] = demo!.devices;
    expect([one.deviceName, two.deviceName]).toEqual(["device1", "device2"]);
    expect(one.deviceSecret).toMatch(/^[0-9a-f]{32}$/);
    expect(two.deviceSecret).not.toBe(one.deviceSecret);
    await open[0].close();
    expect(await ensureDemo(await openHere())).toEqual(demo);
  });

  it("does not come back once removed, nor where somebody has products of his own", async () => {
    const registry = await openHere();
    await ensureDemo(registry);
    await registry.deleteProduct(DEMO_PRODUCT_KEY, { withDevices: true });
    await registry.close();
    const later = await openHere();
    expect(await ensureDemo(later)).toBeUndefined();
    expect(later.products).toEqual([]);
    rmSync(join(directory, "registry"), { recursive: true });
    const own = await openHere();
    await own.createProduct({ productKey: "a1x" });
    expect(await ensureDemo(own)).toBeUndefined();
  });

  it("prints credentials that sign in", async () => {
    const registry = await openHere();
    const demo = await ensureDemo(registry);
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

describe("a process that is killed", () => {
  const child = fileURLToPath(new URL("registry-child.mjs", import.meta.url));

  /** Runs it until it has printed a line, then kills it. */
  async function killed(task: string): Promise<void> {
    const running = spawn(process.execPath, [child, directory, task], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(running.stdout, "data");
    running.kill("SIGKILL");
    await once(running, "close");
  }

  it("in the middle of an import has imported nothing, and the next start removes the rest", async () => {
    const before = await openHere();
    await before.createProduct({ productKey: "a1old" });
    await before.createDevice({ productKey: "a1old", deviceName: "dev-0", deviceSecret: "kept" });
    await before.close();
    await killed("import");
    const registry = await openHere();
    expect(registry.products.map(({ productKey }) => productKey)).toEqual(["a1old"]);
    expect(registry.devicesOf("a1old")).toMatchObject([{ deviceName: "dev-0", deviceSecret: "kept" }]);
    await registry.settled();
    // Nothing is left in the way, nor counted.
    const again = await registry.beginImport();
    const rows = Array.from({ length: 3_000 }, (_, i) => ({
      line: i,
      productKey: i % 2 === 0 ? "a1old" : "a1new",
      deviceName: `dev-${i}`,
      deviceSecret: i === 0 ? "kept" : "s",
    }));
    expect(await again.add(rows)).toEqual([]);
    expect(await again.finish()).toEqual({ added: 2_999, unchanged: 1, products: 1 });
    expect([registry.countDevices("a1old"), registry.countDevices("a1new")]).toEqual([1_500, 1_500]);
  });

  it("has on the disk what it was told is done", async () => {
    await killed("create");
    const registry = await openHere();
    expect(registry.findDevice("a1new", "devA")?.deviceSecret).toBe("told");
  });

  it("in the middle of a deletion goes on with it at the next start", async () => {
    await killed("delete");
    const registry = await openHere();
    expect(registry.findProduct("a1new")).toBeUndefined();
    expect(registry.findDevice("a1new", "dev-4999")).toBeUndefined();
    await registry.settled();
    await registry.createProduct({ productKey: "a1new" });
    expect(registry.devicesOf("a1new")).toEqual([]);
    await registry.createDevice({ productKey: "a1new", deviceName: "dev-4999" });
    expect(registry.countDevices("a1new")).toBe(1);
  });
});
