// What the host does to slots: open, online, offline, limits and filters. Everything here may grow memory.
import {
  GROUP_BIT,
  SLOT_ONLINE,
  SLOT_QUEUED, SLOT_SPACE_SHIFT,
} from "../abi";
import { subscribe, unsubscribe } from "../topics/table";
import { freeAcks } from "./acknowledgements/acks";
import { freeAliases, setInboundAlias } from "./slots/aliases";
import { joinGroup, leaveGroup } from "./delivery/groups";
import { reserveHits } from "./delivery/hits";
import { discardOutput } from "./call/output";
import { addPaceName, PACE_AT, removePaceName } from "./rates/pace";
import { addSlotMeter, freeRates, setSlotPace, setSlotRates } from "./rates/rates";
import { setSamples } from "./rates/samples";
import { dropSlot, slotAt, takeSlot } from "./slots/slots";
import { addInbound, findEntry, freeInbound, freeWindow, hasInbound, releaseEntry, reserveEntry, restoreId, takeId, W_PUBREC } from "./acknowledgements/window";

/** A slot for a new session, or -1 when memory is short. */
export function openSlot(flags: u32): i32 {
  const index = takeSlot();
  if (index < 0) return -1;
  slotAt(<u32>index).flags |= flags;
  if (!reserveHits()) {
    dropSlot(<u32>index);
    return -1;
  }
  return index;
}

/** The session has ended: its filters must be gone already. */
export function closeSlot(index: u32): void {
  goOffline(index);
  freeRates(slotAt(index));
  setSamples(index, 0);
  dropSlot(index);
}

/** Maps the slot to a connection. `flags` replaces all of the slot's flags but SLOT_USED and SLOT_QUEUED. */
export function goOnline(
  index: u32,
  flags: u32,
  maxPacket: u32,
  sendMax: u32,
  inMax: u32,
  inboundMax: u32,
  aliasInMax: u32,
  aliasOutMax: u32,
  credit: i32,
): void {
  const slot = slotAt(index);
  slot.flags = (slot.flags & (SLOT_QUEUED | (0xffff << SLOT_SPACE_SHIFT))) | flags | SLOT_ONLINE | 1;
  slot.generation++; // another connection, perhaps another user: no verdict of the former one holds
  slot.maxPacket = maxPacket;
  slot.sendMax = sendMax;
  slot.inMax = inMax;
  slot.inboundMax = inboundMax;
  slot.aliasInMax = aliasInMax;
  slot.aliasOutMax = aliasOutMax;
  slot.credit = credit;
}

/** The connection is gone; what belonged to it alone goes too. */
export function goOffline(index: u32): void {
  const slot = slotAt(index);
  slot.flags &= ~SLOT_ONLINE;
  discardOutput(slot);
  freeWindow(slot);
  freeInbound(slot);
  freeAcks(slot);
  freeAliases(slot);
}

export function setSlotFlags(index: u32, set: u32, clear: u32): void {
  const slot = slotAt(index);
  slot.flags = (slot.flags & ~clear) | set;
}

/** How many messages the slot may publish in any `windowMs`, see rates.ts. Further meters are gone. False: no memory. */
export function setRates(index: u32, qos0: u32, qos12: u32, windowMs: u32, beyond: u32, ofAll: bool): bool {
  return setSlotRates(slotAt(index), qos0, qos12, windowMs, beyond, ofAll);
}

/** A meter for somebody the slot speaks for; 0: there is none but its own. */
export function addMeter(index: u32): u32 {
  return addSlotMeter(slotAt(index));
}

/** How many messages the slot may be sent in any `windowMs`, see pace.ts. The same numbers keep its meters. False: no memory. */
export function setPace(index: u32, limit: u32, windowMs: u32, ofAll: bool): bool {
  return setSlotPace(slotAt(index), limit, windowMs, ofAll);
}

/** Messages with the two levels "a/b" in their topic are counted on their own. False: no memory, or no two levels. */
export function addPaced(index: u32, ptr: usize, len: u32): bool {
  const slot = slotAt(index);
  const pace = slot.rates ? load<usize>(slot.rates, PACE_AT) : 0;
  return pace == 0 || addPaceName(pace, ptr, len);
}

export function removePaced(index: u32, ptr: usize, len: u32): void {
  const slot = slotAt(index);
  const pace = slot.rates ? load<usize>(slot.rates, PACE_AT) : 0;
  if (pace) removePaceName(pace, ptr, len);
}

export function setCredit(index: u32, credit: i32): void {
  slotAt(index).credit = credit;
}

/** Positions are counted here so that the core and the host's queue cannot disagree. */
export function takePosition(index: u32): u32 {
  const slot = slotAt(index);
  slot.flags |= SLOT_QUEUED;
  return slot.nextPosition++;
}

export function setPosition(index: u32, position: u32): void {
  slotAt(index).nextPosition = position;
}

/** A packet id for a QoS 2 delivery that is sent later; 0 where the window is full. */
export function reserveId(index: u32, position: u32): u32 {
  const slot = slotAt(index);
  if (slot.inflight >= slot.sendMax || !reserveEntry(slot)) return 0;
  return takeId(slot, W_PUBREC, position);
}

/** Gives back a packet id under which nothing was sent. */
export function releaseId(index: u32, id: u32): void {
  const slot = slotAt(index);
  const entry = findEntry(slot, id);
  if (entry) releaseEntry(slot, entry);
}

export function holdInbound(index: u32, id: u32): bool {
  return addInbound(slotAt(index), id);
}

export function holdsInbound(index: u32, id: u32): bool {
  return hasInbound(slotAt(index), id);
}

export function inflightOf(index: u32): u32 {
  return slotAt(index).inflight;
}

export function slotPtr(index: u32): usize {
  return changetype<usize>(slotAt(index));
}

/** 0 new, 1 replaced, -1 out of memory, -2 invalid filter. */
export function addFilter(ptr: usize, len: u32, slot: u32, options: u32): i32 {
  return subscribe(ptr, len, slot, options);
}

export function removeFilter(ptr: usize, len: u32, slot: u32): i32 {
  return unsubscribe(ptr, len, slot);
}

/** Joins a shared group; its first member brings the filter into the table. 0 new, 1 changed, negative as addFilter. */
export function addShared(ptr: usize, len: u32, group: u32, slot: u32, options: u32): i32 {
  const result = subscribe(ptr, len, GROUP_BIT | group, 0);
  if (result < 0) return result;
  const joined = joinGroup(group, slot, options);
  if (joined < 0 || !reserveHits()) return -1;
  return joined;
}

/** Leaves a shared group; the last member takes the filter out. Returns how many are left. */
export function removeShared(ptr: usize, len: u32, group: u32, slot: u32): u32 {
  const left = leaveGroup(group, slot);
  if (left == 0) unsubscribe(ptr, len, GROUP_BIT | group);
  return left;
}

// ---- after a trap: what a connection had in the core before ----

/** Puts an id back in flight without sending anything. */
export function restoreWindow(index: u32, id: u32, state: u32, position: u32): bool {
  return restoreId(slotAt(index), id, state, position);
}

/** Puts an alias of the client back. */
export function restoreAlias(index: u32, alias: u32, ptr: usize, len: u32): bool {
  const slot = slotAt(index);
  return alias > 0 && alias <= slot.aliasInMax && setInboundAlias(slot, alias, ptr, len);
}

export function setNextId(index: u32, id: u32): void {
  slotAt(index).nextId = id;
}
