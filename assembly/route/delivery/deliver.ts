// The one place where a message meets a receiver: live fan-out here, queued and retained messages in replay.ts through
// the same send(). Decides before encoding whether it is sent, queued or dropped; what is emitted is never taken back.
import {
  H_DROPPED,
  H_OVER_RATE,
  H_OVER_RATE_OF_ALL,
  H_QUEUED,
  H_QUEUED_RATE,
  H_SENT,
  H_TOO_LARGE,
  H_TX_BYTES,
  NO_OFFSET,
  OPT_ID_SHIFT,
  OPT_QOS_MASK,
  OPT_RETAIN_AS_PUBLISHED,
  R_LOCAL,
  R_STORED,
  SLOT_LOCAL,
  SLOT_MAX_QOS1,
  SLOT_ONLINE,
  SLOT_PERSISTENT,
  SLOT_PUBLISHER_QOS,
  SLOT_QUEUED,
  SLOT_V5,
  STORE_SIZE,
  STORED_UNSENT,
  UNSENT_CREDIT,
  UNSENT_RATE,
} from "../../abi";
import { count } from "../../codec/header";
import { record, recordsLeft, storeBase, storeUsed, takeStore, takeTemplate, templateLeft } from "../call/arenas";
import { encodedAt, encodedTotal, encodePublish, fits, idBytes, setIds } from "./encode";
import { furtherId, hitAt, hitCount } from "./hits";
import {
  encodedBound,
  mExternal,
  mPayloadLen,
  mQos,
  mRange,
  mRangeLen,
  mRangeV5,
  mRetain,
  mSender,
  storeBound,
  storeMessage,
} from "../call/message";
import { countPush, overRate, recordPaced, recordUnsent } from "../rates/pace";
import { addItem, I_COPY, I_EXTERNAL, I_INPUT, I_PATCH, itemsLeft } from "../call/output";
import { Slot, slotAt } from "../slots/slots";
import { NO_POSITION, reserveEntry, takeId, W_PUBACK, W_PUBREC } from "../acknowledgements/window";

/** Set where the message reached a session that survives its connection: the sender's acknowledgement must wait. */
export let needsCommit: bool = false;
let cursor: u32 = 0;
/** Packet id under which the sender waits for its acknowledgement, 0: nobody waits. */
let owed: u32 = 0;

export function setOwed(id: u32): void {
  owed = id;
}

export function beginFanout(): void {
  cursor = 0;
  needsCommit = false;
}

// @ts-ignore: decorator
@inline
export function storeLeft(): u32 {
  return STORE_SIZE - storeUsed;
}

/** Delivers to the hits from the cursor on. False: an arena is full, call again after the host has acted. */
export function fanout(): bool {
  const bound = encodedBound();
  const stored = storeBound();
  const hits = hitCount;
  while (cursor < hits) {
    if (itemsLeft() < 4 || recordsLeft() < 8 || templateLeft() < bound + 128) return false;
    const hit = hitAt(cursor);
    const index = load<u32>(hit);
    const options = load<u32>(hit, 4);
    const slot = slotAt(index);
    if (mRange != 0 && options >> OPT_ID_SHIFT == 0 && fastPath(index, slot)) {
      cursor++;
      continue;
    }
    const chain = load<u32>(hit, 8);
    setIds(options, chain);
    const ids = options >> OPT_ID_SHIFT ? idBytes() : 0; // at least 2 for each, which is stored in 4
    if (templateLeft() < 2 * (bound + ids) + 128 || storeLeft() < stored + ids * 2 + 64) return false;
    deliver(index, slot, options, chain, ids, load<u32>(hit, 12));
    cursor++;
  }
  return true;
}

/** QoS 0 bytes that may be forwarded as they are: no encoding, no copy. */
// @ts-ignore: decorator
@inline
function fastPath(index: u32, slot: Slot): bool {
  const flags = slot.flags;
  if ((flags & (SLOT_ONLINE | SLOT_LOCAL)) != SLOT_ONLINE) return false;
  if (((flags & SLOT_V5) != 0) != mRangeV5 || slot.aliasOutMax != 0 || mRangeLen > slot.maxPacket) return false;
  if (slot.credit <= 0) {
    drop(index, UNSENT_CREDIT);
    return true;
  }
  if (slot.rates) {
    const over = overRate(slot);
    if (over) {
      drop(index, over);
      return true;
    }
    countPush(slot);
  }
  addItem(index, slot, I_INPUT, mRange, mRangeLen, 0);
  count(H_SENT, 1);
  count(H_TX_BYTES, mPayloadLen);
  return true;
}

/** A QoS 0 message is not sent. */
function drop(index: u32, why: u32): void {
  count(why == UNSENT_CREDIT ? H_DROPPED : why == UNSENT_RATE ? H_OVER_RATE : H_OVER_RATE_OF_ALL, 1);
  recordUnsent(index, why);
}

