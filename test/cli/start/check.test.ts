import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { setPassword } from "../../../src/access/password-file.ts";
import { checkSettings } from "../../../src/cli/start/check.ts";
import type { ConfigFile } from "../../../src/cli/config/config.ts";
import { resolveSettings } from "../../../src/cli/config/settings.ts";
import { readTls } from "../../../src/cli/config/tls-files.ts";
import { selfSignedCertificate } from "../../../src/transport/tls/certificate.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const put = (name: string, text: string) => writeFileSync(join(directory, name), text);
const check = (config: ConfigFile) =>
  checkSettings(resolveSettings({}, { file: join(directory, "m.yaml"), directory, config }));

describe("--check", () => {
  test("reports listeners, users and access list, and creates nothing", async () => {
    await setPassword(join(directory, "users"), "ann", "pw");
    put("acl", "topic readwrite a/#\n");
    const before = readdirSync(directory);
    const listeners = [{ url: "tls://0.0.0.0" }, { url: "ws://localhost" }];
    const report = await check({
      profile: "standard",
      data: "store",
      passwordFile: "users",
      aclFile: "acl",
      listeners,
    });
    expect(report.split("\n")).toEqual([
      `${join(directory, "m.yaml")}: valid. A start would listen on:`,
      "  tls://0.0.0.0:8883   MQTT over TLS, standard profile",
      "  ws://localhost:8083  MQTT over WebSocket, standard profile",
      `Data directory: ${join(directory, "store")}`,
      "Durability: power",
      `Users: 1 in ${join(directory, "users")}`,
      `Access list: ${join(directory, "acl")}`,
      "",
    ]);
    expect(readdirSync(directory)).toEqual(before);
  });

  test("refuses what a start would refuse in the named files", async () => {
    put("users", "ann:plain\n");
    put("acl", "nonsense\n");
    const standard = { profile: "standard" } as const;
    await expect(check({ ...standard, passwordFile: "users" })).rejects.toMatchObject({
      code: "PASSWORD_FILE",
    });
    await expect(check({ ...standard, passwordFile: "none" })).rejects.toMatchObject({
      code: "PASSWORD_FILE_READ",
    });
    await expect(check({ ...standard, aclFile: "acl" })).rejects.toMatchObject({ code: "ACL_FILE" });
  });

  test("refuses certificates that cannot be used, by the option's path", async () => {
    const [one, other] = [await selfSignedCertificate(), await selfSignedCertificate()];
    put("one.key", one.key);
    put("one.crt", one.cert);
    put("other.crt", other.cert);
    put("junk", "junk");
    const tls = { key: "one.key", cert: "one.crt" };
    await check({ tls: { ...tls, ca: "other.crt", clientCertificate: "require" } });
    await expect(check({ tls: { ...tls, cert: "none" } })).rejects.toMatchObject({
      code: "TLS_FILE_UNREADABLE",
      path: "tls.cert",
    });
    await expect(check({ tls: { ...tls, cert: "other.crt" } })).rejects.toMatchObject({
      code: "TLS_FILES_INVALID",
      path: "tls",
    });
    await expect(check({ tls: { ca: "junk" } })).rejects.toMatchObject({ code: "TLS_FILES_INVALID" });
    const listeners = [{ url: "tls://a", tls: { key: "junk", cert: "one.crt" } }];
    await expect(check({ listeners })).rejects.toMatchObject({
      code: "TLS_FILES_INVALID",
      path: "listeners[0].tls",
    });
  });
});

test("the self-signed certificate is asked for only where no other is named", async () => {
  const own = await selfSignedCertificate();
  put("key", own.key);
  put("cert", own.cert);
  let asked = 0;
  const ask = async () => {
    asked++;
    return own;
  };
  const named = {
    path: "tls",
    key: join(directory, "key"),
    cert: join(directory, "cert"),
    minVersion: "1.3",
  } as const;
  expect(await readTls(named, ask)).toEqual({
    key: Buffer.from(own.key),
    cert: Buffer.from(own.cert),
    minVersion: "1.3",
  });
  expect(asked).toBe(0);
  expect(await readTls({ path: "tls", maxVersion: "1.2" }, ask)).toEqual({ ...own, maxVersion: "1.2" });
  expect(asked).toBe(1);
});
