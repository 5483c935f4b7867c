// Tells TLS, HTTP and MQTT apart by the first byte of a connection [NET-7, NET-8]. The chunk that was looked at goes
// back in front of the stream, so whoever takes over misses nothing and nothing is in the way afterwards.
import type { Duplex } from "node:stream";
import { receive, type SocketReceiver, startReading } from "../streams/socket-events.ts";

export type FirstProtocol = "tls" | "http" | "mqtt" | "unknown";

/** TLS record type "handshake". */
const TLS_HANDSHAKE = 0x16;
/** CONNECT with its reserved flags [MQTT-2.1.3-1]. */
const MQTT_CONNECT = 0x10;
/** "G" of "GET ". */
const HTTP_GET = 0x47;

export function firstProtocol(byte: number): FirstProtocol {
  if (byte === MQTT_CONNECT) return "mqtt";
  if (byte === TLS_HANDSHAKE) return "tls";
  return byte === HTTP_GET ? "http" : "unknown";
}

class FirstChunk implements SocketReceiver {
  readonly #stream: Duplex;
  readonly #done: (chunk: Buffer | undefined) => void;

  constructor(stream: Duplex, done: (chunk: Buffer | undefined) => void) {
    this.#stream = stream;
    this.#done = done;
  }

  receive(chunk: Buffer): void {
    this.#stream.pause();
    this.#done(chunk);
  }

  ended(): void {
    this.#done(undefined);
  }

  /** A stream that fails or is destroyed is the caller's to notice. */
  failed(): void {}
  closed(): void {}
}

/**
 * Takes one chunk off a stream that nobody reads, and leaves the stream paused. `undefined`: the stream ended without
 * one. Whoever comes next calls receive() or stopReading().
 */
export function takeChunk(stream: Duplex, done: (chunk: Buffer | undefined) => void): void {
  receive(stream, new FirstChunk(stream, done));
  startReading(stream);
}

/** Like takeChunk, but the chunk stays in the stream; its first byte is handed over. */
export function peekByte(stream: Duplex, done: (byte: number | undefined) => void): void {
  takeChunk(stream, (chunk) => {
    if (chunk !== undefined) stream.unshift(chunk);
    done(chunk?.[0]);
  });
}
