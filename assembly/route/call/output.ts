// What a call sends: a list of items per destination, gathered at the end into one piece and one record each.
// An item is 16 bytes:
//    0: u32 index + 1 of the next item   4: u32 address (I_INLINE: the bytes themselves)
//    8: u32 length | kind << 29         12: u32 packet id to patch in (I_PATCH)
import {
  GATHER_SIZE,
  H_OTHERS_OUT,
  ITEM_CAPACITY,
  R_EXTERNAL,
  R_INPUT,
  R_WRITE,
  SLOT_ONLINE,
} from "../../abi";
import { count } from "../../codec/header";
import { alloc } from "../../memory/heap";
import { gatherBase, itemBase, record, recordsLeft, resetTemplates } from "./arenas";
import { Slot, slotAt } from "../slots/slots";

export const I_INPUT: u32 = 0; // a range of the input; neighbours merge
export const I_COPY: u32 = 1; // bytes of the template arena
export const I_PATCH: u32 = 2; // the same; the u32 before them is the offset of the packet id
export const I_INLINE: u32 = 3; // up to four bytes
export const I_EXTERNAL: u32 = 4; // a head in the template arena; the host appends the payload
const KIND_SHIFT: u32 = 29;
const LENGTH_MASK: u32 = (1 << 29) - 1;

let itemCount: u32 = 0;
let touched: usize = 0; // slots with items, in order of the first one
let touchedCount: u32 = 0;
let flushSlot: u32 = 0; // index in `touched` of the slot being gathered
let gatherUsed: u32 = 0;

export function initOutput(): bool {
  touched = alloc(ITEM_CAPACITY * 4);
  return touched != 0;
}

// @ts-ignore: decorator
@inline
export function itemsLeft(): u32 {
  return ITEM_CAPACITY - itemCount;
}

/** The host has read the records: what they point to may be overwritten. A call may flush more than once before that. */
export function resetGather(): void {
  gatherUsed = 0;
}

/** Something was put out that the host has not been handed. */
export function hasOutput(): bool {
  return touchedCount != 0;
}

export function addItem(index: u32, slot: Slot, kind: u32, ptr: usize, len: u32, id: u32): void {
  assert(itemCount < ITEM_CAPACITY);
  slot.credit -= <i32>len;
  const tail = slot.itemsTail;
  if (tail) {
    const last = itemBase + ((<usize>(tail - 1)) << 4);
    if (kind == I_INPUT) {
      const word = load<u32>(last, 8);
      // The packet follows the previous one in the input: one longer range.
      if (word >> KIND_SHIFT == I_INPUT && load<usize>(last, 4) + (word & LENGTH_MASK) == ptr) {
        store<u32>(last, word + len, 8);
        return;
      }
    }
    store<u32>(last, itemCount + 1);
  } else {
    store<u32>(touched + ((<usize>(touchedCount++)) << 2), index);
    slot.itemsHead = itemCount + 1;
  }
  const at = itemBase + ((<usize>(itemCount++)) << 4);
  store<u32>(at, 0);
  store<usize>(at, ptr, 4);
  store<u32>(at, len | (kind << KIND_SHIFT), 8);
  store<u32>(at, id, 12);
  slot.itemsTail = itemCount;
}

/** Up to four bytes, little endian in `bytes`. Offline slots get nothing. */
export function addInline(index: u32, slot: Slot, bytes: u32, len: u32): void {
  if (!(slot.flags & SLOT_ONLINE)) return;
  count(H_OTHERS_OUT, 1);
  addItem(index, slot, I_INLINE, bytes, len, 0);
}

/**
 * Gathers the items into records. False when an arena is full: the host must act on the records, and call again.
 * On true, items and templates are gone.
 */
export function flush(): bool {
  while (flushSlot < touchedCount) {
    if (recordsLeft() < 2) return false;
    const index = load<u32>(touched + ((<usize>flushSlot) << 2));
    const slot = slotAt(index);
    if (!gather(index, slot)) return false;
    slot.itemsHead = 0;
    slot.itemsTail = 0;
    flushSlot++;
  }
  flushSlot = 0;
  touchedCount = 0;
  itemCount = 0;
  resetTemplates();
  return true;
}

function gather(index: u32, slot: Slot): bool {
  let at = slot.itemsHead;
  if (at && at == slot.itemsTail) {
    const item = itemBase + ((<usize>(at - 1)) << 4);
    const word = load<u32>(item, 8);
    if (word >> KIND_SHIFT == I_INPUT) {
      record(R_WRITE | (R_INPUT << 8), index, load<u32>(item, 4), word & LENGTH_MASK, 0, 0, 0, 0);
      return true;
    }
  }
  let start = gatherUsed;
  while (at) {
    const item = itemBase + ((<usize>(at - 1)) << 4);
    const word = load<u32>(item, 8);
    const kind = word >> KIND_SHIFT;
    const len = word & LENGTH_MASK;
    if (kind == I_EXTERNAL) {
      // Its head is copied too: the templates may be written anew before the host has read the record.
      if (recordsLeft() < 3 || gatherUsed + len > GATHER_SIZE) return pauseAt(index, slot, at, start);
      if (gatherUsed != start) record(R_WRITE, index, <u32>gatherBase + start, gatherUsed - start, 0, 0, 0, 0);
      memory.copy(gatherBase + gatherUsed, load<usize>(item, 4), len);
      record(R_EXTERNAL, index, <u32>gatherBase + gatherUsed, len, 0, 0, 0, 0);
      gatherUsed += len;
      start = gatherUsed;
    } else {
      if (gatherUsed + len > GATHER_SIZE) return pauseAt(index, slot, at, start);
      const to = gatherBase + gatherUsed;
      if (kind == I_INLINE) {
        store<u32>(to, load<u32>(item, 4));
      } else {
        const from = load<usize>(item, 4);
        memory.copy(to, from, len);
        if (kind == I_PATCH) store<u16>(to + load<u32>(from - 4), bswap<u16>(<u16>load<u32>(item, 12)));
      }
      gatherUsed += len;
    }
    at = load<u32>(item);
  }
  if (gatherUsed != start) record(R_WRITE, index, <u32>gatherBase + start, gatherUsed - start, 0, 0, 0, 0);
  return true;
}

/** The gather arena is full in the middle of a destination: hand over what is there, go on at this item next time. */
function pauseAt(index: u32, slot: Slot, at: u32, start: u32): bool {
  if (gatherUsed != start) record(R_WRITE, index, <u32>gatherBase + start, gatherUsed - start, 0, 0, 0, 0);
  slot.itemsHead = at;
  return false;
}

/** A closing connection takes its output of this call with it. */
export function discardOutput(slot: Slot): void {
  // The slot may stand in `touched`: an empty list is gathered to nothing.
  slot.itemsHead = 0;
  slot.itemsTail = 0;
}
