// Samples: of messages with VERDICT_SAMPLE the host gets copies of so many a second, of each slot and of all together. What
// is beyond is counted, so that no message costs the host anything then.
//
// An entry, 32 bytes, in pages that are there where a slot has a number:
//    0: u32 samples a second   4: u32 when this second began, ms   8: u32 samples in it   12: u32 skipped since takeSkipped()
//   16: u32 when the host was told last of a message that was not sent, ms: of each UNSENT_*   28: unused
import { R_SKIPPED, R_TAP, SLOT_PAGE_LOG2 } from "../../abi";
import { alloc, grow } from "../../memory/heap";
import { record } from "../call/arenas";
import { storeMessage } from "../call/message";

const ENTRY_LOG2: u32 = 5;
const TOLD_AT: usize = 12; // of UNSENT_* number 0, which there is not
const PAGE: u32 = 1 << (SLOT_PAGE_LOG2 + ENTRY_LOG2);
const PAGE_MASK: u32 = (1 << SLOT_PAGE_LOG2) - 1;
const WINDOW: u32 = 1000;

let directory: usize = 0;
let directoryCap: u32 = 0;
let allLimit: u32 = 0xffffffff;
let allSince: u32 = 0;
let allUsed: u32 = 0;

// @ts-ignore: decorator
@inline
function pageOf(index: u32): usize {
  const page = index >> SLOT_PAGE_LOG2;
  return page < directoryCap ? load<usize>(directory + ((<usize>page) << 2)) : 0;
}

// @ts-ignore: decorator
@inline
function entryIn(page: usize, index: u32): usize {
  return page + ((<usize>(index & PAGE_MASK)) << ENTRY_LOG2);
}

/** Samples a second of all slots together. */
export function setSampleLimit(perSecond: u32): void {
  allLimit = perSecond;
}

/** Samples a second of one slot; what it was before is forgotten. False: no memory. */
export function setSamples(index: u32, perSecond: u32): bool {
  let page = pageOf(index);
  if (!page) {
    if (perSecond == 0) return true;
    page = addPage(index >> SLOT_PAGE_LOG2);
    if (!page) return false;
  }
  const entry = entryIn(page, index);
  memory.fill(entry, 0, 1 << ENTRY_LOG2);
  store<u32>(entry, perSecond);
  return true;
}

/** How many messages were not sampled since this was asked last. */
export function takeSkipped(index: u32): u32 {
  const page = pageOf(index);
  if (!page) return 0;
  const entry = entryIn(page, index);
  const skipped = load<u32>(entry, 12);
  store<u32>(entry, 0, 12);
  return skipped;
}

/** A copy of the present message for the host, if the second has room for it. `refusal`: its reason code, 0: none. */
export function sample(index: u32, now: u32, refusal: u32): void {
  const page = pageOf(index);
  if (!page) return;
  const entry = entryIn(page, index);
  const limit = load<u32>(entry);
  if (limit == 0) return;
  // A clock that was put back makes these differences huge: a second begins.
  if (now - load<u32>(entry, 4) >= WINDOW) {
    store<u32>(entry, now, 4);
    store<u32>(entry, 0, 8);
  }
  const used = load<u32>(entry, 8);
  if (used < limit && roomInAll(now)) {
    store<u32>(entry, used + 1, 8);
    record(R_TAP, index, storeMessage(), refusal, 0, 0, 0, index);
    return;
  }
  const skipped = load<u32>(entry, 12);
  store<u32>(entry, skipped + 1, 12);
  if (skipped == 0) record(R_SKIPPED, index, 0, 0, 0, 0, 0, 0);
}

/** Is the host to be told that a message to this slot was dropped? Once a second for each reason. */
export function mayTellUnsent(index: u32, now: u32, why: u32): bool {
  const page = pageOf(index);
  if (!page) return false;
  const entry = entryIn(page, index);
  if (load<u32>(entry) == 0) return false;
  const told = entry + TOLD_AT + ((<usize>why) << 2);
  const last = load<u32>(told);
  if (last != 0 && now - last < WINDOW) return false;
  store<u32>(told, now);
  return true;
}

function roomInAll(now: u32): bool {
  if (now - allSince >= WINDOW) {
    allSince = now;
    allUsed = 0;
  }
  if (allUsed >= allLimit) return false;
  allUsed++;
  return true;
}

function addPage(number: u32): usize {
  if (number >= directoryCap) {
    let cap: u32 = directoryCap ? directoryCap * 2 : 64;
    while (cap <= number) cap *= 2;
    const grown = grow(directory, directoryCap * 4, cap * 4);
    if (!grown) return 0;
    directory = grown;
    directoryCap = cap;
  }
  const page = alloc(PAGE);
  if (!page) return 0;
  memory.fill(page, 0, PAGE);
  store<usize>(directory + ((<usize>number) << 2), page);
  return page;
}
