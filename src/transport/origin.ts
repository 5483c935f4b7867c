// Where streams come from: what is the same for all streams of a listener, and the StreamInfo made of it for one stream.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { StreamInfo } from "./stream.ts";

/** The part of StreamInfo that all streams of one listener and transport share. */
export interface StreamOrigin {
  readonly transport: StreamInfo["transport"];
  readonly secure: boolean;
  readonly localPort: number;
  readonly loopback: boolean;
}

/** Address and port of the client as a proxy reported them. */
export interface SourceAddress {
  readonly address: string;
  readonly port: number;
}

/** What a TLS handshake found out. */
export interface TlsFacts {
  readonly certificate?: StreamInfo["certificate"];
  readonly tlsVersion?: string;
  readonly alpn?: string;
}

/** The address of the peer, an IPv4 address without the prefix a dual-stack socket gives it; "" for a Unix socket. */
export function peerAddress(socket: Duplex): string {
  const address = socket instanceof Socket ? socket.remoteAddress : undefined;
  if (address === undefined) return "";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

export function streamInfo(
  socket: Duplex,
  origin: StreamOrigin,
  source: SourceAddress | undefined,
  tls: TlsFacts | undefined,
): StreamInfo {
  return {
    transport: origin.transport,
    secure: origin.secure,
    remoteAddress: source?.address ?? peerAddress(socket),
    remotePort: source?.port ?? (socket instanceof Socket ? (socket.remotePort ?? 0) : 0),
    localPort: origin.localPort,
    loopback: origin.loopback,
    certificate: tls?.certificate,
    tlsVersion: tls?.tlsVersion,
    alpn: tls?.alpn,
  };
}
