import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadOrCreateCertificate, selfSignedCertificate } from "../../../src/transport/tls/certificate.ts";
import { open } from "../helpers.ts";

let dir: string;
let key: string;
let cert: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "millrace-"));
  key = join(dir, "server.key");
  cert = join(dir, "server.crt");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe("a self-signed certificate", () => {
  it("is for this machine and the names given, for ten years, with an RSA key", async () => {
    const made = await selfSignedCertificate(["broker.example", "192.0.2.7"]);
    const certificate = new X509Certificate(made.cert);
    expect(certificate.subjectAltName).toBe(
      "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:broker.example, IP Address:192.0.2.7",
    );
    expect(certificate.publicKey.asymmetricKeyType).toBe("rsa");
    expect(certificate.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
    const years =
      (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / (365.25 * 86_400_000);
    expect(years).toBeGreaterThan(9.9);
    expect(Date.parse(certificate.validFrom)).toBeLessThan(Date.now());
  });

  it("is trusted by a client that is given it as its authority, under each of its names", async () => {
    const made = await selfSignedCertificate();
    const opened = await open({ kind: "tls", tls: made });
    for (const servername of ["localhost", "127.0.0.1", "::1"]) {
      const client = connect({
        port: opened.port,
        host: "127.0.0.1",
        ca: made.cert,
        checkServerIdentity: (_host, peer) => {
          const names = new X509Certificate(peer.raw);
          const known = servername === "localhost" ? names.checkHost(servername) : names.checkIP(servername);
          return known === undefined ? new Error(`not for ${servername}`) : undefined;
        },
      });
      await once(client, "secureConnect");
      expect(client.authorized).toBe(true);
      client.destroy();
    }
    await opened.close();
  });
});

describe("the certificate of a data directory", () => {
  it("is made at the first start and kept afterwards", async () => {
    const nested = join(dir, "data");
    const first = await loadOrCreateCertificate(nested);
    expect(first.created).toBe(true);
    expect(statSync(join(nested, "server.key")).mode & 0o777).toBe(0o600);
    expect(readdirSync(nested).sort()).toEqual(["server.crt", "server.key"]);
    const second = await loadOrCreateCertificate(nested);
    expect(second).toEqual({ key: first.key, cert: first.cert, created: false });
  });

  it("is one, though several starts make it at once", async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateCertificate(dir)));
    expect(new Set(made.map((one) => new X509Certificate(one.cert).fingerprint256)).size).toBe(1);
    expect(new Set(made.map((one) => one.key)).size).toBe(1);
    expect(readdirSync(dir).sort()).toEqual(["server.crt", "server.key"]);
  });

  it("is made for a key that is there alone", async () => {
    const first = await loadOrCreateCertificate(dir);
    rmSync(cert);
    const second = await loadOrCreateCertificate(dir);
    expect(second.key).toBe(first.key);
    expect(second.created).toBe(true);
    expect((await loadOrCreateCertificate(dir)).cert).toBe(second.cert);
  });

  const broken: [string, string, () => Promise<void>][] = [
    ["a corrupt key", "server.key", async () => writeFileSync(key, "corrupt")],
    ["a corrupt certificate", "server.crt", async () => writeFileSync(cert, "corrupt")],
    ["an empty certificate", "server.crt", async () => writeFileSync(cert, "")],
    ["a missing key", "server.crt", async () => rmSync(key)],
    [
      "a certificate of another key",
      "server.crt",
      async () => writeFileSync(cert, (await selfSignedCertificate()).cert),
    ],
  ];
  for (const [name, file, breakIt] of broken) {
    it(`is never overwritten: ${name} is named with a remedy`, async () => {
      await loadOrCreateCertificate(dir);
      await breakIt();
      const before = [key, cert].map((path) => (existsSync(path) ? readFileSync(path, "utf8") : undefined));
      const failure = loadOrCreateCertificate(dir);
      await expect(failure).rejects.toMatchObject({ code: "CERTIFICATE_UNUSABLE" });
      await expect(failure).rejects.toThrow(join(dir, file));
      await expect(failure).rejects.toThrow(/restore|put the key back/i);
      expect([key, cert].map((path) => (existsSync(path) ? readFileSync(path, "utf8") : undefined))).toEqual(
        before,
      );
    });
  }

  it("names a directory that cannot be made", async () => {
    writeFileSync(join(dir, "file"), "");
    await expect(loadOrCreateCertificate(join(dir, "file", "data"))).rejects.toMatchObject({
      code: "CERTIFICATE_UNUSABLE",
    });
  });
});
