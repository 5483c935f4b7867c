// Lists of subscribers. An item is 8 bytes, {u32 slot or group, u32 options}; a list stands in an 8-byte field of a
// table entry, and its kind, in two bits of the entry's flags:
//
//   LIST_NONE     field unused
//   LIST_ONE      [ slot:u32 | options:u32 ]                     the item itself
//   LIST_BLOCK    [ block:u32 | log2(capacity):u5 count:u27 ]
//
// Block: capacity items, in no order; from capacity 64 on followed by an index of 2 * capacity words, open addressing
// from slot to position + 1 (0: free), so that replacing and removing take the same time in a list of a million.
import { alloc, free } from "../memory/heap";

export const LIST_NONE: u32 = 0;
export const LIST_ONE: u32 = 1;
export const LIST_BLOCK: u32 = 2;
export const LIST_NEW: i32 = 0;
export const LIST_REPLACED: i32 = 1;
export const LIST_NO_MEMORY: i32 = -1;
const COUNT_MASK: u32 = (1 << 27) - 1;
const CAPACITY_SHIFT: u32 = 27;
const INDEX_LOG2: u32 = 6; // below, reading all slots costs less than an index
const MAX_LOG2: u32 = 26;

/** Kind of the list after the last listPut() or listRemove(). */
export let listKind: u32 = LIST_NONE;
/** Bytes of all blocks. */
export let listBytes: u32 = 0;

// @ts-ignore: decorator
@inline
function BLOCK_BYTES(log2: u32): u32 {
  return (log2 >= INDEX_LOG2 ? 16 : 8) << log2;
}

// @ts-ignore: decorator
@inline
export function LIST_COUNT(field: usize): u32 {
  return load<u32>(field, 4) & COUNT_MASK;
}

// @ts-ignore: decorator
@inline
function ITEM(block: usize, position: u32): usize {
  assert(block != 0 && position < 1 << MAX_LOG2);
  return block + (<usize>position << 3);
}

/** Where the search for a slot begins in an index of 2^(log2 + 1) words. */
// @ts-ignore: decorator
@inline
function HOME(slot: u32, log2: u32): u32 {
  return (slot * 0x9e3779b1) >>> (31 - log2);
}

/** Address of the index word that names `slot`, or of the free word where it belongs. */
function seek(block: usize, log2: u32, slot: u32): usize {
  const index = block + (<usize>8 << log2);
  const mask = (2 << log2) - 1;
  let at = HOME(slot, log2);
  while (true) {
    const word = index + (<usize>at << 2);
    const position = load<u32>(word);
    if (position == 0 || load<u32>(ITEM(block, position - 1)) == slot) return word;
    at = (at + 1) & mask;
  }
}

/** Frees an index word and moves up those behind it that would no longer be found. */
function dropIndex(block: usize, log2: u32, word: usize): void {
  const index = block + (<usize>8 << log2);
  const mask = (2 << log2) - 1;
  let hole = <u32>((word - index) >>> 2);
  let at = hole;
  while (true) {
    at = (at + 1) & mask;
    const position = load<u32>(index + (<usize>at << 2));
    if (position == 0) break;
    const home = HOME(load<u32>(ITEM(block, position - 1)), log2);
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      store<u32>(index + (<usize>hole << 2), position);
      hole = at;
    }
  }
  store<u32>(index + (<usize>hole << 2), 0);
}

/** Position of a slot's item, or -1. */
function find(block: usize, log2: u32, count: u32, slot: u32): i32 {
  if (log2 >= INDEX_LOG2) return <i32>load<u32>(seek(block, log2, slot)) - 1;
  for (let i: u32 = 0; i < count; i++) {
    if (load<u32>(ITEM(block, i)) == slot) return <i32>i;
  }
  return -1;
}

/** A block of 2^log2 items with the first `count` items of `source`, indexed if it has to be. 0: no memory. */
function makeBlock(source: usize, count: u32, log2: u32): usize {
  assert(count <= 1 << log2);
  const block = alloc(BLOCK_BYTES(log2));
  if (block == 0) return 0;
  listBytes += BLOCK_BYTES(log2);
  memory.copy(block, source, <usize>count << 3);
  if (log2 >= INDEX_LOG2) {
    memory.fill(block + (<usize>8 << log2), 0, <usize>8 << log2);
    for (let i: u32 = 0; i < count; i++) store<u32>(seek(block, log2, load<u32>(ITEM(block, i))), i + 1);
  }
  return block;
}

