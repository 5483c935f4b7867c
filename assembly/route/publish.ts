// A PUBLISH of a client: checks it, has it permitted, and starts its way to its receivers, or refuses it. Room for all it may
// cause is made sure of before its first effect.
import { EXCESS_PAIRS, H_DETAIL, H_DENIED, H_LIMITED, H_RECEIVED, H_RX_BYTES, H_STORE_OFFSET, H_TOTAL, H_VERDICT, INPUT_SIZE, R_LIMITED, R_RETAIN, R_TAP, SLOT_ALLOW_ALL, SLOT_DEDUPE_QOS1, SLOT_MAX_QOS1, SLOT_NO_RETAIN, SLOT_PERSISTENT, SLOT_PROPERTY_BOUNDS, SLOT_RETAIN_UNAVAILABLE, SLOT_SPACE_SHIFT, SLOT_V5, SLOT_VALIDATE_UTF8, STOP_DONE, STOP_FULL, STOP_HOST, STOP_VERDICT, VERDICT_ALLOW, VERDICT_HOST, VERDICT_ISOLATED, VERDICT_METER_SHIFT, VERDICT_REASON_SHIFT, VERDICT_SAMPLE, VERDICT_TAP } from "../abi";
import { D_TOPIC, D_TOPIC_LEN, DETAIL_ALIAS_BYTES, DETAIL_ALIAS_RANGE, DETAIL_ALIAS_UNKNOWN, DETAIL_PACKET_SIZE, DETAIL_PAYLOAD_FORMAT, DETAIL_QOS_MAXIMUM, DETAIL_RECEIVE_MAXIMUM, DETAIL_RETAIN } from "../codec/abi";
import { describePublish } from "../codec/decode";
import { errorAt, fail } from "../codec/errors";
import { frameBody } from "../codec/frame";
import { count, setWord } from "../codec/header";
import { parsePublish, pubAlias, pubFormat, pubPacketId, pubPayload, pubPayloadLen, pubPropsRawLen, pubQos, pubRetain, pubTopic, pubTopicLen } from "../codec/publish";
import { validateUtf8Payload } from "../codec/utf8";
import { scanTopicName } from "../topics/levels";
import { isOwedMost, owe, PUBACK, PUBREC, setOnceReason, setOnceText, waits } from "./acknowledgements/acks";
import { inboundAlias, setInboundAlias } from "./slots/aliases";
import { record, recordsLeft, templateLeft } from "./call/arenas";
import { storeLeft } from "./delivery/deliver";
import { messageFromPacket, setExternal, setRange, storeMessage } from "./call/message";
import { itemsLeft } from "./call/output";
import { propertyExcess } from "./property-bounds";
import { beyondRate, passesRate } from "./rates/rates";
import { sample } from "./rates/samples";
import { Slot } from "./slots/slots";
import { findVerdict, takeOnceVerdict } from "./slots/verdicts";
import { addInbound, hasInbound } from "./acknowledgements/window";
import { CONTINUE, SMALL, commit, error, notedLimit, noteLimit, passTo, runEnd, runExternal, runNow } from "./call/call";
import { setSender, startFanout, stepFanout } from "./fan-out";
import { setSpace } from "./delivery/hits";

// @ts-ignore: decorator
@inline
function countReceived(): void {
  count(H_RECEIVED, 1);
  count(H_RX_BYTES, pubPayloadLen + runExternal);
}

