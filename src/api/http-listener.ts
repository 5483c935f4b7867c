// The HTTP listener: takes requests off sockets and hands them to the router. A client has a deadline for every step, its
// head, its body, taking the answer, the next request; one that misses it is closed. Loaded only where it is used.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Server as NetServer, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Admission } from "../transport/reception/admission.ts";
import { Handshakes } from "../transport/reception/handshakes.ts";
import { bindPort } from "../transport/ports/bind.ts";
import { peerAddress } from "../transport/streams/origin.ts";
import type {
  Listener,
  NewTls,
  TlsOptions,
  TransportLimits,
  TransportObserver,
} from "../transport/streams/stream.ts";
import { TlsAcceptor } from "../transport/tls/tls-handshake.ts";
import { ConfigError } from "../errors.ts";
import type { ApiAnswer, Router } from "./router.ts";

export interface HttpOptions {
  readonly kind: "http" | "https";
  readonly host?: string;
  readonly port?: number;
  readonly tls?: TlsOptions;
}

export interface HttpLimits extends TransportLimits {
  readonly maxBodyBytes: number;
}

const MAX_HEAD_BYTES = 16_384;

export async function listenHttp(
  options: HttpOptions,
  limits: HttpLimits,
  observer: TransportObserver,
  router: Router,
  failed: (error: unknown) => void,
): Promise<Listener> {
  const { kind, host = "127.0.0.1", port = 0, tls } = options;
  if (kind === "https" && tls === undefined)
    throw new ConfigError("TLS_MISSING", "tls", "an https listener needs a key and a certificate");
  const desk = new HttpDesk(kind === "https" ? tls : undefined, limits, observer, router, failed);
  const bound = await bindPort(host, port, (socket) => desk.accept(socket));
  const shown = host.includes(":") ? `[${host}]` : host;
  return {
    url: `${kind}://${shown}:${bound.port}`,
    port: bound.port,
    loopback: bound.loopback,
    close: () => desk.close(bound.servers),
    prepareTls: (files) => desk.prepareTls(files),
  };
}

/** A socket and the step it is at. */
interface Client {
  readonly socket: Socket;
  /** What HTTP is spoken over: the socket, or TLS on it. */
  stage: Duplex;
  timer: NodeJS.Timeout | undefined;
  busy: boolean;
  handshaking: boolean;
}

class HttpDesk {
  readonly #limits: HttpLimits;
  readonly #observer: TransportObserver;
  readonly #router: Router;
  readonly #failed: (error: unknown) => void;
  readonly #http: Server;
  readonly #tls: TlsAcceptor | undefined;
  readonly #admission: Admission;
  readonly #handshakes: Handshakes<Client>;
  readonly #clients = new Set<Client>();
  readonly #byStage = new WeakMap<Duplex, Client>();
  /** Handshakes by the ports of their two ends, the one thing both sockets of a handshake show. */
  readonly #securing = new Map<string, Client>();
  #closing = false;

