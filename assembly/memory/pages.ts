// Runs of 64 KiB pages: the ground under the heap, and the home of every block above 32 KiB.
// Neighbouring free runs merge, so a table that doubles leaves its old halves to everybody else. Grows the memory,
// hence only ever called while no view of it may be held.
//
// One descriptor of 16 bytes per page, 1 MiB of them in front of the heap (untouched ones cost no real memory):
//
//   byte 0        1       2        4                  6        8            12
//   [ state:u8 | class:u8 | used:u16 | freeUnit:u16 | bump:u16 | next:u32 | prev:u32 ]   PAGE_SLAB (heap.ts)
//   [ state:u8 |    0     |    0     |      length:u32        | next:u32 | prev:u32 ]   PAGE_FREE, PAGE_USED
//
// Invariants:
// - first and last page of every run carry its state and length, pages between them are never looked at;
// - no two free runs touch;
// - next and prev are page numbers, 0 ends a list (page 0 belongs to static data).

export const PAGE_LOG2: u32 = 16;
export const PAGE_FREE: u8 = 1;
export const PAGE_USED: u8 = 2;
export const PAGE_SLAB: u8 = 3;
const DESCRIPTOR_LOG2: u32 = 4;
const MAX_PAGES: u32 = 65536;
const BINS: u32 = 17; // free runs by floor(log2(length))
const SCAN_LIMIT: u32 = 32; // runs looked at in the one bin where some are too short: bounds the time of an alloc
const GROW_MIN: u32 = 16; // pages: growing detaches every view of the memory, so not for a single page
const GROW_MAX: u32 = 512;

const binHeads: usize = memory.data(17 * 4, 4);
let descriptors: usize = 0;
let firstPage: u32 = 0;
let endPage: u32 = 0;

// @ts-ignore: decorator
@inline
export function DESCRIPTOR(page: u32): usize {
  assert(page >= firstPage && page < endPage);
  return descriptors + (<usize>page << DESCRIPTOR_LOG2);
}

// @ts-ignore: decorator
@inline
function STATE(page: u32): u8 {
  return load<u8>(descriptors + (<usize>page << DESCRIPTOR_LOG2));
}

// @ts-ignore: decorator
@inline
function BIN(length: u32): usize {
  const bin = <u32>31 - clz(length);
  assert(length > 0 && bin < BINS);
  return binHeads + (<usize>bin << 2);
}

function setup(): bool {
  const page = <u32>((__heap_base + 0xffff) >>> PAGE_LOG2);
  const table = (MAX_PAGES << DESCRIPTOR_LOG2) >>> PAGE_LOG2;
  if (page + table > <u32>memory.size() && memory.grow(<i32>(page + table) - memory.size()) < 0) return false;
  descriptors = <usize>page << PAGE_LOG2;
  firstPage = page + table;
  endPage = <u32>memory.size();
  if (endPage > firstPage) putFree(firstPage, endPage - firstPage);
  return true;
}

function writeRun(page: u32, length: u32, state: u8): void {
  const head = DESCRIPTOR(page);
  const tail = DESCRIPTOR(page + length - 1);
  store<u32>(head, <u32>state);
  store<u32>(head, length, 4);
  store<u32>(tail, <u32>state);
  store<u32>(tail, length, 4);
}

function putFree(page: u32, length: u32): void {
  writeRun(page, length, PAGE_FREE);
  const bin = BIN(length);
  linkPage(bin, page);
}

/** Puts a page (or the first page of a run) at the front of the list whose head stands at `list`. */
export function linkPage(list: usize, page: u32): void {
  const next = load<u32>(list);
  const descriptor = DESCRIPTOR(page);
  store<u32>(descriptor, next, 8);
  store<u32>(descriptor, 0, 12);
  if (next) store<u32>(DESCRIPTOR(next), page, 12);
  store<u32>(list, page);
}

export function unlinkPage(list: usize, page: u32): void {
  const descriptor = DESCRIPTOR(page);
  const next = load<u32>(descriptor, 8);
  const prev = load<u32>(descriptor, 12);
  if (next) store<u32>(DESCRIPTOR(next), prev, 12);
  if (prev) store<u32>(DESCRIPTOR(prev), next, 8);
  else store<u32>(list, next);
}

function findRun(count: u32): u32 {
  let bin = <u32>31 - clz(count);
  let page = load<u32>(binHeads + (<usize>bin << 2));
  let seen: u32 = 0;
  while (page != 0 && seen < SCAN_LIMIT) {
    if (load<u32>(DESCRIPTOR(page), 4) >= count) return page;
    page = load<u32>(DESCRIPTOR(page), 8);
    seen++;
  }
  while (++bin < BINS) {
    page = load<u32>(binHeads + (<usize>bin << 2));
    if (page) return page;
  }
  return 0;
}

function grow(count: u32): bool {
  let need = count;
  // A free run at the end of memory becomes longer instead of being left behind.
  if (endPage > firstPage && STATE(endPage - 1) == PAGE_FREE) {
    const tail = load<u32>(DESCRIPTOR(endPage - 1), 4);
    if (tail < need) need -= tail;
  }
  const old = endPage;
  let step = max(need, max(GROW_MIN, min(GROW_MAX, (endPage - firstPage) >>> 3)));
  if (memory.grow(<i32>step) < 0) {
    step = need;
    if (memory.grow(<i32>step) < 0) return false;
  }
  endPage = <u32>memory.size();
  assert(endPage == old + step); // nobody else grows the memory
  freePages(old, step);
  return true;
}

/** A run of `count` pages, or 0 when the memory cannot grow any more. The caller sets the descriptor of a slab. */
export function allocPages(count: u32): u32 {
  assert(count > 0);
  if (descriptors == 0 && !setup()) return 0;
  if (count > MAX_PAGES) return 0;
  let page = findRun(count);
  if (page == 0) {
    if (!grow(count)) return 0;
    page = findRun(count);
    if (page == 0) return 0;
  }
  const length = load<u32>(DESCRIPTOR(page), 4);
  unlinkPage(BIN(length), page);
  if (length > count) putFree(page + count, length - count);
  writeRun(page, count, PAGE_USED);
  return page;
}

export function freePages(page: u32, count: u32): void {
  assert(page >= firstPage && count > 0 && page + count <= endPage);
  if (page > firstPage && STATE(page - 1) == PAGE_FREE) {
    const length = load<u32>(DESCRIPTOR(page - 1), 4);
    page -= length;
    count += length;
    unlinkPage(BIN(length), page);
  }
  const next = page + count;
  if (next < endPage && STATE(next) == PAGE_FREE) {
    const length = load<u32>(DESCRIPTOR(next), 4);
    unlinkPage(BIN(length), next);
    count += length;
  }
  putFree(page, count);
}

/** Bytes of memory the heap owns, used or not. */
export function heapTotal(): u32 {
  return (endPage - firstPage) << PAGE_LOG2;
}
