// How often a message may be pushed to a slot [SESS-3], and to all slots that say so together [LIMIT-3]. What is over is for
// the caller to drop or to keep. A slot has a meter of its own, and one for each name it speaks for: two levels of the topic,
// one behind the other, decide whose message it is [GW-4].
//
// At offset PACE_AT of the slot's block of rates, 28 bytes:
//    0: u32 limit      4: u32 window, ms    8: u32 1: counts for all together   12: u32 own meter
//   16: u32 table      20: u32 names in it  24: u32 capacity
// Table: open addressing, 16 bytes:   0: u64 hash of the two levels (0: free)   8: u32 meter   12: unused
import { NO_OFFSET, R_PACED, R_UNSENT, STORE_SIZE, UNSENT_RATE, UNSENT_RATE_OF_ALL } from "../../abi";
import { alloc, free } from "../../memory/heap";
import { levelCount, LEVEL_SIZE, LEVELS, scanTopicName } from "../../topics/levels";
import { record, storeUsed } from "../call/arenas";
import { runNow } from "../call/call";
import { mAnswered, mUnmetered, storeBound, storeMessage } from "../call/message";
import { freeMeter, meterCount, meterWait, newMeter } from "./meter";
import { mayTellUnsent } from "./samples";
import { Slot } from "../slots/slots";

export const PACE_AT: usize = 36;
const PACE: u32 = 28;
const ENTRY_LOG2: u32 = 4;
const FIRST_CAPACITY: u32 = 8;
/** Names stand among the first levels of a topic: `/ext/rrpc/{id}/sys/{pk}/{dn}/…`. */
const LAST_PAIR: u32 = 6;

let allLimit: u32 = 0;
let allWindow: u32 = 0;
let allMeter: usize = 0;

/** Meter of the message asked about last, 0: none. */
let chosen: usize = 0;
/** ms until that message may pass. */
let wait: u32 = 0;

/** What may be pushed to all slots that count for it; 0: no limit. The same numbers again change nothing. False: no memory. */
export function setPaceOfAll(limit: u32, windowMs: u32): bool {
  if (limit == allLimit && windowMs == allWindow) return true;
  if (allMeter) freeMeter(allMeter, allLimit);
  allMeter = limit ? newMeter(limit) : 0;
  allLimit = allMeter ? limit : 0;
  allWindow = windowMs;
  return limit == 0 || allMeter != 0;
}

/** 0 where there is no memory. */
export function newPace(limit: u32, windowMs: u32, ofAll: bool): usize {
  const pace = alloc(PACE);
  if (!pace) return 0;
  memory.fill(pace, 0, PACE);
  store<u32>(pace, limit);
  store<u32>(pace, windowMs, 4);
  store<u32>(pace, ofAll ? 1 : 0, 8);
  if (limit == 0) return pace;
  const own = newMeter(limit);
  store<usize>(pace, own, 12);
  if (own) return pace;
  free(pace, PACE);
  return 0;
}

/** The same numbers: what was counted goes on counting. */
export function isPace(pace: usize, limit: u32, windowMs: u32): bool {
  return load<u32>(pace) == limit && load<u32>(pace, 4) == windowMs;
}

export function setPaceCountsForAll(pace: usize, ofAll: bool): void {
  store<u32>(pace, ofAll ? 1 : 0, 8);
}

export function freePace(pace: usize): void {
  const limit = load<u32>(pace);
  const capacity = load<u32>(pace, 24);
  const table = load<usize>(pace, 16);
  for (let i: u32 = 0; i < capacity; i++) {
    const meter = load<usize>(table + ((<usize>i) << ENTRY_LOG2), 8);
    if (meter) freeMeter(meter, limit);
  }
  if (table) free(table, capacity << ENTRY_LOG2);
  if (load<usize>(pace, 12)) freeMeter(load<usize>(pace, 12), limit);
  free(pace, PACE);
}

// ---- names ----

// @ts-ignore: decorator
@inline
function pairHash(level: u32): u64 {
  const at = LEVELS + <usize>level * LEVEL_SIZE;
  const hash = (load<u64>(at) ^ rotl<u64>(load<u64>(at, LEVEL_SIZE), 23)) * 0x9e3779b97f4a7c15;
  return hash ? hash : 1;
}

/** The entry of a hash, or the free one where it belongs. The table is at most half full. */
// @ts-ignore: decorator
@inline
function entryOf(table: usize, capacity: u32, hash: u64): usize {
  let i = <u32>(hash >> 40) & (capacity - 1);
  while (true) {
    const entry = table + ((<usize>i) << ENTRY_LOG2);
    const held = load<u64>(entry);
    if (held == hash || held == 0) return entry;
    i = (i + 1) & (capacity - 1);
  }
}

