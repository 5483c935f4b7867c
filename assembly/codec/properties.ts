// Properties of every packet, by one table. Fills the property table of codec/abi.ts: PROP_WORDS words for each entry,
// (id, value, 0) for numbers, (id, ptr, len) for strings and binary data, two entries in a row for a User Property.
// The PUBLISH of the hot path has its own scan in publish.ts, which must agree with this one.

import {
  DETAIL_ALIAS_ZERO,
  DETAIL_PROPERTIES_LENGTH,
  DETAIL_PROPERTIES_MANY,
  DETAIL_PROPERTY_PACKET,
  DETAIL_PROPERTY_TRUNCATED,
  DETAIL_PROPERTY_TWICE,
  DETAIL_PROPERTY_UNKNOWN,
  DETAIL_PROPERTY_VALUE,
  DETAIL_RESPONSE_TOPIC,
  KIND_WILL,
  MOST_PROPERTIES,
  PROP_CAPACITY,
  PROP_WORDS,
} from "./abi";
import { fail } from "./errors";
import { checkBinary, checkString, READ16, READ32 } from "./fields";
import { readVarint, varintValue } from "./frame";
import { ALIAS_INVALID, MALFORMED, PROTOCOL_ERROR, QUOTA_EXCEEDED } from "./reasons";
import { hasWildcard } from "./utf8";

// What a property is: one word.
//
//   31            16  15 . . 12  11 . . 8  7 . . . . . 0
//   [ packet kinds  ] [        ] [ rule  ] [   type    ]     bit 16 + kind: may stand in that kind of packet
const TYPE_BYTE: u32 = 1;
const TYPE_U16: u32 = 2;
const TYPE_U32: u32 = 3;
const TYPE_VARINT: u32 = 4;
const TYPE_STRING: u32 = 5;
const TYPE_BINARY: u32 = 6;
const TYPE_PAIR: u32 = 7;

const RULE_FLAG: u32 = 0x100; // only 0 or 1
const RULE_NOT_ZERO: u32 = 0x200;
const RULE_ALIAS: u32 = 0x300; // not zero, and a reason code of its own
const RULE_TOPIC: u32 = 0x400; // a topic name

const WILL: u32 = 1 << 16;
const CONNECT: u32 = 2 << 16;
const CONNACK: u32 = 4 << 16;
const PUBLISH: u32 = 8 << 16;
const ACKS: u32 = 0xf0 << 16; // PUBACK, PUBREC, PUBREL, PUBCOMP
const SUBSCRIBE: u32 = 0x100 << 16;
const SUBACK: u32 = 0x200 << 16;
const UNSUBSCRIBE: u32 = 0x400 << 16;
const UNSUBACK: u32 = 0x800 << 16;
const DISCONNECT: u32 = 0x4000 << 16;
const AUTH: u32 = 0x8000 << 16;

const LAST_ID: u32 = 42;
const TABLE: usize = memory.data<u32>([
  0,
  TYPE_BYTE | RULE_FLAG | PUBLISH | WILL, // 1 Payload Format Indicator
  TYPE_U32 | PUBLISH | WILL, // 2 Message Expiry Interval
  TYPE_STRING | PUBLISH | WILL, // 3 Content Type
  0,
  0,
  0,
  0,
  TYPE_STRING | RULE_TOPIC | PUBLISH | WILL, // 8 Response Topic
  TYPE_BINARY | PUBLISH | WILL, // 9 Correlation Data
  0,
  TYPE_VARINT | RULE_NOT_ZERO | PUBLISH | SUBSCRIBE, // 11 Subscription Identifier
  0,
  0,
  0,
  0,
  0,
  TYPE_U32 | CONNECT | CONNACK | DISCONNECT, // 17 Session Expiry Interval
  TYPE_STRING | CONNACK, // 18 Assigned Client Identifier
  TYPE_U16 | CONNACK, // 19 Server Keep Alive
  0,
  TYPE_STRING | CONNECT | CONNACK | AUTH, // 21 Authentication Method
  TYPE_BINARY | CONNECT | CONNACK | AUTH, // 22 Authentication Data
  TYPE_BYTE | RULE_FLAG | CONNECT, // 23 Request Problem Information
  TYPE_U32 | WILL, // 24 Will Delay Interval
  TYPE_BYTE | RULE_FLAG | CONNECT, // 25 Request Response Information
  TYPE_STRING | CONNACK, // 26 Response Information
  0,
  TYPE_STRING | CONNACK | DISCONNECT, // 28 Server Reference
  0,
  0,
  TYPE_STRING | CONNACK | ACKS | SUBACK | UNSUBACK | DISCONNECT | AUTH, // 31 Reason String
  0,
  TYPE_U16 | RULE_NOT_ZERO | CONNECT | CONNACK, // 33 Receive Maximum
  TYPE_U16 | CONNECT | CONNACK, // 34 Topic Alias Maximum
  TYPE_U16 | RULE_ALIAS | PUBLISH, // 35 Topic Alias
  TYPE_BYTE | RULE_FLAG | CONNACK, // 36 Maximum QoS
  TYPE_BYTE | RULE_FLAG | CONNACK, // 37 Retain Available
  TYPE_PAIR | WILL | CONNECT | CONNACK | PUBLISH | ACKS | SUBSCRIBE | SUBACK | UNSUBSCRIBE | UNSUBACK | DISCONNECT | AUTH, // 38
  TYPE_U32 | RULE_NOT_ZERO | CONNECT | CONNACK, // 39 Maximum Packet Size
  TYPE_BYTE | RULE_FLAG | CONNACK, // 40 Wildcard Subscription Available
  TYPE_BYTE | RULE_FLAG | CONNACK, // 41 Subscription Identifiers Available
  TYPE_BYTE | RULE_FLAG | CONNACK, // 42 Shared Subscription Available
]);

