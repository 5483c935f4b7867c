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
export const FILTER_CAPACITY: u32 = 16384; // filters in one SUBSCRIBE
