// route(): one call for a run of packets of one client. Consumes PUBLISH, acknowledgements and PINGREQ; stops before
// anything else, and behind nothing that has failed. resume() continues what a full arena interrupted.
import {
  H_AWAITED,
  H_CONSUMED,
  H_DENIED,
  H_DETAIL,
  H_HITS,
  H_OFFSET,
  H_REASON,
  H_RECEIVED,
  H_RX_BYTES,
  H_STORE_OFFSET,
  H_TOTAL,
  LARGE_PACKET,
  M_NO_SHARED,
  M_QOS_MASK,
  M_RETAIN,
  MESSAGE_HEAD,
  NO_EXPIRY,
  NO_SLOT,
  R_ACKED,
  R_PUBREL,
  R_RECEIVED,
  R_RETAIN,
  R_TAP,
  R_WINDOW,
  SLOT_ALLOW_ALL,
  SLOT_DEDUPE_QOS1,
  SLOT_MAX_QOS1,
  SLOT_NO_RETAIN,
  SLOT_PERSISTENT,
  SLOT_QUEUED,
  SLOT_RETAIN_UNAVAILABLE,
  SLOT_V31,
  SLOT_V5,
  SLOT_VALIDATE_UTF8,
  STOP_BUDGET,
  STOP_CONTROL,
  STOP_DONE,
  STOP_ERROR,
  STOP_HOST,
  STOP_LARGE,
  STOP_PARTIAL,
  STOP_VERDICT,
  VERDICT_ALLOW,
  VERDICT_HOST,
  VERDICT_REASON_SHIFT,
  VERDICT_TAP,
} from "../abi";
import { D_PACKET_ID, D_REASON, D_TOPIC, D_TOPIC_LEN, DETAIL_ALIAS_RANGE, DETAIL_ALIAS_UNKNOWN, DETAIL_LENGTH, DETAIL_PACKET_SIZE, DETAIL_PAYLOAD_FORMAT, DETAIL_QOS_MAXIMUM, DETAIL_RECEIVE_MAXIMUM, DETAIL_RETAIN } from "../codec/abi";
import { decodePacket, describePublish } from "../codec/decode";
import { errorAt, errorDetail, fail } from "../codec/errors";
import { READ16 } from "../codec/fields";
import { frameBody, frameTotal, readFrame } from "../codec/frame";
import { getWord, setWord } from "../codec/header";
import {
  parsePublish,
  pubAlias,
  pubFormat,
  pubPacketId,
  pubPayload,
  pubPayloadLen,
  pubQos,
  pubRetain,
  pubTopic,
  pubTopicLen,
} from "../codec/publish";
import { validateUtf8Payload } from "../codec/utf8";
import { scanTopicName } from "../topics/levels";
import { amendAck, owe, PUBACK, PUBCOMP, PUBREC, PUBREL, releaseUpTo, setOnceText, waits } from "./acks";
import { inboundAlias, setInboundAlias } from "./aliases";
import { publishCounts, record, recordsLeft, resetRecords, templateLeft } from "./arenas";
import { beginFanout, count, fanout, needsCommit, storeLeft } from "./deliver";
import { forgetTemplates } from "./encode";
import { collectGroup, collectHits, collectSlot, hitCount } from "./hits";
import {
  forgetStored,
  messageFromBody,
  messageFromPacket,
  mRetain,
  setExternal,
  setRange,
  storeMessage,
} from "./message";
import { addInline, flush, itemsLeft, resetGather } from "./output";
import { replayStep } from "./replay";
import { Slot, slotAt } from "./slots";
import { findVerdict, takeOnceVerdict } from "./verdicts";
import {
  addInbound,
  findEntry,
  hasInbound,
  NO_POSITION,
  releaseEntry,
  removeInbound,
  W_PUBACK,
  W_PUBCOMP,
  W_PUBREC,
} from "./window";

