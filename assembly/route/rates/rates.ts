// How often a session may publish: so many messages in any window of time, counted here so that no message costs a question.
// A meter keeps the times of the last messages it let through, as many as are allowed: the next one may pass when the oldest
// is a window old. A slot has a meter of its own, number 0, and further ones for those it speaks for (VERDICT_METER_SHIFT).
//
// All slots that say so have a meter (meter.ts) together besides, whatever the QoS.
//
// How often it may be sent to is in pace.ts.
//
// A slot's block, 40 bytes:   0: u32 limit of QoS 0        4: u32 limit of QoS 1 and 2   8: u32 window, ms
//                            12: u32 reason code beyond   16: u32 own meter             20: u32 list of further meters
//                            24: u32 number of them       28: u32 capacity of the list  32: u32 1: counts for all together
//                            36: u32 what it may be sent, see pace.ts
// A meter of a slot, two in one:
//                             0: u32 next of QoS 0   4: u32 next of QoS 1 and 2   8: u32 times of QoS 0, then of QoS 1 and 2 (ms; 0: none)
import { MAX_METERS } from "../../abi";
import { alloc, free, grow } from "../../memory/heap";
import { freeMeter, meterCount, meterWait, newMeter } from "./meter";
import { freePace, isPace, newPace, PACE_AT, setPaceCountsForAll } from "./pace";
import { Slot } from "../slots/slots";

const BLOCK: u32 = 40;
const FIRST_CAPACITY: u32 = 4;

let allLimit: u32 = 0;
let allWindow: u32 = 0;
let allMeter: usize = 0;

/** What all slots that count for it may publish together; 0: no limit. The same numbers again change nothing. False: no memory. */
export function setRateOfAll(limit: u32, windowMs: u32): bool {
  if (limit == allLimit && windowMs == allWindow) return true;
  if (allMeter) freeMeter(allMeter, allLimit);
  allMeter = limit ? newMeter(limit) : 0;
  allLimit = allMeter ? limit : 0;
  allWindow = windowMs;
  return limit == 0 || allMeter != 0;
}

/** May a message of any slot pass? Counts nothing. */
function allMayPass(now: u32): bool {
  return allLimit == 0 || meterWait(allMeter, allWindow, now) == 0;
}

function countForAll(now: u32): void {
  if (allLimit != 0) meterCount(allMeter, allLimit, now);
}

/** Sets what a slot may publish; 0: no limit of that kind. Its own meter goes on where the numbers are the same. */
export function setSlotRates(slot: Slot, qos0: u32, qos12: u32, windowMs: u32, beyond: u32, ofAll: bool): bool {
  let block = slot.rates;
  if (block && load<u32>(block) == qos0 && load<u32>(block, 4) == qos12 && load<u32>(block, 8) == windowMs) {
    store<u32>(block, beyond, 12);
    store<u32>(block, ofAll ? 1 : 0, 32);
    freeFurther(block);
    return true;
  }
  const pace: usize = block ? load<usize>(block, PACE_AT) : 0;
  if (block) store<usize>(block, 0, PACE_AT);
  freeRates(slot);
  if (qos0 == 0 && qos12 == 0 && !ofAll && !pace) return true;
  block = openBlock(slot);
  if (!block) {
    if (pace) freePace(pace);
    return false;
  }
  store<u32>(block, qos0);
  store<u32>(block, qos12, 4);
  store<u32>(block, windowMs, 8);
  store<u32>(block, beyond, 12);
  store<u32>(block, ofAll ? 1 : 0, 32);
  store<usize>(block, pace, PACE_AT);
  if (qos0 == 0 && qos12 == 0) return true;
  const own = newPair(block);
  store<usize>(block, own, 16);
  if (own) return true;
  freeRates(slot);
  return false;
}

/** A block without any limit; 0 where there is no memory. */
function openBlock(slot: Slot): usize {
  const block = alloc(BLOCK);
  if (block) memory.fill(block, 0, BLOCK);
  slot.rates = block;
  return block;
}

