// The message being delivered: where its parts lie, and its canonical copy in the store arena once somebody needs it.
// It comes from a PUBLISH in the input, from the host (inject) or from a session's queue (replay).
import {
  M_RETAIN,
  MESSAGE_HEAD,
  NO_EXPIRY,
  NO_OFFSET,
  NO_SLOT,
} from "../../abi";
import { READ16 } from "../../codec/fields";
import { readVarint, varintValue } from "../../codec/frame";
import {
  pubAliasAt,
  pubExpiry,
  pubExpiryAt,
  pubPayload,
  pubPayloadLen,
  pubPropsRaw,
  pubPropsRawLen,
  pubQos,
} from "../../codec/publish";
import { storeBase, takeStore } from "./arenas";

export let mTopic: usize = 0;
export let mTopicLen: u32 = 0;
// Property bytes without Topic Alias: two spans, the second one empty where there was no alias.
export let mProps: usize = 0;
export let mPropsLen: u32 = 0;
export let mProps2: usize = 0;
export let mProps2Len: u32 = 0;
export let mPayload: usize = 0;
export let mPayloadLen: u32 = 0; // bytes present here
export let mExternal: u32 = 0; // payload bytes the host holds
export let mQos: u32 = 0;
export let mRetain: u32 = 0;
export let mSender: u32 = NO_SLOT;
export let mExpiry: u32 = NO_EXPIRY;
export let mPatchExpiry: bool = false; // the interval to send differs from the one in the bytes
export let mRange: usize = 0; // the packet's bytes may be forwarded as they are; 0: they may not
export let mRangeLen: u32 = 0;
export let mRangeV5: bool = false;
export let mStored: u32 = NO_OFFSET;
export let mNow: f64 = 0;
export let mUnmetered: bool = false; // the rate of all receivers together does not count it
export let mAnswered: bool = false; // its sender is told what became of it

/** Takes over what parsePublish() found. `topic` is the alias's topic where the packet had none. */
export function messageFromPacket(topic: usize, topicLen: u32, sender: u32, retain: u32, now: f64): void {
  mTopic = topic;
  mTopicLen = topicLen;
  if (pubAliasAt) {
    mProps = pubPropsRaw;
    mPropsLen = <u32>(pubAliasAt - pubPropsRaw);
    mProps2 = pubAliasAt + 3;
    mProps2Len = pubPropsRawLen - mPropsLen - 3;
  } else {
    mProps = pubPropsRaw;
    mPropsLen = pubPropsRawLen;
    mProps2Len = 0;
  }
  mPayload = pubPayload;
  mPayloadLen = pubPayloadLen;
  mExternal = 0;
  mQos = pubQos;
  mRetain = retain;
  mSender = sender;
  mExpiry = pubExpiry;
  mPatchExpiry = false;
  mRange = 0;
  mStored = NO_OFFSET;
  mNow = now;
  mUnmetered = false;
  mAnswered = false;
}

/** After messageFromBody(), of what the host injects. */
export function setInjected(unmetered: bool, answered: bool): void {
  mUnmetered = unmetered;
  mAnswered = answered;
}

export function setRange(start: usize, len: u32, v5: bool): void {
  mRange = start;
  mRangeLen = len;
  mRangeV5 = v5;
}

/** The payload, or what is missing of it here, is held by the host. */
export function setExternal(len: u32): void {
  mExternal = len;
}

/**
 * Reads a canonical body (u16 topic length, topic, properties, payload). False where it is not whole.
 * `expiry` is the interval to send on; it is patched over the one in the bytes.
 */
export function messageFromBody(body: usize, len: u32, qos: u32, retain: u32, sender: u32, expiry: u32, external: u32, now: f64): bool {
  if (len < 3) return false;
  const end = body + len;
  mTopicLen = READ16(body);
  mTopic = body + 2;
  let at = mTopic + mTopicLen;
  if (at >= end) return false;
  const size = readVarint(at, end);
  if (size == 0) return false;
  at += size;
  mProps = at;
  mPropsLen = varintValue;
  mProps2Len = 0;
  if (mPropsLen > <u32>(end - at)) return false;
  mPayload = at + mPropsLen;
  mPayloadLen = <u32>(end - mPayload);
  mExternal = external;
  mQos = qos;
  mRetain = retain;
  mSender = sender;
  mExpiry = expiry;
  mPatchExpiry = expiry != NO_EXPIRY;
  mRange = 0;
  mStored = NO_OFFSET;
  mNow = now;
  mUnmetered = false;
  mAnswered = false;
  return true;
}

/** Upper bound of the packet's size for any receiver, without further subscription identifiers. */
// @ts-ignore: decorator
@inline
export function encodedBound(): u32 {
  return mTopicLen + mPropsLen + mProps2Len + mPayloadLen + 64;
}

export function storeBound(): u32 {
  return MESSAGE_HEAD + mTopicLen + mPropsLen + mProps2Len + mPayloadLen + 16;
}

/** The arenas were emptied in the middle of this message. */
export function forgetStored(): void {
  mStored = NO_OFFSET;
}

// @ts-ignore: decorator
@inline
export function varintSize(value: u32): u32 {
  return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : 4;
}

export function writeVarint(at: usize, value: u32): usize {
  while (value >= 128) {
    store<u8>(at++, <u8>(value | 128));
    value >>= 7;
  }
  store<u8>(at, <u8>value);
  return at + 1;
}

/** Writes the canonical message to the store arena, once; its offset. The caller has made sure that it fits. */
export function storeMessage(): u32 {
  if (mStored != NO_OFFSET) return mStored;
  const props = mPropsLen + mProps2Len;
  const size = MESSAGE_HEAD + 2 + mTopicLen + varintSize(props) + props + mPayloadLen;
  const offset = takeStore(size);
  assert(offset != NO_OFFSET);
  const at = storeBase + offset;
  store<u32>(at, size);
  store<u32>(at, mQos | (mRetain ? M_RETAIN : 0), 4);
  store<u32>(at, mSender, 8);
  store<u32>(at, mTopicLen, 12);
  store<f64>(at, mNow, 16);
  store<u32>(at, mExpiry, 24);
  store<u32>(at, mExternal, 28);
  let to = at + MESSAGE_HEAD;
  store<u16>(to, bswap<u16>(<u16>mTopicLen));
  memory.copy(to + 2, mTopic, mTopicLen);
  to = writeVarint(to + 2 + mTopicLen, props);
  memory.copy(to, mProps, mPropsLen);
  to += mPropsLen;
  if (mProps2Len) memory.copy(to, mProps2, mProps2Len);
  memory.copy(to + mProps2Len, mPayload, mPayloadLen);
  mStored = offset;
  return offset;
}