function deliver(index: u32, slot: Slot, options: u32, chain: u32, ids: u32, group: u32): void {
  const flags = slot.flags;
  const granted = options & OPT_QOS_MASK;
  const most: u32 = flags & SLOT_PUBLISHER_QOS ? (flags & SLOT_MAX_QOS1 ? 1 : 2) : granted; // [QOS-1], [QOS-2]
  const qos = mQos < most ? mQos : most; // [MQTT-3.8.4-8]
  const retain: u32 = mRetain && options & OPT_RETAIN_AS_PUBLISHED ? 1 : 0; // [MQTT-3.3.1-12, -13]
  if (flags & SLOT_LOCAL) {
    record(R_LOCAL, index, storeMessage(), 0, 0, qos | (retain << 2), 0, mSender);
    return;
  }
  const online = (flags & SLOT_ONLINE) != 0;
  if (qos == 0) {
    if (!online) return;
    // Before encoding, which may assign an alias.
    const why: u32 = slot.credit <= 0 ? UNSENT_CREDIT : slot.rates ? overRate(slot) : 0;
    if (why) {
      drop(index, why);
      return;
    }
    if (!encodePublish(slot, 0, retain, 0, flags & SLOT_V5 ? ids : 0)) {
      count(H_TOO_LARGE, 1);
      return;
    }
    send(index, slot, 0);
    return;
  }
  const persistent = (flags & SLOT_PERSISTENT) != 0;
  if (!online && !persistent) return;
  const keep = persistent || group != 0;
  const free = online && !(flags & SLOT_QUEUED) && slot.credit > 0 && slot.inflight < slot.sendMax;
  const over: u32 = free && slot.rates ? overRate(slot) : 0;
  if (free && !over && reserveEntry(slot)) {
    const later = persistent && qos == 2;
    const shown = flags & SLOT_V5 ? ids : 0;
    if (!(later ? fits(slot, qos, shown) : encodePublish(slot, qos, retain, 0, shown))) {
      count(H_TOO_LARGE, 1);
      return;
    }
    const position = keep ? slot.nextPosition++ : NO_POSITION;
    if (later) {
      // The client must not see the id before it is safe: what follows queues behind it.
      needsCommit = true;
      slot.flags = flags | SLOT_QUEUED;
      storeDelivery(index, position, takeId(slot, W_PUBREC, position), qos | STORED_UNSENT, retain, options, chain, group);
      return;
    }
    const id = takeId(slot, qos == 1 ? W_PUBACK : W_PUBREC, position);
    send(index, slot, id);
    if (persistent) needsCommit = true;
    if (keep) storeDelivery(index, position, id, qos, retain, options, chain, group);
    return;
  }
  if (persistent) needsCommit = true;
  if (online && slot.inflight >= slot.sendMax) count(H_QUEUED, 1);
  if (over) {
    count(H_QUEUED_RATE, 1);
    recordPaced(index, over);
  }
  slot.flags = flags | SLOT_QUEUED;
  storeDelivery(index, slot.nextPosition++, 0, qos, retain, options, chain, group);
}

/** Emits what encodePublish() made; `id` 0 for QoS 0. The slot's rates have let it pass. */
export function send(index: u32, slot: Slot, id: u32): void {
  if (slot.rates) countPush(slot);
  const head = encodedTotal - mExternal;
  if (mExternal) {
    if (id) store<u16>(encodedAt + load<u32>(encodedAt - 4), bswap<u16>(<u16>id));
    // Receivers share the template, so an external head with a packet id is copied for each.
    addItem(index, slot, I_EXTERNAL, id ? copyHead(encodedAt, head) : encodedAt, head, 0);
    slot.credit -= <i32>mExternal;
  } else {
    addItem(index, slot, id ? I_PATCH : I_COPY, encodedAt, head, id);
  }
  count(H_SENT, 1);
  count(H_TX_BYTES, mPayloadLen + mExternal);
}

function copyHead(from: usize, len: u32): usize {
  const at = takeTemplate(len);
  memory.copy(at, from, len);
  return at;
}

function storeDelivery(index: u32, position: u32, id: u32, qos: u32, retain: u32, options: u32, chain: u32, group: u32): void {
  let idsAt: u32 = NO_OFFSET;
  if (options >> OPT_ID_SHIFT) {
    let n: u32 = 1;
    for (let c = chain; c; c = load<u32>(furtherId(c), 4)) n++;
    idsAt = takeStore(4 + n * 4);
    let at = storeBase + idsAt;
    store<u32>(at, n);
    store<u32>(at, options >> OPT_ID_SHIFT, 4);
    at += 8;
    for (let c = chain; c; c = load<u32>(furtherId(c), 4)) {
      store<u32>(at, load<u32>(furtherId(c)));
      at += 4;
    }
  }
  record(R_STORED | (owed << 8), index, storeMessage(), position, id, qos | (retain << 2) | (group << 8), idsAt, mSender);
}
