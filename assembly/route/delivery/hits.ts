// Who gets the current message: one hit per session however many of its filters match, with the highest QoS and every
// subscription identifier [MQTT-3.3.4-2, -3]. Members picked by shared groups are hits of their own.
// A hit is 16 bytes:  0: u32 slot  4: u32 options  8: u32 index + 1 of the first further identifier  12: u32 group + 1 if shared
import { GROUP_BIT, NO_SLOT, OPT_ID_SHIFT, OPT_NO_LOCAL, OPT_QOS_MASK, OPT_RETAIN_AS_PUBLISHED, SLOT_SPACE_SHIFT } from "../../abi";
import { alloc, free, grow } from "../../memory/heap";
import { listsPtr, matchTopic } from "../../topics/index";
import { anyMember, groupCount, memberOptions, pickedOptions, pickMember, rotateMember } from "./groups";
import { slotAt, slotCapacity } from "../slots/slots";

/** Room for further identifiers of overlapping subscriptions to begin with, {u32 id, u32 next} each, for one message. */
const FIRST_IDS: u32 = 4096;
let table: usize = 0;
let capacity: u32 = 0;
let ids: usize = 0;
let idCapacity: u32 = 0;
let idCount: u32 = 0;
export let hitCount: u32 = 0;
let messageNumber: u32 = 0;

export function initHits(): bool {
  return growIds() && reserveHits();
}

/** Identifiers are few as a rule, so room for more is made by the message that needs it. */
function growIds(): bool {
  const cap = idCapacity ? idCapacity * 2 : FIRST_IDS;
  const grown = grow(ids, idCapacity * 8, cap * 8);
  if (!grown) return false;
  ids = grown;
  idCapacity = cap;
  return true;
}

/** At most one hit per slot and one per group: room is made when those are made, never while matching. */
export function reserveHits(): bool {
  const needed = slotCapacity() + groupCount + 16;
  if (needed <= capacity) return true;
  const cap = needed * 2;
  const grown = alloc(cap * 16);
  if (!grown) return false;
  if (table) free(table, capacity * 16);
  table = grown;
  capacity = cap;
  return true;
}

// @ts-ignore: decorator
@inline
export function hitAt(i: u32): usize {
  return table + ((<usize>i) << 4);
}

/** Number of the space the next messages stay in: who is in another one gets none. 0: everybody may have them. */
let space: u32 = 0;

export function setSpace(number: u32): void {
  space = number;
}

// @ts-ignore: decorator
@inline
function isElsewhere(target: u32): bool {
  const other = slotAt(target).flags >> SLOT_SPACE_SHIFT;
  return other != 0 && other != space;
}

/** Matches the topic scanned last. No Local compares the session [MQTT-3.8.3-3]. */
export function collectHits(sender: u32, qos: u32, shared: bool): void {
  const runs = matchTopic();
  hitCount = 0;
  if (runs == 0) return;
  idCount = 0;
  messageNumber++;
  if (messageNumber == 0) messageNumber = 1;
  const lists = listsPtr();
  for (let r: u32 = 0; r < runs; r++) {
    let item = load<usize>(lists + ((<usize>r) << 3));
    const end = item + ((<usize>load<u32>(lists + ((<usize>r) << 3), 4)) << 3);
    for (; item < end; item += 8) addHit(load<u32>(item), load<u32>(item, 4), sender, qos, shared);
  }
}

/** One member of one group, whatever else matches: a message that lost its member. */
export function collectMember(group: u32, member: u32): void {
  hitCount = 0;
  idCount = 0;
  if (memberOptions(group, member)) append(member, pickedOptions, group + 1);
}

/**
 * The member of a group that gets its next message, -1: there is none. Where `any`, the next in the round that is online or
 * comes back, busy or not: for a host that must ask one after the other.
 */
export function nextMember(group: u32, qos: u32, any: bool): i32 {
  return any ? rotateMember(group) : pickMember(GROUP_BIT | group, 0, qos);
}

/**
 * One session and nobody else: what it subscribed of the topic scanned last, or though it has subscribed nothing where
 * `implied`. A message that it gets for both reasons it gets once [SUB-5].
 */
export function collectSlot(target: u32, qos: u32, implied: bool): void {
  collectHits(NO_SLOT, qos, false);
  const found = hitCount != 0 && slotAt(target).mark == messageNumber;
  const hit = found ? hitAt(slotAt(target).hit) : 0;
  let options: u32 = found ? load<u32>(hit, 4) : 0;
  const chain: u32 = found ? load<u32>(hit, 8) : 0;
  hitCount = 0;
  if (!found && !implied) return;
  // Nobody asked for a QoS here: the publisher's own.
  if (implied) options = (options & ~OPT_QOS_MASK) | 2;
  append(target, options, 0);
  store<u32>(hitAt(0), chain, 8);
}

