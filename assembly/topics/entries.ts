// The hash table under the topic table: 32-byte entries, two per cache line, linear probing, at most 5/8 full.
// Grows and shrinks a few slots at a time: every advance() zeroes a piece of the next table or, when that is done,
// moves a stretch of the old one. Knows keys and entries, nothing of topics.
//
//    0          8        12         16               24               32
//   [ key1:u64 | key2:u32 | flags:u32 | subscribers:u64 | '#' list:u64 ]      lists: see list.ts
//
//   flags  31      30 29       28 27       26 ... 0
//         [ plus | subs kind | hash kind | children ]      plus: one of the children is '+'
//
// Invariants:
// - key1 is 0 in a free slot and nowhere else;
// - while a table is being moved a key lives in exactly one of two tables, known by its home slot in the old one: those
//   from `start` on, `moved` slots around the ring, are in the new table. The boundary is always a free slot, so no
//   probe sequence in the old table crosses it.
import { alloc, free } from "../memory/heap";

export const ENTRY_LOG2: usize = 5;
export const E_KEY2: usize = 8;
export const E_FLAGS: usize = 12;
export const E_SUBS: usize = 16;
export const E_HASH: usize = 24;
export const HAS_PLUS: u32 = 1 << 31;
export const SUBS_SHIFT: u32 = 29;
export const HASH_SHIFT: u32 = 27;
export const KIND_MASK: u32 = 3;
export const CHILDREN_MASK: u32 = (1 << 27) - 1;
const MIN_SLOTS: u32 = 256;
const ZERO_BYTES: usize = 4096; // per step
const MOVE_SLOTS: u32 = 16; // per step

/** The entry of the empty path. It is not in the table, cannot be found by a key and never moves. */
export const ROOT: usize = memory.data(32, 16);
const NO_TABLE: usize = memory.data(32, 16); // one free slot: lookups need no test for an empty table
let table: usize = NO_TABLE;
let mask: u32 = 0;
let used: u32 = 0;
// The table being prepared, before anything is moved
let next: usize = 0;
let nextMask: u32 = 0;
let zeroed: usize = 0;
// The table being emptied
let old: usize = 0;
let oldMask: u32 = 0;
let start: u32 = 0;
let moved: u32 = 0;

// @ts-ignore: decorator
@inline
function KEY1(key: u64): u64 {
  return key + u64(key == 0);
}

// @ts-ignore: decorator
@inline
function SLOT(base: usize, index: u32): usize {
  assert(base != 0 && index <= max(mask, oldMask));
  return base + (<usize>index << ENTRY_LOG2);
}

// @ts-ignore: decorator
@inline
function BYTES(slotMask: u32): u32 {
  return (slotMask + 1) << <u32>ENTRY_LOG2;
}

// @ts-ignore: decorator
@inline
function IN_OLD(key1: u64): bool {
  return old != 0 && ((<u32>key1 - start) & oldMask) >= moved;
}

// @ts-ignore: decorator
@inline
function COPY_ENTRY(target: usize, source: usize): void {
  v128.store(target, v128.load(source));
  v128.store(target, v128.load(source, 16), 16);
}

/** Address of the entry with this key, or 0. */
// @ts-ignore: decorator
@inline
export function findEntry(key1: u64, key2: u32): usize {
  key1 = KEY1(key1);
  let base = table;
  let m = mask;
  if (IN_OLD(key1)) {
    base = old;
    m = oldMask;
  }
  let at = <u32>key1 & m;
  while (true) {
    const entry = SLOT(base, at);
    const key = load<u64>(entry);
    if (key == key1 && load<u32>(entry, E_KEY2) == key2) return entry;
    if (key == 0) return 0;
    at = (at + 1) & m;
  }
}

/** A new entry, all zero but its key, which must not be in the table. reserveEntries() has made room. */
export function insertEntry(key1: u64, key2: u32): usize {
  assert(findEntry(key1, key2) == 0);
  assert(used <= mask); // a free slot ends every search
  key1 = KEY1(key1);
  const inOld = IN_OLD(key1);
  const entry = freeSlot(inOld ? old : table, inOld ? oldMask : mask, key1);
  store<u64>(entry, key1);
  store<u32>(entry, key2, E_KEY2);
  store<u32>(entry, 0, E_FLAGS);
  store<u64>(entry, 0, E_SUBS);
  store<u64>(entry, 0, E_HASH);
  used++;
  return entry;
}

