// ByteStream over a TCP, TLS or Unix socket, or any Duplex an embedder brings. The hot path for reading and writing:
// nothing is allocated per message, and a connection costs no closure unless it is slow.
//
// pendingBytes is 0 behind a write the kernel took whole, so an idle plain socket needs no callback. Only when bytes
// stay behind, one empty write is queued after them: its callback says that all before it have gone. TLS and foreign
// streams finish every write later; there each write carries the same shared callback.
//
// Paused, a plain socket is read until one more chunk has come: that the peer has left is noticed, as on other streams.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { SOCKET_WRITES_AT_ONCE } from "../../runtime/runtime.ts";
import { CloseDeadline } from "./close-deadline.ts";
import { SocketInfo, type SourceAddress, type StreamOrigin, type TlsFacts } from "./origin.ts";
import { isPlainSocket, shortenReading } from "./shared-reading.ts";
import { receive, type SocketReceiver, startLentReading, stopReading } from "./socket-events.ts";
import type { ByteStream, StreamHandler } from "./stream.ts";

/** Larger chunks, which only foreign streams give, are split. */
export const MAX_CHUNK = 65_536;

const EMPTY = Buffer.alloc(0);
/** So many chunks that end in a long packet show that such packets are usual here. */
const LONG_PACKETS_USUAL = 8;

const WAITING = 0;
const OPEN = 1;
const ENDING = 2;
const CLOSED = 3;

export class SocketStream implements ByteStream, SocketReceiver {
  readonly info: SocketInfo;
  readonly #socket: Duplex;
  readonly takesAtOnce: boolean;
  #handler: StreamHandler | undefined;
  #state = WAITING;
  #paused = false;
  /** Chunks are lent: the socket is read into the buffer all sockets share. */
  #lent = false;
  #longRests = 0;
  /** What came while paused. */
  #kept: Buffer[] | undefined;
  #endBehind = false;
  /** onDrain is owed: pendingBytes was above 0. */
  #draining = false;
  #written: (() => void) | undefined;
  #deadline: CloseDeadline | undefined;
  #error: Error | undefined;

