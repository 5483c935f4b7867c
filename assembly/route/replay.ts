// Queued, retained and repeated messages for one session, handed in by the host as a batch of entries.
// An entry, 8-byte aligned:
//    0: u32 size of the entry          16: u32 remaining expiry, s (NO_EXPIRY: none)
//    4: u32 E_* | QoS                  20: u32 number of subscription ids
//    8: u32 position (NO_POSITION)     24: u32 bytes of external payload
//   12: u32 packet id (0: take one)    28: u32 length of the body
//   32: u32 ids ..., then the canonical body (u16 topic length, topic, properties, payload)
import { E_DUP, E_PUBREL, E_RETAIN, H_TOO_LARGE, NO_SLOT, R_ACKED, R_SENT, SLOT_ONLINE, SLOT_V5 } from "../abi";
import { count } from "../codec/header";
import { scanTopicName } from "../topics/levels";
import { owe, PUBREL } from "./acknowledgements/acks";
import { record, recordsLeft, templateLeft } from "./call/arenas";
import { send } from "./delivery/deliver";
import { encodePublish, forgetTemplates, idBytes, setIdList } from "./delivery/encode";
import { encodedBound, messageFromBody, mTopic, mTopicLen } from "./call/message";
import { overRate, paceNeedsTopic, recordPaced } from "./rates/pace";
import { itemsLeft } from "./call/output";
import { slotAt } from "./slots/slots";
import { findEntry, NO_POSITION, reserveEntry, restoreId, takeId, W_PUBACK, W_PUBCOMP, W_PUBREC } from "./acknowledgements/window";

const HEAD: u32 = 32;

/** Returns the size of the entry when it is done with, 0 when an arena is full, -1 when the slot takes no more now. */
export function replayStep(index: u32, at: usize, now: f64, commit: u32): i32 {
  const slot = slotAt(index);
  if (!(slot.flags & SLOT_ONLINE)) return -1;
  if (itemsLeft() < 4 || recordsLeft() < 8 || templateLeft() < 256) return 0;
  const size = load<u32>(at);
  const options = load<u32>(at, 4);
  const position = load<u32>(at, 8);
  const id = load<u32>(at, 12);
  const qos = options & 3;
  if (options & E_PUBREL) {
    const entry = findEntry(slot, id);
    if (entry ? load<u32>(entry) != position : !restoreId(slot, id, W_PUBCOMP, position)) return -1;
    // That PUBREC has come may not be safe yet, if it came just before the last connection ended: then it waits.
    if (!entry) owe(index, slot, PUBREL, id, 0, commit);
    record(R_SENT, index, position, id, 0, 0, 0, 0);
    return size;
  }
  if (slot.credit <= 0) return -1;
  if (qos && !(id != 0 && findEntry(slot, id) != 0) && (slot.inflight >= slot.sendMax || !reserveEntry(slot))) return -1;
  const ids = load<u32>(at, 20);
  const body = at + HEAD + ids * 4;
  if (!messageFromBody(body, load<u32>(at, 28), qos, options & E_RETAIN ? 1 : 0, NO_SLOT, load<u32>(at, 16), load<u32>(at, 24), now)) {
    return size;
  }
  if (templateLeft() < 2 * encodedBound() + ids * 5 + 256) return 0;
  if (slot.aliasOutMax || (slot.rates && paceNeedsTopic(slot))) scanTopicName(mTopic, mTopicLen);
  if (slot.rates) {
    const over = overRate(slot);
    if (over) {
      recordPaced(index, over);
      return -1;
    }
  }
  forgetTemplates();
  setIdList(at + HEAD, ids);
  if (!encodePublish(slot, qos, options & E_RETAIN ? 1 : 0, options & E_DUP ? 1 : 0, slot.flags & SLOT_V5 ? idBytes() : 0)) {
    count(H_TOO_LARGE, 1);
    if (position != NO_POSITION) record(R_ACKED, index, position, 0, 0, 0, 0, 0);
    return size;
  }
  if (qos == 0) {
    send(index, slot, 0);
    return size;
  }
  const state = qos == 1 ? W_PUBACK : W_PUBREC;
  let taken = id;
  if (id) {
    // Reserved in this connection already, or of an earlier one. Another message may hold it: then it waits for that one,
    // as it would for room in the window.
    const entry = findEntry(slot, id);
    if (entry ? load<u32>(entry) != position : !restoreId(slot, id, state, position)) return -1;
  } else taken = takeId(slot, state, position);
  send(index, slot, taken);
  record(R_SENT, index, position, taken, 0, 0, 0, 0);
  return size;
}
