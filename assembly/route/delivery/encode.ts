// PUBLISH for a receiver. Receivers of one kind (protocol family, QoS, RETAIN) share one encoding, made at the first of
// them; those with subscription identifiers, an alias or a repeated packet get their own.
// A template is { u32 offset of the packet id, bytes }; its address is that of the bytes.
import { OPT_ID_SHIFT, SLOT_V5 } from "../../abi";
import { topicHash, topicHash2 } from "../../topics/levels";
import { outboundAlias } from "../slots/aliases";
import { takeTemplate } from "../call/arenas";
import { furtherId } from "./hits";
import {
  mExpiry,
  mExternal,
  mPatchExpiry,
  mPayload,
  mPayloadLen,
  mProps,
  mProps2,
  mProps2Len,
  mPropsLen,
  mTopic,
  mTopicLen,
  varintSize,
  writeVarint,
} from "../call/message";
import { Slot } from "../slots/slots";

/** Topics shorter than this gain nothing from an alias (3 bytes of property). */
const ALIAS_PAYS: u32 = 5;

// Templates of the current message, by kind: v5 << 3 | qos << 1 | retain. {u32 ptr, u32 len}
const CACHE: usize = memory.data(16 * 8);

export let encodedAt: usize = 0;
/** Length of the whole packet on the wire, external payload included. */
export let encodedTotal: u32 = 0;

let cachedAny: bool = false;

/** Another message, or another arena: the templates hold no longer. */
export function forgetTemplates(): void {
  if (cachedAny) memory.fill(CACHE, 0, 128);
  cachedAny = false;
}

/** Subscription identifiers of a delivery: the first in the options word, more in a chain of hits, or a plain list. */
let idFirst: u32 = 0;
let idChain: u32 = 0;
let idList: usize = 0;
let idListLen: u32 = 0;

export function setIds(options: u32, chain: u32): void {
  idFirst = options >> OPT_ID_SHIFT;
  idChain = chain;
  idListLen = 0;
}

export function setIdList(ptr: usize, count: u32): void {
  idFirst = 0;
  idChain = 0;
  idList = ptr;
  idListLen = count;
}

/** Bytes the identifiers need as properties. */
export function idBytes(): u32 {
  let bytes: u32 = idFirst ? 1 + varintSize(idFirst) : 0;
  for (let n = idChain; n; n = load<u32>(furtherId(n), 4)) bytes += 1 + varintSize(load<u32>(furtherId(n)));
  for (let i: u32 = 0; i < idListLen; i++) bytes += 1 + varintSize(load<u32>(idList + ((<usize>i) << 2)));
  return bytes;
}

function writeId(to: usize, id: u32): usize {
  store<u8>(to, 11);
  return writeVarint(to + 1, id);
}

/** Remaining Length without an alias. */
function remainingLength(v5: bool, qos: u32, ids: u32): u32 {
  const props = mPropsLen + mProps2Len + ids;
  return 2 + mTopicLen + (qos ? 2 : 0) + (v5 ? varintSize(props) + props : 0) + mPayloadLen + mExternal;
}

/** Would encodePublish() succeed? Asked for what is sent later: encoding it now would assign an alias nobody is told of. */
export function fits(slot: Slot, qos: u32, ids: u32): bool {
  const remaining = remainingLength((slot.flags & SLOT_V5) != 0, qos, ids);
  return 1 + varintSize(remaining) + remaining <= slot.maxPacket;
}

/**
 * Encodes for the slot; encodedAt and encodedTotal tell the result, whose first byte on the wire is encodedAt's.
 * False: the packet exceeds the receiver's Maximum Packet Size, and counts as delivered [MQTT-3.1.2-25].
 * `ids` is the size of the identifiers set before, as idBytes() says.
 */
export function encodePublish(slot: Slot, qos: u32, retain: u32, dup: u32, ids: u32): bool {
  const v5 = (slot.flags & SLOT_V5) != 0;
  const own = ids != 0 || dup != 0 || slot.aliasOutMax != 0;
  const cached = CACHE + ((<usize>((v5 ? 8 : 0) | (qos << 1) | retain)) << 3);
  if (!own && load<usize>(cached)) {
    encodedAt = load<usize>(cached);
    encodedTotal = load<u32>(cached, 4);
    return encodedTotal <= slot.maxPacket;
  }
  const rawProps = mPropsLen + mProps2Len;
  let props: u32 = v5 ? rawProps + ids : 0;
  let remaining = remainingLength(v5, qos, ids);
  if (1 + varintSize(remaining) + remaining > slot.maxPacket) {
    encodedTotal = 1 + varintSize(remaining) + remaining;
    return false;
  }
  let topicLen = mTopicLen;
  let alias: u32 = 0;
  // Sized without the alias first: it must never make a packet too large that fits without it.
  if (v5 && slot.aliasOutMax && mTopicLen >= ALIAS_PAYS && remaining + 12 <= slot.maxPacket) {
    alias = outboundAlias(slot, topicHash, topicHash2);
    if (alias) {
      if (alias & 1) topicLen = 0;
      props += 3;
      remaining = 2 + topicLen + (qos ? 2 : 0) + varintSize(props) + props + mPayloadLen + mExternal;
    }
  }
  const total = 1 + varintSize(remaining) + remaining;
  const start = takeTemplate(total - mExternal + 4) + 4;
  store<u8>(start, <u8>(0x30 | (dup << 3) | (qos << 1) | retain));
  let to = writeVarint(start + 1, remaining);
  store<u16>(to, bswap<u16>(<u16>topicLen));
  memory.copy(to + 2, mTopic, topicLen);
  to += 2 + topicLen;
  store<u32>(start - 4, <u32>(to - start));
  if (qos) to += 2;
  if (v5) {
    to = writeVarint(to, props);
    const first = to;
    memory.copy(to, mProps, mPropsLen);
    to += mPropsLen;
    if (mProps2Len) {
      memory.copy(to, mProps2, mProps2Len);
      to += mProps2Len;
    }
    if (mPatchExpiry) patchExpiry(first, rawProps);
    if (alias) {
      store<u8>(to, 35);
      store<u16>(to, bswap<u16>(<u16>(alias >> 1)), 1);
      to += 3;
    }
    if (ids) {
      if (idFirst) to = writeId(to, idFirst);
      for (let n = idChain; n; n = load<u32>(furtherId(n), 4)) to = writeId(to, load<u32>(furtherId(n)));
      for (let i: u32 = 0; i < idListLen; i++) to = writeId(to, load<u32>(idList + ((<usize>i) << 2)));
    }
  }
  memory.copy(to, mPayload, mPayloadLen);
  encodedAt = start;
  encodedTotal = total;
  if (!own) {
    cachedAny = true;
    store<usize>(cached, start);
    store<u32>(cached, total, 4);
  }
  return true;
}

/** Writes the remaining interval over the one in validated property bytes [MQTT-3.3.2-6]. */
function patchExpiry(props: usize, len: u32): void {
  let at = props;
  const end = props + len;
  while (at < end) {
    const id = <u32>load<u8>(at++);
    switch (id) {
      case 1:
        at += 1;
        break;
      case 2:
        store<u32>(at, bswap<u32>(mExpiry));
        return;
      case 38:
        at += 2 + <usize>bswap<u16>(load<u16>(at));
        at += 2 + <usize>bswap<u16>(load<u16>(at));
        break;
      default: // Content Type, Response Topic, Correlation Data
        at += 2 + <usize>bswap<u16>(load<u16>(at));
    }
  }
}