// What the present call is made of.
const CALL_RUN: u32 = 0;
const CALL_INJECT: u32 = 1;
const CALL_RELEASE: u32 = 2;
const CALL_REPLAY: u32 = 3;
/** Not a STOP_* of the ABI: arenas are full, more is to be done. */
const CONTINUE: i32 = -1;
/** Room a packet other than PUBLISH may need. */
const SMALL: u32 = 512;

let call: u32 = CALL_RUN;
let callNumber: u32 = 0;
let runSlot: u32 = 0;
let runStart: usize = 0;
let runAt: usize = 0;
let runEnd: usize = 0;
let runNow: f64 = 0;
let runExternal: u32 = 0; // payload bytes of a large PUBLISH that the host holds
let commit: u32 = 0; // number of the commit that this turn's messages belong to
let releaseNumber: u32 = 0; // the commit being released
let replayWait: u32 = 0; // the commit that a repeated PUBREL must wait for, 0: none
let releaseReason: u32 = 0;
let heldStop: i32 = CONTINUE;
let injectGroup: u32 = 0; // group + 1
let injectSlot: u32 = NO_SLOT;
let injectImplied: bool = false;
let fanning: bool = false; // a fan-out is half done
let fanQos: u32 = 0;
let fanId: u32 = 0;
let fanTotal: u32 = 0;
let fanAck: bool = false;
let fanReason: u32 = 0; // the host could not keep the message as retained

export function setCommit(number: u32): void {
  commit = number;
}

/** Routes the bytes at [ptr, ptr + len), which belong to the client of `index`. Returns a STOP_* code. */
export function route(index: u32, ptr: usize, len: u32, now: f64): i32 {
  begin(CALL_RUN);
  runSlot = index;
  runStart = ptr;
  runAt = ptr;
  runEnd = ptr + len;
  runNow = now;
  runExternal = 0;
  return finish(run());
}

/** A PUBLISH of which only the first `len` bytes stand at `ptr`; the host holds the rest of its payload. */
export function routeLarge(index: u32, ptr: usize, len: u32, missing: u32, now: f64): i32 {
  begin(CALL_RUN);
  runSlot = index;
  runStart = ptr;
  runAt = ptr;
  runEnd = ptr + len;
  runNow = now;
  runExternal = missing;
  return finish(run());
}

/** Routes a canonical message at `ptr` (head and body); a payload of `external` bytes may be held by the host. */
export function inject(ptr: usize, now: f64): i32 {
  begin(CALL_INJECT);
  const flags = load<u32>(ptr, 4);
  const topicLen = load<u32>(ptr, 12);
  runNow = now;
  const whole = messageFromBody(
    ptr + MESSAGE_HEAD,
    load<u32>(ptr) - MESSAGE_HEAD,
    flags & M_QOS_MASK,
    flags & M_RETAIN ? 1 : 0,
    load<u32>(ptr, 8),
    load<u32>(ptr, 24),
    load<u32>(ptr, 28),
    load<f64>(ptr, 16),
  );
  const reason = whole ? scanTopicName(ptr + MESSAGE_HEAD + 2, topicLen) : <i32>DETAIL_LENGTH;
  if (reason) {
    setWord(H_REASON, 0x90);
    setWord(H_DETAIL, reason);
    setWord(H_OFFSET, 0);
    return finish(STOP_ERROR);
  }
  fanAck = false;
  fanTotal = 0;
  startFanout(load<u32>(ptr, 8), flags & M_QOS_MASK, (flags & M_NO_SHARED) == 0);
  return finish(stepFanout() ? STOP_DONE : CONTINUE);
}

/** The same for one shared group only: its member's session ended before the message was acknowledged [MQTT-4.8.2-5]. */
export function injectToGroup(ptr: usize, group: u32, now: f64): i32 {
  injectGroup = group + 1;
  const stop = inject(ptr, now);
  injectGroup = 0;
  return stop;
}

/** The same for one session only, subscribed or not where `implied`: what the server itself has to say to it [SUB-5]. */
export function injectToSlot(ptr: usize, index: u32, implied: bool, now: f64): i32 {
  injectSlot = index;
  injectImplied = implied;
  const stop = inject(ptr, now);
  injectSlot = NO_SLOT;
  return stop;
}