/** One PUBLISH at `start`, its frame read. STOP_DONE: the run goes on behind it. */
export function publish(index: u32, slot: Slot, start: usize, end: usize, level: u32): i32 {
  const reason = parsePublish(start, frameBody, end, level);
  // Of a large packet only the head is here: where that is all the input takes, topic and properties must lie within.
  if (reason) return error(runExternal && <u32>(end - start) == INPUT_SIZE && errorAt + 65536 > runEnd ? fail(0x95, DETAIL_PACKET_SIZE, start) : reason, start);
  if (itemsLeft() < 4 || recordsLeft() < 8) return CONTINUE;
  const flags = slot.flags;
  let topic = pubTopic;
  let topicLen = pubTopicLen;
  if (pubAlias) {
    if (pubAlias > slot.aliasInMax) return error(fail(0x94, DETAIL_ALIAS_RANGE, start), start); // [MQTT-3.3.2-9]
    if (topicLen == 0) {
      const entry = inboundAlias(slot, pubAlias);
      topicLen = entry ? load<u32>(entry, 4) : 0;
      // MQTT has no code of its own for it; the platform takes the one for aliases [V5-9].
      if (topicLen == 0) return error(fail(flags & SLOT_PROPERTY_BOUNDS ? 0x94 : 0x82, DETAIL_ALIAS_UNKNOWN, start), start);
      topic = load<usize>(entry);
      scanTopicName(topic, topicLen);
    } else if (!setInboundAlias(slot, pubAlias, topic, topicLen)) {
      return error(fail(0x97, DETAIL_ALIAS_BYTES, start), start);
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
    if (isOwedMost(slot)) {
      setWord(H_TOTAL, total);
      return STOP_FULL;
    }
    if (qos == 2 && hasInbound(slot, id)) {
      // The same message again: it is acknowledged again, never delivered again [MQTT-4.3.3-10].
      // Its commit may still be under way, begun before the client came again: this one ends behind it.
      owe(index, slot, PUBREC, id, 0, flags & SLOT_PERSISTENT ? commit : 0);
      countReceived();
      passTo(end);
      return STOP_DONE;
    }
    if (qos == 1 && hasInbound(slot, id)) return refuse(index, slot, qos, id, 0x91, end); // packet identifier in use
    if (slot.inboundCount + slot.pendingQos1 >= slot.inboundMax) {
      // [MQTT-3.3.4-7]
      if (flags & SLOT_V5 || slot.pendingQos1 == 0) return error(fail(0x93, DETAIL_RECEIVE_MAXIMUM, start), start);
      // 3.x clients were told no maximum: this one waits for those before it [LIMIT-5].
      setWord(H_TOTAL, <u32>(end - start));
      return STOP_FULL;
    }
  }
  if (pubPropsRawLen && flags & SLOT_PROPERTY_BOUNDS) {
    const excess = propertyExcess();
    if (excess) {
      const reason: u32 = excess == EXCESS_PAIRS ? 0x97 : 0x83;
      sampleRefused(index, topic, topicLen, reason);
      setOnceReason(excess);
      return refuse(index, slot, qos, id, reason, end);
    }
  }
  let verdict = takeOnceVerdict();
  // Topics that begin with '$' are the server's: nobody is allowed all of them.
  // Text of which the host holds a part: it looks at the payload, and the verdict it gives says what it saw.
  const text = verdict == 0 && runExternal != 0 && pubFormat != 0 && (flags & SLOT_VALIDATE_UTF8) != 0;
  if (verdict == 0 && !text) verdict = flags & SLOT_ALLOW_ALL && load<u8>(topic) != 0x24 ? VERDICT_ALLOW : findVerdict(index, slot);
  if ((verdict & VERDICT_ALLOW) == 0) {
    if (verdict == 0) {
      setWord(H_DETAIL, text ? DETAIL_PAYLOAD_FORMAT : 0);
      return stopFor(STOP_VERDICT, topic, topicLen, start, end);
    }
    const refusal = (verdict >> VERDICT_REASON_SHIFT) & 0xff;
    if (verdict & VERDICT_SAMPLE) sampleRefused(index, topic, topicLen, refusal ? refusal : 0x87);
    return refuse(index, slot, qos, id, refusal, end);
  }
  if (flags & SLOT_VALIDATE_UTF8 && pubFormat && !runExternal && !validateUtf8Payload(pubPayload, pubPayloadLen)) {
    if (qos == 0) return error(fail(0x99, DETAIL_PAYLOAD_FORMAT, start), start);
    if (verdict & VERDICT_SAMPLE) sampleRefused(index, topic, topicLen, 0x99);
    return refuse(index, slot, qos, id, 0x99, end);
  }
  if (slot.rates && !passesRate(slot, verdict >> VERDICT_METER_SHIFT, qos, <u32>(<u64>runNow))) return limit(index, slot, verdict >> VERDICT_METER_SHIFT, qos, id, end);
  const retain: u32 = flags & SLOT_NO_RETAIN ? 0 : pubRetain;
  messageFromPacket(topic, topicLen, index, retain, runNow);
  if (runExternal) setExternal(runExternal);
  countReceived();
  // A copy of one that waits to be acknowledged, delivered or served already: acknowledged behind it [QOS-4].
  if (qos == 1 && flags & SLOT_DEDUPE_QOS1 && waits(slot, PUBACK, id)) {
    slot.pendingQos1++;
    owe(index, slot, PUBACK, id, 0, 0);
    passTo(end);
    return STOP_DONE;
  }
  // A QoS 2 message of a session that outlives its connection may be delivered only when its id is safe.
  if (verdict & VERDICT_HOST || (qos == 2 && flags & SLOT_PERSISTENT)) {
    if (qos == 1) slot.pendingQos1++;
    setWord(H_STORE_OFFSET, storeMessage());
    setWord(H_VERDICT, verdict);
    return stopFor(STOP_HOST, topic, topicLen, start, end);
  }
  if (qos == 2) {
    if (!addInbound(slot, id)) return refuse(index, slot, qos, id, 0x97, end);
  } else if (qos == 1) slot.pendingQos1++;
  if (qos == 0 && (<u32>load<u8>(start) & 0x0f) == 0 && pubAlias == 0 && runExternal == 0 && isCanonical(start, total)) {
    setRange(start, total, (flags & SLOT_V5) != 0);
  }
  if (verdict & VERDICT_TAP) record(R_TAP, index, storeMessage(), 0, 0, 0, 0, index);
  else if (verdict & VERDICT_SAMPLE) sample(index, <u32>(<u64>runNow), 0);
  if (retain) record(R_RETAIN, index, storeMessage(), id, 0, 0, 0, index);
  setSender(qos != 0, id, total);
  setSpace(verdict & VERDICT_ISOLATED ? flags >> SLOT_SPACE_SHIFT : 0);
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

/** Leaves the packet to the host; its descriptor names the topic in use, alias or not. */
function stopFor(stop: i32, topic: usize, topicLen: u32, start: usize, end: usize): i32 {
  describePublish();
  setWord(D_TOPIC, <u32>topic);
  setWord(D_TOPIC_LEN, topicLen);
  setWord(H_TOTAL, <u32>(end - start));
  return stop;
}

/** A copy for the host of a message that reaches nobody, where the session has room for samples. */
function sampleRefused(index: u32, topic: usize, topicLen: u32, reason: u32): void {
  messageFromPacket(topic, topicLen, index, pubRetain, runNow);
  if (runExternal) setExternal(runExternal);
  sample(index, <u32>(<u64>runNow), reason);
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
  passTo(end);
  return STOP_DONE;
}

/** Over its rate: dropped. A 5.0 client may be told; nobody else gets an acknowledgement, and may send it again [LIMIT-2]. */
function limit(index: u32, slot: Slot, meter: u32, qos: u32, id: u32, end: usize): i32 {
  count(H_LIMITED, 1);
  if (notedLimit != <i32>meter) {
    noteLimit(<i32>meter);
    record(R_LIMITED, index, meter, 0, 0, 0, 0, 0);
  }
  const reason = beyondRate(slot);
  if (qos && reason && slot.flags & SLOT_V5) {
    if (qos == 1) slot.pendingQos1++;
    owe(index, slot, qos == 1 ? PUBACK : PUBREC, id, reason, 0);
  }
  setOnceText(0, 0);
  passTo(end);
  return STOP_DONE;
}
