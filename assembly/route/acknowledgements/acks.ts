// Acknowledgements we owe. One that waits for a commit stands in its slot's ring with the number of that commit, and so
// do all behind it: acknowledgements leave in the order of the packets they answer [MQTT-4.6.0-2..4].
// A ring entry is 8 bytes: 0: u32 commit (0: none)  4: u16 packet id  6: u8 first byte  7: u8 reason code
// One that was released keeps its bytes for a host that must do without what a trap has cost: at 0 the part (arenas.ts) that
// released it, at 6 bit 0 set where its commit has failed.
import { H_AWAITED, H_OTHERS_OUT, SLOT_ONLINE, SLOT_REASON_STRINGS, SLOT_V5 } from "../../abi";
import { count, setWord } from "../../codec/header";
import { alloc, free, grow } from "../../memory/heap";
import { part, recordsLeft, takeTemplate, templateLeft } from "../call/arenas";
import { varintSize, writeVarint } from "../call/message";
import { addInline, addItem, I_COPY, itemsLeft } from "../call/output";
import { Slot, slotAt } from "../slots/slots";
import { removeInbound } from "./window";
import { dropWords, keepWords, takeWords, wordsAt, wordsLength } from "./words";

export const PUBACK: u32 = 0x40;
export const PUBREC: u32 = 0x50;
export const PUBREL: u32 = 0x62;
export const PUBCOMP: u32 = 0x70;

// Reason Strings by reason code, and by EXCESS_*, which no refusal has as its code: {u32 ptr, u32 len}, set by the host at start.
const TEXTS: usize = memory.data(256 * 8);
// Slots with a ring that is not empty.
let listed: usize = 0;
let listedCap: u32 = 0;
let listedCount: u32 = 0;

export function setReasonText(reason: u32, ptr: usize, len: u32): bool {
  const copy = alloc(len);
  if (!copy) return false;
  memory.copy(copy, ptr, len);
  store<usize>(TEXTS + ((<usize>reason) << 3), copy);
  store<u32>(TEXTS + ((<usize>reason) << 3), len, 4);
  return true;
}

// The policy's own words for the next refusal.
const ONCE: usize = memory.data(256);
let onceLen: u32 = 0;

/** A Reason String for the next refused packet; longer ones are cut to nothing by the host. */
export function setOnceText(ptr: usize, len: u32): void {
  onceLen = len <= 256 ? len : 0;
  memory.copy(ONCE, ptr, onceLen);
}

/** The text of one of EXCESS_* for the next refused packet. */
export function setOnceReason(excess: u32): void {
  const text = TEXTS + ((<usize>excess) << 3);
  setOnceText(load<usize>(text), load<u32>(text, 4));
}

let mostWaiting: u32 = 0xffffffff;

/** So many acknowledgements of a client may wait for commits; nothing that would owe it one more is taken. */
export function setAckLimit(most: u32): void {
  mostWaiting = most;
}

/** As many wait as may. */
export function isOwedMost(slot: Slot): bool {
  return slot.ackCount >= mostWaiting;
}

/** Reason of a PUBACK or PUBREC that is not sent: before 5.0 there is no way to refuse, and a success would be a lie. */
export const UNANSWERED: u32 = 0xff;

/** Gives the waiting PUBACK or PUBREC of a packet another reason; false where none waits. */
export function amendAck(slot: Slot, id: u32, reason: u32): bool {
  for (let i: u32 = slot.ackCount; i > 0; i--) {
    const at = slot.acks + ((<usize>((slot.ackHead + i - 1) & (slot.ackCap - 1))) << 3);
    const type: u32 = load<u8>(at, 6);
    if (<u32>load<u16>(at, 4) != id || (type != PUBACK && type != PUBREC)) continue;
    store<u8>(at, <u8>reason, 7);
    return true;
  }
  return false;
}

