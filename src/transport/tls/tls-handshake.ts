// TLS on sockets that are already accepted. Knows certificates, versions and tickets; never listens itself.
//
// A client certificate counts only if it was presented in this very handshake [AUTH-11]: a resumed session proves what
// somebody showed earlier, if anything. So listeners that ask for certificates give out no tickets, and a certificate
// is never read from a session that was resumed all the same.
import { constants, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import {
  createSecureContext,
  createServer,
  DEFAULT_CIPHERS,
  type TLSSocket,
  type TlsOptions as NodeTlsOptions,
  type Server,
} from "node:tls";
import { ConfigError, OperationError } from "../../errors.ts";
import { checkAuthorities } from "./certificate.ts";
import type { TlsFacts } from "../streams/origin.ts";
import type { NewTls, StreamInfo, TlsFiles, TlsOptions } from "../streams/stream.ts";

const VERSIONS = { "1.0": "TLSv1", "1.1": "TLSv1.1", "1.2": "TLSv1.2", "1.3": "TLSv1.3" } as const;
/** AES-128 first, as Node has it for 1.2: SHA-256 and ten rounds make handshakes and bytes cheaper than SHA-384 and fourteen. */
const SUITES_13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
const CIPHERS_12 = DEFAULT_CIPHERS.split(":").filter((name) => !name.startsWith("TLS_"));
const CIPHERS = [SUITES_13, ...CIPHERS_12].join(":");
/** [NET-5] OpenSSL 3 offers no TLS 1.0 or 1.1 at a higher security level. */
const OLD_CIPHERS = `${SUITES_13}:DEFAULT@SECLEVEL=0`;
/** Suites of 1.2 without certificates, for listeners that take pre-shared keys [AUTH-12]; 1.3 has none of its own. */
const PSK_SUITES = [
  "ECDHE-PSK-CHACHA20-POLY1305",
  "PSK-AES128-GCM-SHA256",
  "PSK-AES256-GCM-SHA384",
  "PSK-AES128-CBC-SHA256",
  "PSK-AES128-CBC-SHA",
  "PSK-AES256-CBC-SHA",
].join(":");
/** A device that sleeps for an hour still resumes. */
const SESSION_TIMEOUT_S = 7_200;

export interface TlsAcceptorEvents {
  secure(socket: TLSSocket, facts: TlsFacts): void;
  failed(socket: TLSSocket, error: Error): void;
}

export class TlsAcceptor {
  readonly #events: TlsAcceptorEvents;
  /** All but what certificates are asked for. */
  readonly #fixed: NodeTlsOptions;
  #asked: NonNullable<TlsOptions["clientCertificate"]>;
  /** One set as long as the same is asked for: tickets outlive a reload of certificates. */
  #keys = sessionKeys();
  #server: Server;

  constructor(
    options: TlsOptions,
    alpn: readonly string[],
    handshakeTimeoutMs: number,
    events: TlsAcceptorEvents,
  ) {
    const { minVersion = "1.2", maxVersion = "1.3", clientCertificate = "none", pskOf } = options;
    if (minVersion > maxVersion) {
      throw new ConfigError(
        "TLS_VERSIONS",
        "tls.minVersion",
        `minVersion ${minVersion} is above maxVersion ${maxVersion}`,
      );
    }
    this.#events = events;
    this.#asked = clientCertificate;
    const old = minVersion === "1.0" || minVersion === "1.1";
    this.#fixed = {
      minVersion: VERSIONS[minVersion],
      maxVersion: VERSIONS[maxVersion],
      ciphers: pskOf
        ? `${(old ? OLD_CIPHERS : CIPHERS).replace(":!PSK", "")}:${PSK_SUITES}`
        : old
          ? OLD_CIPHERS
          : CIPHERS,
      ...(pskOf && { pskCallback: (_socket: TLSSocket, identity: string) => pskOf(identity) ?? null }),
      ALPNProtocols: [...alpn],
      handshakeTimeout: handshakeTimeoutMs,
      sessionTimeout: SESSION_TIMEOUT_S,
    };
    this.#server = this.#open(this.#checked(options, clientCertificate));
  }

  #open(options: NodeTlsOptions): Server {
    const server = createServer({ ...options, ...this.#keys }, (socket) =>
      this.#events.secure(socket, tlsFacts(socket)),
    );
    server.on("tlsClientError", (error, socket) => this.#events.failed(socket, error));
    return server;
  }

  accept(socket: Socket): void {
    this.#server.emit("connection", socket);
  }

  /**
   * Checks new certificates; the function that is returned takes them: new handshakes get them, connections that stand keep
   * theirs.
   */
  prepare({ clientCertificate = this.#asked, ...files }: NewTls): () => void {
    const options = this.#checked(files, clientCertificate);
    return () => this.#take(options, clientCertificate);
  }

  #take(options: NodeTlsOptions, clientCertificate: NonNullable<TlsOptions["clientCertificate"]>): void {
    if (clientCertificate === this.#asked) {
      this.#server.setSecureContext({ ...options, ...this.#keys });
      return;
    }
    this.#keys = sessionKeys();
    this.#server = this.#open(options);
    this.#asked = clientCertificate;
  }

  #checked(files: TlsFiles, asked: TlsOptions["clientCertificate"]): NodeTlsOptions {
    const asks = asked !== "none";
    if (asks && files.ca === undefined) {
      // Without a list of ours OpenSSL would trust every public authority to name our devices.
      throw new ConfigError(
        "TLS_CA_MISSING",
        "tls.ca",
        "client certificates are asked for, but no tls.ca says who may issue them",
      );
    }
    const options: NodeTlsOptions = {
      ...this.#fixed,
      requestCert: asks,
      rejectUnauthorized: asked === "require",
      secureOptions: asks ? constants.SSL_OP_NO_TICKET : undefined,
      key: files.key,
      cert: files.cert,
      ca: files.ca,
    };
    try {
      createSecureContext(options);
      if (files.ca !== undefined) checkAuthorities(files.ca);
    } catch (cause) {
      throw new OperationError(
        "TLS_UNUSABLE",
        `The TLS key, certificate or CA cannot be used: ${(cause as Error).message}. Check that all are PEM, and that key and certificate belong together`,
        { cause },
      );
    }
    return options;
  }
}

function sessionKeys(): { readonly ticketKeys: Buffer; readonly sessionIdContext: string } {
  return { ticketKeys: randomBytes(48), sessionIdContext: randomBytes(16).toString("hex") };
}

function tlsFacts(socket: TLSSocket): TlsFacts {
  return {
    certificate: presentedCertificate(socket),
    tlsVersion: socket.getProtocol() ?? undefined,
    alpn: socket.alpnProtocol || undefined,
  };
}

/** The verified certificate of this handshake. `authorized` alone is also true for resumed sessions without any. */
export function presentedCertificate(socket: TLSSocket): StreamInfo["certificate"] {
  if (!socket.authorized || socket.isSessionReused()) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  // Two common names are an array; neither is *the* name.
  const commonName: unknown = certificate.toLegacyObject().subject?.CN;
  return {
    commonName: typeof commonName === "string" ? commonName : "",
    subject: certificate.subject.split("\n").join(","),
    fingerprint256: certificate.fingerprint256,
  };
}