export function freeBlock(block: usize, log2: u32): void {
  listBytes -= BLOCK_BYTES(log2);
  free(block, BLOCK_BYTES(log2));
}

/** Adds a slot or replaces its options. LIST_NEW, LIST_REPLACED, or LIST_NO_MEMORY with nothing changed. */
export function listPut(field: usize, kind: u32, slot: u32, options: u32): i32 {
  listKind = kind;
  if (kind == LIST_NONE) {
    store<u32>(field, slot);
    store<u32>(field, options, 4);
    listKind = LIST_ONE;
    return LIST_NEW;
  }
  if (kind == LIST_ONE) {
    if (load<u32>(field) == slot) {
      store<u32>(field, options, 4);
      return LIST_REPLACED;
    }
    const pair = makeBlock(field, 1, 1);
    if (pair == 0) return LIST_NO_MEMORY;
    store<u32>(pair, slot, 8);
    store<u32>(pair, options, 12);
    store<u32>(field, <u32>pair);
    store<u32>(field, (1 << CAPACITY_SHIFT) | 2, 4);
    listKind = LIST_BLOCK;
    return LIST_NEW;
  }
  let block = <usize>load<u32>(field);
  const head = load<u32>(field, 4);
  const count = head & COUNT_MASK;
  assert(kind == LIST_BLOCK && block != 0 && count > 0 && count <= 1 << (head >>> CAPACITY_SHIFT));
  let log2 = head >>> CAPACITY_SHIFT;
  const found = find(block, log2, count, slot);
  if (found >= 0) {
    store<u32>(ITEM(block, found), options, 4);
    return LIST_REPLACED;
  }
  if (count == 1 << log2) {
    if (log2 == MAX_LOG2) return LIST_NO_MEMORY;
    const bigger = makeBlock(block, count, log2 + 1);
    if (bigger == 0) return LIST_NO_MEMORY;
    freeBlock(block, log2);
    block = bigger;
    log2++;
    store<u32>(field, <u32>block);
  }
  if (log2 >= INDEX_LOG2) store<u32>(seek(block, log2, slot), count + 1);
  store<u32>(ITEM(block, count), slot);
  store<u32>(ITEM(block, count), options, 4);
  store<u32>(field, (log2 << CAPACITY_SHIFT) | (count + 1), 4);
  return LIST_NEW;
}

/** Removes a slot; false: it was not there. */
export function listRemove(field: usize, kind: u32, slot: u32): bool {
  listKind = kind;
  if (kind == LIST_NONE) return false;
  if (kind == LIST_ONE) {
    if (load<u32>(field) != slot) return false;
    listKind = LIST_NONE;
    store<u64>(field, 0);
    return true;
  }
  const block = <usize>load<u32>(field);
  const head = load<u32>(field, 4);
  const log2 = head >>> CAPACITY_SHIFT;
  const last = (head & COUNT_MASK) - 1;
  assert(kind == LIST_BLOCK && block != 0 && last > 0 && last < 1 << log2);
  const found = find(block, log2, last + 1, slot);
  if (found < 0) return false;
  if (log2 >= INDEX_LOG2) {
    dropIndex(block, log2, seek(block, log2, slot));
    if (<u32>found != last) store<u32>(seek(block, log2, load<u32>(ITEM(block, last))), <u32>found + 1);
  }
  store<u64>(ITEM(block, found), load<u64>(ITEM(block, last)));
  if (last == 1) {
    store<u64>(field, load<u64>(block));
    freeBlock(block, log2);
    listKind = LIST_ONE;
    return true;
  }
  store<u32>(field, (log2 << CAPACITY_SHIFT) | last, 4);
  // Half the capacity at a quarter full: room on both sides, so no list swings between two sizes.
  if (last <= (1 << log2) >>> 2) {
    const smaller = makeBlock(block, last, log2 - 1);
    if (smaller) {
      freeBlock(block, log2);
      store<u32>(field, <u32>smaller);
      store<u32>(field, ((log2 - 1) << CAPACITY_SHIFT) | last, 4);
    }
  }
  return true;
}
