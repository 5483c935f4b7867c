// Certificates the tests need, made once per file: a server's, another server's, an authority and a client of it.
import { generate } from "selfsigned";
import { selfSignedCertificate } from "../../../src/transport/tls/certificate.ts";

export interface TestCertificates {
  readonly server: { readonly key: string; readonly cert: string };
  readonly renewed: { readonly key: string; readonly cert: string };
  readonly ca: string;
  readonly client: { readonly key: string; readonly cert: string };
  /** Of an authority nobody trusts. */
  readonly stranger: { readonly key: string; readonly cert: string };
}

export async function testCertificates(): Promise<TestCertificates> {
  const [server, renewed, authority, stranger] = await Promise.all([
    selfSignedCertificate(["first.example"]),
    selfSignedCertificate(["second.example"]),
    generate([{ name: "commonName", value: "Test Authority" }], {
      keyType: "ec",
      algorithm: "sha256",
      extensions: [{ name: "basicConstraints", cA: true }],
    }),
    selfSignedCertificate(["device-1"]),
  ]);
  const client = await generate(
    [
      { name: "commonName", value: "device-1" },
      { name: "organizationName", value: "Devices" },
    ],
    { keyType: "ec", algorithm: "sha256", ca: { key: authority.private, cert: authority.cert } },
  );
  return {
    server,
    renewed,
    ca: authority.cert,
    client: { key: client.private, cert: client.cert },
    stranger,
  };
}