/** Commits up to `number` are safe (reason 0) or have failed: releases what waited for them. */
export function releaseAcks(number: u32, reason: u32): i32 {
  begin(CALL_RELEASE);
  releaseNumber = number;
  releaseReason = reason;
  return finish(releaseUpTo(number, reason) ? STOP_DONE : CONTINUE);
}

/** Owes a client an acknowledgement from the host: PUBREL, PUBREC, PUBCOMP, PUBACK. */
export function oweAck(index: u32, type: u32, id: u32, reason: u32, number: u32): i32 {
  begin(CALL_RELEASE);
  owe(index, slotAt(index), type, id, reason, number);
  return finish(STOP_DONE);
}

/** The host could not keep a message as retained: its sender's acknowledgement says so, whether it is owed yet or not. */
export function refuseRetained(index: u32, id: u32): void {
  if (fanning && runSlot == index && fanId == id) fanReason = 0x97;
  else amendAck(slotAt(index), id, 0x97);
}

/** A batch of queued or retained messages for one slot, see replay.ts. */
export function replay(index: u32, ptr: usize, len: u32, now: f64, wait: u32): i32 {
  begin(CALL_REPLAY);
  replayWait = wait;
  runSlot = index;
  runStart = ptr;
  runAt = ptr;
  runEnd = ptr + len;
  runNow = now;
  return finish(stepReplay());
}

/** After STOP_BUDGET, when the host has acted on the records. */
export function resume(): i32 {
  resetRecords();
  resetGather();
  if (!flush()) {
    publishCounts();
    return STOP_BUDGET;
  }
  forgetStored();
  forgetTemplates();
  const stop = heldStop;
  if (stop != CONTINUE) return done(stop);
  switch (call) {
    case CALL_RUN:
      return finish(fanning && !stepFanout() ? CONTINUE : run());
    case CALL_INJECT:
      return finish(stepFanout() ? STOP_DONE : CONTINUE);
    case CALL_RELEASE:
      return finish(releaseUpTo(releaseNumber, releaseReason) ? STOP_DONE : CONTINUE);
    default:
      return finish(stepReplay());
  }
}

function begin(kind: u32): void {
  call = kind;
  callNumber++;
  setWord(H_AWAITED, 0);
  fanning = false;
  heldStop = CONTINUE;
  resetRecords();
  resetGather();
  forgetTemplates();
}

function finish(stop: i32): i32 {
  heldStop = stop;
  const flushed = flush();
  if (!flushed || stop == CONTINUE) {
    publishCounts();
    return STOP_BUDGET;
  }
  return done(stop);
}

function done(stop: i32): i32 {
  if (call == CALL_RUN) setWord(H_CONSUMED, <u32>(runAt - runStart));
  publishCounts();
  return stop;
}

function stepReplay(): i32 {
  while (runAt < runEnd) {
    const used = replayStep(runSlot, runAt, runNow, replayWait);
    if (used == 0) return CONTINUE; // arenas
    if (used < 0) break; // the send window is full, or the connection took too much
    runAt += used;
  }
  setWord(H_CONSUMED, <u32>(runAt - runStart));
  return STOP_DONE;
}

function run(): i32 {
  const index = runSlot;
  const slot = slotAt(index);
  const level: u32 = slot.flags & SLOT_V5 ? 5 : slot.flags & SLOT_V31 ? 3 : 4;
  while (runAt < runEnd) {
    const start = runAt;
    const total = readFrame(start, runEnd);
    if (total <= 0 || <u32>total + runExternal > slot.inMax) {
      const stop = unframed(slot, start, total);
      if (stop != CONTINUE) return stop;
    }
    const first = <u32>load<u8>(start);
    const end = runExternal ? runEnd : start + total;
    const type = first >> 4;
    if (type == 3) {
      const stop = publish(index, slot, start, end, level);
      if (stop != STOP_DONE) return stop;
      continue;
    }
    if (itemsLeft() < 4 || recordsLeft() < 8 || templateLeft() < SMALL) return CONTINUE;
    if (type >= 4 && type <= 7) {
      const reason = acknowledgement(index, slot, type, start, total, level);
      if (reason) return error(reason, start);
    } else if (first == 0xc0 && total == 2) {
      addInline(index, slot, 0x00d0, 2);
    } else {
      setWord(H_TOTAL, total);
      return STOP_CONTROL;
    }
    runAt = end;
  }
  return STOP_DONE;
}

