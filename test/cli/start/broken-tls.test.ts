// A TLS file that cannot be used when the configuration is read again, or when the authority for devices is told of: listeners
// go on with what they had, the log says why, and it is counted.
import { EventEmitter } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Broker, createBroker } from "../../../src/broker.ts";
import { runDeviceCertificate } from "../../../src/cli/commands/device-certificate-command.ts";
import { readSettings, runBroker } from "../../../src/cli/start/start.ts";
import { openRegistry } from "../../../src/platform/registry/index.ts";
import { selfSignedCertificate } from "../../../src/transport/tls/certificate.ts";
import {
  deviceCertificate,
  fingerprintOf,
  loadOrCreateAuthority,
} from "../../../src/transport/tls/device-authority.ts";

const PK = "xk";
let directory: string;
let data: string;
let stop: () => Promise<void>;
let broker: Broker;
let signals: EventEmitter;
/** What the broker has logged at level error. */
let errors: { message: string; code?: string; reason?: string }[];
let reloaded: number;
const clients: MqttClient[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
  data = join(directory, "data");
  mkdirSync(data, { mode: 0o700 });
  signals = new EventEmitter();
  errors = [];
  reloaded = 0;
  stop = async () => {};
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await stop();
  rmSync(directory, { recursive: true, force: true });
});

async function register(certificate?: string): Promise<void> {
  const registry = await openRegistry(data);
  await registry.createProduct({ productKey: PK, name: "Sensors", authType: "x509" });
  await registry.createDevice({ productKey: PK, deviceName: "sensor1" });
  if (certificate !== undefined) await registry.updateDevice(PK, "sensor1", { certificate });
  await registry.close();
}

async function start(config: string): Promise<void> {
  const file = join(directory, "m.yaml");
  writeFileSync(file, config);
  const flags = { config: file, data };
  const quiet = (): void => {};
  const logger = {
    debug: quiet,
    info: (_: object, message: string) => void (message === "configuration reloaded" && reloaded++),
    warn: quiet,
    error: (fields: object, message: string) => void errors.push({ ...fields, message }),
    setLevel: quiet,
    flush: quiet,
  };
  const running = new Promise<void>((resolve, reject) => {
    const create = async (options: Parameters<typeof createBroker>[0]): Promise<Broker> => {
      broker = await createBroker(options);
      return broker;
    };
    readSettings(flags)
      .then((settings) => {
        const parts = { createBroker: create, logger, print: () => resolve(), exitNow: quiet, signals };
        const ended = runBroker(flags, settings, parts);
        stop = () => {
          signals.emit("SIGTERM");
          return ended;
        };
        return ended;
      })
      .catch(reject);
  });
  await running;
}

async function connect(files: { key: string; cert: string }): Promise<MqttClient> {
  const { port } = broker.listeners[0] as { port: number };
  const client = await mqtt.connectAsync(
    `mqtts://127.0.0.1:${port}`,
    {
      clientId: `${PK}.sensor1|securemode=2|`,
      username: `sensor1&${PK}`,
      reconnectPeriod: 0,
      keepalive: 60,
      rejectUnauthorized: false,
      ...files,
    },
    false,
  );
  clients.push(client);
  return client;
}

const failures = (): number => broker.metrics()["errors.reload"];

