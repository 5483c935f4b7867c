// Takes accepted sockets through what stands before MQTT: PROXY head, first byte, TLS, WebSocket upgrade. One deadline
// covers all of it, and a socket that stalls or misbehaves never becomes a stream.
//
// tcp, unix:  [PROXY] -> stream                 ws:   [PROXY] -> "G" -> upgrade -> stream
// tls:        [PROXY] -> 0x16 -> TLS -> stream  wss:  [PROXY] -> 0x16 -> TLS -> upgrade -> stream
// auto:       [PROXY] -> first byte -> stream, upgrade, or TLS -> first byte -> stream or upgrade   [NET-7, NET-8]
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { WebSocket } from "ws";
import { AddressList } from "./address-list.ts";
import { Admission } from "./admission.ts";
import { firstProtocol, peekByte } from "./first-byte.ts";
import { Handshakes } from "./handshakes.ts";
import {
  peerAddress,
  SocketInfo,
  type SourceAddress,
  type StreamOrigin,
  type TlsFacts,
} from "../streams/origin.ts";
import { readProxyHead } from "./proxy-protocol.ts";
import { stopReading } from "../streams/socket-events.ts";
import { SocketStream } from "../streams/socket-stream.ts";
import type {
  ByteStream,
  ListenerOptions,
  StreamInfo,
  NewTls,
  TransportLimits,
  TransportObserver,
} from "../streams/stream.ts";
import { TlsAcceptor } from "../tls/tls-handshake.ts";
import { WebSocketStream } from "../websocket/websocket-stream.ts";
import { WebSocketUpgrade } from "../websocket/websocket-upgrade.ts";

type RefusalReason = Parameters<TransportObserver["refused"]>[0];

const ALPN = { tls: ["mqtt"], wss: ["http/1.1"], auto: ["mqtt", "http/1.1"] } as const;

const RECEPTION = Symbol("millrace.reception");

type Carrier = Socket & { [RECEPTION]?: Reception };

/** A socket on its way to become a stream. */
interface Arrival {
  readonly socket: Socket;
  /** When it came, ms. */
  readonly since: number;
  /** What bytes are read from now: the socket, later the TLS socket around it. */
  stage: Duplex;
  source: SourceAddress | undefined;
  tls: TlsFacts | undefined;
  handshaking: boolean;
  /** Set while the TLS handshake runs: its key in #securing. */
  ends: string | undefined;
  settled: boolean;
}

/** Errors of sockets nobody owns yet: "close" follows and says enough. */
function ignoreError(): void {}

/** Shared by all sockets: no closure per connection. */
function onClose(this: Carrier): void {
  this[RECEPTION]?.closed(this);
}

export class Reception {
  readonly #kind: ListenerOptions["kind"];
  readonly #deadlineMs: number;
  readonly #admission: Admission;
  readonly #handshakes: Handshakes<Arrival>;
  readonly #observer: TransportObserver;
  readonly #onStream: (stream: ByteStream) => void;
  readonly #proxies: AddressList | undefined;
  readonly #tls: TlsAcceptor | undefined;
  readonly #upgrade: WebSocketUpgrade;
  /** Oldest first, so one timer serves all deadlines. */
  readonly #arrivals = new Map<Socket, Arrival>();
  #timer: NodeJS.Timeout | undefined;
  /** TLS handshakes by the addresses of their two ends, the one thing both sockets of a handshake show. */
  readonly #securing = new Map<string, Arrival>();
  readonly #upgrading = new WeakMap<Duplex, Arrival>();
  readonly #origins = new Map<StreamInfo["transport"], StreamOrigin>();
  readonly #plain: StreamOrigin;

