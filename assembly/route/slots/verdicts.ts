// Answers of the policy, remembered: a word per (slot, generation, topic). Two ways per set, the older one gives way.
// An entry is 24 bytes:  0: u64 topic hash  8: u32 topic hash, rest  12: u32 slot  16: u32 generation  20: u32 verdict
// The generation mixes the slot's life with the policy's: a reused slot or a changed grant finds nothing.
import { alloc } from "../../memory/heap";
import { topicHash, topicHash2 } from "../../topics/levels";
import { Slot } from "./slots";

const SETS: u32 = 32768;
const ENTRY: u32 = 24;
let table: usize = 0;
let policyGeneration: u32 = 1;
let onceVerdict: u32 = 0;

export function initVerdicts(): bool {
  table = alloc(SETS * 2 * ENTRY);
  if (table) memory.fill(table, 0, SETS * 2 * ENTRY);
  return table != 0;
}

/** All answers given so far are void. */
export function forgetVerdicts(): void {
  policyGeneration++;
}

// @ts-ignore: decorator
@inline
function setOf(index: u32): usize {
  const at = (<u32>topicHash ^ (index * 0x9e3779b1)) & (SETS - 1);
  return table + <usize>at * (ENTRY * 2);
}

// @ts-ignore: decorator
@inline
function generationOf(slot: Slot): u32 {
  return slot.generation * 0x85ebca6b + policyGeneration;
}

function isEntry(at: usize, index: u32, generation: u32): bool {
  return (
    load<u64>(at) == topicHash && load<u32>(at, 8) == topicHash2 && load<u32>(at, 12) == index && load<u32>(at, 16) == generation
  );
}

/** The verdict for the topic scanned last, 0 where it is not known. */
export function findVerdict(index: u32, slot: Slot): u32 {
  const set = setOf(index);
  const generation = generationOf(slot);
  if (isEntry(set, index, generation)) return load<u32>(set, 20);
  if (isEntry(set + ENTRY, index, generation)) return load<u32>(set + ENTRY, 20);
  return 0;
}

/** Remembers the verdict for the topic scanned last. */
export function keepVerdict(index: u32, slot: Slot, verdict: u32): void {
  const set = setOf(index);
  memory.copy(set + ENTRY, set, ENTRY);
  store<u64>(set, topicHash);
  store<u32>(set, topicHash2, 8);
  store<u32>(set, index, 12);
  store<u32>(set, generationOf(slot), 16);
  store<u32>(set, verdict, 20);
}

/** A verdict for the very next PUBLISH only. */
export function setOnceVerdict(verdict: u32): void {
  onceVerdict = verdict;
}

export function takeOnceVerdict(): u32 {
  const verdict = onceVerdict;
  onceVerdict = 0;
  return verdict;
}
