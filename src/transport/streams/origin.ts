// Where streams come from: what is the same for all streams of a listener, and the StreamInfo made of it for one stream.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
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
  return address === undefined ? "" : withoutPrefix(address);
}

function withoutPrefix(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** A socket of Node's with its handle, which other runtimes may not have. */
type Handled = Duplex & {
  readonly _handle?: { getpeername?(peer: { address?: string; port?: number }): number } | null;
};

/** Filled by the handle, once for each connection: a socket asked for its address would keep an object and a field for it. */
const peer = { address: "", family: "", port: 0 };

/** Address and port of the peer; a Unix socket has neither. */
function peerOf(socket: Handled): SourceAddress {
  if (!(socket instanceof Socket)) return NOWHERE;
  const handle = socket instanceof TLSSocket ? undefined : (socket as Handled)._handle;
  if (handle?.getpeername !== undefined && handle.getpeername(peer) === 0 && peer.address !== "") {
    const found = { address: withoutPrefix(peer.address), port: peer.port };
    peer.address = "";
    return found;
  }
  return { address: peerAddress(socket), port: socket.remotePort ?? 0 };
}

const NOWHERE: SourceAddress = { address: "", port: 0 };

/**
 * StreamInfo of a socket. The addresses are asked for when somebody wants them: that is a system call, a tenth of what
 * accepting a connection costs. The kernel forgets them when the socket closes, so keep() comes before.
 */
export class SocketInfo implements StreamInfo {
  readonly #socket: Duplex;
  readonly #origin: StreamOrigin;
  readonly #tls: TlsFacts | undefined;
  #source: SourceAddress | undefined;

  constructor(
    socket: Duplex,
    origin: StreamOrigin,
    source: SourceAddress | undefined,
    tls: TlsFacts | undefined,
  ) {
    this.#socket = socket;
    this.#origin = origin;
    this.#source = source;
    this.#tls = tls;
  }

  get transport(): StreamInfo["transport"] {
    return this.#origin.transport;
  }

  get secure(): boolean {
    return this.#origin.secure;
  }

  get remoteAddress(): string {
    return this.keep().address;
  }

  get remotePort(): number {
    return this.keep().port;
  }

  get localPort(): number {
    return this.#origin.localPort;
  }

  get loopback(): boolean {
    return this.#origin.loopback;
  }

  get certificate(): StreamInfo["certificate"] {
    return this.#tls?.certificate;
  }

  get tlsVersion(): string | undefined {
    return this.#tls?.tlsVersion;
  }

  get alpn(): string | undefined {
    return this.#tls?.alpn;
  }

  /** Reads the addresses while the socket still has them. */
  keep(): SourceAddress {
    this.#source ??= peerOf(this.#socket);
    return this.#source;
  }

  /** What a logger writes. */
  toJSON(): StreamInfo {
    return {
      transport: this.transport,
      secure: this.secure,
      remoteAddress: this.remoteAddress,
      remotePort: this.remotePort,
      localPort: this.localPort,
      loopback: this.loopback,
      certificate: this.certificate,
      tlsVersion: this.tlsVersion,
      alpn: this.alpn,
    };
  }
}
