// The files of a backup; what is in the store's own is shown in test/store and, through a broker, in durability.test.ts.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeBackup, restoreInto } from "../../../src/cli/data/backup.ts";
import { openRegistry } from "../../../src/platform/registry/index.ts";
import { openStore } from "../../../src/store/open-store.ts";

let directory: string;
let data: string;
let backup: string;
let target: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
  data = join(directory, "data");
  backup = join(directory, "backup");
  target = join(directory, "target");
  for (const path of [data, target]) mkdirSync(path, { mode: 0o700 });
  writeFileSync(join(data, "server.key"), "key", { mode: 0o600 });
  writeFileSync(join(data, "server.crt"), "certificate");
  const registry = await openRegistry(data);
  await registry.createProduct({ productKey: "a1x" });
  await registry.createDevice({ productKey: "a1x", deviceName: "devA", deviceSecret: "secret" });
  await registry.close();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function make(to = backup): Promise<void> {
  const store = await openStore({ directory: data, level: "power" });
  const registry = await openRegistry(data);
  try {
    await makeBackup(store, registry, data, to);
  } finally {
    await registry.close();
    await store.close();
  }
}

const mode = (...path: string[]) => statSync(join(...path)).mode & 0o777;

describe("backup", () => {
  test("has the store, devices and certificate; secrets for the owner only", async () => {
    await make();
    expect(readdirSync(backup).sort()).toEqual(["data.mdb", "registry", "server.crt", "server.key"]);
    expect(mode(backup)).toBe(0o700);
    expect([mode(backup, "registry"), mode(backup, "server.key")]).toEqual([0o700, 0o600]);
  });

  test("takes an empty directory, also one with the rest of a backup that was cut off", async () => {
    mkdirSync(join(backup, "partial"), { recursive: true });
    writeFileSync(join(backup, "partial", "data.mdb"), "half");
    await make();
    expect(readdirSync(backup)).toContain("data.mdb");
    expect(readdirSync(backup)).not.toContain("partial");
  });

  test("writes over nothing", async () => {
    await make();
    await expect(make()).rejects.toMatchObject({ code: "STORE_NOT_EMPTY" });
    writeFileSync(join(directory, "file"), "");
    await expect(make(join(directory, "file"))).rejects.toMatchObject({ code: "STORE_BACKUP" });
  });

  test("that fails leaves an empty directory", async () => {
    const store = {
      backup: async (to: string) => {
        mkdirSync(to);
        writeFileSync(join(to, "data.mdb"), "half");
        throw new Error("disk full");
      },
    };
    await expect(makeBackup(store, undefined, data, backup)).rejects.toThrow("disk full");
    expect(readdirSync(backup)).toEqual([]);
  });
});

describe("restore", () => {
  test("puts everything in place", async () => {
    await make();
    await restoreInto(target, backup);
    expect(readdirSync(target).sort()).toEqual(["registry", "server.crt", "server.key", "store"]);
    expect([mode(target, "registry"), mode(target, "server.key")]).toEqual([0o700, 0o600]);
    const registry = await openRegistry(target);
    expect(registry.findDevice("a1x", "devA")?.deviceSecret).toBe("secret");
    await registry.close();
    await (await openStore({ directory: target, level: "power" })).close();
  });

  test("goes on where an earlier one was cut off", async () => {
    await make();
    writeFileSync(join(target, "server.key"), "key");
    await restoreInto(target, backup);
    expect(readdirSync(target)).toContain("store");
  });

  test("refuses a directory with a store, or with other devices or another certificate", async () => {
    await make();
    await expect(restoreInto(data, backup)).rejects.toMatchObject({ code: "STORE_NOT_EMPTY" });
    const devices = join(target, "registry", "data.mdb");
    mkdirSync(join(target, "registry"));
    writeFileSync(devices, "other");
    await expect(restoreInto(target, backup)).rejects.toThrow(`${devices} exists`);
    rmSync(join(target, "registry"), { recursive: true });
    for (const name of ["server.key", "server.crt"]) {
      writeFileSync(join(target, name), "other");
      await expect(restoreInto(target, backup)).rejects.toThrow(`${join(target, name)} exists`);
      expect(readdirSync(target)).toEqual([name]);
      rmSync(join(target, name));
    }
  });

  test("of something that is no backup leaves nothing behind", async () => {
    await make();
    writeFileSync(join(backup, "data.mdb"), "not a database at all");
    await expect(restoreInto(target, backup)).rejects.toMatchObject({ code: "STORE_FOREIGN" });
    rmSync(join(backup, "data.mdb"));
    await expect(restoreInto(target, backup)).rejects.toMatchObject({ code: "STORE_BACKUP" });
    expect(readdirSync(target)).toEqual([]);
    await expect(restoreInto(target, join(directory, "none"))).rejects.toThrow("is not a backup");
    expect(existsSync(join(target, "store"))).toBe(false);
  });
});
