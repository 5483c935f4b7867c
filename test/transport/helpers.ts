// What the transport tests share: a listener with everything it reported, and a handler whose events can be awaited.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { expect, onTestFinished, vi } from "vitest";
import { listen } from "../../src/transport/listen.ts";
import { CLOSE_TIMEOUT_MS } from "../../src/transport/streams/close-deadline.ts";
import type {
  ByteStream,
  Listener,
  ListenerOptions,
  StreamHandler,
  TransportLimits,
} from "../../src/transport/streams/stream.ts";

export const LIMITS: TransportLimits = {
  webSocketMaxPayload: 1_048_576,
  handshakeTimeoutMs: 10_000,
  maxHandshakes: 1_000,
  maxHandshakesPerAddress: 250,
  maxConnections: 100_000,
  maxConnectionRate: 0,
};

/** Grows, and lets a test wait until something in it is true. */
export class Watched {
  #waiting: (() => void)[] = [];

  protected changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

export class Recorder extends Watched implements StreamHandler {
  readonly stream: ByteStream;
  readonly chunks: Buffer[] = [];
  bytes = 0;
  drains = 0;
  ends = 0;
  closes = 0;
  error: Error | undefined;
  /** Called first in onData. */
  onChunk: ((chunk: Buffer) => void) | undefined;

  constructor(stream: ByteStream) {
    super();
    this.stream = stream;
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks);
  }

  onData(chunk: Buffer): void {
    // Lent: it changes once this returns.
    this.chunks.push(Buffer.from(chunk));
    this.bytes += chunk.length;
    this.onChunk?.(chunk);
    this.changed();
  }

  onDrain(): void {
    this.drains += 1;
    this.changed();
  }

  onEnd(): void {
    this.ends += 1;
    this.changed();
  }

  onClose(error?: Error): void {
    this.closes += 1;
    this.error = error;
    this.changed();
  }
}

export class Opened extends Watched {
  listener!: Listener;
  readonly recorders: Recorder[] = [];
  readonly refusals: { reason: string; info: string }[] = [];
  readonly reasons: string[] = [];
  /** Called with each stream before it is opened. */
  onStream: ((recorder: Recorder) => void) | undefined;

  get port(): number {
    return this.listener.port;
  }

  add(stream: ByteStream): void {
    const recorder = new Recorder(stream);
    this.onStream?.(recorder);
    stream.open(recorder);
    this.recorders.push(recorder);
    this.changed();
  }

  refused(reason: string, info: string): void {
    this.refusals.push({ reason, info });
    this.reasons.push(reason);
    this.changed();
  }

  /** The stream number `index`, once it is there. */
  async stream(index = 0): Promise<Recorder> {
    await this.until(() => this.recorders.length > index);
    return this.recorders[index];
  }

  async close(): Promise<void> {
    for (const recorder of this.recorders) recorder.stream.destroy();
    await this.listener.close();
  }
}

/** A listener that is closed, streams and all, behind the test that opened it. */
export async function open(options: ListenerOptions, limits: Partial<TransportLimits> = {}): Promise<Opened> {
  const opened = new Opened();
  opened.listener = await listen(options, { ...LIMITS, ...limits }, opened, (stream) => opened.add(stream));
  onTestFinished(() => opened.close());
  return opened;
}

export async function dial(port: number, host = "127.0.0.1"): Promise<Socket> {
  const socket = connect({ port, host, noDelay: true });
  await once(socket, "connect");
  socket.on("error", () => {});
  return socket;
}

/** Resolves when the socket is closed; true where something had been received. */
export function closed(socket: Socket): Promise<boolean> {
  let received = false;
  socket.on("data", () => {
    received = true;
  });
  return new Promise((resolve) => {
    if (socket.closed) resolve(received);
    else socket.once("close", () => resolve(received));
  });
}

/** Waits until `bytes` bytes were read from the socket. */
export async function readBytes(socket: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  await new Promise<void>((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      if (length < bytes) return;
      socket.removeListener("data", onData);
      resolve();
    };
    socket.on("data", onData);
    socket.resume();
    socket.once("close", () => reject(new Error(`closed after ${length} of ${bytes} bytes`)));
  });
  return Buffer.concat(chunks);
}

/** Pauses the stream behind each chunk, and resumes it in a later turn: no chunk may come in between. */
export function pauseBehindEachChunk(recorder: Recorder): void {
  let resuming = false;
  recorder.onChunk = () => {
    expect(resuming).toBe(false);
    resuming = true;
    recorder.stream.pause();
    setImmediate(() => {
      resuming = false;
      recorder.stream.resume();
    });
  };
}

/** A fence: what was sent before has been looked at by the time many bytes of a new connection, the newest one, are through. */
export async function passes(opened: Opened, newest: Duplex): Promise<void> {
  const size = 8_000_000;
  for (let written = 0; written < size; written += 1_000_000) newest.write(Buffer.alloc(1_000_000));
  await opened.until(() => opened.recorders.length > 1);
  const recorder = opened.recorders[opened.recorders.length - 1];
  await recorder.until(() => recorder.bytes === size);
  newest.destroy();
}

/** Hands bytes to the other side one write at a time, each seen by its event loop on its own. */
export async function writeParts(socket: Socket, ...parts: Uint8Array[]): Promise<void> {
  for (const part of parts) {
    await new Promise<void>((resolve) => socket.write(part, () => resolve()));
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** CONNECT 3.1.1, client id "a", as a device sends it. */
export const CONNECT = Buffer.from("100d00044d5154540402003c000161", "hex");

/** Ends the stream, and moves the time of its deadline on: it stays open to the last millisecond, and behind `event`. */
export async function closesAtDeadline(server: Recorder, event?: Promise<unknown>): Promise<void> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    server.stream.end();
    await event;
    vi.advanceTimersByTime(CLOSE_TIMEOUT_MS - 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(server.closes).toBe(0);
    vi.advanceTimersByTime(1);
  } finally {
    vi.useRealTimers();
  }
  await server.until(() => server.closes === 1);
}
