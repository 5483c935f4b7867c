// `millrace device certificate`: makes a client certificate for a device under the broker's own authority, or binds one that is
// there already [AUTH-11].
import { readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { makeDirectory } from "../../runtime/directories.ts";
import { OperationError } from "../../errors.ts";
import { createFile } from "../../transport/tls/certificate.ts";
import {
  deviceCertificate,
  fingerprintOf,
  loadOrCreateAuthority,
} from "../../transport/tls/device-authority.ts";
import { DEFAULTS } from "../config/defaults.ts";
import type { DeviceCertificateArguments } from "../arguments/registry-arguments.ts";
import type { DeviceAnswer, ProductAnswer } from "../registry/registry-calls.ts";
import { type Output, printDocument, standardOutput } from "../registry/registry-output.ts";
import { type RegistryPort, useRegistry } from "../registry/registry-port.ts";

/** Returns what to tell the user on standard error. */
export async function runDeviceCertificate(
  given: DeviceCertificateArguments,
  output: Output = standardOutput,
): Promise<string> {
  const { data, bind, json, productKey, deviceName } = given;
  return useRegistry({ data, command: "device" }, async (port) => {
    await port.call<DeviceAnswer>("device.show", { productKey, deviceName });
    const product = await port.call<ProductAnswer>("product.show", { productKey });
    if (product.authType !== "x509") {
      const message = `product ${productKey} knows its devices by secret: millrace product update ${productKey} --auth x509`;
      throw new OperationError("AUTH_TYPE", message);
    }
    const made = bind === undefined ? await make(port, given) : await bindFile(port, given, bind);
    if (json) await printDocument(made, output);
    return told(given, made);
  });
}

interface Made {
  readonly productKey: string;
  readonly deviceName: string;
  readonly certificate: string;
  readonly keyFile?: string;
  readonly certificateFile?: string;
  /** A broker runs, and takes certificates of the authority on some listener. */
  readonly asked?: boolean;
}

function told({ productKey, deviceName, bind }: DeviceCertificateArguments, made: Made): string {
  const bound = `device ${deviceName} of product ${productKey} is known by its certificate ${made.certificate}`;
  if (bind !== undefined)
    return `${bound}\nlisteners must name the authority that issued it: tls.ca and tls.clientCertificate`;
  const asked = made.asked ? "\nthe broker takes it from now on" : "";
  return `${bound}\nkey: ${made.keyFile}\ncertificate: ${made.certificateFile}${asked}`;
}

async function bindFile(port: RegistryPort, given: DeviceCertificateArguments, file: string): Promise<Made> {
  let pem: string;
  try {
    pem = await readFile(file, "utf8");
  } catch (cause) {
    const message = `--bind ${file} cannot be read: ${(cause as Error).message}`;
    throw new OperationError("CERTIFICATE_UNUSABLE", message, { cause });
  }
  return bindTo(port, given, fingerprintOf(pem, file));
}

async function make(port: RegistryPort, given: DeviceCertificateArguments): Promise<Made> {
  const { deviceName, data, out = "." } = given;
  const directory = resolve(data ?? DEFAULTS.data);
  try {
    makeDirectory(out);
  } catch (cause) {
    const message = `--out ${out} cannot be made: ${(cause as Error).message}`;
    throw new OperationError("CERTIFICATE_UNUSABLE", message, { cause });
  }
  const authority = await loadOrCreateAuthority(directory);
  const { key, cert } = await deviceCertificate(deviceName, authority);
  const keyFile = join(out, `${deviceName}.key`);
  const certificateFile = join(out, `${deviceName}.crt`);
  await write(keyFile, key, 0o600);
  const written = [keyFile];
  try {
    await write(certificateFile, cert, 0o644);
    written.push(certificateFile);
    const made = await bindTo(port, given, fingerprintOf(cert, certificateFile));
    return { ...made, keyFile, certificateFile, asked: await askedFor(port, written) };
  } catch (error) {
    for (const file of written) await rm(file, { force: true });
    throw error;
  }
}

/** Tells a broker that runs of the authority. `written` is emptied: the device is bound to what is in these files. */
async function askedFor(port: RegistryPort, written: string[]): Promise<boolean> {
  const files = written.splice(0);
  try {
    return await port.call<boolean>("device.authority");
  } catch (cause) {
    const message = `${files.join(" and ")} are made and bound, but the broker does not take the authority: ${(cause as Error).message}; mend that and reload it (SIGHUP)`;
    throw new OperationError("AUTHORITY_NOT_TAKEN", message, { cause });
  }
}

async function bindTo(
  port: RegistryPort,
  { productKey, deviceName }: DeviceCertificateArguments,
  certificate: string,
): Promise<Made> {
  await port.call<DeviceAnswer>("device.certificate", { productKey, deviceName, certificate });
  return { productKey, deviceName, certificate };
}

async function write(file: string, text: string, mode: number): Promise<void> {
  let made: boolean;
  try {
    made = await createFile(file, text, mode);
  } catch (cause) {
    throw new OperationError("CERTIFICATE_UNUSABLE", `${file}: ${(cause as Error).message}`, { cause });
  }
  if (!made)
    throw new OperationError("FILE_EXISTS", `${file} is there already: remove it, or choose another --out`);
}