/** Two levels at `ptr`, "a/b": messages with them in their topic have a meter of their own. False: no memory, or no two levels. */
export function addPaceName(pace: usize, ptr: usize, len: u32): bool {
  if (scanTopicName(ptr, len) != 0 || levelCount != 2) return false;
  const limit = load<u32>(pace);
  if (limit == 0) return true;
  const capacity = load<u32>(pace, 24);
  const used = load<u32>(pace, 20);
  if ((used + 1) * 2 > capacity && !growNames(pace)) return false;
  const hash = pairHash(0);
  const entry = entryOf(load<usize>(pace, 16), load<u32>(pace, 24), hash);
  if (load<u64>(entry) == hash) return true;
  const meter = newMeter(limit);
  if (!meter) return false;
  store<u64>(entry, hash);
  store<usize>(entry, meter, 8);
  store<u32>(pace, used + 1, 20);
  return true;
}

function growNames(pace: usize): bool {
  const capacity = load<u32>(pace, 24);
  const table = load<usize>(pace, 16);
  const more = capacity ? capacity * 2 : FIRST_CAPACITY;
  const grown = alloc(more << ENTRY_LOG2);
  if (!grown) return false;
  memory.fill(grown, 0, more << ENTRY_LOG2);
  for (let i: u32 = 0; i < capacity; i++) {
    const from = table + ((<usize>i) << ENTRY_LOG2);
    if (load<u64>(from)) v128.store(entryOf(grown, more, load<u64>(from)), v128.load(from));
  }
  if (table) free(table, capacity << ENTRY_LOG2);
  store<usize>(pace, grown, 16);
  store<u32>(pace, more, 24);
  return true;
}

/** From now on messages with these two levels count for the slot's own meter. */
export function removePaceName(pace: usize, ptr: usize, len: u32): void {
  const capacity = load<u32>(pace, 24);
  if (capacity == 0 || scanTopicName(ptr, len) != 0 || levelCount != 2) return;
  const table = load<usize>(pace, 16);
  const hash = pairHash(0);
  let hole = entryOf(table, capacity, hash);
  if (load<u64>(hole) != hash) return;
  freeMeter(load<usize>(hole, 8), load<u32>(pace));
  store<u32>(pace, load<u32>(pace, 20) - 1, 20);
  // Later entries of the same run move up, so no tombstones are needed.
  let at = hole;
  while (true) {
    at = at + 16 == table + ((<usize>capacity) << ENTRY_LOG2) ? table : at + 16;
    const held = load<u64>(at);
    if (held == 0) break;
    const home = table + ((<usize>(<u32>(held >> 40) & (capacity - 1))) << ENTRY_LOG2);
    // It moves unless its home lies behind the hole, on the way to it.
    const behind = hole <= at ? home > hole && home <= at : home > hole || home <= at;
    if (behind) continue;
    v128.store(hole, v128.load(at));
    hole = at;
  }
  store<u64>(hole, 0);
  store<u64>(hole, 0, 8);
}

/** Whose message the topic scanned last is. */
function meterOf(pace: usize): usize {
  const table = load<usize>(pace, 16);
  const capacity = load<u32>(pace, 24);
  for (let i: u32 = 1; i + 1 < levelCount && i <= LAST_PAIR; i++) {
    const entry = entryOf(table, capacity, pairHash(i));
    if (load<u64>(entry)) return load<usize>(entry, 8);
  }
  return load<usize>(pace, 12);
}

// ---- messages ----

/** Must the topic have been scanned before overRate() is asked? */
export function paceNeedsTopic(slot: Slot): bool {
  const pace = load<usize>(slot.rates, PACE_AT);
  return pace != 0 && load<u32>(pace, 20) != 0;
}

/** Why the present message may not be pushed to a slot with rates now; 0: it may. Counts nothing. */
export function overRate(slot: Slot): u32 {
  const pace = load<usize>(slot.rates, PACE_AT);
  chosen = 0;
  if (!pace) return 0;
  const now = <u32>(<u64>runNow);
  if (load<u32>(pace)) {
    const meter = load<u32>(pace, 20) ? meterOf(pace) : load<usize>(pace, 12);
    wait = meterWait(meter, load<u32>(pace, 4), now);
    if (wait) return UNSENT_RATE;
    chosen = meter;
  }
  if (allLimit == 0 || mUnmetered || load<u32>(pace, 8) == 0) return 0;
  wait = meterWait(allMeter, allWindow, now);
  return wait ? UNSENT_RATE_OF_ALL : 0;
}

/** The message that overRate() let pass was pushed. */
export function countPush(slot: Slot): void {
  const pace = load<usize>(slot.rates, PACE_AT);
  if (!pace) return;
  const now = <u32>(<u64>runNow);
  if (chosen) meterCount(chosen, load<u32>(pace), now);
  if (allLimit && !mUnmetered && load<u32>(pace, 8)) meterCount(allMeter, allLimit, now);
}

/** A message waits at the host for its rate: it is told when that is over. */
export function recordPaced(index: u32, why: u32): void {
  record(R_PACED, index, wait, why, 0, 0, 0, 0);
}

/** A QoS 0 message was dropped: the host is told, once a second for each reason, where the slot has samples. */
export function recordUnsent(index: u32, why: u32): void {
  if (mAnswered || !mayTellUnsent(index, <u32>(<u64>runNow), why)) return;
  const room = STORE_SIZE - storeUsed >= storeBound();
  record(R_UNSENT, index, why, room ? storeMessage() : NO_OFFSET, 0, 0, 0, 0);
}
