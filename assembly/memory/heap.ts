// The heap of the core: blocks that are freed with the size they were asked for. Power-of-two classes of 16 B to
// 32 KiB are cut from pages of one class each, and a page whose last block is freed goes back to pages.ts; bigger
// blocks are runs of pages. Must not be used on the routing path: alloc() may grow the memory.
import { allocPages, DESCRIPTOR, freePages, linkPage, PAGE_LOG2, PAGE_SLAB, PAGE_USED, unlinkPage } from "./pages";

const MIN_LOG2: u32 = 4; // also the alignment of every block
const MAX_LOG2: u32 = 15; // two blocks a page; above, blocks are whole pages
const NO_UNIT: u16 = 0xffff;
const PAGE_UNITS: u32 = 1 << (PAGE_LOG2 - MIN_LOG2); // a page in units of 16 B: offsets fit u16

const partial: usize = memory.data(16 * 4, 4); // per class: first page with a free block
let used: u32 = 0;

// @ts-ignore: decorator
@inline
function CLASS(size: u32): u32 {
  return size <= 16 ? MIN_LOG2 : 32 - clz(size - 1);
}

// @ts-ignore: decorator
@inline
function PAGES(size: u32): u32 {
  return (size >>> PAGE_LOG2) + <u32>((size & 0xffff) != 0);
}

/** A block of at least `size` bytes, aligned to 16, contents undefined; 0 when memory cannot grow. */
export function alloc(size: u32): usize {
  if (size > 1 << MAX_LOG2) {
    const count = PAGES(size);
    const run = allocPages(count);
    if (run == 0) return 0;
    used += count << PAGE_LOG2;
    return <usize>run << PAGE_LOG2;
  }
  const log2 = CLASS(size);
  const list = partial + (<usize>log2 << 2);
  let page = load<u32>(list);
  if (page == 0) {
    page = allocPages(1);
    if (page == 0) return 0;
    const fresh = DESCRIPTOR(page);
    store<u8>(fresh, PAGE_SLAB);
    store<u8>(fresh, <u8>log2, 1);
    store<u16>(fresh, 0, 2);
    store<u16>(fresh, NO_UNIT, 4);
    store<u16>(fresh, 0, 6);
    linkPage(list, page);
  }
  const descriptor = DESCRIPTOR(page);
  assert(load<u8>(descriptor) == PAGE_SLAB && load<u8>(descriptor, 1) == <u8>log2);
  const step = 1 << (log2 - MIN_LOG2);
  let bump = <u32>load<u16>(descriptor, 6);
  let unit = <u32>load<u16>(descriptor, 4);
  let next = <u32>NO_UNIT;
  if (unit != NO_UNIT) {
    next = <u32>load<u16>((<usize>page << PAGE_LOG2) + (<usize>unit << MIN_LOG2));
    store<u16>(descriptor, <u16>next, 4);
  } else {
    unit = bump;
    bump += step;
    store<u16>(descriptor, <u16>bump, 6);
  }
  assert(unit + step <= PAGE_UNITS);
  store<u16>(descriptor, load<u16>(descriptor, 2) + 1, 2);
  if (next == NO_UNIT && bump + step > PAGE_UNITS) unlinkPage(list, page);
  used += 1 << log2;
  return (<usize>page << PAGE_LOG2) + (<usize>unit << MIN_LOG2);
}

/** Gives back a block; `size` is what it was allocated with. */
export function free(ptr: usize, size: u32): void {
  const page = <u32>(ptr >>> PAGE_LOG2);
  if (size > 1 << MAX_LOG2) {
    const count = PAGES(size);
    assert((ptr & 0xffff) == 0);
    assert(load<u8>(DESCRIPTOR(page)) == PAGE_USED && load<u32>(DESCRIPTOR(page), 4) == count);
    used -= count << PAGE_LOG2;
    freePages(page, count);
    return;
  }
  const log2 = CLASS(size);
  const list = partial + (<usize>log2 << 2);
  const descriptor = DESCRIPTOR(page);
  const step = 1 << (log2 - MIN_LOG2);
  assert(load<u8>(descriptor) == PAGE_SLAB && load<u8>(descriptor, 1) == <u8>log2);
  assert((ptr & ((1 << log2) - 1)) == 0 && load<u16>(descriptor, 2) > 0);
  const unit = load<u16>(descriptor, 4);
  const full = unit == NO_UNIT && <u32>load<u16>(descriptor, 6) + step > PAGE_UNITS;
  const left = load<u16>(descriptor, 2) - 1;
  used -= 1 << log2;
  if (left == 0) {
    if (!full) unlinkPage(list, page);
    freePages(page, 1);
    return;
  }
  store<u16>(descriptor, left, 2);
  store<u16>(ptr, unit);
  store<u16>(descriptor, <u16>((ptr & 0xffff) >>> MIN_LOG2), 4);
  if (full) linkPage(list, page);
}

/**
 * A larger block that begins with what `ptr` held, the rest 0; `ptr` is given back, unless `size` is 0: there was none yet.
 * 0: memory is short, and `ptr` stays.
 */
export function grow(ptr: usize, size: u32, larger: u32): usize {
  const grown = alloc(larger);
  if (!grown) return 0;
  if (size) {
    memory.copy(grown, ptr, size);
    free(ptr, size);
  }
  memory.fill(grown + size, 0, larger - size);
  return grown;
}

/** Bytes handed out, rounded up to their classes. */
export function heapUsed(): u32 {
  return used;
}

export { heapTotal } from "./pages";
