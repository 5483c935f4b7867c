// PUBLISH of a client, completely validated: the hot path. What it finds is left in globals, valid until the next call.
// It does not copy, hash or store anything itself; the topic goes through topics/levels.ts, which splits and hashes it.

import { scanTopicName } from "../topics/levels";
import {
  DETAIL_ALIAS_ZERO,
  DETAIL_DUP,
  DETAIL_LENGTH_MINIMAL,
  DETAIL_NO_TOPIC,
  DETAIL_NUL,
  DETAIL_PACKET_ID,
  DETAIL_PROPERTIES_LENGTH,
  DETAIL_PROPERTIES_MANY,
  DETAIL_PROPERTY_TRUNCATED,
  DETAIL_PROPERTY_TWICE,
  DETAIL_PROPERTY_VALUE,
  DETAIL_QOS,
  DETAIL_RESPONSE_TOPIC,
  DETAIL_SUBSCRIPTION_ID,
  DETAIL_TOPIC_EMPTY,
  DETAIL_TRUNCATED,
  DETAIL_UTF8,
  NO_VALUE,
} from "./abi";
import { fail } from "./errors";
import { failString, READ16, READ32 } from "./fields";
import { isMinimal, readVarint, varintValue } from "./frame";
import { propertyDefect, propertyLimit } from "./properties";
import { ALIAS_INVALID, MALFORMED, PROTOCOL_ERROR, QUOTA_EXCEEDED, TOPIC_INVALID } from "./reasons";
import { hasWildcard, validateUtf8 } from "./utf8";

export let pubTopic: usize = 0;
export let pubTopicLen: u32 = 0; // 0: the alias names the topic
export let pubPacketId: u32 = 0;
export let pubPropsRaw: usize = 0; // the property bytes behind their length
export let pubPropsRawLen: u32 = 0; // 0 before 5.0
export let pubPayload: usize = 0;
export let pubPayloadLen: u32 = 0;
export let pubQos: u32 = 0;
export let pubRetain: u32 = 0;
export let pubDup: u32 = 0;
export let pubAlias: u32 = 0; // 0: none
export let pubAliasAt: usize = 0; // where the Topic Alias property (3 bytes) stands; 0: none
export let pubExpiry: u32 = NO_VALUE; // s
export let pubExpiryAt: usize = 0; // where the Message Expiry Interval property (5 bytes) stands; 0: none
export let pubFormat: u32 = 0; // Payload Format Indicator
export let pubResponse: usize = 0; // Response Topic, behind its length; 0: none
export let pubResponseLen: u32 = 0;

let ofServer: bool = false; // parsePublishOfServer is at work

/** The same for a PUBLISH of a server, which may carry Subscription Identifiers. */
export function parsePublishOfServer(start: usize, body: usize, end: usize, level: u32): i32 {
  ofServer = true;
  const reason = parsePublish(start, body, end, level);
  ofServer = false;
  return reason;
}

/**
 * Parses the PUBLISH between `start` and `end`, its fixed header ending at `body`.
 * Returns 0 or the reason code of the refusal; errorDetail and errorAt say more.
 */
export function parsePublish(start: usize, body: usize, end: usize, level: u32): i32 {
  const first = <u32>load<u8>(start);
  const qos = (first >> 1) & 3;
  if (qos == 3) return fail(MALFORMED, DETAIL_QOS, start); // [MQTT-3.3.1-4]
  if ((first & 0x0e) == 0x08 && level != 3) return fail(MALFORMED, DETAIL_DUP, start); // [MQTT-3.3.1-2]
  if (end - body < 2) return fail(MALFORMED, DETAIL_TRUNCATED, body);
  const topic = body + 2;
  const topicLen = READ16(body);
  let at = topic + topicLen;
  if (at > end) return fail(MALFORMED, DETAIL_TRUNCATED, body);
  let packetId: u32 = 0;
  if (qos) {
    if (end - at < 2) return fail(MALFORMED, DETAIL_TRUNCATED, at);
    packetId = READ16(at);
    if (packetId == 0) return fail(PROTOCOL_ERROR, DETAIL_PACKET_ID, at); // [MQTT-2.2.1-3]
    at += 2;
  }
  pubTopic = topic;
  pubTopicLen = topicLen;
  pubPacketId = packetId;
  pubQos = qos;
  pubRetain = first & 1;
  pubDup = (first >> 3) & 1;
  pubAlias = 0;
  pubAliasAt = 0;
  pubExpiry = NO_VALUE;
  pubExpiryAt = 0;
  pubFormat = 0;
  pubResponse = 0;
  pubPropsRawLen = 0;
  if (level >= 5) {
    if (!isMinimal(start, body)) return fail(MALFORMED, DETAIL_LENGTH_MINIMAL, start + 1); // [MQTT-1.5.5-1]
    if (at >= end) return fail(MALFORMED, DETAIL_PROPERTIES_LENGTH, at);
    let length = <u32>load<u8>(at);
    if (length) {
      let size: u32 = 1;
      if (length >= 0x80) {
        size = readVarint(at, end);
        if (size == 0) return fail(MALFORMED, DETAIL_PROPERTIES_LENGTH, at);
        length = varintValue;
      }
      if (length > <u32>(end - at - size)) return fail(MALFORMED, DETAIL_PROPERTIES_LENGTH, at);
      at += size;
      pubPropsRaw = at;
      pubPropsRawLen = length;
      const reason = scanProperties(at, at + length);
      if (reason) return reason;
      at += length;
    } else {
      at += 1;
    }
  }
  pubPayload = at;
  pubPayloadLen = <u32>(end - at);
  if (topicLen == 0) {
    if (pubAlias) return 0;
    return level >= 5
      ? fail(PROTOCOL_ERROR, DETAIL_NO_TOPIC, body)
      : fail(TOPIC_INVALID, DETAIL_TOPIC_EMPTY, body); // [MQTT-4.7.3-1]
  }
  const detail = scanTopicName(topic, topicLen);
  return detail ? failTopic(detail, topic) : 0;
}

