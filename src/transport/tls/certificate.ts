// The self-signed certificate of a first start: made once, kept, never overwritten. RSA 2048, since the TLS libraries of
// older device SDKs know no elliptic curves.
import { createPrivateKey, createPublicKey, randomBytes, X509Certificate } from "node:crypto";
import { link, open, readFile, rename, rm } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { OperationError } from "../../errors.ts";
import { makeDirectory } from "../../runtime/directories.ts";

export const KEY_FILE = "server.key";
export const CERTIFICATE_FILE = "server.crt";
const LOCAL_NAMES = ["localhost", "127.0.0.1", "::1"] as const;
const VALID_YEARS = 10;
const DAY_MS = 86_400_000;

export interface CertificateFiles {
  readonly key: string;
  readonly cert: string;
}

export interface LoadedCertificate extends CertificateFiles {
  /** Made by this call. */
  readonly created: boolean;
}

/** Makes a certificate for the names and addresses given, besides those of this machine's loopback. */
export async function selfSignedCertificate(
  names: readonly string[] = [],
  keyPem?: string,
): Promise<CertificateFiles> {
  const { generate } = await import("selfsigned");
  const all = [...new Set([...LOCAL_NAMES, ...names])];
  // A day early: devices whose clock is a little behind must not refuse it.
  const notBeforeDate = new Date(Date.now() - DAY_MS);
  const notAfterDate = new Date(notBeforeDate);
  notAfterDate.setFullYear(notAfterDate.getFullYear() + VALID_YEARS);
  const made = await generate([{ name: "commonName", value: names[0] ?? "localhost" }], {
    keyType: "rsa",
    keySize: 2048,
    algorithm: "sha256",
    notBeforeDate,
    notAfterDate,
    keyPair: keyPem === undefined ? undefined : keyPair(keyPem),
    extensions: [
      // Its own authority, so that clients can be given it as the CA to trust.
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", digitalSignature: true, keyEncipherment: true, keyCertSign: true, critical: true },
      { name: "extKeyUsage", serverAuth: true },
      {
        name: "subjectAltName",
        altNames: all.map((name) => (isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name })),
      },
    ],
  });
  return { key: keyPem ?? made.private, cert: made.cert };
}

/** Reads `server.key` and `server.crt` in the directory, or makes them where there are none yet. */
export async function loadOrCreateCertificate(
  dir: string,
  names: readonly string[] = [],
): Promise<LoadedCertificate> {
  const keyPath = join(dir, KEY_FILE);
  const certPath = join(dir, CERTIFICATE_FILE);
  const key = await readIfThere(keyPath);
  const cert = await readIfThere(certPath);
  if (key !== undefined && cert !== undefined)
    return { ...checkPair(key, cert, keyPath, certPath), created: false };
  if (cert !== undefined) {
    throw unusable(
      certPath,
      `its key ${keyPath} is missing`,
      `Put the key back, or remove ${certPath} to have both made anew`,
    );
  }
  // A key alone is what a start leaves that died between the two files.
  if (key !== undefined) checkKey(key, keyPath);
  const made = await selfSignedCertificate(names, key);
  try {
    makeDirectory(dir);
    if (key === undefined && !(await createFile(keyPath, made.key, 0o600)))
      return loadOrCreateCertificate(dir, names);
    if (!(await createFile(certPath, made.cert, 0o644))) return loadOrCreateCertificate(dir, names);
  } catch (cause) {
    throw unusable(
      dir,
      (cause as Error).message,
      "Make the directory writable, or choose another with --data",
      cause,
    );
  }
  return { ...made, created: true };
}

function keyPair(keyPem: string): { privateKey: string; publicKey: string } {
  const privateKey = createPrivateKey(keyPem);
  return {
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    publicKey: createPublicKey(privateKey).export({ type: "spki", format: "pem" }) as string,
  };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unusable(path, (cause as Error).message, "Make it readable for this user", cause);
  }
}

/** Appears complete or not at all, and never in the place of another. False: another was there first. */
export async function createFile(path: string, text: string, mode: number): Promise<boolean> {
  // Of this call alone: another start may be at it in this process, or under the same id in another container.
  const temporary = `${path}.${randomBytes(8).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "w", mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    return await linkTo(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function linkTo(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "ENOSYS") throw error;
    // A file system without hard links.
    await rename(temporary, path);
    return true;
  }
}

function checkKey(key: string, keyPath: string): void {
  try {
    createPrivateKey(key);
  } catch (cause) {
    throw unusable(
      keyPath,
      "it holds no usable private key",
      `Restore it, or remove it to have it made anew`,
      cause,
    );
  }
}

function checkPair(key: string, cert: string, keyPath: string, certPath: string): CertificateFiles {
  checkKey(key, keyPath);
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch (cause) {
    throw unusable(
      certPath,
      "it holds no certificate",
      `Restore it, or remove it to have it made anew for ${keyPath}`,
      cause,
    );
  }
  if (!certificate.checkPrivateKey(createPrivateKey(key))) {
    throw unusable(
      certPath,
      `it does not belong to ${keyPath}`,
      "Restore the pair, or remove both to have them made anew",
    );
  }
  return { key, cert };
}

function unusable(path: string, why: string, remedy: string, cause?: unknown): OperationError {
  return new OperationError("CERTIFICATE_UNUSABLE", `${path}: ${why}. ${remedy}`, { cause });
}

/**
 * Throws where a list of authorities in PEM holds no certificate, or one that is none: OpenSSL passes over what it cannot read,
 * and would then refuse every client whose certificate is from there.
 */
export function checkAuthorities(ca: string | Buffer): void {
  const blocks = ca.toString("latin1").split(/^(?=-----BEGIN CERTIFICATE-----)/m);
  const certificates = blocks.filter((block) => block.startsWith("-----BEGIN CERTIFICATE-----"));
  for (const pem of certificates.length > 0 ? certificates : blocks) new X509Certificate(pem);
}