/** The frame is incomplete, malformed or too long. CONTINUE: it is a large PUBLISH of which the head stands here. */
function unframed(slot: Slot, start: usize, total: i32): i32 {
  if (total < 0) return error(fail(0x81, DETAIL_LENGTH, start), start);
  if (frameTotal > slot.inMax) {
    setWord(H_TOTAL, frameTotal);
    return error(fail(0x95, DETAIL_PACKET_SIZE, start), start);
  }
  if (runExternal) return CONTINUE;
  if (frameTotal > LARGE_PACKET) {
    setWord(H_TOTAL, frameTotal);
    return STOP_LARGE;
  }
  return STOP_PARTIAL;
}

function error(reason: i32, start: usize): i32 {
  takeOnceVerdict(); // it was for this packet, and for no other
  setWord(H_REASON, reason);
  setWord(H_DETAIL, errorDetail);
  setWord(H_OFFSET, errorAt > start ? <u32>(errorAt - start) : 0);
  return STOP_ERROR;
}

function publish(index: u32, slot: Slot, start: usize, end: usize, level: u32): i32 {
  const reason = parsePublish(start, frameBody, end, level);
  // Of a large packet only the head is here: topic and properties must lie within.
  if (reason) return error(runExternal && errorAt + 65536 > runEnd ? fail(0x95, DETAIL_PACKET_SIZE, start) : reason, start);
  if (itemsLeft() < 4 || recordsLeft() < 8) return CONTINUE;
  const flags = slot.flags;
  let topic = pubTopic;
  let topicLen = pubTopicLen;
  if (pubAlias) {
    if (pubAlias > slot.aliasInMax) return error(fail(0x94, DETAIL_ALIAS_RANGE, start), start); // [MQTT-3.3.2-9]
    if (topicLen == 0) {
      const entry = inboundAlias(slot, pubAlias);
      topicLen = entry ? load<u32>(entry, 4) : 0;
      if (topicLen == 0) return error(fail(0x82, DETAIL_ALIAS_UNKNOWN, start), start);
      topic = load<usize>(entry);
      scanTopicName(topic, topicLen);
    } else if (!setInboundAlias(slot, pubAlias, topic, topicLen)) {
      return error(fail(0x97, DETAIL_ALIAS_UNKNOWN, start), start);
    }
  }
  const total = <u32>(end - start);
  // Before anything is done that must not be done twice. The bound holds for the stored and the encoded form.
  if (storeLeft() < total + topicLen + SMALL || templateLeft() < 2 * (total + topicLen + SMALL)) return CONTINUE;
  const qos = pubQos;
  const id = pubPacketId;
  if (qos == 2 && flags & SLOT_MAX_QOS1) return error(fail(0x9b, DETAIL_QOS_MAXIMUM, start), start); // [MQTT-3.2.2-11], [QOS-1]
  if (pubRetain && flags & SLOT_RETAIN_UNAVAILABLE) return error(fail(0x9a, DETAIL_RETAIN, start), start); // [MQTT-3.2.2-14]
  if (qos) {
    if (qos == 2 && hasInbound(slot, id)) {
      // The same message again: it is acknowledged again, never delivered again [MQTT-4.3.3-10].
      // Its commit may still be under way, begun before the client came again: this one ends behind it.
      owe(index, slot, PUBREC, id, 0, flags & SLOT_PERSISTENT ? commit : 0);
      runAt = end;
      return STOP_DONE;
    }
    if (qos == 1 && hasInbound(slot, id)) return refuse(index, slot, qos, id, 0x91, end); // packet identifier in use
    if (slot.inboundCount + slot.pendingQos1 >= slot.inboundMax) return error(fail(0x93, DETAIL_RECEIVE_MAXIMUM, start), start); // [MQTT-3.3.4-7]
  }
  let verdict = takeOnceVerdict();
  // Topics that begin with '$' are the server's: nobody is allowed all of them.
  if (verdict == 0) verdict = flags & SLOT_ALLOW_ALL && load<u8>(topic) != 0x24 ? VERDICT_ALLOW : findVerdict(index, slot);
  if ((verdict & VERDICT_ALLOW) == 0) {
    if (verdict == 0) return stopFor(STOP_VERDICT, topic, topicLen, start, end);
    return refuse(index, slot, qos, id, verdict >> VERDICT_REASON_SHIFT, end);
  }
  if (flags & SLOT_VALIDATE_UTF8 && pubFormat && !runExternal && !validateUtf8Payload(pubPayload, pubPayloadLen)) {
    if (qos == 0) return error(fail(0x99, DETAIL_PAYLOAD_FORMAT, start), start);
    return refuse(index, slot, qos, id, 0x99, end);
  }
  const retain: u32 = flags & SLOT_NO_RETAIN ? 0 : pubRetain;
  messageFromPacket(topic, topicLen, index, retain, runNow);
  if (runExternal) setExternal(runExternal);
  // A QoS 2 message of a session that outlives its connection may be delivered only when its id is safe.
  if (verdict & VERDICT_HOST || (qos == 2 && flags & SLOT_PERSISTENT)) {
    count(H_RECEIVED, 1);
    setWord(H_STORE_OFFSET, storeMessage());
    return stopFor(STOP_HOST, topic, topicLen, start, end);
  }
  count(H_RECEIVED, 1);
  count(H_RX_BYTES, pubPayloadLen + runExternal);
  if (qos == 1 && flags & SLOT_DEDUPE_QOS1 && waits(slot, PUBACK, id)) {
    slot.pendingQos1++;
    owe(index, slot, PUBACK, id, 0, 0);
    runAt = end;
    return STOP_DONE;
  }
  if (qos == 2) {
    if (!addInbound(slot, id)) return refuse(index, slot, qos, id, 0x97, end);
  } else if (qos == 1) slot.pendingQos1++;
  if (qos == 0 && (<u32>load<u8>(start) & 0x0f) == 0 && pubAlias == 0 && runExternal == 0 && isCanonical(start, total)) {
    setRange(start, total, (flags & SLOT_V5) != 0);
  }
  if (verdict & VERDICT_TAP) record(R_TAP, index, storeMessage(), 0, 0, 0, 0, index);
  if (retain) record(R_RETAIN, index, storeMessage(), id, 0, 0, 0, index);
  fanAck = qos != 0;
  fanId = id;
  fanTotal = total;
  startFanout(index, qos, true);
  return stepFanout() ? STOP_DONE : CONTINUE;
}

