// TLS listeners and clients of them.
import { once } from "node:events";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { beforeAll } from "vitest";
import type { TlsOptions, TransportLimits } from "../../../src/transport/streams/stream.ts";
import { type TestCertificates, testCertificates } from "./certificates.ts";
import { type Opened, open } from "../helpers.ts";

/** Set before the first test of a file that calls useTls(). */
export let certificates: TestCertificates;

/** Makes certificates for the file; returns a function that opens a TLS listener. */
export function useTls(): (tls?: Partial<TlsOptions>, limits?: Partial<TransportLimits>) => Promise<Opened> {
  beforeAll(async () => {
    certificates = await testCertificates();
  });
  return (tls = {}, limits = {}) => open({ kind: "tls", tls: { ...certificates.server, ...tls } }, limits);
}

export async function dialTls(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  await once(socket, "secureConnect");
  socket.on("error", () => {});
  return socket;
}

/** The session ticket a connection is given; in TLS 1.3 behind the handshake. */
export async function ticketOf(port: number, options: ConnectionOptions = {}): Promise<Buffer> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  socket.on("error", () => {});
  const [ticket] = (await once(socket, "session")) as [Buffer];
  socket.destroy();
  return ticket;
}
