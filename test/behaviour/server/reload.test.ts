// What an embedder hands to reload() is taken over as a whole or not at all, whichever part of it cannot be used.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as dial } from "node:tls";
import mqtt from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { setPassword } from "../../../src/access/password-file.ts";
import { type Broker, createBroker } from "../../../src/broker.ts";
import type { BrokerOptions } from "../../../src/options.ts";
import { selfSignedCertificate } from "../../../src/transport/tls/certificate.ts";

const CHEAP = { N: 16, r: 1, p: 1 };
let directory: string;
let passwordFile: string;
let aclFile: string;
let broker: Broker;
let old: { key: string; cert: string };
let renewed: { key: string; cert: string };

const listener = { kind: "tls", host: "127.0.0.1", port: 0 } as const;
const options = (...certificates: { key: string; cert: string }[]): BrokerOptions => ({
  profile: "standard",
  sysInterval: 0,
  passwordFile,
  listeners: certificates.map((tls) => ({ ...listener, tls })),
  aclFile,
});

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
  passwordFile = join(directory, "passwd");
  aclFile = join(directory, "acl");
  writeFileSync(aclFile, "topic readwrite #\n");
  await setPassword(passwordFile, "alice", "first", CHEAP);
  [old, renewed] = await Promise.all([selfSignedCertificate(["old"]), selfSignedCertificate(["renewed"])]);
  broker = await createBroker(options(old, old));
});
afterEach(async () => {
  await broker.close({ drainMs: 0 });
  rmSync(directory, { recursive: true });
});

/** The common name that a listener shows. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = dial({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      const name = socket.getPeerCertificate().subject.CN;
      socket.destroy();
      resolve(String(name));
    });
    socket.on("error", reject);
  });
}

const names = (): Promise<string[]> => Promise.all(broker.listeners.map(({ port }) => shown(port)));

async function signsIn(password: string): Promise<boolean> {
  try {
    const client = await mqtt.connectAsync(
      `mqtts://127.0.0.1:${broker.listeners[0].port}`,
      { username: "alice", password, rejectUnauthorized: false, reconnectPeriod: 0 },
      false,
    );
    await client.endAsync();
    return true;
  } catch {
    return false;
  }
}

test.each([
  ["the certificate of a later listener", () => options(renewed, { key: renewed.key, cert: old.cert })],
  [
    "a file behind the listeners",
    () => {
      writeFileSync(aclFile, "nobody understands this\n");
      return options(renewed, renewed);
    },
  ],
])("%s cannot be used: nothing is taken over, and all of it once it is mended", async (_what, broken) => {
  await setPassword(passwordFile, "alice", "second", CHEAP);
  await expect(broker.reload(broken())).rejects.toMatchObject({ code: expect.any(String) });
  expect(await names()).toEqual(["old", "old"]);
  expect([await signsIn("first"), await signsIn("second")]).toEqual([true, false]);
  expect(broker.metrics()["errors.reload"]).toBe(1);

  writeFileSync(aclFile, "topic readwrite #\n");
  expect((await broker.reload(options(renewed, renewed))).applied.sort()).toEqual([
    "aclFile",
    "listeners[0].tls",
    "listeners[1].tls",
    "passwordFile",
  ]);
  expect(await names()).toEqual(["renewed", "renewed"]);
  expect([await signsIn("first"), await signsIn("second")]).toEqual([false, true]);
});