const ENTRIES: usize = memory.data(<i32>(PROP_CAPACITY * PROP_WORDS * 4));

/** Properties of one packet; more are refused (0x97). A User Property takes two entries of the table. */
export let propertyLimit: u32 = MOST_PROPERTIES;

export function setPropertyLimit(limit: u32): void {
  propertyLimit = min(limit, MOST_PROPERTIES);
}

export let propCount: u32 = 0;
export let propsStart: usize = 0; // address of the property bytes
export let propsEnd: usize = 0; // address behind them
export let propsSeen: u64 = 0; // a bit for each id met by the last parseProperties

/** Address of the property table. */
export function propsPtr(): usize {
  return ENTRIES;
}

export function clearProperties(): void {
  propCount = 0;
}

/** Why a property cannot stand where it was found: known elsewhere, or not at all. */
export function propertyDefect(id: u32): u32 {
  const known = id <= LAST_ID && load<u32>(TABLE + (id << 2)) != 0;
  return known ? DETAIL_PROPERTY_PACKET : DETAIL_PROPERTY_UNKNOWN;
}

function add(id: u32, value: u32, len: u32): void {
  const entry = ENTRIES + <usize>propCount * PROP_WORDS * 4;
  store<u32>(entry, id);
  store<u32>(entry, value, 4);
  store<u32>(entry, len, 8);
  propCount++;
}

/**
 * Reads the Property Length at `ptr` and the properties behind it, and appends them to the table.
 * `kind` is the packet type, or KIND_WILL. Sets propsStart, propsEnd and propsSeen; returns 0 or a reason code.
 */
export function parseProperties(ptr: usize, end: usize, kind: u32): i32 {
  const size = readVarint(ptr, end);
  if (size == 0 || varintValue > <u32>(end - ptr - size)) return fail(MALFORMED, DETAIL_PROPERTIES_LENGTH, ptr);
  propsSeen = 0;
  ptr += size;
  end = ptr + varintValue;
  propsStart = ptr;
  propsEnd = end;
  let many: u32 = 0;
  while (ptr < end) {
    const id = <u32>load<u8>(ptr);
    const spec = id <= LAST_ID ? load<u32>(TABLE + (id << 2)) : 0;
    if (((spec >> 16) & ((<u32>1) << kind)) == 0) return fail(MALFORMED, propertyDefect(id), ptr);
    const type = spec & 0xff;
    const bit = (<u64>1) << id;
    const repeats = type == TYPE_PAIR || (type == TYPE_VARINT && kind == 3);
    if (propsSeen & bit && !repeats) return fail(PROTOCOL_ERROR, DETAIL_PROPERTY_TWICE, ptr);
    propsSeen |= bit;
    if (++many > propertyLimit || propCount + (type == TYPE_PAIR ? 2 : 1) > PROP_CAPACITY) {
      return fail(QUOTA_EXCEEDED, DETAIL_PROPERTIES_MANY, ptr);
    }
    const length = type < TYPE_STRING ? readNumber(ptr, end, spec) : readBytes(ptr, end, spec);
    if (length < 0) return -length;
    ptr += length;
  }
  return 0;
}

/** Length of a numeric property including its id; negative: refused. */
function readNumber(property: usize, end: usize, spec: u32): i32 {
  const at = property + 1;
  const type = spec & 0xff;
  let value: u32;
  let size: u32;
  if (type == TYPE_VARINT) {
    size = readVarint(at, end);
    if (size == 0) return -fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
    value = varintValue;
  } else {
    size = type == TYPE_BYTE ? 1 : type == TYPE_U16 ? 2 : 4;
    if (end - at < size) return -fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
    value = type == TYPE_BYTE ? <u32>load<u8>(at) : type == TYPE_U16 ? READ16(at) : READ32(at);
  }
  const rule = spec & 0xf00;
  if (rule == RULE_FLAG && value > 1) return -fail(PROTOCOL_ERROR, DETAIL_PROPERTY_VALUE, property);
  if (rule == RULE_NOT_ZERO && value == 0) return -fail(PROTOCOL_ERROR, DETAIL_PROPERTY_VALUE, property);
  if (rule == RULE_ALIAS && value == 0) return -fail(ALIAS_INVALID, DETAIL_ALIAS_ZERO, property); // [MQTT-3.3.2-8]
  add(<u32>load<u8>(property), value, 0);
  return <i32>(size + 1);
}

/** Length of a property of bytes including its id; negative: refused. */
function readBytes(property: usize, end: usize, spec: u32): i32 {
  const id = <u32>load<u8>(property);
  const type = spec & 0xff;
  let at = property + 1;
  for (let rest = type == TYPE_PAIR ? 2 : 1; rest > 0; rest--) {
    if (checkBinary(at, end, DETAIL_PROPERTY_TRUNCATED)) {
      return -fail(MALFORMED, DETAIL_PROPERTY_TRUNCATED, property);
    }
    if (type != TYPE_BINARY && checkString(at, end)) return -MALFORMED;
    const len = READ16(at);
    at += 2;
    // [MQTT-3.3.2-14], [MQTT-4.7.3-1]
    if ((spec & 0xf00) == RULE_TOPIC && (len == 0 || hasWildcard(at, len))) {
      return -fail(PROTOCOL_ERROR, DETAIL_RESPONSE_TOPIC, property);
    }
    add(id, <u32>at, len);
    at += len;
  }
  return <i32>(at - property);
}