/** Refuses a topic that scanTopicName did not accept: bad encoding is malformed, anything else an invalid topic. */
export function failTopic(detail: u32, topic: usize): i32 {
  return fail(detail == DETAIL_UTF8 || detail == DETAIL_NUL ? MALFORMED : TOPIC_INVALID, detail, topic);
}

// @ts-ignore: decorator
@inline
function IS_TEXT(ptr: usize, len: u32): bool {
  // Up to 16 bytes of plain ASCII are seen in one comparison; lanes behind the end are forced to "good".
  return (
    (len <= 16 && ((i8x16.bitmask(i8x16.gt_s(v128.load(ptr), i8x16.splat(0))) | (0xffff << len)) & 0xffff) == 0xffff) ||
    validateUtf8(ptr, len)
  );
}

/** Validates the properties a client may send in PUBLISH, and notes those the core needs. */
function scanProperties(ptr: usize, end: usize): i32 {
  let seen: u64 = 0;
  let entries: u32 = 0;
  while (ptr < end) {
    const property = ptr;
    const id = <u32>load<u8>(ptr++);
    if (id == 38) {
      // User Property: name and value; may repeat
      let len: u32;
      if (end - ptr < 4) return fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
      len = READ16(ptr);
      if (len + 4 > <u32>(end - ptr)) return fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
      ptr += 2;
      if (!IS_TEXT(ptr, len)) return failString(ptr, len);
      ptr += len;
      len = READ16(ptr);
      ptr += 2;
      if (len > <u32>(end - ptr)) return fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
      if (!IS_TEXT(ptr, len)) return failString(ptr, len);
      ptr += len;
      entries += 1;
      if (entries > propertyLimit) return fail(QUOTA_EXCEEDED, DETAIL_PROPERTIES_MANY, property);
      continue;
    }
    switch (id) {
      case 1: {
        // Payload Format Indicator
        if (ptr >= end) return fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
        pubFormat = <u32>load<u8>(ptr++);
        if (pubFormat > 1) return fail(PROTOCOL_ERROR, DETAIL_PROPERTY_VALUE, property);
        break;
      }
      case 2: {
        // Message Expiry Interval
        if (end - ptr < 4) return fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
        pubExpiry = READ32(ptr);
        pubExpiryAt = property;
        ptr += 4;
        break;
      }
      case 3: // Content Type
      case 8: {
        // Response Topic
        if (end - ptr < 2) return fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
        const len = READ16(ptr);
        ptr += 2;
        if (len > <u32>(end - ptr)) return fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
        if (!IS_TEXT(ptr, len)) return failString(ptr, len);
        if (id == 8) {
          // [MQTT-3.3.2-14], [MQTT-4.7.3-1]
          if (len == 0 || hasWildcard(ptr, len)) return fail(PROTOCOL_ERROR, DETAIL_RESPONSE_TOPIC, property);
          pubResponse = ptr;
          pubResponseLen = len;
        }
        ptr += len;
        break;
      }
      case 9: {
        // Correlation Data
        if (end - ptr < 2) return fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
        const len = READ16(ptr);
        ptr += 2;
        if (len > <u32>(end - ptr)) return fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
        ptr += len;
        break;
      }
      case 35: {
        // Topic Alias
        if (end - ptr < 2) return fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
        pubAlias = READ16(ptr);
        if (pubAlias == 0) return fail(ALIAS_INVALID, DETAIL_ALIAS_ZERO, property); // [MQTT-3.3.2-8]
        pubAliasAt = property;
        ptr += 2;
        break;
      }
      case 11: {
        // Subscription Identifier [MQTT-3.3.4-6]
        if (!ofServer) return fail(PROTOCOL_ERROR, DETAIL_SUBSCRIPTION_ID, property);
        const size = readVarint(ptr, end);
        if (size == 0) return fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
        if (varintValue == 0) return fail(PROTOCOL_ERROR, DETAIL_PROPERTY_VALUE, property);
        ptr += size;
        entries += 1;
        if (entries > propertyLimit) return fail(QUOTA_EXCEEDED, DETAIL_PROPERTIES_MANY, property);
        continue;
      }
      default:
        return fail(MALFORMED, propertyDefect(id), property);
    }
    const bit: u64 = (<u64>1) << id;
    if (seen & bit) return fail(PROTOCOL_ERROR, DETAIL_PROPERTY_TWICE, property);
    seen |= bit;
  }
  return 0;
}
