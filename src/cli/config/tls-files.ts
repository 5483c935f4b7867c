// Reads the certificates that the settings name, and checks them before a listener depends on them.
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { ConfigError } from "../../errors.ts";
import { checkAuthorities } from "../../transport/tls/certificate.ts";
import type { TlsFiles, TlsOptions } from "../../transport/streams/stream.ts";
import type { TlsSetting } from "./settings.ts";

/** `own` makes or loads the self-signed certificate; called only where the setting names none. */
export async function readTls(tls: TlsSetting, own: () => Promise<TlsFiles>): Promise<TlsOptions> {
  const files = checkTls(tls) ?? withCa(await own(), tls);
  return {
    ...files,
    ...(tls.minVersion ? { minVersion: tls.minVersion } : {}),
    ...(tls.maxVersion ? { maxVersion: tls.maxVersion } : {}),
    ...(tls.clientCertificate ? { clientCertificate: tls.clientCertificate } : {}),
  };
}

/** The named files, if OpenSSL can use them together; undefined where the self-signed certificate is meant. */
export function checkTls(tls: TlsSetting): TlsFiles | undefined {
  if (tls.key === undefined || tls.cert === undefined) {
    usable(withCa({}, tls), tls);
    return undefined;
  }
  const pair = { key: readPem(tls.key, `${tls.path}.key`), cert: readPem(tls.cert, `${tls.path}.cert`) };
  return usable(withCa(pair, tls), tls);
}

function withCa<T extends Partial<TlsFiles>>(pair: T, tls: TlsSetting): T & Partial<TlsFiles> {
  return tls.ca === undefined ? pair : { ...pair, ca: readPem(tls.ca, `${tls.path}.ca`) };
}

function usable<T extends Partial<TlsFiles>>(files: T, tls: TlsSetting): T {
  try {
    createSecureContext(files);
    if (files.ca !== undefined) checkAuthorities(files.ca);
    return files;
  } catch (error) {
    const message = `${tls.path}: key, certificate or CA cannot be used: ${(error as Error).message}`;
    throw new ConfigError("TLS_FILES_INVALID", tls.path, message);
  }
}

function readPem(file: string, path: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ConfigError(
      "TLS_FILE_UNREADABLE",
      path,
      `${path}: cannot read ${file}: ${(error as Error).message}`,
    );
  }
}
