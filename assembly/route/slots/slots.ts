// Session slots: what the core must know of a session, 128 bytes each, in pages that never move.
// A slot outlives its connection; SLOT_ONLINE is the one word that maps it to a live one.
import { SLOT_ONLINE, SLOT_PAGE_LOG2, SLOT_SIZE, SLOT_USED } from "../../abi";
import { alloc, grow } from "../../memory/heap";

@unmanaged
export class Slot {
  flags: u32; //          0  SLOT_*
  generation: u32; //     4  counts the lives of this slot; part of every verdict key
  credit: i32; //         8  bytes the connection may still be given
  maxPacket: u32; //     12  the client's Maximum Packet Size
  window: usize; //      16  send window: 8 bytes per entry, index = packet id & windowMask
  windowMask: u32; //    20
  inflight: u32; //      24
  sendMax: u32; //       28  the client's Receive Maximum, or our own bound
  nextId: u32; //        32
  nextPosition: u32; //  36  position of the next stored delivery
  inbound: usize; //     40  set of QoS 2 packet ids between PUBLISH and PUBREL
  inboundCap: u32; //    44
  inboundCount: u32; //  48
  inboundMax: u32; //    52  the Receive Maximum we announced
  acks: usize; //        56  ring of acknowledgements that wait for a commit
  ackCap: u32; //        60
  ackHead: u32; //       64
  ackCount: u32; //      68
  itemsHead: u32; //     72  output of this call: index + 1 of the first item, 0 none
  itemsTail: u32; //     76
  mark: u32; //          80  number of the last message that hit this slot
  hit: u32; //           84  index of that hit
  aliasIn: usize; //     88  {u32 ptr, u32 len} per alias
  aliasInMax: u32; //    92
  aliasInBytes: u32; //  96
  aliasOut: usize; //   100  {u64 hash, u32 hash2, u32 pad} per alias
  aliasOutMax: u32; //  104
  aliasOutCount: u32; //108
  ackListed: u16; //    112  1 where it stands in the list of slots with waiting acknowledgements
  pendingQos1: u16; //  114  QoS 1 packets received and not yet acknowledged
  rates: usize; //      116  how often it may publish, see rates.ts; 0: as often as it likes
  windowMark: u32; //   120  part that last told the host of an open window
  inMax: u32; //        124  our Maximum Packet Size for this client
}

const PAGE_MASK: u32 = (1 << SLOT_PAGE_LOG2) - 1;

let directory: usize = 0;
let directoryCap: u32 = 0;
let pages: u32 = 0;
let nextFresh: u32 = 0;
let freeHead: u32 = 0; // index + 1; the link is kept in `hit`

// @ts-ignore: decorator
@inline
export function slotAt(index: u32): Slot {
  assert(index < nextFresh);
  return changetype<Slot>(
    load<usize>(directory + ((<usize>(index >> SLOT_PAGE_LOG2)) << 2)) + (<usize>(index & PAGE_MASK)) * SLOT_SIZE,
  );
}

function addPage(): bool {
  if (pages == directoryCap) {
    const cap = directoryCap ? directoryCap * 2 : 64;
    const grown = grow(directory, directoryCap * 4, cap * 4);
    if (!grown) return false;
    directory = grown;
    directoryCap = cap;
  }
  const size: u32 = SLOT_SIZE << SLOT_PAGE_LOG2;
  const page = alloc(size);
  if (!page) return false;
  memory.fill(page, 0, size);
  store<usize>(directory + ((<usize>pages) << 2), page);
  pages++;
  return true;
}

/** A fresh slot, offline and without rights. -1 when memory cannot grow. */
export function takeSlot(): i32 {
  let index: u32;
  if (freeHead) {
    index = freeHead - 1;
    freeHead = slotAt(index).hit;
  } else {
    if (nextFresh == pages << SLOT_PAGE_LOG2 && !addPage()) return -1;
    index = nextFresh++;
  }
  const slot = slotAt(index);
  const generation = slot.generation;
  memory.fill(changetype<usize>(slot), 0, SLOT_SIZE);
  slot.generation = generation + 1;
  slot.flags = SLOT_USED;
  slot.nextId = 1;
  return <i32>index;
}

/** Gives the slot back. Its lists must be free already; no record may name it any more. */
export function dropSlot(index: u32): void {
  const slot = slotAt(index);
  assert((slot.flags & (SLOT_USED | SLOT_ONLINE)) == SLOT_USED);
  slot.flags = 0;
  slot.generation++;
  slot.hit = freeHead;
  freeHead = index + 1;
}

export function slotCapacity(): u32 {
  return nextFresh;
}
