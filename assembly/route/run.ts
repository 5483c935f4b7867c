// route(): one call for a run of packets of one client. Consumes PUBLISH, acknowledgements and PINGREQ; stops before
// anything else, and behind nothing that has failed. resume() continues what a full arena interrupted.
import { H_AWAITED, H_CONSUMED, H_DETAIL, H_OFFSET, H_OTHERS_IN, H_PART, H_REASON, H_TOTAL, LARGE_PACKET, M_ANSWERED, M_NO_SHARED, M_QOS_MASK, M_RETAIN, M_SPACE_SHIFT, M_UNMETERED, MESSAGE_HEAD, NO_SLOT, R_ACKED, R_PUBREL, R_RECEIVED, R_WINDOW, SLOT_MAX_QOS1, SLOT_PERSISTENT, SLOT_QUEUED, SLOT_V31, SLOT_V5, STOP_BUDGET, STOP_CONTROL, STOP_DONE, STOP_ERROR, STOP_FULL, STOP_LARGE, STOP_PARTIAL } from "../abi";
import { D_PACKET_ID, D_REASON, DETAIL_LENGTH, DETAIL_PACKET_SIZE, DETAIL_QOS_MAXIMUM } from "../codec/abi";
import { decodePacket } from "../codec/decode";
import { fail } from "../codec/errors";
import { READ16 } from "../codec/fields";
import { frameTotal, readFrame } from "../codec/frame";
import { count, getWord, setWord } from "../codec/header";
import { scanTopicName } from "../topics/levels";
import { isOwedMost, owe, PUBACK, PUBCOMP, PUBREC, PUBREL, releaseUpTo } from "./acknowledgements/acks";
import { nextPart, part, publishCounts, record, recordsLeft, resetRecords, templateLeft } from "./call/arenas";
import { forgetTemplates } from "./delivery/encode";
import { setSpace } from "./delivery/hits";
import { forgetStored, messageFromBody, setInjected } from "./call/message";
import { addInline, flush, hasOutput, itemsLeft, resetGather } from "./call/output";
import { replayStep } from "./replay";
import { Slot, slotAt } from "./slots/slots";
import { findEntry, NO_POSITION, releaseEntry, removeInbound, W_PUBACK, W_PUBCOMP, W_PUBREC } from "./acknowledgements/window";
import { CONTINUE, SMALL, commit, error, passTo, runAt, runEnd, runExternal, runNow, runSlot, runStart, setNow, setRun } from "./call/call";
import { fanning, forgetFanout, setOnly, setSlice, setSender, startFanout, stepFanout } from "./fan-out";
import { publish } from "./publish";

// What the present call is.
const CALL_RUN: u32 = 0;
const CALL_INJECT: u32 = 1;
const CALL_RELEASE: u32 = 2;
const CALL_REPLAY: u32 = 3;

let call: u32 = CALL_RUN;
let releaseNumber: u32 = 0; // the commit being released
let releaseReason: u32 = 0;
let replayWait: u32 = 0; // the commit that a repeated PUBREL must wait for, 0: none
let heldStop: i32 = CONTINUE;

/** Routes the bytes at [ptr, ptr + len), which belong to the client of `index`. Returns a STOP_* code. */
export function route(index: u32, ptr: usize, len: u32, now: f64): i32 {
  begin(CALL_RUN);
  setRun(index, ptr, len, 0, now);
  return finish(run());
}

/** A PUBLISH of which only the first `len` bytes stand at `ptr`; the host holds the rest of its payload. */
export function routeLarge(index: u32, ptr: usize, len: u32, missing: u32, now: f64): i32 {
  begin(CALL_RUN);
  setRun(index, ptr, len, missing, now);
  return finish(run());
}

