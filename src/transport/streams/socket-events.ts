// Listeners every socket shares: the socket carries who receives its events, so a connection costs no closure, and the
// receiver can change (first byte, then stream) without a listener being removed. Removing the last listener of an
// event would turn the socket's table of listeners into a slow dictionary of more than a kilobyte.
import type { Duplex } from "node:stream";
import { shareReading } from "./shared-reading.ts";

export interface SocketReceiver {
  receive(chunk: Buffer): void;
  ended(): void;
  failed(error: Error): void;
  closed(): void;
}

const RECEIVER = Symbol("millrace.receiver");
const READING = Symbol("millrace.reading");

type Carrier = Duplex & { [RECEIVER]?: SocketReceiver; [READING]?: boolean };

function onData(this: Carrier, chunk: Buffer): void {
  this[RECEIVER]?.receive(chunk);
}
function onEnd(this: Carrier): void {
  this[RECEIVER]?.ended();
}
function onError(this: Carrier, error: Error): void {
  this[RECEIVER]?.failed(error);
}
function onClose(this: Carrier): void {
  this[RECEIVER]?.closed();
}

/** From now on `receiver` gets the socket's events, and "data" and "end" once startReading() was called. */
export function receive(socket: Carrier, receiver: SocketReceiver): void {
  if (socket[RECEIVER] === undefined) {
    socket.on("error", onError);
    socket.on("close", onClose);
  }
  socket[RECEIVER] = receiver;
}

function onRead(this: Carrier, length: number, buffer: Buffer): boolean {
  this[RECEIVER]?.receive(length === buffer.length ? buffer : buffer.subarray(0, length));
  return true;
}

/**
 * startReading() for a receiver that keeps nothing of a chunk once its receive() has returned. True where reading really
 * is shared: pause() then stops the kernel's part too, and with it the news that the peer has gone.
 */
export function startLentReading(socket: Carrier): boolean {
  const own = socket[READING] === true ? 1 : 0;
  // Who listened to a socket before it was given to us goes on hearing what comes.
  const alone = socket.listenerCount("data") === own && socket.listenerCount("readable") === 0;
  const shared = alone && shareReading(socket, onRead);
  startReading(socket);
  return shared;
}

export function startReading(socket: Carrier): void {
  if (socket[READING] !== true) {
    socket[READING] = true;
    socket.on("data", onData);
    socket.on("end", onEnd);
  }
  socket.resume();
}

/** For whoever brings listeners of its own, and to let what still arrives be dropped. */
export function stopReading(socket: Carrier): void {
  if (socket[READING] !== true) return;
  socket[READING] = false;
  socket.removeListener("data", onData);
  socket.removeListener("end", onEnd);
}