/** Puts the packet on the slot's output now. */
function emit(index: u32, slot: Slot, type: u32, id: u32, reason: u32): void {
  const unanswered = reason == UNANSWERED && !(slot.flags & SLOT_V5);
  if (type == PUBACK) {
    if (slot.pendingQos1) slot.pendingQos1--;
  } else if (type == PUBREC && reason >= 0x80 && (unanswered || slot.flags & SLOT_V5)) {
    // Only a refusal ends here; an accepted QoS 2 stays counted until PUBCOMP [MQTT-3.3.4-9].
    removeInbound(slot, id);
  }
  if (unanswered) return;
  const hi = (id & 0xff) << 24;
  const lo = ((id >> 8) & 0xff) << 16;
  if (reason == 0 || !(slot.flags & SLOT_V5)) {
    addInline(index, slot, type | (2 << 8) | lo | hi, 4);
    return;
  }
  if (!(slot.flags & SLOT_ONLINE)) return;
  let text: usize = 0;
  let textLen: u32 = 0;
  if (reason >= 0x80 && slot.flags & SLOT_REASON_STRINGS) {
    const place: usize = onceLen ? <usize>0 : takeWords(slot, id, reason);
    text = onceLen ? ONCE : place ? wordsAt(place) : load<usize>(TEXTS + ((<usize>reason) << 3));
    textLen = onceLen ? onceLen : place ? wordsLength(place) : load<u32>(TEXTS + ((<usize>reason) << 3), 4);
    // A Reason String that would exceed the client's maximum is left out [MQTT-3.4.2-2].
    if (!text || textLen + (textLen < 121 ? 9 : 11) > slot.maxPacket) textLen = 0;
  }
  onceLen = 0;
  const props = textLen ? textLen + 3 : 0;
  const remaining: u32 = textLen ? 3 + varintSize(props) + props : 3;
  const total = 1 + varintSize(remaining) + remaining;
  const at = takeTemplate(total);
  store<u8>(at, <u8>type);
  let to = writeVarint(at + 1, remaining);
  store<u16>(to, bswap<u16>(<u16>id));
  store<u8>(to, <u8>reason, 2);
  if (textLen) {
    to = writeVarint(to + 3, props);
    store<u8>(to, 0x1f);
    store<u16>(to, bswap<u16>(<u16>textLen), 1);
    memory.copy(to + 3, text, textLen);
  }
  count(H_OTHERS_OUT, 1);
  addItem(index, slot, I_COPY, at, total, 0);
}

/** Owes the client a packet once `commit` is safe; at once where commit is 0 and nothing waits before it. */
export function owe(index: u32, slot: Slot, type: u32, id: u32, reason: u32, commit: u32): void {
  if (commit == 0 && slot.ackCount == 0) {
    emit(index, slot, type, id, reason);
    return;
  }
  if (!(slot.flags & SLOT_ONLINE)) return; // it was for a connection that is gone, not for its successor
  if (slot.ackCount == slot.ackCap && !growRing(slot)) return; // out of memory: unacknowledged, the client repeats it
  if (onceLen && reason >= 0x80 && slot.flags & SLOT_REASON_STRINGS) keepWords(slot, id, reason, ONCE, onceLen);
  const at = slot.acks + ((<usize>((slot.ackHead + slot.ackCount) & (slot.ackCap - 1))) << 3);
  store<u32>(at, commit);
  store<u16>(at, <u16>id, 4);
  store<u8>(at, <u8>type, 6);
  store<u8>(at, <u8>reason, 7);
  slot.ackCount++;
  if (commit) setWord(H_AWAITED, 1);
  if (!slot.ackListed) list(index, slot);
}

/** A QoS 1 packet that the core has not seen will be acknowledged by the host. */
export function expectAck(index: u32): void {
  slotAt(index).pendingQos1++;
}

/** A QoS 1 packet that the host took over gets no acknowledgement. */
export function forgoAck(index: u32): void {
  const slot = slotAt(index);
  if (slot.pendingQos1) slot.pendingQos1--;
}

