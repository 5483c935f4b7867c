// The two sets of packet identifiers of a slot.
// Send window (ids we chose), 8 bytes per entry at index (id & mask), so that an id finds its entry without a search:
//    0: u32 position in the session's queue (NO_POSITION: not stored)   4: u16 id   6: u8 state
//    7: u8 low byte of the part (arenas.ts) that gave the id, for a host that must do without what a trap has cost
// Inbound set (ids the client chose for QoS 2): open addressing, u16 per entry, 0 is empty (0 is no packet id).
import { alloc, free } from "../../memory/heap";
import { part } from "../call/arenas";
import { Slot } from "../slots/slots";

export const NO_POSITION: u32 = 0xffffffff;
export const W_FREE: u32 = 0;
export const W_PUBACK: u32 = 1; // QoS 1 sent
export const W_PUBREC: u32 = 2; // QoS 2 sent
export const W_PUBCOMP: u32 = 3; // PUBREL sent, or waiting for its commit
const FIRST_WINDOW: u32 = 16;
const LAST_WINDOW: u32 = 65536;

// @ts-ignore: decorator
@inline
export function entryOf(slot: Slot, id: u32): usize {
  return slot.window + ((<usize>(id & slot.windowMask)) << 3);
}

/** The entry of an id in flight, 0 where it is not. */
export function findEntry(slot: Slot, id: u32): usize {
  if (!slot.window) return 0;
  const entry = entryOf(slot, id);
  return load<u8>(entry, 6) != W_FREE && load<u16>(entry, 4) == id ? entry : 0;
}

function growWindow(slot: Slot): bool {
  const cap: u32 = slot.window ? (slot.windowMask + 1) * 2 : FIRST_WINDOW;
  if (cap > LAST_WINDOW) return slot.inflight < LAST_WINDOW - 2;
  const grown = alloc(cap * 8);
  if (!grown) return false;
  memory.fill(grown, 0, cap * 8);
  const old = slot.window;
  if (old) {
    // Ids that differ in the low bits still differ in more of them: no two entries meet.
    for (let i: u32 = 0; i <= slot.windowMask; i++) {
      const from = old + ((<usize>i) << 3);
      if (load<u8>(from, 6) == W_FREE) continue;
      store<u64>(grown + ((<usize>(<u32>load<u16>(from, 4) & (cap - 1))) << 3), load<u64>(from));
    }
    free(old, (slot.windowMask + 1) * 8);
  }
  slot.window = grown;
  slot.windowMask = cap - 1;
  return true;
}

/** Makes room for one more; false where memory is short. Kept at most half full, so that ids are found at once. */
export function reserveEntry(slot: Slot): bool {
  if (slot.window && (slot.inflight + 1) * 2 <= slot.windowMask + 1) return true;
  return growWindow(slot);
}

/** Takes the next free packet identifier. reserveEntry() has succeeded before. */
export function takeId(slot: Slot, state: u32, position: u32): u32 {
  let id = slot.nextId;
  while (true) {
    const entry = entryOf(slot, id);
    if (load<u8>(entry, 6) == W_FREE) {
      store<u32>(entry, position);
      store<u16>(entry, <u16>id, 4);
      store<u8>(entry, <u8>state, 6);
      store<u8>(entry, <u8>part, 7);
      break;
    }
    id = id == 65535 ? 1 : id + 1;
  }
  slot.nextId = id == 65535 ? 1 : id + 1;
  slot.inflight++;
  return id;
}

/** Puts an identifier of an earlier connection back in flight; false where it cannot be. */
export function restoreId(slot: Slot, id: u32, state: u32, position: u32): bool {
  while (true) {
    if (!reserveEntry(slot)) return false;
    const entry = entryOf(slot, id);
    if (load<u8>(entry, 6) == W_FREE) {
      store<u32>(entry, position);
      store<u16>(entry, <u16>id, 4);
      store<u8>(entry, <u8>state, 6);
      slot.inflight++;
      return true;
    }
    if (load<u16>(entry, 4) == id) return false;
    // Two ids of the old window meet in a smaller new one: only growth parts them.
    if (slot.windowMask + 1 >= LAST_WINDOW || !growWindow(slot)) return false;
  }
}

export function releaseEntry(slot: Slot, entry: usize): void {
  store<u64>(entry, 0);
  slot.inflight--;
}

export function freeWindow(slot: Slot): void {
  if (slot.window) free(slot.window, (slot.windowMask + 1) * 8);
  slot.window = 0;
  slot.windowMask = 0;
  slot.inflight = 0;
}

// ---- inbound QoS 2 ----

// @ts-ignore: decorator
@inline
function home(id: u32, mask: u32): u32 {
  return (id * 0x9e3779b1) >> 16 & mask;
}

export function hasInbound(slot: Slot, id: u32): bool {
  if (!slot.inboundCount) return false;
  const mask = slot.inboundCap - 1;
  let at = home(id, mask);
  while (true) {
    const held: u32 = load<u16>(slot.inbound + (<usize>at << 1));
    if (held == id) return true;
    if (held == 0) return false;
    at = (at + 1) & mask;
  }
}

/** Adds an id; false where memory is short. */
export function addInbound(slot: Slot, id: u32): bool {
  if (hasInbound(slot, id)) return true;
  if ((slot.inboundCount + 1) * 2 > slot.inboundCap) {
    const cap: u32 = slot.inboundCap ? slot.inboundCap * 2 : 16;
    const grown = alloc(cap * 2);
    if (!grown) return false;
    memory.fill(grown, 0, cap * 2);
    const old = slot.inbound;
    const oldCap = slot.inboundCap;
    slot.inbound = grown;
    slot.inboundCap = cap;
    for (let i: u32 = 0; i < oldCap; i++) {
      const held: u32 = load<u16>(old + (<usize>i << 1));
      if (held) place(slot, held);
    }
    if (old) free(old, oldCap * 2);
  }
  place(slot, id);
  slot.inboundCount++;
  return true;
}

function place(slot: Slot, id: u32): void {
  const mask = slot.inboundCap - 1;
  let at = home(id, mask);
  while (load<u16>(slot.inbound + (<usize>at << 1)) != 0) at = (at + 1) & mask;
  store<u16>(slot.inbound + (<usize>at << 1), <u16>id);
}

/** Removes an id; false where it was not there. Later entries of the same run move up, so no tombstones are needed. */
export function removeInbound(slot: Slot, id: u32): bool {
  if (!slot.inboundCount) return false;
  const mask = slot.inboundCap - 1;
  let at = home(id, mask);
  while (true) {
    const held: u32 = load<u16>(slot.inbound + (<usize>at << 1));
    if (held == 0) return false;
    if (held == id) break;
    at = (at + 1) & mask;
  }
  let hole = at;
  while (true) {
    at = (at + 1) & mask;
    const held: u32 = load<u16>(slot.inbound + (<usize>at << 1));
    if (held == 0) break;
    if (((at - home(held, mask)) & mask) >= ((at - hole) & mask)) {
      store<u16>(slot.inbound + (<usize>hole << 1), <u16>held);
      hole = at;
    }
  }
  store<u16>(slot.inbound + (<usize>hole << 1), 0);
  slot.inboundCount--;
  return true;
}

export function freeInbound(slot: Slot): void {
  if (slot.inbound) free(slot.inbound, slot.inboundCap * 2);
  slot.inbound = 0;
  slot.inboundCap = 0;
  slot.inboundCount = 0;
}