describe("[AUTH-11] the authority for devices", () => {
  test.each([
    ["no PEM", () => writeFileSync(join(data, "device-ca.crt"), "broken"), "it holds no certificate in PEM"],
    ["empty", () => writeFileSync(join(data, "device-ca.crt"), ""), "it holds no certificate in PEM"],
    [
      "cut off",
      () =>
        writeFileSync(
          join(data, "device-ca.crt"),
          readFileSync(join(data, "device-ca.crt")).subarray(0, 400),
        ),
      "it holds no certificate in PEM",
    ],
    [
      "a directory",
      () => {
        rmSync(join(data, "device-ca.crt"));
        mkdirSync(join(data, "device-ca.crt"));
      },
      "EISDIR",
    ],
    ["missing", () => rmSync(join(data, "device-ca.crt")), "it is missing, and listeners ask for"],
  ])("that is %s at a reload: the old one stays", { timeout: 30_000 }, async (_what, damage, why) => {
    const authority = await loadOrCreateAuthority(data);
    const files = await deviceCertificate("sensor1", authority);
    await register(fingerprintOf(files.cert, "sensor1.crt"));
    await start("listeners:\n  - url: tls://localhost:0\n");
    const before = await connect(files);
    damage();
    signals.emit("SIGHUP");
    await expect.poll(() => errors).toHaveLength(1);
    expect(errors[0]).toEqual({
      message: "reload failed, nothing was changed",
      code: "CERTIFICATE_UNUSABLE",
      reason: expect.stringContaining(`${join(data, "device-ca.crt")}: `),
    });
    expect(errors[0].reason).toContain(why);
    expect([failures(), reloaded]).toEqual([1, 0]);
    expect(before.connected).toBe(true);
    await before.endAsync();
    await connect(files);
    // Mended, it is read again.
    rmSync(join(data, "device-ca.crt"), { recursive: true, force: true });
    writeFileSync(join(data, "device-ca.crt"), authority.cert);
    signals.emit("SIGHUP");
    await expect.poll(() => reloaded).toBe(1);
    expect([failures(), errors.length]).toEqual([1, 1]);
  });

  test("that nobody asks for any more may go, and is asked for again when it is there again", {
    timeout: 30_000,
  }, async () => {
    const authority = await loadOrCreateAuthority(data);
    const files = await deviceCertificate("sensor1", authority);
    await register(fingerprintOf(files.cert, "sensor1.crt"));
    const config = "listeners:\n  - url: tls://localhost:0\n";
    await start(config);
    rmSync(join(data, "device-ca.crt"));
    const reload = async (text: string): Promise<void> => {
      const before = reloaded;
      writeFileSync(join(directory, "m.yaml"), text);
      signals.emit("SIGHUP");
      await expect.poll(() => reloaded).toBe(before + 1);
    };
    await reload(`tls: {clientCertificate: none}\n${config}`);
    await expect(connect(files)).rejects.toMatchObject({ code: 5 });
    await reload(config);
    await expect(connect(files)).rejects.toMatchObject({ code: 5 });
    writeFileSync(join(data, "device-ca.crt"), authority.cert);
    await reload(config);
    await connect(files);
    expect([failures(), errors.length]).toEqual([0, 0]);
  });

  test("whose two files are gone is made anew with the next certificate", { timeout: 30_000 }, async () => {
    await loadOrCreateAuthority(data);
    await register();
    await start("listeners:\n  - url: tls://localhost:0\n");
    for (const name of ["device-ca.crt", "device-ca.key"]) rmSync(join(data, name));
    await runDeviceCertificate({ productKey: PK, deviceName: "sensor1", data, out: directory, json: false });
    await connect({
      key: readFileSync(join(directory, "sensor1.key"), "utf8"),
      cert: readFileSync(join(directory, "sensor1.crt"), "utf8"),
    });
    expect(failures()).toBe(0);
  });

  test("made while a TLS file of a listener is broken: listeners go on as they were, files and binding stand", {
    timeout: 30_000,
  }, async () => {
    await register();
    const own = await selfSignedCertificate();
    writeFileSync(join(directory, "own.key"), own.key);
    writeFileSync(join(directory, "own.crt"), own.cert);
    const listener = "tls: {key: own.key, cert: own.crt}\nlisteners:\n  - url: tls://localhost:0\n";
    await start(listener);
    writeFileSync(join(directory, "own.crt"), "broken");
    const given = { productKey: PK, deviceName: "sensor1", data, out: directory, json: false };
    await expect(runDeviceCertificate(given)).rejects.toMatchObject({
      code: "AUTHORITY_NOT_TAKEN",
      message: expect.stringMatching(
        /sensor1\.crt are made and bound, but .*tls.*key, certificate or CA cannot/,
      ),
    });
    expect(errors).toEqual([
      {
        message: "the authority for devices was not taken over, nothing was changed",
        code: "TLS_FILES_INVALID",
        reason: expect.stringContaining("key, certificate or CA cannot be used"),
      },
    ]);
    expect(failures()).toBe(1);
    const files = {
      key: readFileSync(join(directory, "sensor1.key"), "utf8"),
      cert: readFileSync(join(directory, "sensor1.crt"), "utf8"),
    };
    // Reached as before, and not asked for a certificate yet.
    await expect(connect(files)).rejects.toMatchObject({ code: 5 });
    writeFileSync(join(directory, "own.crt"), own.cert);
    signals.emit("SIGHUP");
    await expect.poll(() => reloaded).toBe(1);
    await connect(files);
    expect(failures()).toBe(1);
  });
});

test("a configuration that does not validate is counted as well, and so is what an embedder hands over", {
  timeout: 30_000,
}, async () => {
  await start("listeners:\n  - url: tls://localhost:0\n");
  writeFileSync(join(directory, "m.yaml"), "listenerss: []\n");
  signals.emit("SIGHUP");
  await expect.poll(() => errors).toMatchObject([{ code: "CONFIG_UNKNOWN_KEY" }]);
  expect(failures()).toBe(1);

  const { key, cert } = await selfSignedCertificate();
  const listener = { kind: "tls", host: "localhost", port: 0, profile: "standard" } as const;
  const embedded = await createBroker({
    profile: "standard",
    listeners: [{ ...listener, tls: { key, cert } }],
  });
  try {
    const broken = { ...listener, tls: { key, cert: "no certificate" } };
    await expect(embedded.reload({ listeners: [broken] })).rejects.toMatchObject({ code: "TLS_UNUSABLE" });
    await expect(embedded.reload(() => Promise.reject(new Error("unread")))).rejects.toThrow("unread");
    await embedded.reload({ listeners: [{ ...listener, tls: { key, cert } }] });
    expect(embedded.metrics()["errors.reload"]).toBe(2);
  } finally {
    await embedded.close({ drainMs: 0 });
  }
});
