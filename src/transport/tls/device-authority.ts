// The broker's own authority for client certificates of devices: made once, kept in the data directory, never overwritten.
// Which device a certificate is of is not written in it but in the registry, by its fingerprint [AUTH-11].
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { OperationError } from "../../errors.ts";
import { makeDirectory } from "../../runtime/directories.ts";
import { type CertificateFiles, createFile } from "./certificate.ts";

export const AUTHORITY_KEY_FILE = "device-ca.key";
export const AUTHORITY_FILE = "device-ca.crt";
const VALID_YEARS = 30;
const DAY_MS = 86_400_000;

/** The authority's certificate; undefined: there is none yet, which is a fault where `asked`: listeners ask for what it issued. */
export async function readAuthority(directory: string, asked: boolean): Promise<string | undefined> {
  const path = join(directory, AUTHORITY_FILE);
  const cert = await readIfThere(path);
  if (cert !== undefined) checkCertificate(cert, path);
  else if (asked)
    throw unusable(
      path,
      "it is missing, and listeners ask for the certificates of devices. Put it back, or set tls.clientCertificate: none to ask no longer",
    );
  return cert;
}

/** Reads the authority, or makes it. `created`: by this call. */
export async function loadOrCreateAuthority(
  directory: string,
): Promise<CertificateFiles & { readonly created: boolean }> {
  const keyPath = join(directory, AUTHORITY_KEY_FILE);
  const certPath = join(directory, AUTHORITY_FILE);
  const key = await readIfThere(keyPath);
  const cert = await readIfThere(certPath);
  if (key !== undefined && cert !== undefined) {
    if (!checkCertificate(cert, certPath).checkPrivateKey(createPrivateKey(key)))
      throw unusable(certPath, `it does not belong to ${keyPath}`);
    return { key, cert, created: false };
  }
  if (key !== undefined || cert !== undefined)
    throw unusable(key === undefined ? keyPath : certPath, "the other half of the pair is missing");
  const made = await sign("Millrace devices", undefined);
  makeDirectory(directory);
  // Another process may have been faster: then its pair counts.
  if (!(await createFile(keyPath, made.key, 0o600))) return loadOrCreateAuthority(directory);
  await createFile(certPath, made.cert, 0o644);
  return { ...made, created: true };
}

/** A key and a client certificate under the authority. */
export function deviceCertificate(name: string, authority: CertificateFiles): Promise<CertificateFiles> {
  return sign(name, authority);
}

/** SHA-256 of the certificate, lower-case hex, as the registry has it. Throws OperationError CERTIFICATE_UNUSABLE. */
export function fingerprintOf(cert: string, path: string): string {
  return checkCertificate(cert, path).fingerprint256.replaceAll(":", "").toLowerCase();
}

async function sign(name: string, authority: CertificateFiles | undefined): Promise<CertificateFiles> {
  const { generate } = await import("selfsigned");
  // A day early: devices whose clock is a little behind must not refuse it.
  const notBeforeDate = new Date(Date.now() - DAY_MS);
  const notAfterDate = new Date(notBeforeDate);
  notAfterDate.setFullYear(notAfterDate.getFullYear() + VALID_YEARS);
  const made = await generate([{ name: "commonName", value: name }], {
    keyType: "rsa",
    keySize: 2048,
    algorithm: "sha256",
    notBeforeDate,
    notAfterDate,
    ...(authority === undefined
      ? {
          extensions: [
            { name: "basicConstraints", cA: true, critical: true },
            { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
          ],
        }
      : {
          ca: authority,
          extensions: [
            { name: "basicConstraints", cA: false, critical: true },
            { name: "keyUsage", digitalSignature: true, critical: true },
            { name: "extKeyUsage", clientAuth: true },
          ],
        }),
  });
  return { key: made.private, cert: made.cert };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unusable(path, (cause as Error).message, cause);
  }
}

function checkCertificate(cert: string, path: string): X509Certificate {
  try {
    return new X509Certificate(cert);
  } catch (cause) {
    throw unusable(path, "it holds no certificate in PEM", cause);
  }
}

function unusable(path: string, why: string, cause?: unknown): OperationError {
  return new OperationError("CERTIFICATE_UNUSABLE", `${path}: ${why}`, { cause });
}
