// Copies of a QoS 1 PUBLISH that a policy is still serving [QOS-4]. A client that gets no PUBACK sends the message again, some
// with DUP 0: until it is acknowledged, the identifier means the one message, which is served once. Serves nothing itself.
import type { Connection, PartialCopy } from "../connection/connection.ts";
import type { BrokerSession } from "../routing/turn/broker-session.ts";

/** Type, and of the flags the QoS. */
const TYPE_AND_QOS = 0xf6;
const PUBLISH_QOS1 = 0x32;
/** More than a packet has bytes, and than an identifier can be. */
const UNKNOWN = Number.MAX_SAFE_INTEGER;
const EMPTY = Buffer.alloc(0);

/**
 * The answer to the message of which this one is a copy; undefined: it is none. On the connection of the first one the same
 * identifier is enough; a copy that comes over a new connection has DUP set.
 */
export function copyOf(
  session: BrokerSession,
  connection: Connection,
  packetId: number,
  dup: boolean,
): Promise<number> | undefined {
  const serving = session.serving?.get(packetId);
  return serving !== undefined && (dup || serving.connection === connection) ? serving.answer : undefined;
}

/** Known as being served until it is answered. */
export function noteServing(
  session: BrokerSession,
  connection: Connection,
  packetId: number,
  answer: Promise<number>,
): void {
  session.serving ??= new Map();
  const noted = { connection, answer };
  session.serving.set(packetId, noted);
  void answer.then(() => {
    if (session.serving?.get(packetId) === noted) session.serving.delete(packetId);
  });
}

/**
 * Takes the copies out of what has come behind a message that is now acknowledged, and calls `copied` for each. One that has not
 * come as a whole is taken as well: its rest is passed over, or, where it does not say yet what it is, that is found when it comes.
 */
export function takeCopies(connection: Connection, packetId: number, copied: () => void): void {
  if (connection.partialCopy?.missing === UNKNOWN) connection.partialCopy.known.set(packetId, copied);
  const { tail } = connection;
  if (tail === undefined) return;
  const kept: Buffer[] = [];
  let copies = 0;
  let from = 0;
  for (let at = 0; at < tail.length; ) {
    const frame = frameAt(tail, at);
    const end = at + (frame?.total ?? UNKNOWN);
    const there = Math.min(end, tail.length);
    const id = packetIdAt(tail, at, frame, there);
    if (id === packetId || id === UNKNOWN) {
      kept.push(tail.subarray(from, at));
      from = there;
      if (id === packetId) copies++;
      if (id === UNKNOWN) {
        const begun = Buffer.from(tail.subarray(at));
        connection.partialCopy = { begun, missing: UNKNOWN, known: new Map([[packetId, copied]]) };
      } else if (end > there) {
        connection.partialCopy = { begun: EMPTY, missing: end - there, known: new Map() };
      }
    }
    if (frame === undefined) break;
    at = end;
  }
  if (from > 0) {
    const rest = Buffer.concat([...kept, tail.subarray(from)]);
    connection.tail = rest.length > 0 ? rest : undefined;
  }
  for (; copies > 0; copies--) copied();
}

/**
 * Passes over the rest of `copy` at the beginning of a chunk, and returns what is left to be processed; undefined: nothing so
 * far. What turns out to be no copy is returned whole, with the bytes that had come before.
 */
export function passOver(connection: Connection, copy: PartialCopy, chunk: Buffer): Buffer | undefined {
  let rest = chunk;
  if (copy.missing === UNKNOWN) {
    rest = Buffer.concat([copy.begun, chunk]);
    const frame = frameAt(rest, 0);
    const id = packetIdAt(rest, 0, frame, Math.min(frame?.total ?? UNKNOWN, rest.length));
    copy.begun = rest;
    if (id === UNKNOWN) return undefined;
    const copied = copy.known.get(id);
    copy.missing = copied === undefined ? 0 : (frame?.total ?? 0);
    copied?.();
  }
  const passed = Math.min(copy.missing, rest.length);
  copy.missing -= passed;
  if (copy.missing === 0) connection.partialCopy = undefined;
  else copy.begun = EMPTY;
  return passed < rest.length ? rest.subarray(passed) : undefined;
}

interface Frame {
  /** Where its body begins. */
  readonly body: number;
  /** Bytes in all. */
  readonly total: number;
}

/** Of the packet at `at`. undefined: not all of its head is there, or it is malformed. */
function frameAt(bytes: Buffer, at: number): Frame | undefined {
  let length = 0;
  for (let i = 0; i < 4 && at + 1 + i < bytes.length; i++) {
    const byte = bytes[at + 1 + i];
    length += (byte & 0x7f) * 128 ** i;
    if (byte < 0x80) return { body: at + 2 + i, total: 2 + i + length };
  }
  return undefined;
}

/** Of a QoS 1 PUBLISH of which bytes up to `there` have come. 0: it is none, or malformed; UNKNOWN: that is still to come. */
function packetIdAt(bytes: Buffer, at: number, frame: Frame | undefined, there: number): number {
  if ((bytes[at] & TYPE_AND_QOS) !== PUBLISH_QOS1) return 0;
  if (frame === undefined) return there - at < 5 ? UNKNOWN : 0;
  const { body, total } = frame;
  if (body + 2 > at + total) return 0;
  if (body + 2 > there) return UNKNOWN;
  const id = body + 2 + bytes.readUInt16BE(body);
  if (id + 2 > at + total) return 0;
  return id + 2 > there ? UNKNOWN : bytes.readUInt16BE(id);
}
