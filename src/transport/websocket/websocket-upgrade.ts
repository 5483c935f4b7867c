// The HTTP side of MQTT over WebSocket: upgrades and nothing else, on any path [NET-9]. Checks Origin and subprotocol;
// never listens itself.
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { CLOSE_TIMEOUT_MS } from "../streams/close-deadline.ts";

const SUBPROTOCOLS = ["mqtt", "mqttv3.1"] as const;
const NOT_HERE = "This is an MQTT broker. Connect with a WebSocket client and the subprotocol mqtt.\n";
// Not in limits.ts: maxHandshakes and handshakeTimeout bound how many such heads there are and for how long,
// webSocketMaxPayload the bytes of a message however many fragments it has.
/** Request line and headers; browsers with large cookies stay below. */
const MAX_HEADER_BYTES = 16_384;
/** Of one message: a client that sends a byte a frame would cost an object for each. */
const MAX_FRAGMENTS = 16_384;

export interface UpgradeEvents {
  open(stream: Duplex, socket: WebSocket): void;
  /** The answer is on its way to the client, which is then disconnected. */
  refused(stream: Duplex, reason: "origin" | "upgrade", detail: string): void;
}

export class WebSocketUpgrade {
  readonly #http: Server;
  readonly #webSocket: WebSocketServer;
  readonly #events: UpgradeEvents;
  readonly #origins: readonly string[];

  constructor(allowedOrigins: readonly string[], maxPayload: number, events: UpgradeEvents) {
    this.#events = events;
    this.#origins = allowedOrigins.map((origin) => origin.toLowerCase().replace(/\/$/, ""));
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      // ws takes 0 for "no bound".
      maxPayload: Math.max(1, maxPayload),
      maxFragments: MAX_FRAGMENTS,
      closeTimeout: CLOSE_TIMEOUT_MS,
      autoPong: false,
      // Text is refused whatever it holds.
      skipUTF8Validation: true,
      handleProtocols: (offered: Set<string>) => SUBPROTOCOLS.find((name) => offered.has(name)) ?? false,
    };
    this.#webSocket = new WebSocketServer(options);
    this.#webSocket.on("wsClientError", (error, stream) =>
      this.#refuse(stream, 400, "upgrade", error.message),
    );
    this.#http = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
      response.writeHead(426, { Connection: "close", Upgrade: "websocket", "Content-Type": "text/plain" });
      response.end(NOT_HERE);
      this.#events.refused(request.socket, "upgrade", "no WebSocket upgrade asked for");
    });
    this.#http.on("upgrade", (request, stream, head) => this.#upgrade(request, stream, head));
    this.#http.on("clientError", (error, stream) => this.#refuse(stream, 400, "upgrade", error.message));
  }

  /** Takes a stream that begins, maybe with bytes already put back into it, with an HTTP request. */
  accept(stream: Duplex): void {
    this.#http.emit("connection", stream);
    stream.resume();
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { origin } = request.headers;
    if (!this.#mayCome(origin, request.headers.host)) {
      this.#refuse(stream, 403, "origin", `Origin ${origin} is not allowed`);
      return;
    }
    const offered = request.headers["sec-websocket-protocol"];
    if (
      offered !== undefined &&
      !offered.split(",").some((name) => SUBPROTOCOLS.includes(name.trim() as "mqtt"))
    ) {
      // [MQTT-6.0.0-3] and [MQTT-6.0.0-4]: there is no answer such a client could go on with.
      this.#refuse(stream, 400, "upgrade", "no subprotocol of MQTT offered");
      return;
    }
    this.#webSocket.handleUpgrade(request, stream, head, (socket) => this.#events.open(stream, socket));
  }

  /** Browsers send Origin, programs do not: it keeps foreign web pages from using their visitor's reach. */
  #mayCome(origin: string | undefined, host: string | undefined): boolean {
    if (origin === undefined || this.#origins.includes("*")) return true;
    const lower = origin.toLowerCase();
    if (this.#origins.includes(lower)) return true;
    try {
      const own = new URL(lower);
      return host !== undefined && own.host !== "" && new URL(`${own.protocol}//${host}`).host === own.host;
    } catch {
      return false;
    }
  }

  #refuse(stream: Duplex, status: 400 | 403, reason: "origin" | "upgrade", detail: string): void {
    if (stream.writable) {
      const text = status === 403 ? "Forbidden" : "Bad Request";
      stream.end(`HTTP/1.1 ${status} ${text}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      stream.resume();
    } else stream.destroy();
    this.#events.refused(stream, reason, detail);
  }
}
