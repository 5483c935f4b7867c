// CONNECT and CONNACK. What a client id, a user name or a level means is for the handler to decide.

import { scanTopicName } from "../topics/levels";
import {
  D_CLIENT_ID,
  D_CLIENT_ID_LEN,
  D_CONNECT_FLAGS,
  D_KEEP_ALIVE,
  D_LEVEL,
  D_PASSWORD,
  D_PASSWORD_LEN,
  D_REASON,
  D_TOPIC,
  D_TOPIC_LEN,
  D_USERNAME,
  D_USERNAME_LEN,
  D_WILL_PROP_FIRST,
  DETAIL_AUTH_METHOD,
  DETAIL_CONNACK_FLAGS,
  DETAIL_CONNECT_RESERVED,
  DETAIL_LENGTH_MINIMAL,
  DETAIL_PASSWORD,
  DETAIL_PROTOCOL_LEVEL,
  DETAIL_PROTOCOL_NAME,
  DETAIL_REASON_CODE,
  DETAIL_SESSION_PRESENT,
  DETAIL_TOPIC_EMPTY,
  DETAIL_TRUNCATED,
  DETAIL_WILL_FLAGS,
  DETAIL_WILL_QOS,
  KIND_WILL,
} from "./abi";
import { decodeProperties, finish, setPayload } from "./descriptor";
import { fail } from "./errors";
import { checkBinary, checkString, READ16 } from "./fields";
import { isMinimal } from "./frame";
import { setWord } from "./header";
import { propCount, propsEnd, propsSeen } from "./properties";
import { failTopic } from "./publish";
import {
  isReasonOf,
  isReturnCode,
  MALFORMED,
  PROTOCOL_ERROR,
  TOPIC_INVALID,
  UNSUPPORTED_VERSION,
} from "./reasons";

// Connect flags: [ user name | password | Will Retain | Will QoS:2 | Will | Clean Session/Start | reserved ]
const FLAG_RESERVED: u32 = 1;
const FLAG_WILL: u32 = 4;
const MASK_WILL: u32 = 0x38;
const FLAG_PASSWORD: u32 = 0x40;
const FLAG_USERNAME: u32 = 0x80;

const MQTT: u32 = 0x5454514d; // the four bytes as they lie in memory
const METHOD: u64 = 1 << 21;
const DATA: u64 = 1 << 22;

/** Authentication Data needs an Authentication Method (3.1.2.11.10, 3.2.2.3.18, 3.15.2.2.3). */
export function checkAuthentication(at: usize): i32 {
  return propsSeen & DATA && !(propsSeen & METHOD) ? fail(PROTOCOL_ERROR, DETAIL_AUTH_METHOD, at) : 0;
}

export function decodeConnect(start: usize, body: usize, end: usize): i32 {
  let at = body;
  let reason = checkBinary(at, end, DETAIL_TRUNCATED);
  if (reason) return reason;
  const nameLen = READ16(at);
  at += 2;
  const named4 = nameLen == 4 && load<u32>(at) == MQTT;
  const named3 = nameLen == 6 && load<u32>(at) == 0x7349514d && load<u16>(at, 4) == 0x7064; // MQIsdp
  if (!named4 && !named3) return fail(UNSUPPORTED_VERSION, DETAIL_PROTOCOL_NAME, at); // [MQTT-3.1.2-1]
  at += nameLen;
  if (at == end) return fail(MALFORMED, DETAIL_TRUNCATED, at);
  const level = <u32>load<u8>(at);
  setWord(D_LEVEL, level);
  // Bridges set bit 7 (0x83, 0x84) and fall back when they are refused.
  const fits = named4 ? level == 4 || level == 5 : level == 3;
  if (!fits) return fail(UNSUPPORTED_VERSION, DETAIL_PROTOCOL_LEVEL, at);
  at += 1;
  if (level >= 5 && !isMinimal(start, body)) return fail(MALFORMED, DETAIL_LENGTH_MINIMAL, start + 1);
  if (end - at < 3) return fail(MALFORMED, DETAIL_TRUNCATED, at);
  let flags = <u32>load<u8>(at);
  reason = checkFlags(flags, level, at);
  if (reason) return reason;
  if (!(flags & FLAG_WILL)) flags &= ~MASK_WILL; // 3.1: without meaning
  setWord(D_KEEP_ALIVE, READ16(at + 1));
  at += 3;
  if (level >= 5) {
    const properties = at;
    reason = decodeProperties(at, end, 1);
    if (!reason) reason = checkAuthentication(properties);
    if (reason) return reason;
    at = propsEnd;
  }
  setWord(D_WILL_PROP_FIRST, propCount);
  reason = checkString(at, end);
  if (reason) return reason;
  at = setField(at, D_CLIENT_ID, D_CLIENT_ID_LEN);
  if (flags & FLAG_WILL) {
    reason = decodeWill(at, end, level);
    if (reason) return reason;
    at = willEnd;
  }
  // 3.1: the Remaining Length takes precedence over the flags of user name and password.
  if (level == 3 && at == end) flags &= ~(FLAG_USERNAME | FLAG_PASSWORD);
  if (flags & FLAG_USERNAME) {
    reason = checkString(at, end);
    if (reason) return reason;
    at = setField(at, D_USERNAME, D_USERNAME_LEN);
  }
  if (level == 3 && at == end) flags &= ~FLAG_PASSWORD;
  if (flags & FLAG_PASSWORD) {
    reason = checkBinary(at, end, DETAIL_TRUNCATED);
    if (reason) return reason;
    at = setField(at, D_PASSWORD, D_PASSWORD_LEN);
  }
  setWord(D_CONNECT_FLAGS, flags);
  return finish(at, end);
}