/** The length bytes are the shortest possible: what is forwarded must not be longer than what we would send. */
// @ts-ignore: decorator
@inline
function isCanonical(start: usize, total: u32): bool {
  const bytes = <u32>(frameBody - start);
  return bytes == 2 || (bytes == 3 && total > 130) || (bytes == 4 && total > 16387);
}

function startFanout(sender: u32, qos: u32, shared: bool): void {
  fanQos = qos;
  fanReason = 0;
  forgetTemplates();
  if (injectGroup) collectGroup(injectGroup - 1, qos);
  else if (injectSlot != NO_SLOT) collectSlot(injectSlot, qos, injectImplied);
  else collectHits(sender, qos, shared);
  beginFanout();
  fanning = true;
}

/** Goes on with the fan-out; at its end the sender is owed its acknowledgement. False: arenas are full. */
function stepFanout(): bool {
  if (!fanout()) return false;
  fanning = false;
  setWord(H_HITS, hitCount);
  if (fanAck) {
    const slot = slotAt(runSlot);
    const stored = needsCommit || mRetain != 0;
    const reason: u32 = fanReason ? fanReason : hitCount == 0 ? 0x10 : 0; // no matching subscribers
    owe(runSlot, slot, fanQos == 1 ? PUBACK : PUBREC, fanId, reason, stored ? commit : 0);
  }
  runAt += fanTotal;
  return true;
}

