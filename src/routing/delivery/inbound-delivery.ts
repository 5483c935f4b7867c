// QoS 2 messages of kept sessions on their way to their receivers, once their identifiers are safe. Where that takes several
// slices, each commit says which receivers it has reached, so that a crash between two of them costs nobody the message and
// brings it to nobody twice: the deliveries of a slice lie in its turn's segment, which stays in the store until the last slice,
// and behind the message stand, for each slice:
//   | serial of the segment f64, 0: none | number of the first delivery u32 | deliveries u32 |
// PUBREL takes effect behind the last slice: before, it would strike off what the rest has still to get.
import { messageLength } from "../../store/contract/records.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { Deliveries } from "./deliveries.ts";
import { dropShared } from "../messages/message.ts";
import type { Router } from "./router.ts";
import type { Turn } from "../turn/turn.ts";

/** Bytes that describe one slice. */
const SLICE_ENTRY = 16;

export interface ReachedSlice {
  readonly serial: number;
  /** Of its deliveries. */
  readonly first: number;
  readonly count: number;
}

/** A QoS 2 message whose id is safe, and which is not on its way to all. */
export interface InboundMessage {
  readonly session: BrokerSession;
  readonly packetId: number;
  readonly message: Buffer;
  /** Slices of before a restart. */
  readonly reached: readonly ReachedSlice[];
  /** Numbers in the store of the sessions in them. */
  readonly skip: Set<number>;
}

interface Parts {
  readonly router: Router;
  readonly deliveries: Deliveries;
  readonly turn: Turn;
}

/** From here on a PUBREL waits until the message is on its way to all. */
export function beginPassing(session: BrokerSession, packetId: number): void {
  session.passing ??= new Map();
  // One that has come already goes on waiting.
  if (!session.passing.has(packetId)) session.passing.set(packetId, undefined);
}

/** Sends the message to all it has not reached yet. The core must be free. */
export function deliverInbound({ router, deliveries, turn }: Parts, inbound: InboundMessage): void {
  const { session, packetId, message, skip } = inbound;
  const { segments } = deliveries.queues;
  const reached = [...inbound.reached];
  if (reached.length > 0) dropShared(message); // their members were chosen with the first slice
  for (const { serial } of reached) segments.pin(serial);
  beginPassing(session, packetId);
  const over = (): void => {
    const waiting = session.passing?.get(packetId);
    session.passing?.delete(packetId);
    // In one batch: a crash finds the slices, or the message delivered.
    if (!session.ended) turn.batch.delivered(session, packetId);
    for (const { serial } of reached) segments.unpin(serial);
    turn.touch();
    if (waiting === undefined || session.ended || session.connection !== waiting.connection) return;
    deliveries.released(session.slot, packetId, waiting.reason);
    router.whenFree(() => deliveries.settle());
  };
  router.injections.add({
    message,
    refusable: false,
    sender: session,
    skip: skip.size > 0 ? skip : undefined,
    sliced: (first, count) => {
      let serial = 0;
      if (count > 0) {
        // Sealed at the end of the turn, as the next one: it is referred to until its commit has ended.
        const { open } = segments;
        serial = segments.nextSerial;
        segments.retain(open);
        segments.pin(serial);
        turn.afterCommit(() => segments.release(open));
      }
      reached.push({ serial, first, count });
      if (!session.ended) turn.batch.partlyDelivered(session, packetId, message, encodeReached(reached));
      turn.touch();
    },
    done: over,
    // What failed once would fail again at a start: it is struck off, and its sender's exchange comes to its end. Later, since
    // the core may have to be rebuilt first.
    failed: () => router.later(over),
  });
}

function encodeReached(reached: readonly ReachedSlice[]): Buffer {
  const bytes = Buffer.alloc(reached.length * SLICE_ENTRY);
  reached.forEach(({ serial, first, count }, i) => {
    bytes.writeDoubleLE(serial, i * SLICE_ENTRY);
    bytes.writeUInt32LE(first, i * SLICE_ENTRY + 8);
    bytes.writeUInt32LE(count, i * SLICE_ENTRY + 12);
  });
  return bytes;
}

/** What the store keeps of an inbound message: itself, and the slices that it has reached. */
export function splitInbound(value: Buffer): { message: Buffer; reached: ReachedSlice[] } {
  const length = messageLength(value);
  const reached: ReachedSlice[] = [];
  for (let at = length; at + SLICE_ENTRY <= value.length; at += SLICE_ENTRY) {
    reached.push({
      serial: value.readDoubleLE(at),
      first: value.readUInt32LE(at + 8),
      count: value.readUInt32LE(at + 12),
    });
  }
  return { message: value.subarray(0, length), reached };
}