/** Routes a canonical message at `ptr` (head and body); a payload of `external` bytes may be held by the host. */
export function inject(ptr: usize, now: f64): i32 {
  begin(CALL_INJECT);
  const flags = load<u32>(ptr, 4);
  const topicLen = load<u32>(ptr, 12);
  setNow(now);
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
  setSender(false, 0, 0);
  setInjected((flags & M_UNMETERED) != 0, (flags & M_ANSWERED) != 0);
  setSpace(flags >> M_SPACE_SHIFT);
  startFanout(load<u32>(ptr, 8), flags & M_QOS_MASK, (flags & M_NO_SHARED) == 0);
  return finish(stepFanout() ? STOP_DONE : CONTINUE);
}

/** The same for about `limit` receivers whose slots begin at `from`; H_NEXT_SLOT says where the next slice begins. */
export function injectSlice(ptr: usize, from: u32, limit: u32, now: f64): i32 {
  setSlice(from, limit);
  const stop = inject(ptr, now);
  setSlice(0, 0);
  return stop;
}

/** The same for one member of a shared group only: the one that had it has lost it before it was acknowledged. */
export function injectToMember(ptr: usize, group: u32, member: u32, now: f64): i32 {
  setOnly(group + 1, member, false);
  const stop = inject(ptr, now);
  setOnly(0, NO_SLOT, false);
  return stop;
}

/** The same for one session only, subscribed or not where `implied`: what the server itself has to say to it [SUB-5]. */
export function injectToSlot(ptr: usize, index: u32, implied: bool, now: f64): i32 {
  setOnly(0, index, implied);
  const stop = inject(ptr, now);
  setOnly(0, NO_SLOT, false);
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

/** A batch of queued or retained messages for one slot, see replay.ts. */
export function replay(index: u32, ptr: usize, len: u32, now: f64, wait: u32): i32 {
  begin(CALL_REPLAY);
  replayWait = wait;
  setRun(index, ptr, len, 0, now);
  return finish(stepReplay());
}

/** After STOP_BUDGET, when the host has acted on the records. */
export function resume(): i32 {
  if (!hasOutput()) nextPart();
  setWord(H_PART, part);
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
  nextPart();
  setWord(H_PART, part);
  setWord(H_AWAITED, 0);
  forgetFanout();
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
    passTo(runAt + used);
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
      // PUBREC and PUBREL are answered.
      if ((type == 5 || type == 6) && isOwedMost(slot)) {
        setWord(H_TOTAL, total);
        return STOP_FULL;
      }
      const reason = acknowledgement(index, slot, type, start, total, level);
      if (reason) return error(reason, start);
    } else if (first == 0xc0 && total == 2) {
      addInline(index, slot, 0x00d0, 2);
    } else {
      setWord(H_TOTAL, total);
      return STOP_CONTROL;
    }
    count(H_OTHERS_IN, 1);
    passTo(end);
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

/** PUBACK, PUBREC, PUBREL, PUBCOMP. Returns 0 or the reason to close the connection. */
function acknowledgement(index: u32, slot: Slot, type: u32, start: usize, total: u32, level: u32): i32 {
  let id: u32;
  let reason: u32 = 0;
  if (type != 4 && slot.flags & SLOT_MAX_QOS1) return fail(0x82, DETAIL_QOS_MAXIMUM, start); // [NET-4]
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
  if (slot.flags & SLOT_QUEUED && slot.windowMark != part) {
    slot.windowMark = part;
    record(R_WINDOW, index, 0, 0, 0, 0, 0, 0);
  }
  return 0;
}

/** PUBREL of the client. */
function released(index: u32, slot: Slot, id: u32): i32 {
  const reason: u32 = removeInbound(slot, id) ? 0 : 0x92;
  // An id that is not held may have been freed in an earlier connection, not safely yet: the host knows.
  if (slot.flags & SLOT_PERSISTENT) record(R_PUBREL, index, id, reason, 0, 0, 0, 0);
  else owe(index, slot, PUBCOMP, id, reason, 0);
  return 0;
}