/** Leaves the packet to the host; its descriptor names the topic in use, alias or not. */
function stopFor(stop: i32, topic: usize, topicLen: u32, start: usize, end: usize): i32 {
  describePublish();
  setWord(D_TOPIC, <u32>topic);
  setWord(D_TOPIC_LEN, topicLen);
  setWord(H_TOTAL, <u32>(end - start));
  return stop;
}

/** Refuses one PUBLISH. Before 5.0 there is no way to say no: it is acknowledged and dropped [MQTT-3.3.5-2]. */
function refuse(index: u32, slot: Slot, qos: u32, id: u32, reason: u32, end: usize): i32 {
  count(H_DENIED, 1);
  const said: u32 = slot.flags & SLOT_V5 ? (reason ? reason : 0x87) : 0;
  if (qos == 1) {
    slot.pendingQos1++;
    owe(index, slot, PUBACK, id, said, 0);
  } else if (qos == 2) {
    // 3.x: the exchange must be completed, so the id is held like any other.
    if (said == 0) addInbound(slot, id);
    owe(index, slot, PUBREC, id, said, 0);
  }
  setOnceText(0, 0); // where this client is not told, no other is
  runAt = end;
  return STOP_DONE;
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP. Returns 0 or the reason to close the connection. */
function acknowledgement(index: u32, slot: Slot, type: u32, start: usize, total: u32, level: u32): i32 {
  let id: u32;
  let reason: u32 = 0;
  const flags = <u32>load<u8>(start) & 15;
  if (total == 4 && (flags == 0) == (type != 6) && (type != 6 || flags == 2)) {
    id = READ16(start + 2);
    if (id == 0) return fail(0x81, DETAIL_LENGTH, start + 2);
  } else {
    const defect = decodePacket(start, total, level);
    if (defect) return defect;
    id = getWord(D_PACKET_ID);
    reason = getWord(D_REASON);
  }
  if (type == 6) return released(index, slot, id);
  const entry = findEntry(slot, id);
  const state: u32 = entry ? load<u8>(entry, 6) : 0;
  const position: u32 = entry ? load<u32>(entry) : NO_POSITION;
  if (type == 5) {
    if (state == W_PUBREC && reason < 0x80) {
      store<u8>(entry, <u8>W_PUBCOMP, 6);
      // A stored message: PUBREL follows when "PUBREC received" is safe.
      if (position != NO_POSITION) record(R_RECEIVED, index, position, id, 0, 0, 0, 0);
      else owe(index, slot, PUBREL, id, 0, 0);
      return 0;
    }
    if (state != W_PUBREC) {
      // Only a PUBREC below 0x80 is answered [MQTT-4.3.3-4].
      if (reason < 0x80) owe(index, slot, PUBREL, id, state == W_PUBCOMP ? 0 : 0x92, 0);
      return 0;
    }
  } else if (state != (type == 4 ? W_PUBACK : W_PUBCOMP)) return 0; // an answer to nothing
  if (position != NO_POSITION) record(R_ACKED, index, position, id, reason, 0, 0, 0);
  releaseEntry(slot, entry);
  if (slot.flags & SLOT_QUEUED && slot.windowMark != callNumber) {
    slot.windowMark = callNumber;
    record(R_WINDOW, index, 0, 0, 0, 0, 0, 0);
  }
  return 0;
}

/** PUBREL of the client. */
function released(index: u32, slot: Slot, id: u32): i32 {
  if (!removeInbound(slot, id)) {
    owe(index, slot, PUBCOMP, id, 0x92, 0);
  } else if (slot.flags & SLOT_PERSISTENT) {
    record(R_PUBREL, index, id, 0, 0, 0, 0, 0);
  } else owe(index, slot, PUBCOMP, id, 0, 0);
  return 0;
}
