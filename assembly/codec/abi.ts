// The codec's part of the ABI: descriptor words and details of what was wrong. Copied to the host by assembly/build.mjs.

// ---- Descriptor of one decoded packet: u32 words from H_DESCRIPTOR. Pointers are absolute addresses. -----------
export const D_TYPE: u32 = 32; // packet type 1..15
export const D_FLAGS: u32 = 33; // low nibble of the first byte
export const D_LEVEL: u32 = 34; // protocol level 3, 4, 5 (CONNECT: as sent, bit 7 included)
export const D_PACKET_ID: u32 = 35;
export const D_REASON: u32 = 36; // reason code of PUBACK..PUBCOMP, DISCONNECT, AUTH (0 where absent)
export const D_PROPS: u32 = 37; // address of the property table
export const D_PROP_COUNT: u32 = 38;
export const D_TOPIC: u32 = 39; // PUBLISH: topic; CONNECT: will topic
export const D_TOPIC_LEN: u32 = 40;
export const D_PAYLOAD: u32 = 41; // PUBLISH: payload; CONNECT: will payload
export const D_PAYLOAD_LEN: u32 = 42;
export const D_CONNECT_FLAGS: u32 = 43;
export const D_KEEP_ALIVE: u32 = 44;
export const D_CLIENT_ID: u32 = 45;
export const D_CLIENT_ID_LEN: u32 = 46;
export const D_USERNAME: u32 = 47;
export const D_USERNAME_LEN: u32 = 48;
export const D_PASSWORD: u32 = 49;
export const D_PASSWORD_LEN: u32 = 50;
export const D_WILL_PROP_FIRST: u32 = 51; // index in the property table of the first will property
export const D_FILTERS: u32 = 52; // address of the filter table: {u32 ptr, u32 len, u32 options} each
export const D_FILTER_COUNT: u32 = 53;
export const D_PROPS_RAW: u32 = 54; // PUBLISH: address of the property bytes behind their length
export const D_PROPS_RAW_LEN: u32 = 55;

// ---- Property table: 3 words each: id, then (value, 0) for numbers, (ptr, len) for strings and binary data;
//      a User Property takes two entries in a row, both with id 38: name, then value. ------------------------------
export const PROP_WORDS: u32 = 3;
export const PROP_CAPACITY: u32 = 2048; // entries; a packet with more is refused (0x97)
export const MOST_PROPERTIES: u32 = 1020; // for setPropertyLimit(): (PROP_CAPACITY - 8) / 2, as a User Property takes two
export const FILTER_CAPACITY: u32 = 16384; // filters in one SUBSCRIBE

// ---- Filter table: 3 words each: ptr, len, options byte of SUBSCRIBE. A filter of wrong syntax does not spoil the packet:
//   31            15 . . 8  7 . . . . . . 0
//   [ INVALID |  |  DETAIL | options byte ]   the handler answers 0x8F (3.1.1: 0x80) for it
export const FILTER_WORDS: u32 = 3;
export const FILTER_INVALID: u32 = 0x80000000;
export const FILTER_DETAIL_SHIFT: u32 = 8;

// ---- Results of decodePacket besides a reason code ----------------------------------------------------------------
export const DECODE_INCOMPLETE: i32 = -1; // H_TOTAL: length of the packet, 0 if not known yet
export const NO_VALUE: u32 = 0xffffffff; // pubExpiry without Message Expiry Interval

// ---- Run table of parseRun(): one entry for each PUBLISH -----------------------------------------------------------
export const RUN_WORDS: u32 = 12;
export const RUN_CAPACITY: u32 = 4096;
export const RUN_START: u32 = 0; // address of the first byte
export const RUN_TOTAL: u32 = 1; // length of the packet
export const RUN_FLAGS: u32 = 2; // first byte
export const RUN_PACKET_ID: u32 = 3;
export const RUN_TOPIC: u32 = 4;
export const RUN_TOPIC_LEN: u32 = 5;
export const RUN_PROPS_RAW: u32 = 6;
export const RUN_PROPS_RAW_LEN: u32 = 7;
export const RUN_PAYLOAD: u32 = 8;
export const RUN_PAYLOAD_LEN: u32 = 9;
export const RUN_ALIAS: u32 = 10;
export const RUN_EXPIRY: u32 = 11; // NO_VALUE: none

// ---- Packet kinds of parseProperties: the packet type, or the will's properties inside CONNECT ---------------------
export const KIND_WILL: u32 = 0;

