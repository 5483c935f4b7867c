// SUBSCRIBE, UNSUBSCRIBE and their acknowledgements. A filter of wrong syntax is marked in the filter table instead of
// refusing the packet, so that the handler can answer for it alone; a filter that is no text at all is malformed.

import { scanTopicFilter } from "../topics/levels";
import {
  D_FILTER_COUNT,
  DETAIL_FILTER_EMPTY,
  DETAIL_FILTERS_MANY,
  DETAIL_NO_CODES,
  DETAIL_NO_FILTERS,
  DETAIL_OPTIONS,
  DETAIL_OPTIONS_QOS,
  DETAIL_REASON_CODE,
  DETAIL_RETAIN_HANDLING,
  DETAIL_SHARE_FILTER,
  DETAIL_SHARE_NAME,
  DETAIL_SHARE_NO_LOCAL,
  DETAIL_TRUNCATED,
  FILTER_CAPACITY,
  FILTER_DETAIL_SHIFT,
  FILTER_INVALID,
} from "./abi";
import { decodePacketId, decodeProperties, finish, setFilter, setPayload } from "./descriptor";
import { fail } from "./errors";
import { checkString, READ16 } from "./fields";
import { setWord } from "./header";
import { propsEnd } from "./properties";
import { isReasonOf, isReturnCode, MALFORMED, PROTOCOL_ERROR, QUOTA_EXCEEDED } from "./reasons";

const NO_LOCAL: u32 = 4;

/** SUBSCRIBE (8) and UNSUBSCRIBE (10). */
export function decodeFilters(type: u32, body: usize, end: usize, level: u32): i32 {
  let reason = decodePacketId(body, end);
  if (reason) return reason;
  let at = body + 2;
  if (level >= 5) {
    reason = decodeProperties(at, end, type);
    if (reason) return reason;
    at = propsEnd;
  }
  if (at == end) return fail(PROTOCOL_ERROR, DETAIL_NO_FILTERS, at); // [MQTT-3.8.3-2], [MQTT-3.10.3-2]
  let count: u32 = 0;
  while (at < end) {
    if (count == FILTER_CAPACITY) return fail(QUOTA_EXCEEDED, DETAIL_FILTERS_MANY, at);
    reason = checkString(at, end);
    if (reason) return reason;
    const filter = at + 2;
    const len = READ16(at);
    at = filter + len;
    let options: u32 = 0;
    if (type == 8) {
      if (at == end) return fail(MALFORMED, DETAIL_TRUNCATED, at);
      options = <u32>load<u8>(at);
      reason = checkOptions(options, level, at);
      if (reason) return reason;
      at += 1;
    }
    const detail = checkFilter(filter, len);
    // [MQTT-3.8.3-4]
    if (options & NO_LOCAL && IS_SHARED(filter, len)) return fail(PROTOCOL_ERROR, DETAIL_SHARE_NO_LOCAL, at - 1);
    if (detail) options |= FILTER_INVALID | (detail << FILTER_DETAIL_SHIFT);
    setFilter(count, filter, len, options);
    count += 1;
  }
  setWord(D_FILTER_COUNT, count);
  return 0;
}

function checkOptions(options: u32, level: u32, at: usize): i32 {
  if ((options & 3) == 3) {
    return fail(level >= 5 ? PROTOCOL_ERROR : MALFORMED, DETAIL_OPTIONS_QOS, at); // 3.8.3.1, [MQTT-3-8.3-4] of 3.1.1
  }
  if (level < 5) return options > 2 ? fail(MALFORMED, DETAIL_OPTIONS, at) : 0;
  if (options & 0xc0) return fail(MALFORMED, DETAIL_OPTIONS, at); // [MQTT-3.8.3-5]
  if ((options & 0x30) == 0x30) return fail(PROTOCOL_ERROR, DETAIL_RETAIN_HANDLING, at);
  return 0;
}

// @ts-ignore: decorator
@inline
function IS_SHARED(ptr: usize, len: u32): bool {
  // "$share/"
  return len >= 7 && load<u32>(ptr) == 0x61687324 && (load<u32>(ptr, 3) == 0x2f657261);
}

/**
 * Syntax of a Topic Filter; 0 or a DETAIL_* code. `$share/` begins a Shared Subscription in every version:
 *   $share/group/a/+   valid             $share/group, $share/group/   no filter
 *   $share//a, $share/g+/a   no valid share name [MQTT-4.8.2-1], [MQTT-4.8.2-2]
 */
export function checkFilter(ptr: usize, len: u32): u32 {
  if (len == 0) return DETAIL_FILTER_EMPTY; // [MQTT-4.7.3-1]
  if (IS_SHARED(ptr, len)) {
    const end = ptr + len;
    let at = ptr + 7;
    while (at < end && load<u8>(at) != 0x2f) {
      const byte = load<u8>(at);
      if (byte == 0x2b || byte == 0x23) return DETAIL_SHARE_NAME;
      at += 1;
    }
    if (at == ptr + 7) return DETAIL_SHARE_NAME;
    if (end - at < 2) return DETAIL_SHARE_FILTER;
    ptr = at + 1;
    len = <u32>(end - ptr);
  }
  return scanTopicFilter(ptr, len);
}

/** SUBACK (9) and UNSUBACK (11): the codes are the payload. Before 5.0 an UNSUBACK has none. */
export function decodeCodes(type: u32, body: usize, end: usize, level: u32): i32 {
  let reason = decodePacketId(body, end);
  if (reason) return reason;
  let at = body + 2;
  if (type == 11 && level < 5) return finish(at, end);
  if (level >= 5) {
    reason = decodeProperties(at, end, type);
    if (reason) return reason;
    at = propsEnd;
  }
  setPayload(at, end);
  if (at == end) return fail(PROTOCOL_ERROR, DETAIL_NO_CODES, at);
  for (; at < end; at++) {
    const code = <u32>load<u8>(at);
    if (level >= 5 ? !isReasonOf(type, code) : !isReturnCode(type, code, level)) {
      return fail(PROTOCOL_ERROR, DETAIL_REASON_CODE, at); // [MQTT-3.9.3-2]
    }
  }
  return 0;
}
