// The calls behind the commands of the registry, and their client's end of the control socket.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ControlConnection } from "../../../src/cli/control/control-client.ts";
import { MAX_LINE_BYTES } from "../../../src/cli/control/control-protocol.ts";
import { type ControlServer, openControlServer } from "../../../src/cli/control/control-server.ts";
import { RegistryCalls } from "../../../src/cli/registry/registry-calls.ts";
import { MemoryRegistry } from "../../../src/platform/registry/index.ts";
import { droppedForIdling } from "../control/control-socket.ts";

let registry: MemoryRegistry;
let calls: RegistryCalls;
beforeEach(() => {
  registry = new MemoryRegistry();
  registry.putProduct({ productKey: "a1x", productSecret: "ps" });
  calls = new RegistryCalls(async () => registry);
});

const ROW = { line: 2, productKey: "a1x", deviceName: "devA", deviceSecret: "s" };

describe("calls", () => {
  test.each([
    ["toString", {}],
    ["__proto__", {}],
    ["product.show", {}],
    ["product.show", { productKey: 1 }],
    ["product.create", { dynamicRegistration: "yes" }],
    ["product.create", { name: null }],
    ["device.create", { productKey: "a1x", deviceName: ["devA"] }],
    ["device.list", { productKey: "a1x", after: 1 }],
    ["import.rows", { rows: [ROW] }],
    ["import.finish", {}],
  ])("%s %j is refused", async (name, given) => {
    await expect(calls.call(name, given)).rejects.toMatchObject({ code: "BAD_REQUEST" });
    expect(registry.products).toHaveLength(1);
  });

  test.each([
    [{}],
    [{ rows: {} }],
    [{ rows: [null] }],
    [{ rows: [{ ...ROW, line: "2" }] }],
    [{ rows: [{ line: 2 }] }],
  ])("rows %j are refused", async (given) => {
    await calls.call("import.begin", {});
    await expect(calls.call("import.rows", given)).rejects.toMatchObject({ code: "BAD_REQUEST" });
  });

  test("a page fits a line, however much its devices hold", async () => {
    const tags = Array.from({ length: 100 }, (_, i) => [`tag ${i}`, "\0".repeat(128)] as const);
    for (let i = 0; i < 40; i++) registry.putDevice({ productKey: "a1x", deviceName: `dev-${i}`, tags });
    const names: string[] = [];
    for (let pages = 0; ; pages++) {
      const after = names.at(-1);
      const page = (await calls.call("device.list", { productKey: "a1x", after })) as {
        deviceName: string;
      }[];
      expect(JSON.stringify(page).length).toBeLessThan(MAX_LINE_BYTES);
      if (page.length === 0) {
        expect(pages).toBeGreaterThan(1);
        break;
      }
      names.push(...page.map(({ deviceName }) => deviceName));
    }
    expect(new Set(names).size).toBe(40);
  });

  test("an import ends with its client", async () => {
    await calls.call("import.begin", {});
    await expect(calls.call("import.begin", {})).rejects.toThrow(/under way/);
    await calls.call("import.rows", { rows: [ROW] });
    expect(calls.busy).toBe(true);
    await calls.close();
    expect([calls.busy, registry.devicesOf("a1x")]).toEqual([false, []]);
    await (await registry.beginImport()).abort();
  });
});

describe("through a control socket", () => {
  let directory: string;
  let server: ControlServer;
  let connection: ControlConnection;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "millrace-calls-"));
    server = await openControlServer({
      dataDirectory: directory,
      publish: async () => {},
      backup: async () => {},
      registry: () => new RegistryCalls(async () => registry),
      idleMs: 100,
    });
    connection = new ControlConnection(directory);
  });
  afterEach(async () => {
    connection.close();
    await server.close();
    rmSync(directory, { recursive: true });
  });
  const ask = (call: string, given: object = {}) =>
    connection.ask({ operation: "registry", call, given }, "not known", 5_000);

  test("results and errors come back, one after another", async () => {
    expect(await ask("hello")).toBeNull();
    await expect(ask("device.show", { productKey: "a1x", deviceName: "devA" })).rejects.toMatchObject({
      code: "CONTROL_REFUSED",
      cause: { code: "REGISTRY_MISSING" },
    });
    expect(await ask("device.create", { productKey: "a1x", deviceName: "devA" })).toMatchObject({
      status: "UNACTIVE",
    });
  });

  test("who imports may think longer than others; his end gives it up", async () => {
    await ask("import.begin");
    expect(await ask("import.rows", { rows: [ROW] })).toEqual([]);
    // Longer than an idle client has: one that connected later has been dropped.
    await droppedForIdling(directory);
    expect(await ask("import.rows", { rows: [ROW] })).toHaveLength(1);
    connection.close();
    const begin = () => registry.beginImport().then((started) => started.abort());
    await expect
      .poll(
        () =>
          begin().then(
            () => "free",
            () => "busy",
          ),
        { timeout: 10_000 },
      )
      .toBe("free");
    expect(registry.devicesOf("a1x")).toEqual([]);
  });
});
