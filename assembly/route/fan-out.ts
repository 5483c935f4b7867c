// One message on its way to its receivers: from the first hit to the acknowledgement of its sender, over full arenas if
// need be.
import { H_HITS, H_NEXT_SLOT, NO_SLOT, SLOT_V5 } from "../abi";
import { setWord } from "../codec/header";
import { amendAck, owe, PUBACK, PUBREC, UNANSWERED } from "./acknowledgements/acks";
import { beginFanout, fanout, needsCommit, setOwed } from "./delivery/deliver";
import { forgetTemplates } from "./delivery/encode";
import { collectHits, collectMember, collectSlice, collectSlot, hitCount } from "./delivery/hits";
import { mRetain } from "./call/message";
import { slotAt } from "./slots/slots";
import { commit, passTo, runAt, runSlot } from "./call/call";

/** A fan-out is half done. */
export let fanning: bool = false;
let fanQos: u32 = 0;
let fanId: u32 = 0;
let fanTotal: u32 = 0;
let fanAck: bool = false;
let fanReason: u32 = 0; // the host could not keep the message, as retained or for a receiver
let onlyGroup: u32 = 0; // group + 1
let onlySlot: u32 = NO_SLOT;
let onlyImplied: bool = false;
let sliceFrom: u32 = 0;
let sliceLimit: u32 = 0;

/** Nothing is under way: a call begins. */
export function forgetFanout(): void {
  fanning = false;
}

/**
 * The next messages go to one slot instead of to all subscribers: as to a member of a shared group (group + 1), or for itself.
 * 0 and NO_SLOT end it.
 */
export function setOnly(group: u32, index: u32, implied: bool): void {
  onlyGroup = group;
  onlySlot = index;
  onlyImplied = implied;
}

/** The next messages go to a slice of their receivers, see collectSlice(); a limit of 0: to all at once. */
export function setSlice(from: u32, limit: u32): void {
  sliceFrom = from;
  sliceLimit = limit;
}

/** What follows at the end of the fan-out: the acknowledgement `id` where `ack`, and `total` bytes of the run are done with. */
export function setSender(ack: bool, id: u32, total: u32): void {
  fanAck = ack;
  fanId = id;
  fanTotal = total;
  setOwed(ack ? id : 0);
}

/** The host could not keep a message as retained: its sender's acknowledgement says so, whether it is owed yet or not. */
export function refuseRetained(index: u32, id: u32): void {
  if (fanning && runSlot == index && fanId == id) fanReason = 0x97;
  else amendAck(slotAt(index), id, 0x97);
}

/**
 * The host could not keep a message for a receiver that should have it later: its sender is told, or before 5.0 gets no
 * acknowledgement and will send it again.
 */
export function refuseMessage(index: u32, id: u32): void {
  const slot = slotAt(index);
  const reason: u32 = slot.flags & SLOT_V5 ? 0x97 : UNANSWERED;
  if (fanning && runSlot == index && fanId == id) fanReason = reason;
  else amendAck(slot, id, reason);
}

/** Finds the receivers of the message at hand. */
export function startFanout(sender: u32, qos: u32, shared: bool): void {
  fanQos = qos;
  fanReason = 0;
  forgetTemplates();
  if (onlyGroup) collectMember(onlyGroup - 1, onlySlot);
  else if (onlySlot != NO_SLOT) collectSlot(onlySlot, qos, onlyImplied);
  else if (sliceLimit) setWord(H_NEXT_SLOT, collectSlice(sender, qos, shared, sliceFrom, sliceLimit));
  else collectHits(sender, qos, shared);
  beginFanout();
  fanning = true;
}

/** Goes on with the fan-out; at its end the sender is owed its acknowledgement. False: arenas are full. */
export function stepFanout(): bool {
  if (!fanout()) return false;
  fanning = false;
  setWord(H_HITS, hitCount);
  if (fanAck) {
    const slot = slotAt(runSlot);
    const stored = needsCommit || mRetain != 0;
    const reason: u32 = fanReason ? fanReason : hitCount == 0 ? 0x10 : 0; // no matching subscribers
    owe(runSlot, slot, fanQos == 1 ? PUBACK : PUBREC, fanId, reason, stored ? commit : 0);
  }
  passTo(runAt + fanTotal);
  return true;
}
