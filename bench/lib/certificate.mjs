// A self-signed certificate for the TLS scenarios, made once per run of the benches.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { generate } from "selfsigned";

let made;

/** ECDSA P-256, as most deployments use today; all brokers get the same one. */
export async function certificate() {
  if (made) return made;
  const directory = mkdtempSync(path.join(tmpdir(), "millrace-bench-tls-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  const pair = await generate([{ name: "commonName", value: "localhost" }], {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
  });
  made = { certFile: path.join(directory, "cert.pem"), keyFile: path.join(directory, "key.pem") };
  writeFileSync(made.certFile, pair.cert);
  writeFileSync(made.keyFile, pair.private, { mode: 0o600 });
  return made;
}
