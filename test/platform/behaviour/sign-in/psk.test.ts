// [AUTH-12] TLS with a pre-shared key beside certificates on one port, in 3.1.1 and 5.0.
import type { ConnectionOptions } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pskOfDevices } from "../../../../src/platform/sign-in/psk.ts";
import { sign } from "../../../../src/platform/sign-in/signature.ts";
import { testCertificate } from "../../../support/certificate.ts";
import { BOTH, TestServer } from "../../../support/server.ts";
import { exampleRegistry, PK, SECRET } from "../../devices.ts";
import { deviceConnect } from "../../signed-device.ts";

const IDENTITY = `devicename|hmacsha256|${PK}&device1|2524608000000`;
const registry = exampleRegistry();
const keyOf = pskOfDevices(registry);
let server: TestServer;

beforeAll(async () => {
  server = new TestServer({
    profile: "platform",
    devices: registry,
    platform: { rates: { enabled: false } },
    listeners: [{ kind: "auto", port: 0, psk: true, tls: await testCertificate() }],
  });
  await server.start();
});
afterAll(() => server.stop());

function withKey(identity: string, psk: Uint8Array, version: "TLSv1.2" | "TLSv1.3"): ConnectionOptions {
  return {
    minVersion: version,
    maxVersion: version,
    ...(version === "TLSv1.2" ? { ciphers: "PSK-AES128-CBC-SHA256:PSK-AES128-GCM-SHA256" } : {}),
    checkServerIdentity: () => undefined,
    pskCallback: () => ({ identity, psk: Buffer.from(psk) }),
  };
}

test("[AUTH-12] the worked key; nobody's identity has one too, that nobody knows; what is no identity has none", () => {
  const psk = "9D914E83BEB735D2A7B4245332F5B83BB5FC4A77DBA4EE83D7695396BB3EBA29";
  expect(Buffer.from(keyOf(IDENTITY) ?? "").toString()).toBe(psk);
  const unknown = IDENTITY.replace("device1", "nobody");
  expect(keyOf(unknown)).toHaveLength(64);
  expect(keyOf(unknown)).toEqual(keyOf(unknown));
  for (const guess of ["", "undefined", "nobody"]) {
    const key = sign("hmacsha256", guess, `id${PK}&nobodytimestamp2524608000000`);
    expect(Buffer.from(keyOf(unknown) ?? "").toString()).not.toBe(key);
  }
  for (const wrong of [
    "",
    "devicename|hmacsha1|x&y|1",
    `devicename|hmacsha256|${PK}&device1`,
    `${IDENTITY}|x`,
  ])
    expect(keyOf(wrong)).toBeUndefined();
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const credentials = deviceConnect("device1", { deviceSecret: SECRET });

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "[AUTH-12] %s with the key, and credentials as always",
    async (tls) => {
      const target = {
        transport: "tls",
        tls: withKey(IDENTITY, keyOf(IDENTITY) ?? Buffer.alloc(0), tls),
      } as const;
      await (await server.connect(version, credentials, target)).fence();
      const client = await server.open(version, target);
      client.send(client.wire.connect({ ...credentials, password: "0".repeat(64) }));
      await client.expectRefusal(4, 0x86);
    },
  );

  test("[AUTH-12] certificates go on beside it; a wrong key and an unknown device fail alike", async () => {
    await (await server.connect(version, credentials, { transport: "tls" })).fence();
    const unknown = IDENTITY.replace("device1", "nobody");
    const codes = [];
    for (const identity of [IDENTITY, unknown]) {
      const tls = withKey(identity, Buffer.alloc(64, 48), "TLSv1.2");
      codes.push(await server.open(version, { transport: "tls", tls }).catch(({ code }) => code));
    }
    expect(codes[0]).toMatch(/^ERR_SSL|^ECONNRESET/);
    expect(codes[1]).toBe(codes[0]);
  });
});
