// Shared subscription groups. A group stands in the topic table as one item (GROUP_BIT | number); each message goes to
// one member. A group is: 0: u32 members  4: u32 capacity  8: u32 cursor  12: u32 unused, then {u32 slot, u32 options} each.
import { GROUP_BIT, SLOT_LOCAL, SLOT_ONLINE, SLOT_PERSISTENT, SLOT_QUEUED } from "../../abi";
import { free, grow } from "../../memory/heap";
import { overRate } from "../rates/pace";
import { slotAt } from "../slots/slots";

const HEAD: u32 = 16;
// Members looked at for one message; with more that all are busy or away, the first persistent one takes it. No limit of
// limits.ts: it bounds time, not memory, and no message is lost by it.
const LOOK_AT_MOST: u32 = 256;
let directory: usize = 0;
let directoryCap: u32 = 0;
export let groupCount: u32 = 0; // highest number in use + 1
let byHash: bool = false;

export let pickedOptions: u32 = 0;

export function setShareStrategy(hash: bool): void {
  byHash = hash;
}

// @ts-ignore: decorator
@inline
function groupAt(group: u32): usize {
  return load<usize>(directory + ((<usize>group) << 2));
}

/** Adds a member, or changes its options. 0 added, 1 changed, -1 out of memory. */
export function joinGroup(group: u32, slot: u32, options: u32): i32 {
  while (group >= directoryCap) {
    const cap: u32 = directoryCap ? directoryCap * 2 : 64;
    const grown = grow(directory, directoryCap * 4, cap * 4);
    if (!grown) return -1;
    directory = grown;
    directoryCap = cap;
  }
  if (group >= groupCount) groupCount = group + 1;
  let at = groupAt(group);
  const members: u32 = at ? load<u32>(at) : 0;
  for (let i: u32 = 0; i < members; i++) {
    const item = at + HEAD + ((<usize>i) << 3);
    if (load<u32>(item) == slot) {
      store<u32>(item, options, 4);
      return 1;
    }
  }
  const cap: u32 = at ? load<u32>(at, 4) : 0;
  if (members == cap) {
    const more: u32 = cap ? cap * 2 : 4;
    const grown = grow(at, at ? HEAD + cap * 8 : 0, HEAD + more * 8);
    if (!grown) return -1;
    store<u32>(grown, more, 4);
    at = grown;
    store<usize>(directory + ((<usize>group) << 2), at);
  }
  const item = at + HEAD + ((<usize>members) << 3);
  store<u32>(item, slot);
  store<u32>(item, options, 4);
  store<u32>(at, members + 1);
  return 0;
}

/** Removes a member; returns how many are left. The last one takes the group with it. */
export function leaveGroup(group: u32, slot: u32): u32 {
  const at = group < directoryCap ? groupAt(group) : 0;
  if (!at) return 0;
  const members = load<u32>(at);
  for (let i: u32 = 0; i < members; i++) {
    const item = at + HEAD + ((<usize>i) << 3);
    if (load<u32>(item) != slot) continue;
    store<u64>(item, load<u64>(at + HEAD + ((<usize>(members - 1)) << 3)));
    store<u32>(at, members - 1);
    if (load<u32>(at, 8) >= members - 1) store<u32>(at, 0, 8);
    if (members > 1) return members - 1;
    free(at, HEAD + load<u32>(at, 4) * 8);
    store<usize>(directory + ((<usize>group) << 2), 0);
    return 0;
  }
  return members;
}

/** The member that gets the next message, or -1; its options stand in pickedOptions. */
export function pickMember(item: u32, sender: u32, qos: u32): i32 {
  const group = item & ~GROUP_BIT;
  const at = group < directoryCap ? groupAt(group) : 0;
  if (!at) return -1;
  const members = load<u32>(at);
  let i = byHash ? (sender * 0x9e3779b1) % members : load<u32>(at, 8);
  let online: i32 = -1;
  let away: i32 = -1;
  const looks = members < LOOK_AT_MOST ? members : LOOK_AT_MOST;
  for (let n: u32 = 0; n < looks; n++) {
    const candidate = load<u32>(at + HEAD + ((<usize>i) << 3));
    const slot = slotAt(candidate);
    const flags = slot.flags;
    if (flags & SLOT_LOCAL) return take(at, i, members);
    if (flags & SLOT_ONLINE) {
      const free = slot.credit > 0 && (qos == 0 || (!(flags & SLOT_QUEUED) && slot.inflight < slot.sendMax));
      if (free && !(slot.rates && overRate(slot))) return take(at, i, members);
      if (online < 0) online = <i32>i;
    } else if (flags & SLOT_PERSISTENT && away < 0) {
      away = <i32>i;
    }
    i++;
    if (i == members) i = 0;
  }
  if (online >= 0) return take(at, <u32>online, members);
  return away >= 0 ? take(at, <u32>away, members) : -1;
}

/** Slot of some member; a group in the table has one. */
export function anyMember(item: u32): u32 {
  const at = groupAt(item & ~GROUP_BIT);
  assert(at != 0);
  return load<u32>(at + HEAD);
}

/** Leaves a member's options in pickedOptions; false where it is none. */
export function memberOptions(group: u32, slot: u32): bool {
  const at = group < directoryCap ? groupAt(group) : 0;
  if (!at) return false;
  const members = load<u32>(at);
  for (let i: u32 = 0; i < members; i++) {
    const item = at + HEAD + ((<usize>i) << 3);
    if (load<u32>(item) != slot) continue;
    pickedOptions = load<u32>(item, 4);
    return true;
  }
  return false;
}

/** The next member of the round that can take a message at all, -1: there is none. */
export function rotateMember(group: u32): i32 {
  const at = group < directoryCap ? groupAt(group) : 0;
  if (!at) return -1;
  const members = load<u32>(at);
  let i = load<u32>(at, 8);
  for (let n: u32 = 0; n < members; n++) {
    const flags = slotAt(load<u32>(at + HEAD + ((<usize>i) << 3))).flags;
    if (flags & (SLOT_LOCAL | SLOT_ONLINE | SLOT_PERSISTENT)) return take(at, i, members);
    i++;
    if (i == members) i = 0;
  }
  return -1;
}

function take(at: usize, i: u32, members: u32): i32 {
  store<u32>(at, i + 1 == members ? 0 : i + 1, 8);
  const item = at + HEAD + ((<usize>i) << 3);
  pickedOptions = load<u32>(item, 4);
  return <i32>load<u32>(item);
}
