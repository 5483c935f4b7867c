// [AUTH-11] `millrace device certificate`, and devices that sign in with what it makes.
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { signedCredentials } from "../../../src/platform/demo.ts";
import { testCertificate } from "../../support/certificate.ts";
import { Workplace } from "../executable.ts";

let workplace: Workplace;
beforeEach(() => {
  workplace = new Workplace();
});
afterEach(() => workplace.close());

const millrace = (...args: string[]) => workplace.command([...args, "--data", workplace.data]);

async function prepare(): Promise<void> {
  expect((await millrace("product", "create", "--product-key", "xk", "--auth", "x509")).code).toBe(0);
  expect((await millrace("device", "create", "xk", "sensor1")).code).toBe(0);
}

test("makes an authority, a key and a certificate, with which the device signs in", {
  timeout: 60_000,
}, async () => {
  await prepare();
  const out = workplace.directory;
  const made = await millrace("device", "certificate", "xk", "sensor1", "--out", out, "--json");
  expect(made.code).toBe(0);
  const { certificate, keyFile, certificateFile, asked } = JSON.parse(made.stdout);
  expect(asked).toBe(false);
  expect(certificate).toMatch(/^[0-9a-f]{64}$/);
  expect(statSync(keyFile).mode & 0o777).toBe(0o600);
  expect(statSync(join(workplace.data, "device-ca.key")).mode & 0o777).toBe(0o600);
  const again = await millrace("device", "certificate", "xk", "sensor1", "--out", out);
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("is there already")]);

  const { ports } = await workplace.start("--listen", "auto://localhost:0", "--log-level", "warn");
  const tls = { key: readFileSync(keyFile), cert: readFileSync(certificateFile), rejectUnauthorized: false };
  const url = `mqtts://127.0.0.1:${ports[0]}`;
  const names = { clientId: "xk.sensor1|securemode=2|", username: "sensor1&xk" };
  const options = { reconnectPeriod: 0, keepalive: 60, ...names } as const;
  const client = await mqtt.connectAsync(url, { ...options, ...tls }, false);
  await client.endAsync();
  await expect(
    mqtt.connectAsync(url, { ...options, rejectUnauthorized: false }, false),
  ).rejects.toMatchObject({ code: 5 });
  // The authority is in a backup.
  expect((await millrace("backup", join(out, "copy"))).code).toBe(0);
  expect(existsSync(join(out, "copy", "device-ca.key"))).toBe(true);
});

test("a broker that runs takes the first one, and who is connected stays so", {
  timeout: 60_000,
}, async () => {
  const { ports } = await workplace.start("--listen", "auto://localhost:0", "--log-level", "warn");
  await prepare();
  const url = `mqtts://127.0.0.1:${ports[0]}`;
  const options = { reconnectPeriod: 0, keepalive: 60, rejectUnauthorized: false } as const;
  await millrace("product", "create", "--product-key", "sk");
  await millrace("device", "create", "sk", "device1", "--device-secret", "s");
  const signed = signedCredentials(
    { productKey: "sk", deviceName: "device1", deviceSecret: "s" },
    { securemode: 2 },
  );
  const before = await mqtt.connectAsync(url, { ...options, ...signed }, false);
  const out = workplace.directory;
  const made = await millrace("device", "certificate", "xk", "sensor1", "--out", out);
  expect([made.code, made.stderr]).toEqual([0, expect.stringContaining("the broker takes it from now on")]);
  const names = { clientId: "xk.sensor1|securemode=2|", username: "sensor1&xk" };
  const tls = { key: readFileSync(join(out, "sensor1.key")), cert: readFileSync(join(out, "sensor1.crt")) };
  const client = await mqtt.connectAsync(url, { ...options, ...names, ...tls }, false);
  await client.endAsync();
  await expect(mqtt.connectAsync(url, { ...options, ...names }, false)).rejects.toMatchObject({ code: 5 });
  expect(before.connected).toBe(true);
  await before.publishAsync("/sk/device1/user/update", "x", { qos: 1 });
  await before.endAsync();
  const second = await millrace(
    "device",
    "certificate",
    "xk",
    "sensor1",
    "--out",
    join(out, "more"),
    "--json",
  );
  expect(JSON.parse(second.stdout).asked).toBe(true);
});

test("--bind takes a certificate that is there; mistakes are named", { timeout: 60_000 }, async () => {
  await prepare();
  const file = join(workplace.directory, "own.pem");
  writeFileSync(file, (await testCertificate()).cert);
  const bound = await millrace("device", "certificate", "xk", "sensor1", "--bind", file);
  expect([bound.code, bound.stderr]).toEqual([0, expect.stringContaining("tls.ca")]);
  const { certificate } = JSON.parse((await millrace("device", "show", "xk", "sensor1", "--json")).stdout);
  expect(certificate).toMatch(/^[0-9a-f]{64}$/);
  expect(existsSync(join(workplace.data, "device-ca.key"))).toBe(false);

  await millrace("device", "create", "xk", "sensor2");
  const twice = await millrace("device", "certificate", "xk", "sensor2", "--bind", file);
  expect([twice.code, twice.stderr]).toEqual([1, expect.stringContaining("certificate")]);
  writeFileSync(file, "no certificate");
  expect((await millrace("device", "certificate", "xk", "sensor2", "--bind", file)).code).toBe(1);
  expect((await millrace("device", "certificate", "xk", "nobody")).code).toBe(1);
  const both = await millrace("device", "certificate", "xk", "sensor2", "--bind", file, "--out", ".");
  expect(both.code).toBe(2);
  await millrace("product", "create", "--product-key", "sk");
  await millrace("device", "create", "sk", "device1");
  const secret = await millrace("device", "certificate", "sk", "device1");
  expect([secret.code, secret.stderr]).toEqual([1, expect.stringContaining("--auth x509")]);
});