function checkFlags(flags: u32, level: u32, at: usize): i32 {
  // [MQTT-3.1.2-3]; 3.1 does not use the bit
  if (flags & FLAG_RESERVED && level != 3) return fail(MALFORMED, DETAIL_CONNECT_RESERVED, at);
  if (flags & FLAG_WILL) {
    if ((flags & 0x18) == 0x18) return fail(MALFORMED, DETAIL_WILL_QOS, at); // [MQTT-3.1.2-12]
  } else if (flags & MASK_WILL && level != 3) {
    return fail(MALFORMED, DETAIL_WILL_FLAGS, at); // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
  }
  // [MQTT-3.1.2-22] of 3.1.1; 5.0 allows a password alone
  if ((flags & (FLAG_USERNAME | FLAG_PASSWORD)) == FLAG_PASSWORD && level < 5) {
    return fail(MALFORMED, DETAIL_PASSWORD, at);
  }
  return 0;
}

/** Notes address and length of a string or binary field and returns the address behind it. */
function setField(at: usize, ptrWord: u32, lenWord: u32): usize {
  const len = READ16(at);
  setWord(ptrWord, <u32>(at + 2));
  setWord(lenWord, len);
  return at + 2 + len;
}

let willEnd: usize = 0;

function decodeWill(at: usize, end: usize, level: u32): i32 {
  let reason: i32 = 0;
  if (level >= 5) {
    reason = decodeProperties(at, end, KIND_WILL);
    if (reason) return reason;
    at = propsEnd;
  }
  reason = checkBinary(at, end, DETAIL_TRUNCATED);
  if (reason) return reason;
  const len = READ16(at);
  if (len == 0) return fail(TOPIC_INVALID, DETAIL_TOPIC_EMPTY, at); // [MQTT-4.7.3-1]
  const detail = scanTopicName(at + 2, len);
  if (detail) return failTopic(detail, at + 2);
  at = setField(at, D_TOPIC, D_TOPIC_LEN);
  reason = checkBinary(at, end, DETAIL_TRUNCATED);
  if (reason) return reason;
  willEnd = at + 2 + READ16(at);
  setPayload(at + 2, willEnd);
  return 0;
}

/** D_CONNECT_FLAGS holds the acknowledge flags, bit 0: Session Present. */
export function decodeConnack(body: usize, end: usize, level: u32): i32 {
  if (end - body < 2) return fail(MALFORMED, DETAIL_TRUNCATED, body);
  const flags = level == 3 ? 0 : <u32>load<u8>(body); // 3.1: reserved, not used
  const code = <u32>load<u8>(body, 1);
  if (flags > 1) return fail(MALFORMED, DETAIL_CONNACK_FLAGS, body); // [MQTT-3.2.2-1]
  if (level >= 5 ? !isReasonOf(2, code) : !isReturnCode(2, code, level)) {
    return fail(PROTOCOL_ERROR, DETAIL_REASON_CODE, body + 1); // [MQTT-3.2.2-8]
  }
  if (flags && code) return fail(PROTOCOL_ERROR, DETAIL_SESSION_PRESENT, body); // [MQTT-3.2.2-6]
  setWord(D_CONNECT_FLAGS, flags);
  setWord(D_REASON, code);
  if (level < 5) return finish(body + 2, end);
  const reason = decodeProperties(body + 2, end, 2);
  if (reason) return reason;
  return checkAuthentication(body + 2) || finish(propsEnd, end);
}
