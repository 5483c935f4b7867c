// What is kept of things: over a restart of the broker, on a disk that fails, and of devices that exist only.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { MemoryRegistry, openRegistry, type Registry } from "../../../../src/platform/registry/index.ts";
import type { RawClient } from "../../../support/raw-client.ts";
import { TestServer } from "../../../support/server.ts";
import { connectDevice, PK, secretOf } from "../../signed-device.ts";

const directory = mkdtempSync(join(tmpdir(), "things-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const device = { productKey: PK, deviceName: "device1" };
const topic = `/sys/${PK}/device1/thing/event/property/post`;

async function withBroker(
  registry: Registry,
  work: (server: TestServer, client: RawClient) => Promise<void>,
): Promise<void> {
  const server = new TestServer({
    profile: "platform",
    devices: registry,
    platform: { thing: { cacheBytes: 65_536 } },
  });
  await server.start();
  try {
    await work(server, await connectDevice(server, 4, "device1", { extensions: "_ss=1" }));
  } finally {
    await server.stop();
  }
}

async function codeOf(client: RawClient, params: unknown): Promise<number> {
  await client.publish(topic, JSON.stringify({ id: "1", params }));
  return (JSON.parse((await client.receive()).text) as { code: number }).code;
}

test("a stop of the broker loses nothing: the next one has values, times, desired properties and firmware", async () => {
  const first = await openRegistry(directory);
  await first.createProduct({ productKey: PK });
  await first.createDevice({ ...device, deviceSecret: secretOf("device1") });
  const values = JSON.parse(
    '{"a":{"value":{"x":[1,"ä"]},"time":7},"__proto__":{"value":null,"time":8}}',
  ) as object;
  await withBroker(first, async ({ broker }, client) => {
    expect(await codeOf(client, values)).toBe(200);
    await client.publish(`/ota/device/inform/${PK}/device1`, '{"id":1,"params":{"version":"3"}}', { qos: 1 });
    await broker.things.setDesired(device, { a: 1 });
    await broker.things.setConfig(PK, { url: "https://f.example/", size: 5, sha256: "A0".repeat(32) });
  });
  await first.close();
  const second = await openRegistry(directory);
  await withBroker(second, async ({ broker: { things } }) => {
    expect(JSON.stringify(things.properties(device))).toBe(JSON.stringify(values));
    expect(things.desired(device)).toEqual({ a: { value: 1, version: 1 } });
    expect(things.firmware(device).versions.get("default")).toBe("3");
    expect(things.config(PK)).toMatchObject({ configSize: 5, sign: "a0".repeat(32) });
    expect(second.findDevice(PK, "device1")?.firmwareVersion).toBe("3");
  });
  await second.close();
});

test("a product deleted while no broker runs leaves no configuration to one made anew under its key", async () => {
  const anew = join(directory, "anew");
  const first = await openRegistry(anew);
  await first.createProduct({ productKey: PK });
  await first.createDevice({ ...device, deviceSecret: secretOf("device1") });
  await withBroker(first, async ({ broker }) => {
    await broker.things.setConfig(PK, { url: "https://f.example/", size: 5, sha256: "A0".repeat(32) });
  });
  await first.close();
  const between = await openRegistry(anew);
  await between.setModel(PK, '{"properties":[]}');
  await between.deleteProduct(PK, { withDevices: true });
  await between.createProduct({ productKey: PK });
  await between.createDevice({ ...device, deviceSecret: secretOf("device1") });
  expect(between.findModel(PK)).toBeUndefined();
  await between.close();
  const last = await openRegistry(anew);
  await withBroker(last, async (server, client) => {
    await client.publish(
      `/sys/${PK}/device1/thing/config/get`,
      '{"id":1,"params":{"configScope":"product","getType":"file"}}',
    );
    expect(JSON.parse((await client.receive()).text)).toMatchObject({ code: 6710 });
    expect(server.broker.things.config(PK)).toBeUndefined();
  });
  await last.close();
});

test("a disk that cannot write: posts are taken up to the bound, then answered 429, and taken again when it can", async () => {
  const registry = new MemoryRegistry();
  registry.putProduct({ productKey: PK });
  const names = ["device1", "device2", "device3"];
  for (const deviceName of names)
    registry.putDevice({ productKey: PK, deviceName, deviceSecret: secretOf(deviceName) });
  await withBroker(registry, async (server, client) => {
    const edit = vi.spyOn(registry.documents, "edit").mockRejectedValue(new Error("disk"));
    const big = { a: "x".repeat(40_000) };
    expect(await codeOf(client, big)).toBe(200);
    const other = await connectDevice(server, 5, "device2", { extensions: "_ss=1" });
    await other.publish(topic.replace("device1", "device2"), JSON.stringify({ id: "1", params: big }));
    expect(JSON.parse((await other.receive()).text)).toMatchObject({ code: 200 });
    expect(await codeOf(client, { b: 1 })).toBe(429);
    edit.mockRestore();
    await server.broker.things.flush();
    expect(await codeOf(client, { b: 1 })).toBe(200);
    expect(Object.keys(server.broker.things.properties(device))).toEqual(["a", "b"]);
  });
});

test("nothing is kept of what does not exist", async () => {
  const registry = new MemoryRegistry();
  registry.putProduct({ productKey: PK });
  registry.putDevice({ ...device, deviceSecret: secretOf("device1") });
  await withBroker(registry, async ({ broker: { things } }) => {
    const nobody = { productKey: PK, deviceName: "nobody1" };
    const missing = { code: "REGISTRY_MISSING" };
    await expect(things.setDesired(nobody, { a: 1 })).rejects.toMatchObject(missing);
    await expect(things.setLogReport(nobody, true)).rejects.toMatchObject(missing);
    await expect(things.setConfig("a1NONE", { url: "x", content: "" })).rejects.toMatchObject(missing);
    const firmware = { version: "1", url: "x", size: 1, sign: "0".repeat(64), signMethod: "SHA256" } as const;
    await expect(things.upgrade(nobody, firmware)).rejects.toMatchObject(missing);
    expect((await things.setProperties(nobody, { a: 1 })).pushed).toBe("offline");
    await expect(things.setConfig(PK, { url: "", content: "" })).rejects.toMatchObject({
      code: "THING_CONFIG",
    });
    await expect(things.setConfig(PK, { url: "x", size: 1, sha256: "ab" })).rejects.toMatchObject({
      code: "THING_CONFIG",
    });
    await things.setConfig(PK, { url: "x", content: "" });
    await registry.deleteProduct(PK, { withDevices: true });
    expect(things.config(PK)).toBeUndefined();
  });
});