// ---- Details: what exactly was wrong (H_DETAIL). Texts: src/protocol/details.ts ---------------------------------------
export const DETAIL_NONE: u32 = 0;
// framing
export const DETAIL_PACKET_TYPE: u32 = 1; // type 0, or AUTH before 5.0
export const DETAIL_FLAGS: u32 = 2; // reserved bits of the first byte
export const DETAIL_LENGTH: u32 = 3; // Remaining Length of more than four bytes
export const DETAIL_LENGTH_MINIMAL: u32 = 4; // a length not in its shortest form
export const DETAIL_TRUNCATED: u32 = 5; // a field reaches past the end of the packet
export const DETAIL_TRAILING: u32 = 6; // bytes behind the last field
export const DETAIL_PACKET_ID: u32 = 7; // packet identifier 0
export const DETAIL_REASON_CODE: u32 = 8; // reason code this packet cannot carry
export const DETAIL_NO_CODES: u32 = 9; // SUBACK, UNSUBACK without a reason code
// strings and topics
export const DETAIL_UTF8: u32 = 10; // ill-formed UTF-8
export const DETAIL_NUL: u32 = 11; // U+0000
export const DETAIL_TOPIC_EMPTY: u32 = 12;
export const DETAIL_TOPIC_WILDCARD: u32 = 13;
export const DETAIL_TOPIC_LEVELS: u32 = 14; // more levels than allowed, in a topic or a filter
export const DETAIL_FILTER_EMPTY: u32 = 15;
export const DETAIL_FILTER_HASH: u32 = 16; // # not alone in the last level
export const DETAIL_FILTER_PLUS: u32 = 17; // + not alone in its level
export const DETAIL_SHARE_NAME: u32 = 18; // share name empty or with a wildcard
export const DETAIL_SHARE_FILTER: u32 = 19; // no filter behind the share name
export const DETAIL_SHARE_NO_LOCAL: u32 = 20;
// PUBLISH
export const DETAIL_QOS: u32 = 21; // QoS 3
export const DETAIL_DUP: u32 = 22; // DUP with QoS 0
export const DETAIL_NO_TOPIC: u32 = 23; // neither topic nor alias
export const DETAIL_ALIAS_ZERO: u32 = 24;
export const DETAIL_ALIAS_RANGE: u32 = 25; // above the Topic Alias Maximum
export const DETAIL_ALIAS_UNKNOWN: u32 = 26; // empty topic, and the alias was never set
export const DETAIL_RESPONSE_TOPIC: u32 = 27; // empty or with a wildcard
export const DETAIL_SUBSCRIPTION_ID: u32 = 28; // a client sent a Subscription Identifier in PUBLISH
export const DETAIL_RECEIVE_MAXIMUM: u32 = 29;
export const DETAIL_QOS_MAXIMUM: u32 = 30;
export const DETAIL_RETAIN: u32 = 31; // RETAIN although not available
export const DETAIL_PAYLOAD_FORMAT: u32 = 32; // announced as UTF-8, but it is not
export const DETAIL_PACKET_SIZE: u32 = 33; // above the Maximum Packet Size
// properties
export const DETAIL_PROPERTIES_LENGTH: u32 = 34; // Property Length malformed or past the end
export const DETAIL_PROPERTY_UNKNOWN: u32 = 35;
export const DETAIL_PROPERTY_PACKET: u32 = 36; // a property of other packets
export const DETAIL_PROPERTY_TWICE: u32 = 37;
export const DETAIL_PROPERTY_VALUE: u32 = 38; // value out of its range
export const DETAIL_PROPERTY_TRUNCATED: u32 = 39; // a property reaches past the Property Length
export const DETAIL_PROPERTIES_MANY: u32 = 40;
export const DETAIL_AUTH_METHOD: u32 = 41; // Authentication Data, or AUTH, without Authentication Method
// CONNECT and CONNACK
export const DETAIL_PROTOCOL_NAME: u32 = 42;
export const DETAIL_PROTOCOL_LEVEL: u32 = 43;
export const DETAIL_CONNECT_RESERVED: u32 = 44; // reserved bit of the connect flags
export const DETAIL_WILL_FLAGS: u32 = 45; // Will QoS or Will Retain without Will Flag
export const DETAIL_WILL_QOS: u32 = 46;
export const DETAIL_PASSWORD: u32 = 47; // password without user name, before 5.0
export const DETAIL_CONNACK_FLAGS: u32 = 48;
export const DETAIL_SESSION_PRESENT: u32 = 49; // Session Present in a refusal
// SUBSCRIBE and UNSUBSCRIBE
export const DETAIL_NO_FILTERS: u32 = 50;
export const DETAIL_FILTERS_MANY: u32 = 51;
export const DETAIL_OPTIONS: u32 = 52; // reserved bits of the subscription options
export const DETAIL_OPTIONS_QOS: u32 = 53;
export const DETAIL_RETAIN_HANDLING: u32 = 54;
// PUBLISH again
export const DETAIL_ALIAS_BYTES: u32 = 55; // more text of topics than aliases may keep
export const DETAIL_COUNT: u32 = 56;
