// Any packet, of a client or a server, into the descriptor. For everything that is not the hot path, and for hosts that
// use the core as a codec. Which packets a peer may send, and when, is not decided here.

import {
  D_FLAGS,
  D_LEVEL,
  D_PACKET_ID,
  D_PAYLOAD,
  D_PAYLOAD_LEN,
  D_PROPS_RAW,
  D_PROPS_RAW_LEN,
  D_REASON,
  D_TOPIC,
  D_TOPIC_LEN,
  D_TYPE,
  DECODE_INCOMPLETE,
  DETAIL_AUTH_METHOD,
  DETAIL_FLAGS,
  DETAIL_LENGTH,
  DETAIL_LENGTH_MINIMAL,
  DETAIL_NONE,
  DETAIL_PACKET_TYPE,
  DETAIL_REASON_CODE,
} from "./abi";
import { H_DETAIL, H_OFFSET, H_REASON, H_TOTAL } from "../abi";
import { checkAuthentication, decodeConnack, decodeConnect } from "./connect";
import { clearDescriptor, decodePacketId, decodeProperties, finish } from "./descriptor";
import { errorAt, errorDetail, fail } from "./errors";
import { frameBody, frameTotal, isMinimal, readFrame } from "./frame";
import { setWord } from "./header";
import { propsEnd, propsSeen } from "./properties";
import {
  parsePublishOfServer,
  pubDup,
  pubPacketId,
  pubPayload,
  pubPayloadLen,
  pubPropsRaw,
  pubPropsRawLen,
  pubQos,
  pubRetain,
  pubTopic,
  pubTopicLen,
} from "./publish";
import { isReasonOf, MALFORMED, PROTOCOL_ERROR } from "./reasons";
import { decodeCodes, decodeFilters } from "./subscribe";

/**
 * Decodes the first packet of the bytes. Returns 0: the descriptor is filled; DECODE_INCOMPLETE; or a reason code.
 * H_TOTAL is the packet's length; H_REASON, H_DETAIL and H_OFFSET tell what was wrong and where in the packet.
 */
export function decodePacket(ptr: usize, len: u32, level: u32): i32 {
  clearDescriptor();
  const size = readFrame(ptr, ptr + len);
  setWord(H_TOTAL, frameTotal);
  let reason: i32 = 0;
  if (size < 0) {
    reason = fail(MALFORMED, DETAIL_LENGTH, ptr + 4); // [MQTT-1.5.5-1]: the fourth byte announces a fifth
  } else {
    if (size == 0) {
      setWord(H_REASON, 0);
      setWord(H_DETAIL, DETAIL_NONE);
      setWord(H_OFFSET, 0);
      return DECODE_INCOMPLETE;
    }
    const first = <u32>load<u8>(ptr);
    setWord(D_TYPE, first >> 4);
    setWord(D_FLAGS, first & 15);
    setWord(D_LEVEL, level);
    reason = checkFirst(first >> 4, first & 15, level, ptr);
    if (!reason) reason = decodeBody(first >> 4, ptr, frameBody, ptr + size, level);
  }
  setWord(H_REASON, reason);
  setWord(H_DETAIL, reason ? errorDetail : DETAIL_NONE);
  setWord(H_OFFSET, reason ? <u32>(errorAt - ptr) : 0);
  return reason;
}

/** Type and reserved flags [MQTT-2.1.3-1]; PUBLISH checks its own. */
function checkFirst(type: u32, flags: u32, level: u32, start: usize): i32 {
  if (type == 0 || (type == 15 && level < 5)) return fail(MALFORMED, DETAIL_PACKET_TYPE, start);
  if (type == 3) return 0;
  const expected: u32 = type == 6 || type == 8 || type == 10 ? 2 : 0;
  // 3.1: PUBREL, SUBSCRIBE and UNSUBSCRIBE may be sent again with DUP
  const checked: u32 = expected && level == 3 ? 7 : 15;
  return (flags & checked) == expected ? 0 : fail(MALFORMED, DETAIL_FLAGS, start);
}

function decodeBody(type: u32, start: usize, body: usize, end: usize, level: u32): i32 {
  if (type == 1) return decodeConnect(start, body, end);
  if (level >= 5 && !isMinimal(start, body)) return fail(MALFORMED, DETAIL_LENGTH_MINIMAL, start + 1);
  switch (type) {
    case 2:
      return decodeConnack(body, end, level);
    case 3:
      return decodePublish(start, body, end, level);
    case 8:
    case 10:
      return decodeFilters(type, body, end, level);
    case 9:
    case 11:
      return decodeCodes(type, body, end, level);
    case 12:
    case 13:
      return finish(body, end); // PINGREQ, PINGRESP
    case 14:
    case 15:
      return level < 5 ? finish(body, end) : decodeReason(type, body, end);
    default: {
      // PUBACK, PUBREC, PUBREL, PUBCOMP
      const reason = decodePacketId(body, end);
      if (reason) return reason;
      return level < 5 ? finish(body + 2, end) : decodeReason(type, body + 2, end);
    }
  }
}

/** Reason code and properties, both of which may be left out (3.4.2.1, 3.14.2.1, 3.15.2.1). */
function decodeReason(type: u32, at: usize, end: usize): i32 {
  if (at == end) return 0; // success
  const code = <u32>load<u8>(at);
  if (!isReasonOf(type, code)) return fail(PROTOCOL_ERROR, DETAIL_REASON_CODE, at); // [MQTT-3.4.2-1]
  setWord(D_REASON, code);
  if (at + 1 == end && type != 15) return 0;
  const reason = decodeProperties(at + 1, end, type);
  if (reason) return reason;
  if (type == 15) {
    // 3.15.2.2.2: AUTH never goes without its method
    if (!(propsSeen & ((<u64>1) << 21))) return fail(PROTOCOL_ERROR, DETAIL_AUTH_METHOD, at + 1);
    const missing = checkAuthentication(at + 1);
    if (missing) return missing;
  }
  return finish(propsEnd, end);
}

function decodePublish(start: usize, body: usize, end: usize, level: u32): i32 {
  const reason = parsePublishOfServer(start, body, end, level);
  if (reason) return reason;
  describePublish();
  return level < 5 ? 0 : decodeProperties(pubTopic + pubTopicLen + (pubPacketId ? 2 : 0), end, 3);
}

/** Words of the PUBLISH that parsePublish has just accepted, without its property table. */
export function describePublish(): void {
  setWord(D_FLAGS, (pubDup << 3) | (pubQos << 1) | pubRetain);
  setWord(D_PACKET_ID, pubPacketId);
  setWord(D_TOPIC, <u32>pubTopic);
  setWord(D_TOPIC_LEN, pubTopicLen);
  setWord(D_PAYLOAD, <u32>pubPayload);
  setWord(D_PAYLOAD_LEN, pubPayloadLen);
  setWord(D_PROPS_RAW, <u32>pubPropsRaw);
  setWord(D_PROPS_RAW_LEN, pubPropsRawLen);
}
