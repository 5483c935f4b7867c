// Copies of a QoS 1 PUBLISH that a policy is still serving [QOS-4]. A client that gets no PUBACK sends the message again, some
// with DUP 0: until it is acknowledged, the identifier means the one message, which is served once. Serves nothing itself.
import type { Connection } from "../connection/connection.ts";
import type { BrokerSession } from "../routing/turn/broker-session.ts";

/** Type, and of the flags the QoS. */
const TYPE_AND_QOS = 0xf6;
const PUBLISH_QOS1 = 0x32;

/** The answer to the message of which this one is a copy: one sent again over a new connection says so by DUP. */
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

/** Takes the copies out of what has come behind a message that is now acknowledged; returns how many there were. */
export function takeCopies(connection: Connection, packetId: number): number {
  const { tail } = connection;
  if (tail === undefined) return 0;
  const kept: Buffer[] = [];
  /** Bytes of what is kept. */
  let left = 0;
  let copies = 0;
  let from = 0;
  for (let at = 0; at < tail.length; ) {
    const frame = frameAt(tail, at);
    if (frame === undefined) break;
    const end = at + frame.total;
    const there = Math.min(end, tail.length);
    if (packetIdAt(tail, at, frame.body, there) === packetId) {
      if (end > there) {
        // Its rest is passed over when it comes; not where others in front of it have still to be dealt with.
        if (left + at - from > 0) break;
        connection.skip = end - there;
      }
      left += at - from;
      kept.push(tail.subarray(from, at));
      from = there;
      copies++;
    }
    at = end;
  }
  if (copies === 0) return 0;
  const rest = Buffer.concat([...kept, tail.subarray(from)]);
  connection.tail = rest.length > 0 ? rest : undefined;
  return copies;
}

/** Of the packet at `at`: where its body begins, and its bytes in all. undefined: not all of its head is there, or malformed. */
function frameAt(bytes: Buffer, at: number): { body: number; total: number } | undefined {
  let length = 0;
  for (let i = 0; i < 4 && at + 1 + i < bytes.length; i++) {
    const byte = bytes[at + 1 + i];
    length += (byte & 0x7f) * 128 ** i;
    if (byte < 0x80) return { body: at + 2 + i, total: 2 + i + length };
  }
  return undefined;
}

/** Packet Identifier of a QoS 1 PUBLISH; 0: it is none. */
function packetIdAt(bytes: Buffer, at: number, body: number, end: number): number {
  if ((bytes[at] & TYPE_AND_QOS) !== PUBLISH_QOS1 || body + 2 > end) return 0;
  const id = body + 2 + bytes.readUInt16BE(body);
  return id + 2 > end ? 0 : bytes.readUInt16BE(id);
}
