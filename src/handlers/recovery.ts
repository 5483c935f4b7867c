// A trap is survivable: the host holds filters and sessions as truth, and a fresh core is filled from them. What only the
// old core knew of live connections (ids in flight, aliases, waiting acknowledgements) is read from its memory, checked
// against its bounds. The client whose input trapped is closed, and its bytes go to the log.
import type { Border } from "../core/border.ts";
import {
  H_DENIED,
  H_DROPPED,
  H_LIMITED,
  H_OVER_RATE,
  H_OVER_RATE_OF_ALL,
  H_PART,
  H_QUEUED,
  H_QUEUED_RATE,
  H_RECEIVED,
  H_OTHERS_IN,
  H_OTHERS_OUT,
  H_RX_BYTES,
  H_SENT,
  H_TOO_LARGE,
  H_TX_BYTES,
  NO_OFFSET,
  SLOT_ALLOW_ALL,
  SLOT_LOCAL,
  SLOT_PERSISTENT,
  SLOT_SPACE_SHIFT,
  SLOT_QUEUED,
} from "../core/generated/abi.ts";
import type { Connection } from "../connection/connection.ts";
import type { BrokerSession } from "../routing/turn/broker-session.ts";
import type { LocalSubscribers } from "../routing/sessions/local-subscribers.ts";
import { detach } from "./context/close.ts";
import type { Context } from "./context/context.ts";
import { goOnline } from "./context/online.ts";

// Word offsets within a slot, see assembly/route/slots/slots.ts.
const S_FLAGS = 0;
const S_WINDOW = 4;
const S_WINDOW_MASK = 5;
const S_NEXT_ID = 8;
const S_INBOUND = 10;
const S_INBOUND_CAP = 11;
const S_ACKS = 14;
const S_ACK_CAP = 15;
const S_ACK_HEAD = 16;
const S_ACK_COUNT = 17;
const S_ALIAS_IN = 22;
const S_ALIAS_IN_MAX = 23;
const LOGGED_BYTES = 4_096;
/** Running counts that go on. */
const COUNTS = [
  H_DROPPED, H_QUEUED, H_DENIED, H_LIMITED, H_TOO_LARGE, H_RECEIVED, H_SENT, H_RX_BYTES, H_TX_BYTES, H_OTHERS_IN, H_OTHERS_OUT,
  H_OVER_RATE, H_OVER_RATE_OF_ALL, H_QUEUED_RATE,
]; // biome-ignore format: a list

/**
 * Fills `fresh` from what the broker knows; the router still holds the old core. `releasing` is the commit whose
 * acknowledgements were released last.
 */
export function recover(
  context: Context,
  local: LocalSubscribers,
  offender: Connection | undefined,
  fresh: Border,
  releasing: number,
): void {
  const { router, sessions, subscriptions, deliveries, logger } = context;
  const old = router.border;
  if (offender !== undefined) {
    const bytes = old.copy(old.input, LOGGED_BYTES);
    logger.error(
      { client: offender.clientId, input: bytes.toString("base64") },
      "the input that trapped the core",
    );
  }
  sessions.forgetDead();
  const bySlot = new Map<number, { flags: number; session: BrokerSession }>();
  for (const session of sessions.all())
    bySlot.set(session.slot, {
      flags: (session.persistent ? SLOT_PERSISTENT : 0) | (session.space << SLOT_SPACE_SHIFT),
      session,
    });
  for (const session of local.sessions)
    bySlot.set(session.slot, { flags: SLOT_LOCAL, session: session as BrokerSession });
  const gaps: number[] = [];
  let highest = -1;
  for (const slot of bySlot.keys()) highest = Math.max(highest, slot);
  for (let slot = 0; slot <= highest; slot++) {
    if (fresh.openSlot(bySlot.get(slot)?.flags ?? 0) !== slot)
      throw new Error("the rebuilt core numbers its slots otherwise");
    if (!bySlot.has(slot)) gaps.push(slot);
  }
  for (const slot of gaps) fresh.core.closeSlot(slot);
  for (const low of COUNTS)
    for (const word of [low, low + 1]) fresh.words[fresh.header + word] = old.word(word);
  router.border = fresh;
  for (const { session } of bySlot.values()) {
    subscriptions.restore(session);
    // A session that sleeps has no queue: only the old core knows where its positions go on.
    const awake = deliveries.queues.sessions[session.slot] === session;
    fresh.core.setPosition(session.slot, awake ? session.queue.tail : old.positionOf(session.slot));
    const { connection } = session;
    if (connection === undefined) continue;
    if (connection === offender) continue;
    restoreConnection(context, old, fresh, connection, session, releasing);
  }
  if (offender !== undefined) {
    detach(context, offender);
    offender.destroy();
  }
  // A pump may have been what trapped; nothing else would bring these forward again.
  for (const session of sessions.all()) {
    if (session.connection !== undefined && session.queue.sent !== session.queue.tail)
      context.deliveries.pump.want(session.slot);
  }
  router.settle();
}

