// What every transport gives the connection layer: one ordered byte stream with back-pressure.
// A transport knows nothing of MQTT beyond the first byte it needs to tell TLS, WebSocket and MQTT apart.

/** Where a stream came from. Read once, at sign-in and for logs. */
export interface StreamInfo {
  readonly transport: "tcp" | "tls" | "ws" | "wss" | "unix" | "stream";
  /** True where the bytes are encrypted between the peer and this process. */
  readonly secure: boolean;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localPort: number;
  /** True where the listener is *bound* to loopback (or a Unix socket). The peer's address decides nothing. */
  readonly loopback: boolean;
  /** The certificate the client presented in this very handshake and the listener verified; never from a resumed session. */
  readonly certificate?: {
    readonly commonName: string;
    readonly subject: string;
    readonly fingerprint256: string;
  };
  readonly tlsVersion?: string;
  readonly alpn?: string;
}

export interface StreamHandler {
  /** A chunk of at most 64 KiB, lent until onData returns: its bytes may change afterwards. Never called while paused. */
  onData(chunk: Buffer): void;
  /** Everything written has left the process's buffers: `pendingBytes` is 0 again. */
  onDrain(): void;
  /** The peer sent its end (FIN, WebSocket close). No more data. */
  onEnd(): void;
  /** Exactly once, last. The error where the transport failed. */
  onClose(error?: Error): void;
}

export interface ByteStream {
  readonly info: StreamInfo;
  /** Starts reading. Called once. */
  open(handler: StreamHandler): void;
  /** Takes the bytes (they must not change afterwards). Never throws; after close it does nothing. */
  write(bytes: Uint8Array): void;
  /** True where bytes are no longer needed as soon as pendingBytes is 0, be it when write() returns. */
  readonly takesAtOnce?: boolean;
  /** Bytes accepted by write() that the kernel has not taken yet. */
  readonly pendingBytes: number;
  pause(): void;
  resume(): void;
  /** The last chunk ended within a long packet. */
  longRest?(): void;
  /** Sends what is pending, then closes both directions. */
  end(): void;
  /** Closes at once; pending bytes are lost. */
  destroy(): void;
}

export interface Listener {
  /** The URL as configured, with the port that was really bound. */
  readonly url: string;
  readonly port: number;
  readonly loopback: boolean;
  /** Stops accepting; resolves when the port is free. Streams already open are left alone. */
  close(): Promise<void>;
  /**
   * Checks new certificates, and throws where they cannot be used. The function that is returned takes them, without dropping a
   * client; on a listener without TLS it does nothing.
   */
  prepareTls(tls: NewTls): () => void;
}

/** PEM texts, already read. */
export interface TlsFiles {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
  /** Accepted client CAs. */
  readonly ca?: string | Buffer;
}

/** What may change while a listener is open; clients are asked for certificates as before where it says nothing of that. */
export type NewTls = TlsFiles & Pick<TlsOptions, "clientCertificate">;

export interface TlsOptions extends TlsFiles {
  /** Lowest version. Default "1.2". 1.0 and 1.1 lower OpenSSL's security level on this listener. */
  readonly minVersion?: "1.0" | "1.1" | "1.2" | "1.3";
  readonly maxVersion?: "1.2" | "1.3";
  /** Ask for a client certificate: "request" takes it if sent, "require" refuses clients without one. Default "none". */
  readonly clientCertificate?: "none" | "request" | "require";
  /** Take handshakes with a pre-shared key too: the key of an identity. Default: none are taken. */
  readonly pskOf?: (identity: string) => Uint8Array | undefined;
}

export interface ListenerOptions {
  /** auto: first byte tells plain MQTT, TLS (then MQTT or WebSocket inside) and WebSocket apart [NET-7, NET-8]. */
  readonly kind: "tcp" | "tls" | "ws" | "wss" | "auto" | "unix";
  /** Default 127.0.0.1. "localhost" binds 127.0.0.1 and ::1. */
  readonly host?: string;
  readonly port?: number;
  /** For kind "unix". */
  readonly path?: string;
  readonly tls?: TlsOptions;
  /** Read a PROXY protocol v1 or v2 head first, from these addresses only (CIDR or address). Default: none. */
  readonly proxyProtocolFrom?: readonly string[];
  /** Origins a browser may come from, besides the listener's own host. "*" admits all. */
  readonly allowedOrigins?: readonly string[];
}

/** Bounds a listener keeps before MQTT is spoken; from limits.ts. */
export interface TransportLimits {
  /** Largest WebSocket message, bytes. */
  readonly webSocketMaxPayload: number;
  /** TLS and WebSocket handshakes must be finished in this time, ms. */
  readonly handshakeTimeoutMs: number;
  /** TLS and WebSocket handshakes in progress per listener; more are closed at once and counted. */
  readonly maxHandshakes: number;
  /** What one address may hold of them while others find no place. */
  readonly maxHandshakesPerAddress: number;
  /** Connections open per listener; more are closed at once and counted. */
  readonly maxConnections: number;
  /** New connections per second per listener; more wait in the kernel's backlog or are closed. 0: no bound. */
  readonly maxConnectionRate: number;
}

/** Transport events worth counting or logging; `reason` is a stable word. */
export interface TransportObserver {
  refused(
    reason:
      | "handshakes"
      | "handshakes_per_address"
      | "connections"
      | "rate"
      | "origin"
      | "proxy"
      | "tls"
      | "deadline"
      | "upgrade"
      | "body"
      | "attempts",
    info: string,
  ): void;
}