// @ts-ignore: decorator
@inline
function addHit(target: u32, options: u32, sender: u32, qos: u32, shared: bool): void {
  if (target & GROUP_BIT) {
    if (!shared) return;
    // All members of a group are in one space.
    if (space && isElsewhere(anyMember(target))) return;
    const member = pickMember(target, sender, qos);
    if (member >= 0) append(<u32>member, pickedOptions, (target & ~GROUP_BIT) + 1);
    return;
  }
  if (options & OPT_NO_LOCAL && target == sender) return;
  if (space && isElsewhere(target)) return;
  const slot = slotAt(target);
  if (slot.mark == messageNumber) {
    merge(hitAt(slot.hit), options);
    return;
  }
  slot.mark = messageNumber;
  slot.hit = hitCount;
  append(target, options, 0);
}

// @ts-ignore: decorator
@inline
function append(target: u32, options: u32, shared: u32): void {
  assert(hitCount < capacity);
  const at = hitAt(hitCount++);
  store<u32>(at, target);
  store<u32>(at, options, 4);
  store<u32>(at, 0, 8);
  store<u32>(at, shared, 12);
}

function merge(hit: usize, options: u32): void {
  let merged = load<u32>(hit, 4);
  const id = options >> OPT_ID_SHIFT;
  if ((options & OPT_QOS_MASK) > (merged & OPT_QOS_MASK)) merged = (merged & ~OPT_QOS_MASK) | (options & OPT_QOS_MASK);
  merged |= options & OPT_RETAIN_AS_PUBLISHED;
  if (id) {
    if (merged >> OPT_ID_SHIFT == 0) merged |= id << OPT_ID_SHIFT;
    else {
      // Without memory: a trap, which the host survives. An identifier is never left out.
      if (idCount == idCapacity && !growIds()) unreachable();
      const at = ids + ((<usize>(idCount++)) << 3);
      store<u32>(at, id);
      store<u32>(at, load<u32>(hit, 8), 4);
      store<u32>(hit, idCount, 8);
    }
  }
  store<u32>(hit, merged, 4);
}

/** Address of the further identifier number n (1-based) of a chain; its successor stands behind it. */
// @ts-ignore: decorator
@inline
export function furtherId(n: u32): usize {
  return ids + ((<usize>(n - 1)) << 3);
}

// Subscriptions in each of BUCKETS ranges of slots.
const BUCKETS: u32 = 1024;
const HISTOGRAM: usize = memory.data(1024 * 4);

/**
 * Matches as collectHits() does, but leaves it at about `limit` receivers with slots from `from` on; the members that shared
 * groups pick are in the first slice. Returns the slot at which the next slice begins, NO_SLOT where none is left. Slices are
 * ranges of slots: each session is in one of them, whoever subscribes or ends meanwhile.
 */
export function collectSlice(sender: u32, qos: u32, shared: bool, from: u32, limit: u32): u32 {
  const runs = matchTopic();
  const lists = listsPtr();
  let total: u32 = 0;
  for (let r: u32 = 0; r < runs; r++) total += load<u32>(lists + ((<usize>r) << 3), 4);
  if (from == 0 && total <= limit) {
    collectHits(sender, qos, shared);
    return NO_SLOT;
  }
  const bound = sliceEnd(runs, from, limit);
  hitCount = 0;
  idCount = 0;
  messageNumber++;
  if (messageNumber == 0) messageNumber = 1;
  for (let r: u32 = 0; r < runs; r++) {
    let item = load<usize>(lists + ((<usize>r) << 3));
    const end = item + ((<usize>load<u32>(lists + ((<usize>r) << 3), 4)) << 3);
    for (; item < end; item += 8) {
      const target = load<u32>(item);
      const mine = target & GROUP_BIT ? from == 0 : target >= from && target < bound;
      if (mine) addHit(target, load<u32>(item, 4), sender, qos, shared);
    }
  }
  return bound;
}

/** The slot behind the last range that still fits into a slice. */
function sliceEnd(runs: u32, from: u32, limit: u32): u32 {
  let shift: u32 = 0;
  while (slotCapacity() >> shift >= BUCKETS) shift++;
  memory.fill(HISTOGRAM, 0, BUCKETS * 4);
  const lists = listsPtr();
  for (let r: u32 = 0; r < runs; r++) {
    let item = load<usize>(lists + ((<usize>r) << 3));
    const end = item + ((<usize>load<u32>(lists + ((<usize>r) << 3), 4)) << 3);
    for (; item < end; item += 8) {
      const target = load<u32>(item);
      if (target & GROUP_BIT || target < from) continue;
      const bucket = HISTOGRAM + ((<usize>(target >> shift)) << 2);
      store<u32>(bucket, load<u32>(bucket) + 1);
    }
  }
  let inside: u32 = 0;
  for (let b = from >> shift; b < BUCKETS; b++) {
    const count = load<u32>(HISTOGRAM + ((<usize>b) << 2));
    if (inside && count && inside + count > limit) return b << shift;
    inside += count;
  }
  return NO_SLOT;
}