  constructor(socket: Duplex, origin: StreamOrigin, source?: SourceAddress, tls?: TlsFacts) {
    this.#socket = socket;
    this.info = new SocketInfo(socket, origin, source, tls);
    this.takesAtOnce = SOCKET_WRITES_AT_ONCE && isPlainSocket(socket);
    if (!this.takesAtOnce) this.#written = () => this.#onWritten();
    receive(socket, this);
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  open(handler: StreamHandler): void {
    this.#handler = handler;
    if (this.#state === CLOSED || this.#socket.closed) {
      this.#state = CLOSED;
      queueMicrotask(() => handler.onClose(this.#error));
      return;
    }
    if (this.#state !== WAITING) return;
    this.#state = OPEN;
    this.#lent = startLentReading(this.#socket);
  }

  write(bytes: Uint8Array): void {
    if (this.#state > OPEN) return;
    const socket = this.#socket;
    if (!this.takesAtOnce) {
      this.#draining = true;
      socket.write(bytes, this.#written);
      return;
    }
    socket.write(bytes);
    if (socket.writableLength !== 0 && !this.#draining) this.#queueMarker();
  }

  pause(): void {
    if (this.#state !== OPEN) return;
    this.#paused = true;
    if (!this.#lent) this.#socket.pause();
  }

  resume(): void {
    if (this.#state !== OPEN) return;
    this.#paused = false;
    if (this.#kept === undefined) this.#socket.resume();
    else process.nextTick(() => this.#deliverKept());
  }

  longRest(): void {
    if (this.#lent && ++this.#longRests === LONG_PACKETS_USUAL) shortenReading(this.#socket);
  }

  end(): void {
    if (this.#state > OPEN) return;
    this.#state = ENDING;
    this.#kept = undefined;
    this.info.keep();
    const socket = this.#socket;
    socket.end();
    // What still arrives is read and dropped: a socket closed over unread bytes sends RST, and RST takes the last bytes
    // we wrote away from the peer.
    stopReading(socket);
    socket.resume();
    this.#deadline?.cancel();
    this.#deadline = new CloseDeadline(this);
  }

  destroy(): void {
    if (this.#state === CLOSED) return;
    this.#state = ENDING;
    this.info.keep();
    this.#socket.destroy();
  }

  #queueMarker(): void {
    this.#draining = true;
    this.#written ??= () => this.#onWritten();
    this.#socket.write(EMPTY, this.#written);
  }

  #onWritten(): void {
    if (this.#state > OPEN || !this.#draining || this.#socket.destroyed) return;
    if (this.#socket.writableLength !== 0) {
      if (this.takesAtOnce) this.#queueMarker();
      return;
    }
    this.#draining = false;
    this.#handler?.onDrain();
  }

  /** @internal "data" of the socket. */
  receive(chunk: Buffer): void {
    if (this.#state !== OPEN) return;
    if (this.#lent && (this.#paused || this.#kept !== undefined)) this.#keep(chunk);
    else if (chunk.length <= MAX_CHUNK) this.#handler?.onData(chunk);
    else this.#split(chunk);
  }

  #keep(chunk: Buffer): void {
    this.#kept ??= [];
    for (let from = 0; from < chunk.length; from += MAX_CHUNK)
      this.#kept.push(Buffer.from(chunk.subarray(from, from + MAX_CHUNK)));
    this.#socket.pause();
  }

  #deliverKept(): void {
    const kept = this.#kept;
    while (kept !== undefined && kept.length > 0) {
      if (this.#state !== OPEN || this.#paused) return;
      const chunk = kept[0];
      this.#handler?.onData(chunk);
      kept.shift();
    }
    if (this.#state !== OPEN) return;
    this.#kept = undefined;
    if (this.#endBehind) {
      this.#endBehind = false;
      this.ended();
    } else if (!this.#paused) this.#socket.resume();
  }

  #split(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; from += MAX_CHUNK) {
      if (this.#state !== OPEN) return;
      if (this.#paused) {
        this.#socket.unshift(chunk.subarray(from));
        return;
      }
      this.#handler?.onData(chunk.subarray(from, from + MAX_CHUNK));
    }
  }

  /** @internal "end" of the socket. */
  ended(): void {
    if (this.#state !== OPEN) return;
    if (this.#kept !== undefined) {
      this.#endBehind = true;
      return;
    }
    this.info.keep();
    this.#handler?.onEnd();
    // The handler may still answer, but not keep half a connection for ever.
    if (this.#state === OPEN) this.#deadline = new CloseDeadline(this);
  }

  /** @internal "error" of the socket; "close" follows. */
  failed(error: Error): void {
    this.#error ??= error;
  }

  /** @internal "close" of the socket. */
  closed(): void {
    if (this.#state === CLOSED) return;
    this.#state = CLOSED;
    this.#deadline?.cancel();
    this.#handler?.onClose(this.#error);
  }
}

/** A stream over a socket or Duplex that no listener of ours accepted. Nothing is known of where it was bound. */
export function foreignStream(socket: Duplex): SocketStream {
  // As on our own listeners: what a client is still owed may be written after its end.
  socket.allowHalfOpen = true;
  const secure = socket instanceof TLSSocket;
  const kernel = socket instanceof Socket;
  if (kernel) socket.setNoDelay(true);
  const transport = secure ? "tls" : kernel ? "tcp" : "stream";
  const localPort = kernel ? (socket.localPort ?? 0) : 0;
  const tls = secure
    ? { tlsVersion: socket.getProtocol() ?? undefined, alpn: socket.alpnProtocol || undefined }
    : undefined;
  return new SocketStream(socket, { transport, secure, localPort, loopback: false }, undefined, tls);
}