function restoreConnection(
  context: Context,
  old: Border,
  fresh: Border,
  connection: Connection,
  session: BrokerSession,
  releasing: number,
): void {
  const { slot } = session;
  const slotAt = old.core.slotPtr(slot) >>> 2;
  const memory = old.memory;
  const field = (offset: number): number => old.words[slotAt + offset];
  const inside = (ptr: number, size: number): boolean => ptr > 0 && ptr + size <= memory.length;
  // Outgoing aliases hang on the old core's hash keys: none are used for the rest of this connection.
  connection.topicAliasMaximum = 0;
  goOnline(context, connection, session, (field(S_FLAGS) & SLOT_ALLOW_ALL) !== 0, fresh);
  context.router.settleCredit(connection);
  if (session.queue.sent === session.queue.tail) fresh.core.setSlotFlags(slot, 0, SLOT_QUEUED);
  fresh.core.setNextId(slot, field(S_NEXT_ID) || 1);
  const lost = old.word(H_PART);
  const window = field(S_WINDOW);
  const entries = field(S_WINDOW_MASK) + 1;
  if (inside(window, entries * 8)) {
    for (let at = window; at < window + entries * 8; at += 8) {
      const state = memory[at + 6];
      const position = memory.readUInt32LE(at);
      const id = memory.readUInt16LE(at + 4);
      // An id that was given in what trapped was never sent: nobody would ever acknowledge it.
      const sent =
        position === NO_OFFSET
          ? lost === 0 || memory[at + 7] !== (lost & 0xff)
          : session.queue.holds(position) && session.queue.packetId(position) === id;
      if (state !== 0 && sent) fresh.core.restoreWindow(slot, id, state, position);
    }
  }
  const inbound = field(S_INBOUND);
  const capacity = field(S_INBOUND_CAP);
  if (inside(inbound, capacity * 2)) {
    for (let at = inbound; at < inbound + capacity * 2; at += 2) {
      const id = memory.readUInt16LE(at);
      if (id !== 0) fresh.core.holdInbound(slot, id);
    }
  }
  const aliases = field(S_ALIAS_IN);
  const aliasMax = field(S_ALIAS_IN_MAX);
  if (inside(aliases, aliasMax * 8)) {
    for (let i = 0; i < aliasMax; i++) {
      const ptr = memory.readUInt32LE(aliases + i * 8);
      const length = memory.readUInt32LE(aliases + i * 8 + 4);
      if (length > 0 && length <= 65_535 && inside(ptr, length))
        fresh.restoreAlias(slot, i + 1, memory.subarray(ptr, ptr + length));
    }
  }
  restoreAcks(context, old, fresh, slot, field, releasing);
}

function restoreAcks(
  context: Context,
  old: Border,
  fresh: Border,
  slot: number,
  field: (offset: number) => number,
  releasing: number,
): void {
  const { memory } = old;
  const ring = field(S_ACKS);
  const capacity = field(S_ACK_CAP);
  const count = field(S_ACK_COUNT);
  if (ring === 0 || count > capacity || ring + capacity * 8 > memory.length) return;
  const entry = (i: number): number => ring + ((field(S_ACK_HEAD) + i) & (capacity - 1)) * 8;
  const owe = (at: number, commit: number): void => {
    const [id, type, reason] = [memory.readUInt16LE(at + 4), memory[at + 6] & ~1, memory[at + 7]];
    context.router.complete(fresh.oweAck(slot, type, id, reason, commit));
  };
  // Those the trapped call had released already lie in front of the others: they have left for nowhere.
  const lost = old.word(H_PART);
  let first = 0;
  while (lost !== 0 && count - first < capacity && memory.readUInt32LE(entry(first - 1)) === lost) first--;
  for (let i = first; i < 0; i++) owe(entry(i), memory[entry(i) + 6] & 1 ? releasing : 0);
  for (let i = 0; i < count; i++) owe(entry(i), memory.readUInt32LE(entry(i)));
}