function freeSlot(base: usize, m: u32, key1: u64): usize {
  let at = <u32>key1 & m;
  while (load<u64>(SLOT(base, at)) != 0) at = (at + 1) & m;
  return SLOT(base, at);
}

/** Frees an entry. Others may move: every address of an entry is void afterwards. */
export function removeEntry(entry: usize): void {
  const inOld = old != 0 && entry >= old && entry < old + BYTES(oldMask);
  const base = inOld ? old : table;
  const m = inOld ? oldMask : mask;
  assert(entry >= base && entry < base + BYTES(m) && load<u64>(entry) != 0);
  let hole = <u32>((entry - base) >>> ENTRY_LOG2);
  let at = hole;
  while (true) {
    at = (at + 1) & m;
    const candidate = SLOT(base, at);
    const key = load<u64>(candidate);
    if (key == 0) break;
    if (((at - <u32>key) & m) >= ((at - hole) & m)) {
      COPY_ENTRY(SLOT(base, hole), candidate);
      hole = at;
    }
  }
  store<u64>(SLOT(base, hole), 0);
  used--;
}

/** Makes sure of room for `count` insertions; entries may move. False: no memory. */
export function reserveEntries(count: u32): bool {
  if (table == NO_TABLE) {
    const first = alloc(BYTES(MIN_SLOTS - 1));
    if (first == 0) return false;
    table = first;
    mask = MIN_SLOTS - 1;
    memory.fill(table, 0, BYTES(mask));
  }
  while (next == 0 && old == 0 && (used + count) * 8 > (mask + 1) * 5) {
    if (!prepare((mask + 1) << 1)) break;
    // A small table is replaced at once: one filter may bring more entries than it has slots.
    if (nextMask < 4096) finish();
  }
  return (used + count) * 8 <= (mask + 1) * 7;
}

/** Gives memory back after removals. */
export function trimEntries(): void {
  if (used == 0 && table != NO_TABLE) {
    free(table, BYTES(mask));
    if (next) free(next, BYTES(nextMask));
    if (old) free(old, BYTES(oldMask));
    table = NO_TABLE;
    mask = 0;
    next = 0;
    old = 0;
  } else if (next == 0 && old == 0 && mask >= MIN_SLOTS && used * 8 < mask) {
    prepare((mask + 1) >>> 1);
  }
}

function prepare(slots: u32): bool {
  if (slots > 1 << 26) return false;
  next = alloc(slots << <u32>ENTRY_LOG2);
  if (next == 0) return false;
  nextMask = slots - 1;
  zeroed = 0;
  return true;
}

function finish(): void {
  while (next != 0 || old != 0) step();
}

/** Does a bounded piece of pending work, `count` times; entries may move. */
export function advance(count: u32): void {
  while (count-- != 0 && (next != 0 || old != 0)) step();
}

function step(): void {
  if (old != 0) {
    moveSome();
    return;
  }
  const bytes = <usize>BYTES(nextMask);
  const piece = min(ZERO_BYTES, bytes - zeroed);
  memory.fill(next + zeroed, 0, piece);
  zeroed += piece;
  if (zeroed < bytes) return;
  old = table;
  oldMask = mask;
  table = next;
  mask = nextMask;
  next = 0;
  moved = 0;
  start = 0;
  // Begin behind a free slot, so that no run of entries is cut.
  while (load<u64>(SLOT(old, (start - 1) & oldMask)) != 0) start++;
}

function moveSome(): void {
  const size = oldMask + 1;
  let budget = MOVE_SLOTS;
  let key: u64 = 0;
  do {
    key = moveSlot(SLOT(old, (start + moved) & oldMask));
    moved++;
    if (budget) budget--;
  } while (moved < size && (budget != 0 || key != 0));
  if (moved < size) return;
  // Entries inserted while moving may have run over the end of the ring.
  let at = start;
  while (moveSlot(SLOT(old, at)) != 0) at = (at + 1) & oldMask;
  free(old, BYTES(oldMask));
  old = 0;
}

function moveSlot(slot: usize): u64 {
  const key = load<u64>(slot);
  if (key != 0) {
    COPY_ENTRY(freeSlot(table, mask, key), slot);
    store<u64>(slot, 0);
  }
  return key;
}

export function entryCount(): u32 {
  return used;
}

/** Bytes of the table, of the one that follows it and of the one it replaces. */
export function entryBytes(): u32 {
  return (table != NO_TABLE ? BYTES(mask) : 0) + (next ? BYTES(nextMask) : 0) + (old ? BYTES(oldMask) : 0);
}
