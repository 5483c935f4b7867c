// Topic aliases of one connection, both directions. Mappings die with the connection [MQTT-3.3.2-7].
import { alloc, free } from "../../memory/heap";
import { Slot } from "./slots";

export let aliasByteLimit: u32 = 65536;

export function setAliasByteLimit(bytes: u32): void {
  aliasByteLimit = bytes;
}

export function inboundAlias(slot: Slot, alias: u32): usize {
  return slot.aliasIn ? slot.aliasIn + ((<usize>(alias - 1)) << 3) : 0;
}

/** Remembers a topic under an alias. False: over the byte limit, or memory is short. */
export function setInboundAlias(slot: Slot, alias: u32, topic: usize, len: u32): bool {
  if (!slot.aliasIn) {
    const table = alloc(slot.aliasInMax * 8);
    if (!table) return false;
    memory.fill(table, 0, slot.aliasInMax * 8);
    slot.aliasIn = table;
  }
  const entry = inboundAlias(slot, alias);
  const oldLen = load<u32>(entry, 4);
  const old = load<usize>(entry);
  if (slot.aliasInBytes - oldLen + len > aliasByteLimit) return false;
  if (oldLen == len && old && memory.compare(old, topic, len) == 0) return true;
  const copy = alloc(len);
  if (!copy) return false;
  memory.copy(copy, topic, len);
  if (old) free(old, oldLen);
  store<usize>(entry, copy);
  store<u32>(entry, len, 4);
  slot.aliasInBytes = slot.aliasInBytes - oldLen + len;
  return true;
}

/**
 * The alias under which the receiver knows the topic, or a new one: alias << 1 | 1 where it is known already,
 * alias << 1 where the topic must still be sent with it, 0 where no alias is left. Topics are told apart by 96 bits of a
 * keyed hash, as in the topic table.
 */
export function outboundAlias(slot: Slot, hash: u64, hash2: u32): u32 {
  if (!slot.aliasOut) {
    const table = alloc(slot.aliasOutMax * 16);
    if (!table) return 0;
    slot.aliasOut = table;
    slot.aliasOutCount = 0;
  }
  let at = slot.aliasOut;
  const count = slot.aliasOutCount;
  for (let i: u32 = 1; i <= count; i++) {
    if (load<u64>(at) == hash && load<u32>(at, 8) == hash2) return (i << 1) | 1;
    at += 16;
  }
  if (count == slot.aliasOutMax) return 0;
  store<u64>(at, hash);
  store<u32>(at, hash2, 8);
  slot.aliasOutCount = count + 1;
  return (count + 1) << 1;
}

export function freeAliases(slot: Slot): void {
  if (slot.aliasIn) {
    for (let i: u32 = 0; i < slot.aliasInMax; i++) {
      const entry = slot.aliasIn + ((<usize>i) << 3);
      if (load<usize>(entry)) free(load<usize>(entry), load<u32>(entry, 4));
    }
    free(slot.aliasIn, slot.aliasInMax * 8);
  }
  if (slot.aliasOut) free(slot.aliasOut, slot.aliasOutMax * 16);
  slot.aliasIn = 0;
  slot.aliasInBytes = 0;
  slot.aliasOut = 0;
  slot.aliasOutCount = 0;
}
