// ByteStream over an open WebSocket. Frames carry the byte stream in pieces of any size: an MQTT packet may span frames
// and a frame may hold many packets [MQTT-6.0.0-1, MQTT-6.0.0-2], so nothing here looks at packets.
import type { RawData, WebSocket } from "ws";
import { ProtocolError } from "../../errors.ts";
import { CloseDeadline } from "../streams/close-deadline.ts";
import { MAX_CHUNK } from "../streams/socket-stream.ts";
import type { ByteStream, StreamHandler, StreamInfo } from "../streams/stream.ts";

const BINARY = { binary: true, compress: false } as const;
/**
 * Above this many pending bytes a ping stays unanswered: a peer that does not read must not make us buffer pongs. Not in
 * limits.ts: who reads is not concerned, and who does not is closed by slowClientTimeout.
 */
const PONG_PENDING_AT_MOST = 65_536;

const WAITING = 0;
const OPEN = 1;
const ENDING = 2;
const CLOSED = 3;

export class WebSocketStream implements ByteStream {
  readonly info: StreamInfo;
  readonly #socket: WebSocket;
  readonly #written: (error?: Error) => void;
  #handler: StreamHandler | undefined;
  #state = WAITING;
  #paused = true;
  /** Received while paused: ws still hands out the frames of the chunk it is in the middle of. */
  #waiting: Buffer[] = [];
  #draining = false;
  #deadline: CloseDeadline | undefined;
  /** The peer closed while frames waited: the handler gets these first. */
  #closedBehind = false;
  #error: Error | undefined;

  constructor(socket: WebSocket, info: StreamInfo) {
    this.#socket = socket;
    this.info = info;
    this.#written = () => this.#onWritten();
    socket.binaryType = "nodebuffer";
    socket.pause();
    socket.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    socket.on("ping", (data) => {
      if (this.pendingBytes <= PONG_PENDING_AT_MOST) socket.pong(data, false);
    });
    socket.on("error", (error) => {
      this.#error ??= error;
    });
    socket.on("close", () => this.#onClose());
  }

  get pendingBytes(): number {
    return this.#socket.bufferedAmount;
  }

  open(handler: StreamHandler): void {
    this.#handler = handler;
    if (this.#state === CLOSED) queueMicrotask(() => handler.onClose(this.#error));
    if (this.#state !== WAITING) return;
    this.#state = OPEN;
    this.resume();
  }

  write(bytes: Uint8Array): void {
    if (this.#state > OPEN) return;
    this.#draining = true;
    this.#socket.send(bytes, BINARY, this.#written);
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused || this.#state !== OPEN) return;
    this.#paused = false;
    if (this.#waiting.length === 0 && !this.#closedBehind) this.#socket.resume();
    else setImmediate(() => this.#deliverWaiting());
  }

  end(): void {
    this.#end(1000);
  }

  destroy(): void {
    if (this.#state === CLOSED) return;
    this.#state = ENDING;
    this.#waiting = [];
    if (this.#closedBehind) queueMicrotask(() => this.#close());
    else this.#socket.terminate();
  }

  #end(code: number): void {
    if (this.#state > OPEN) return;
    this.#state = ENDING;
    this.#waiting = [];
    if (this.#closedBehind) {
      queueMicrotask(() => this.#close());
      return;
    }
    this.#socket.close(code);
    // The peer's own close frame has to be read, whatever the handler paused for.
    this.#socket.resume();
    this.#deadline = new CloseDeadline(this);
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (this.#state > OPEN) return;
    if (!isBinary) {
      // [MQTT-6.0.0-1] a data frame of any other kind ends the connection.
      this.#error = new ProtocolError(
        "WEBSOCKET_TEXT_FRAME",
        0x81,
        "a WebSocket text frame was sent; MQTT needs binary frames",
      );
      this.#end(1003);
      return;
    }
    const bytes = data as Buffer;
    if (this.#paused || this.#waiting.length > 0) this.#waiting.push(bytes);
    else this.#deliver(bytes);
  }

  #deliver(bytes: Buffer): void {
    if (bytes.length <= MAX_CHUNK) {
      if (bytes.length > 0) this.#handler?.onData(bytes);
      return;
    }
    for (let from = 0; from < bytes.length; from += MAX_CHUNK) {
      if (this.#state !== OPEN) return;
      if (this.#paused) {
        this.#waiting.unshift(bytes.subarray(from));
        return;
      }
      this.#handler?.onData(bytes.subarray(from, from + MAX_CHUNK));
    }
  }

  #deliverWaiting(): void {
    while (!this.#paused && this.#state === OPEN) {
      const bytes = this.#waiting.shift();
      if (bytes === undefined) {
        if (this.#closedBehind) this.#close();
        else this.#socket.resume();
        return;
      }
      this.#deliver(bytes);
    }
  }

  #onWritten(): void {
    if (this.#state > OPEN || !this.#draining || this.pendingBytes !== 0) return;
    this.#draining = false;
    this.#handler?.onDrain();
  }

  #onClose(): void {
    if (this.#state === OPEN && this.#error === undefined && this.#waiting.length > 0)
      this.#closedBehind = true;
    else this.#close();
  }

  #close(): void {
    if (this.#state === CLOSED) return;
    if (this.#state === OPEN && this.#error === undefined) this.#handler?.onEnd();
    this.#state = CLOSED;
    this.#waiting = [];
    this.#deadline?.cancel();
    this.#handler?.onClose(this.#error);
  }
}
