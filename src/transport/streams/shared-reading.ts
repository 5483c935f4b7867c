// Plain sockets of Node are read into one buffer for all of them. Left to itself Node allocates 64 KiB for every read;
// where such buffers outlive two young collections, V8 marks its whole heap again and again to get rid of them.
//
// `onread` is documented for sockets one creates, not for accepted ones. So the two places where net.Socket keeps it are
// found by value, and where they or the handle's call are missing, sockets are read as usual.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { SOCKET_WRITES_AT_ONCE } from "../../runtime/runtime.ts";

/** Bytes read at once. */
const READ_SIZE = 65_536;
/**
 * The same where packets are long. With the beginning of one that was left over, so much is written on in one piece: the kernel
 * passes some 65,100 bytes along as one, and a little more than that would be two, with a wake-up of the receiver for each.
 */
const LONG_READ_SIZE = 57_344;

type OnRead = (this: Duplex, length: number, buffer: Buffer) => boolean;

interface Places {
  readonly buffer: symbol;
  readonly callback: symbol;
}

interface Handle {
  useUserBuffer?(buffer: Uint8Array): void;
}

type Readable = Socket & { _handle?: Handle | null; [place: symbol]: unknown };

function findPlaces(): Places | undefined {
  if (!SOCKET_WRITES_AT_ONCE) return undefined;
  const mark = { buffer: Buffer.alloc(1), callback: () => true };
  // Documented for every socket one makes, typed for those that connect at once only.
  const options: object = { onread: mark };
  const probe = new Socket(options) as Readable;
  const keys = Object.getOwnPropertySymbols(probe);
  const buffer = keys.find((key) => probe[key] === mark.buffer);
  const callback = keys.find((key) => probe[key] === mark.callback);
  probe.destroy();
  return buffer && callback && { buffer, callback };
}

const PLACES = findPlaces();
const SHARED = PLACES && Buffer.allocUnsafeSlow(READ_SIZE);
const SHORTENED = SHARED?.subarray(0, LONG_READ_SIZE);

/** TLS and others put a class of their own, and with it other ways of reading and writing, in the place of Node's. */
export function isPlainSocket(socket: Duplex): boolean {
  return Object.getPrototypeOf(socket) === Socket.prototype;
}

/**
 * From now on `onRead` gets what a plain socket receives, as the first `length` bytes of a buffer that the next read of any
 * socket fills again; false stops reading. Returns false where the socket cannot be read so: listen for "data".
 * What the socket holds already still comes as "data", before all that follows.
 */
export function shareReading(socket: Duplex, onRead: OnRead): boolean {
  if (PLACES === undefined || SHARED === undefined || !isPlainSocket(socket)) return false;
  const readable = socket as Readable;
  const handle = readable._handle;
  if (typeof handle?.useUserBuffer !== "function" || readable[PLACES.buffer] !== null) return false;
  handle.useUserBuffer(SHARED);
  readable[PLACES.buffer] = SHARED;
  readable[PLACES.callback] = onRead;
  return true;
}

/** From now on a little less of a socket that is read so is read at once: it brings long packets. To be called once. */
export function shortenReading(socket: Duplex): void {
  const readable = socket as Readable;
  if (PLACES === undefined || SHORTENED === undefined || readable[PLACES.buffer] !== SHARED) return;
  // Each call leaves a few words behind until the socket is closed.
  readable._handle?.useUserBuffer?.(SHORTENED);
  readable[PLACES.buffer] = SHORTENED;
}