  constructor(
    tls: TlsOptions | undefined,
    limits: HttpLimits,
    observer: TransportObserver,
    router: Router,
    failed: (error: unknown) => void,
  ) {
    this.#limits = limits;
    this.#observer = observer;
    this.#router = router;
    this.#failed = failed;
    this.#admission = new Admission(limits);
    this.#handshakes = new Handshakes(limits, (client) => {
      observer.refused(
        "handshakes_per_address",
        `${peerAddress(client.socket)}: too many handshakes from here: the oldest gave way`,
      );
      this.#handshaken(client);
      client.socket.destroy();
    });
    this.#http = createServer({ maxHeaderSize: MAX_HEAD_BYTES, keepAlive: false }, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        failed(error);
        request.socket.destroy();
      });
    });
    this.#http.on("clientError", (_error, socket) => socket.destroy());
    if (tls !== undefined)
      this.#tls = new TlsAcceptor(tls, ["http/1.1"], limits.handshakeTimeoutMs, {
        secure: (socket) => this.#secured(socket),
        failed: (socket, error) => {
          observer.refused("tls", `${peerAddress(socket)}: ${error.message}`);
          socket.destroy();
        },
      });
  }

  accept(socket: Socket): void {
    const reason = this.#closing ? "connections" : this.#admission.admit();
    if (reason !== undefined) {
      this.#observer.refused(reason, peerAddress(socket));
      socket.destroy();
      return;
    }
    const client: Client = { socket, stage: socket, timer: undefined, busy: false, handshaking: false };
    this.#clients.add(client);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#gone(client));
    this.#arm(client);
    if (this.#tls === undefined) {
      this.#speak(client, socket);
      return;
    }
    client.handshaking = this.#handshakes.begin(client, peerAddress(socket));
    if (!client.handshaking) {
      this.#observer.refused("handshakes", peerAddress(socket));
      socket.destroy();
      return;
    }
    this.#securing.set(endsOf(socket), client);
    this.#tls.accept(socket);
  }

  #secured(secure: Duplex & { remotePort?: number }): void {
    const client = this.#securing.get(endsOf(secure as unknown as Socket));
    if (client === undefined) {
      secure.destroy();
      return;
    }
    this.#handshaken(client);
    client.stage = secure;
    secure.on("error", () => client.socket.destroy());
    this.#speak(client, secure);
  }

  #handshaken(client: Client): void {
    if (!client.handshaking) return;
    client.handshaking = false;
    this.#handshakes.end(client);
    for (const [ends, other] of this.#securing) {
      if (other !== client) continue;
      this.#securing.delete(ends);
      break;
    }
  }

  #speak(client: Client, stage: Duplex): void {
    this.#byStage.set(stage, client);
    this.#http.emit("connection", stage);
  }

  #gone(client: Client): void {
    clearTimeout(client.timer);
    this.#handshaken(client);
    this.#clients.delete(client);
    this.#admission.release();
  }

  /** The client's next step must be done in time. */
  #arm(client: Client): void {
    clearTimeout(client.timer);
    client.timer = setTimeout(() => {
      this.#observer.refused(
        "deadline",
        `${peerAddress(client.socket)}: request or answer not finished in time`,
      );
      client.stage.destroy();
      client.socket.destroy();
    }, this.#limits.handshakeTimeoutMs).unref();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const client = this.#byStage.get(request.socket);
    if (client === undefined) {
      request.socket.destroy();
      return;
    }
    client.busy = true;
    const body = await this.#bodyOf(request);
    clearTimeout(client.timer);
    if (body === undefined) {
      this.#observer.refused(
        "body",
        `${peerAddress(client.socket)}: more than ${this.#limits.maxBodyBytes} bytes`,
      );
      response.shouldKeepAlive = false;
    }
    const answer: ApiAnswer =
      body === undefined
        ? { status: 413, json: { code: 413, message: "body too large" } }
        : await this.#answer(request, body);
    if (this.#closing) response.shouldKeepAlive = false;
    const text = JSON.stringify(answer.json);
    response.on("finish", () => {
      client.busy = false;
      if (this.#closing) client.stage.end();
    });
    // Until the answer is taken and the next request is there.
    this.#arm(client);
    response.writeHead(answer.status ?? 200, {
      "Content-Type": "application/json;charset=utf-8",
      "Content-Length": Buffer.byteLength(text),
      "Cache-Control": "no-store",
    });
    response.end(text);
  }

  async #answer(request: IncomingMessage, body: Buffer): Promise<ApiAnswer> {
    const { method = "GET", url = "/", headers } = request;
    const question = url.indexOf("?");
    const path = question < 0 ? url : url.slice(0, question);
    const query = new URLSearchParams(question < 0 ? "" : url.slice(question + 1));
    const handler = this.#router.find(method, path);
    if (typeof handler === "number")
      return {
        status: handler,
        json: { code: handler, message: handler === 404 ? "not found" : "method not allowed" },
      };
    try {
      const client = this.#byStage.get(request.socket);
      const remoteAddress = client === undefined ? "" : peerAddress(client.socket);
      return await handler({ method, path, query, body, headers, remoteAddress });
    } catch (error) {
      this.#failed(error);
      return { json: { code: 500, message: "internal error" } };
    }
  }

  /** undefined: too large; the rest is not read. */
  async #bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
    const most = this.#limits.maxBodyBytes;
    if (Number(request.headers["content-length"] ?? 0) > most) return undefined;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > most) return undefined;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** Stops accepting; answers that are being made still go out. */
  close(servers: readonly NetServer[]): Promise<void> {
    this.#closing = true;
    for (const server of servers) server.close();
    for (const client of this.#clients) if (!client.busy) client.socket.destroy();
    return new Promise((resolve) => setImmediate(resolve));
  }

  prepareTls(files: NewTls): () => void {
    return this.#tls?.prepare(files) ?? (() => {});
  }
}

function endsOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localPort}`;
}