function growRing(slot: Slot): bool {
  const cap: u32 = slot.ackCap ? slot.ackCap * 2 : 16;
  const grown = alloc(cap * 8);
  if (!grown) return false;
  memory.fill(grown, 0, cap * 8);
  for (let i: u32 = 0; i < slot.ackCount; i++) {
    store<u64>(grown + ((<usize>i) << 3), load<u64>(slot.acks + ((<usize>((slot.ackHead + i) & (slot.ackCap - 1))) << 3)));
  }
  if (slot.acks) free(slot.acks, slot.ackCap * 8);
  slot.acks = grown;
  slot.ackCap = cap;
  slot.ackHead = 0;
  return true;
}

function list(index: u32, slot: Slot): void {
  if (listedCount == listedCap) {
    const cap: u32 = listedCap ? listedCap * 2 : 1024;
    const grown = grow(listed, listedCap * 4, cap * 4);
    if (!grown) return;
    listed = grown;
    listedCap = cap;
  }
  store<u32>(listed + ((<usize>(listedCount++)) << 2), index);
  slot.ackListed = 1;
}

/** True while a QoS 1 packet with this id waits to be acknowledged [QOS-4]. */
export function waits(slot: Slot, type: u32, id: u32): bool {
  for (let i: u32 = 0; i < slot.ackCount; i++) {
    const at = slot.acks + ((<usize>((slot.ackHead + i) & (slot.ackCap - 1))) << 3);
    if (<u32>load<u16>(at, 4) == id && <u32>load<u8>(at, 6) == type) return true;
  }
  return false;
}

/**
 * Commits up to `commit` are safe: releases every prefix that waited for them. With a reason >= 0x80 the commit has
 * failed: 5.0 clients are told, 3.x clients get no acknowledgement. False: arenas full, call again after flushing.
 */
export function releaseUpTo(commit: u32, reason: u32): bool {
  let kept: u32 = 0;
  let i: u32 = 0;
  let complete = true;
  for (; i < listedCount; i++) {
    const index = load<u32>(listed + ((<usize>i) << 2));
    const slot = slotAt(index);
    while (slot.ackCount && complete) {
      const at = slot.acks + ((<usize>slot.ackHead) << 3);
      const needs = load<u32>(at);
      if (needs != 0 && <i32>(needs - commit) > 0) break;
      if (itemsLeft() < 2 || templateLeft() < 512 || recordsLeft() < 4) {
        complete = false;
        break;
      }
      const type: u32 = load<u8>(at, 6);
      const id: u32 = load<u16>(at, 4);
      const own: u32 = load<u8>(at, 7);
      slot.ackHead = (slot.ackHead + 1) & (slot.ackCap - 1);
      slot.ackCount--;
      const failed = reason != 0 && needs == commit;
      store<u32>(at, part);
      if (failed) store<u8>(at, <u8>(type | 1), 6);
      if (failed) refuse(index, slot, type, id, reason);
      else emit(index, slot, type, id, own);
    }
    if (slot.ackCount) store<u32>(listed + ((<usize>(kept++)) << 2), index);
    else slot.ackListed = 0;
  }
  listedCount = kept;
  return complete;
}

/** What waited for a commit that failed. PUBREL and PUBCOMP cannot refuse: the host closes the connection instead. */
function refuse(index: u32, slot: Slot, type: u32, id: u32, reason: u32): void {
  if (type == PUBREC) removeInbound(slot, id); // never taken: the id is free for another message
  else if (type != PUBACK) return;
  if (slot.flags & SLOT_V5) emit(index, slot, type, id, reason);
  else if (type == PUBACK && slot.pendingQos1) slot.pendingQos1--;
}

export function freeAcks(slot: Slot): void {
  dropWords(slot);
  if (slot.acks) free(slot.acks, slot.ackCap * 8);
  slot.acks = 0;
  slot.ackCap = 0;
  slot.ackHead = 0;
  slot.ackCount = 0;
  slot.pendingQos1 = 0;
  // It may still stand in `listed`; the next release finds it empty and strikes it off.
}