  constructor(
    options: ListenerOptions,
    limits: TransportLimits,
    observer: TransportObserver,
    bound: { readonly port: number; readonly loopback: boolean },
    onStream: (stream: ByteStream) => void,
  ) {
    this.#kind = options.kind;
    this.#deadlineMs = limits.handshakeTimeoutMs;
    this.#admission = new Admission(limits);
    this.#handshakes = new Handshakes(limits, (arrival) =>
      this.#refuse(arrival, "handshakes_per_address", "too many handshakes from here: the oldest gave way"),
    );
    this.#observer = observer;
    this.#onStream = onStream;
    const { proxyProtocolFrom = [], allowedOrigins = [] } = options;
    this.#proxies =
      proxyProtocolFrom.length > 0 ? new AddressList(proxyProtocolFrom, "proxyProtocolFrom") : undefined;
    for (const transport of ["tcp", "tls", "ws", "wss", "unix"] as const) {
      const secure = transport === "tls" || transport === "wss";
      this.#origins.set(transport, { transport, secure, localPort: bound.port, loopback: bound.loopback });
    }
    this.#plain = this.#origin(this.#kind === "unix" ? "unix" : "tcp");
    const { kind } = options;
    if (options.tls !== undefined && (kind === "tls" || kind === "wss" || kind === "auto")) {
      this.#tls = new TlsAcceptor(options.tls, ALPN[kind], limits.handshakeTimeoutMs, {
        secure: (socket, facts) => this.#secured(socket, facts),
        failed: (socket, error) => this.#securingFailed(socket, error),
      });
    }
    this.#upgrade = new WebSocketUpgrade(allowedOrigins, limits.webSocketMaxPayload, {
      open: (stream, socket) => this.#upgraded(stream, socket),
      refused: (stream, reason, detail) => this.#upgradeRefused(stream, reason, detail),
    });
  }

  /** Connections admitted and still open, for tests. */
  get connections(): number {
    return this.#admission.connections;
  }

  accept(socket: Carrier): void {
    const reason = this.#admission.admit();
    if (reason !== undefined) {
      this.#observer.refused(reason, peerAddress(socket));
      socket.destroy();
      return;
    }
    socket[RECEPTION] = this;
    socket.on("close", onClose);
    if ((this.#kind === "tcp" || this.#kind === "unix") && this.#proxies === undefined) {
      this.#onStream(new SocketStream(socket, this.#plain));
      return;
    }
    const arrival: Arrival = {
      socket,
      since: performance.now(),
      stage: socket,
      source: undefined,
      tls: undefined,
      handshaking: false,
      ends: undefined,
      settled: false,
    };
    this.#arrivals.set(socket, arrival);
    this.#timer ??= setTimeout(() => this.#checkDeadlines(), this.#deadlineMs).unref();
    if (this.#proxies === undefined) this.#begin(arrival);
    else this.#readProxyHead(arrival, this.#proxies);
  }

  /** @internal "close" of a socket that was admitted. */
  closed(socket: Socket): void {
    this.#admission.release();
    const arrival = this.#arrivals.get(socket);
    if (arrival === undefined) return;
    if (arrival.ends !== undefined) this.#refuse(arrival, "tls", "closed during the handshake");
    else this.#settle(arrival);
  }

  prepareTls(files: NewTls): () => void {
    return this.#tls?.prepare(files) ?? (() => {});
  }

  /** Drops everything that is not a stream yet. */
  close(): void {
    for (const arrival of this.#arrivals.values()) this.#drop(arrival);
  }

  #checkDeadlines(): void {
    this.#timer = undefined;
    const due = performance.now() - this.#deadlineMs;
    for (const arrival of this.#arrivals.values()) {
      if (arrival.since > due) {
        this.#timer = setTimeout(() => this.#checkDeadlines(), Math.ceil(arrival.since - due)).unref();
        return;
      }
      this.#refuse(arrival, "deadline", "handshake not finished in time");
    }
  }

  #origin(transport: StreamInfo["transport"]): StreamOrigin {
    return this.#origins.get(transport) as StreamOrigin;
  }

  #readProxyHead(arrival: Arrival, proxies: AddressList): void {
    if (!proxies.has(peerAddress(arrival.socket))) {
      this.#refuse(arrival, "proxy", "not one of the listed proxies");
      return;
    }
    readProxyHead(arrival.socket, (head) => {
      if (arrival.settled) return;
      if (head.state === "head") {
        arrival.source = head.source;
        this.#begin(arrival);
      } else this.#refuse(arrival, "proxy", head.state === "bad" ? head.why : "incomplete");
    });
  }

  #begin(arrival: Arrival): void {
    if (this.#kind === "tcp") this.#deliver(arrival);
    else this.#readFirstByte(arrival);
  }

  #readFirstByte(arrival: Arrival): void {
    peekByte(arrival.stage, (byte) => {
      if (arrival.settled) return;
      if (byte === undefined) this.#drop(arrival);
      else this.#dispatch(arrival, byte);
    });
  }

  #dispatch(arrival: Arrival, byte: number): void {
    const kind = this.#kind;
    const inside = arrival.tls !== undefined;
    const protocol = firstProtocol(byte);
    if (protocol === "mqtt" && kind === "auto") this.#deliver(arrival);
    else if (protocol === "http" && (kind === "ws" || kind === "auto")) this.#startUpgrade(arrival);
    else if (protocol === "tls" && !inside && this.#tls !== undefined) this.#startTls(arrival, this.#tls);
    else {
      const reason = kind === "tls" || kind === "wss" || protocol === "tls" ? "tls" : "upgrade";
      this.#refuse(
        arrival,
        reason,
        `first byte 0x${byte.toString(16).padStart(2, "0")} is of no protocol spoken here`,
      );
    }
  }

  #startHandshake(arrival: Arrival): boolean {
    if (arrival.handshaking) return true;
    arrival.handshaking = this.#handshakes.begin(arrival, addressOf(arrival));
    if (!arrival.handshaking) this.#refuse(arrival, "handshakes", "too many handshakes in progress");
    return arrival.handshaking;
  }

  #startTls(arrival: Arrival, tls: TlsAcceptor): void {
    const { socket } = arrival;
    const ends = endsOf(socket);
    if (ends === undefined) this.#drop(arrival);
    else if (this.#startHandshake(arrival)) {
      arrival.ends = ends;
      this.#securing.set(ends, arrival);
      // A client that leaves in the middle of the handshake is gone, not half-open.
      socket.allowHalfOpen = false;
      stopReading(socket);
      tls.accept(socket);
    }
  }

  #secured(socket: TLSSocket, facts: TlsFacts): void {
    const arrival = this.#takeSecuring(socket);
    if (arrival === undefined) {
      socket.destroy();
      return;
    }
    socket.on("error", ignoreError);
    socket.allowHalfOpen = true;
    arrival.stage = socket;
    arrival.tls = facts;
    if (this.#kind === "tls") this.#deliver(arrival);
    else if (this.#kind === "wss") this.#startUpgrade(arrival);
    else this.#readFirstByte(arrival);
  }

  #securingFailed(socket: TLSSocket, error: Error): void {
    // Not found where the client has left: then the close of its socket reports it.
    const arrival = this.#takeSecuring(socket);
    const { code } = error as NodeJS.ErrnoException;
    if (arrival !== undefined) this.#refuse(arrival, "tls", code ?? error.message);
    socket.destroy();
  }

  #takeSecuring(socket: TLSSocket): Arrival | undefined {
    const arrival = this.#securing.get(endsOf(socket) ?? "");
    if (arrival !== undefined) this.#endSecuring(arrival);
    return arrival;
  }

  #endSecuring(arrival: Arrival): void {
    const { ends } = arrival;
    arrival.ends = undefined;
    if (ends !== undefined && this.#securing.get(ends) === arrival) this.#securing.delete(ends);
  }

  #startUpgrade(arrival: Arrival): void {
    if (!this.#startHandshake(arrival)) return;
    this.#upgrading.set(arrival.stage, arrival);
    stopReading(arrival.stage);
    this.#upgrade.accept(arrival.stage);
  }

  #upgraded(stream: Duplex, socket: WebSocket): void {
    const arrival = this.#upgrading.get(stream);
    if (arrival === undefined || arrival.settled) {
      socket.terminate();
      return;
    }
    this.#settle(arrival);
    const origin = this.#origin(arrival.tls === undefined ? "ws" : "wss");
    const info = new SocketInfo(stream, origin, arrival.source, arrival.tls);
    info.keep();
    this.#onStream(new WebSocketStream(socket, info));
  }

  /** Only counted: the answer is still being sent, and the deadline stays until the socket is closed. */
  #upgradeRefused(stream: Duplex, reason: "origin" | "upgrade", detail: string): void {
    const arrival = this.#upgrading.get(stream);
    if (arrival !== undefined && !arrival.settled) this.#report(arrival, reason, detail);
  }

  #deliver(arrival: Arrival): void {
    this.#settle(arrival);
    const { stage, source, tls } = arrival;
    const origin = tls === undefined ? this.#plain : this.#origin("tls");
    this.#onStream(new SocketStream(stage, origin, source, tls));
  }

  #refuse(arrival: Arrival, reason: RefusalReason, detail: string): void {
    if (arrival.settled) return;
    this.#report(arrival, reason, detail);
    this.#drop(arrival);
  }

  #report(arrival: Arrival, reason: RefusalReason, detail: string): void {
    this.#observer.refused(reason, `${addressOf(arrival)}: ${detail}`);
  }

  #drop(arrival: Arrival): void {
    this.#settle(arrival);
    arrival.stage.destroy();
    arrival.socket.destroy();
  }

  #settle(arrival: Arrival): void {
    if (arrival.settled) return;
    arrival.settled = true;
    this.#endSecuring(arrival);
    this.#arrivals.delete(arrival.socket);
    if (arrival.handshaking) this.#handshakes.end(arrival);
  }
}

function addressOf({ source, socket }: Arrival): string {
  return source?.address ?? peerAddress(socket);
}

function endsOf(socket: Socket): string | undefined {
  const { remoteAddress, remotePort, localAddress } = socket;
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort} ${localAddress}`;
}