/** Sets how often it may be sent to; 0 and false: as often as there is something. False: no memory. */
export function setSlotPace(slot: Slot, limit: u32, windowMs: u32, ofAll: bool): bool {
  const none = limit == 0 && !ofAll;
  if (!slot.rates && none) return true;
  const block = slot.rates ? slot.rates : openBlock(slot);
  if (!block) return false;
  const pace = load<usize>(block, PACE_AT);
  if (pace) {
    if (!none && isPace(pace, limit, windowMs)) {
      setPaceCountsForAll(pace, ofAll);
      return true;
    }
    freePace(pace);
    store<usize>(block, 0, PACE_AT);
  }
  if (none) return true;
  const made = newPace(limit, windowMs, ofAll);
  store<usize>(block, made, PACE_AT);
  return made != 0;
}

/** One meter more, by the same numbers. Its number, or 0, the slot's own, where there is no memory or no number left. */
export function addSlotMeter(slot: Slot): u32 {
  const block = slot.rates;
  if (!block) return 0;
  const used = load<u32>(block, 24);
  const capacity = load<u32>(block, 28);
  if (used == MAX_METERS) return 0;
  if (used == capacity) {
    const more = capacity ? capacity * 2 : FIRST_CAPACITY;
    const grown = grow(load<usize>(block, 20), capacity * 4, more * 4);
    if (!grown) return 0;
    store<usize>(block, grown, 20);
    store<u32>(block, more, 28);
  }
  const meter = newPair(block);
  if (!meter) return 0;
  store<usize>(load<usize>(block, 20) + ((<usize>used) << 2), meter);
  store<u32>(block, used + 1, 24);
  return used + 1;
}

/** May this message pass at `now`? Counts it where it may. */
export function passesRate(slot: Slot, number: u32, qos: u32, now: u32): bool {
  const block = slot.rates;
  const ofAll = load<u32>(block, 32) != 0;
  if (ofAll && !allMayPass(now)) return false;
  const limit = qos ? load<u32>(block, 4) : load<u32>(block);
  if (limit == 0) {
    if (ofAll) countForAll(now);
    return true;
  }
  const further = number != 0 && number <= load<u32>(block, 24);
  const meter = further ? load<usize>(load<usize>(block, 20) + ((<usize>(number - 1)) << 2)) : load<usize>(block, 16);
  const nextAt = meter + (qos ? 4 : 0);
  const next = load<u32>(nextAt);
  const time = meter + 8 + ((<usize>(qos ? load<u32>(block) + next : next)) << 2);
  const oldest = load<u32>(time);
  // A clock that was put back makes this difference huge: the message passes.
  if (oldest != 0 && now - oldest < load<u32>(block, 8)) return false;
  store<u32>(time, now);
  store<u32>(nextAt, next + 1 == limit ? 0 : next + 1);
  if (ofAll) countForAll(now);
  return true;
}

/** Reason code for a 5.0 client that is over its rate; 0: it is told nothing. */
export function beyondRate(slot: Slot): u32 {
  return load<u32>(slot.rates, 12);
}

export function freeRates(slot: Slot): void {
  const block = slot.rates;
  if (!block) return;
  freeFurther(block);
  if (load<usize>(block, 16)) free(load<usize>(block, 16), pairSize(block));
  if (load<usize>(block, PACE_AT)) freePace(load<usize>(block, PACE_AT));
  free(block, BLOCK);
  slot.rates = 0;
}

function freeFurther(block: usize): void {
  const capacity = load<u32>(block, 28);
  if (capacity == 0) return;
  const list = load<usize>(block, 20);
  for (let i: u32 = 0, used = load<u32>(block, 24); i < used; i++) free(load<usize>(list + ((<usize>i) << 2)), pairSize(block));
  free(list, capacity * 4);
  store<u32>(block, 0, 24);
  store<u32>(block, 0, 28);
}

function newPair(block: usize): usize {
  const meter = alloc(pairSize(block));
  if (meter) memory.fill(meter, 0, pairSize(block));
  return meter;
}

function pairSize(block: usize): u32 {
  return 8 + (load<u32>(block) + load<u32>(block, 4)) * 4;
}
