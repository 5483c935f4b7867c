// The fixed memory of a call: input region, records, items, templates, gather and store arena. All of it is void when
// the next call begins (resume() keeps what it continues). Allocated once, by init().
import {
  GATHER_SIZE,
  H_RECORDS,
  H_STORE_USED,
  INPUT_SIZE,
  ITEM_CAPACITY,
  NO_OFFSET,
  RECORD_CAPACITY,
  RECORD_WORDS,
  SLACK,
  STORE_SIZE,
  TEMPLATE_SIZE,
} from "../../abi";
import { setWord } from "../../codec/header";
import { alloc } from "../../memory/heap";

export let inputBase: usize = 0;
export let recordBase: usize = 0;
export let itemBase: usize = 0;
export let templateBase: usize = 0;
export let gatherBase: usize = 0;
export let storeBase: usize = 0;

export let recordCount: u32 = 0;
export let storeUsed: u32 = 0;
export let templateUsed: u32 = 0;
/** Number of what the host gets to see at once: a call up to its first stop, or from a resume() to the next. Never 0. */
export let part: u32 = 0;

/** Allocates the arenas. False when memory cannot grow. */
export function initArenas(): bool {
  inputBase = alloc(INPUT_SIZE + SLACK);
  recordBase = alloc(RECORD_CAPACITY * RECORD_WORDS * 4 + SLACK);
  itemBase = alloc(ITEM_CAPACITY * 16 + SLACK);
  templateBase = alloc(TEMPLATE_SIZE + SLACK);
  gatherBase = alloc(GATHER_SIZE + SLACK);
  storeBase = alloc(STORE_SIZE + SLACK);
  return inputBase != 0 && recordBase != 0 && itemBase != 0 && templateBase != 0 && gatherBase != 0 && storeBase != 0;
}

/** What was put out before this has been handed to the host. */
export function nextPart(): void {
  part++;
  if (part == 0) part = 1;
}

/** The host has read the records: the list starts anew. */
export function resetRecords(): void {
  recordCount = 0;
  storeUsed = 0;
}

export function publishCounts(): void {
  setWord(H_RECORDS, recordCount);
  setWord(H_STORE_USED, storeUsed);
}

// @ts-ignore: decorator
@inline
export function recordsLeft(): u32 {
  return RECORD_CAPACITY - recordCount;
}

export function record(kind: u32, slot: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32): void {
  assert(recordCount < RECORD_CAPACITY);
  const at = recordBase + <usize>(recordCount++) * (RECORD_WORDS * 4);
  store<u32>(at, kind);
  store<u32>(at, slot, 4);
  store<u32>(at, a, 8);
  store<u32>(at, b, 12);
  store<u32>(at, c, 16);
  store<u32>(at, d, 20);
  store<u32>(at, e, 24);
  store<u32>(at, f, 28);
}

export function resetTemplates(): void {
  templateUsed = 0;
}

// @ts-ignore: decorator
@inline
export function templateLeft(): u32 {
  return TEMPLATE_SIZE - templateUsed;
}

/** Address of `size` bytes in the template arena; the caller has checked templateLeft(). */
export function takeTemplate(size: u32): usize {
  assert(templateUsed + size <= TEMPLATE_SIZE);
  const at = templateBase + templateUsed;
  templateUsed += (size + 7) & ~7;
  return at;
}

/** Offset of `size` bytes in the store arena, NO_OFFSET where they do not fit. */
export function takeStore(size: u32): u32 {
  const rounded = (size + 7) & ~7;
  if (storeUsed + rounded > STORE_SIZE) return NO_OFFSET;
  const at = storeUsed;
  storeUsed += rounded;
  return at;
}
