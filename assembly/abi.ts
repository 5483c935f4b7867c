// The ABI between the WASM core and its host: every number that both sides must agree on.
// assembly/build.mjs copies the constants of this file and of codec/abi.ts into src/core/generated/abi.ts, so
// they cannot drift. Only `export const NAME: type = number-expression;` lines are allowed here.

// ---- Words of the header (u32 index from headerPtr()) ------------------------------------------------------
// Results of the last call into the core; the host reads them through one Uint32Array.
export const H_CONSUMED: u32 = 0; // bytes of the run that are done with
export const H_RECORDS: u32 = 1; // number of records written
export const H_REASON: u32 = 2; // reason code of a STOP_ERROR
export const H_DETAIL: u32 = 3; // DETAIL_* of a STOP_ERROR: what exactly was wrong
export const H_OFFSET: u32 = 4; // offset of the offending byte, from the start of the packet
export const H_TOTAL: u32 = 5; // total length of the packet of STOP_LARGE, STOP_CONTROL, STOP_VERDICT
export const H_STORE_USED: u32 = 6; // bytes used in the store arena since the last call
export const H_HITS: u32 = 12; // receivers of the last message (0: reason code 0x10)
export const H_STORE_OFFSET: u32 = 17; // STOP_HOST: the message in canonical form, offset in the store arena
export const H_AWAITED: u32 = 18; // 1: an acknowledgement of this call waits for the commit of this turn
export const H_VERDICT: u32 = 19; // STOP_HOST: the verdict in force
export const H_NEXT_SLOT: u32 = 21; // injectSlice(): where the next slice begins, NO_SLOT behind the last one
export const H_PART: u32 = 20; // number of what was put out last; the host writes 0 when it has acted on it
// Running counts, u64 each: two words, the low one first. Never reset.
export const H_DROPPED: u32 = 64; // QoS 0 messages dropped, receiver over its budget
export const H_DENIED: u32 = 66; // PUBLISH packets refused by a verdict
export const H_TOO_LARGE: u32 = 68; // deliveries over the receiver's Maximum Packet Size
export const H_RECEIVED: u32 = 70; // PUBLISH packets accepted
export const H_SENT: u32 = 72; // PUBLISH packets emitted
export const H_QUEUED: u32 = 74; // deliveries that wait because the receiver's send window is full
export const H_RX_BYTES: u32 = 76; // payload bytes of PUBLISH packets accepted
export const H_TX_BYTES: u32 = 78; // payload bytes of PUBLISH packets emitted
export const H_OTHERS_IN: u32 = 80; // acknowledgements and PINGREQ received
export const H_OTHERS_OUT: u32 = 82; // acknowledgements and PINGRESP emitted
export const H_LIMITED: u32 = 84; // PUBLISH packets over the rate of their session
export const H_OVER_RATE: u32 = 86; // QoS 0 deliveries dropped, receiver over its rate
export const H_OVER_RATE_OF_ALL: u32 = 88; // QoS 0 deliveries dropped, all receivers together over their rate
export const H_QUEUED_RATE: u32 = 90; // deliveries that wait because of either rate
// Descriptor of one decoded packet (codec/): see codec/abi.ts, words 32 and up.
export const H_DESCRIPTOR: u32 = 32;
export const H_WORDS: u32 = 96;

// ---- Why route() came back ------------------------------------------------------------------------------------
export const STOP_DONE: i32 = 0; // all of the run is consumed
export const STOP_PARTIAL: i32 = 1; // an incomplete packet remains behind H_CONSUMED
export const STOP_CONTROL: i32 = 2; // a whole packet for a handler stands at H_CONSUMED, length H_TOTAL
export const STOP_VERDICT: i32 = 3; // a PUBLISH whose permission the core does not know; descriptor is filled
export const STOP_LARGE: i32 = 4; // a packet longer than the input region announces itself; H_TOTAL
export const STOP_ERROR: i32 = 5; // H_REASON, H_DETAIL, H_OFFSET; nothing behind it may be processed
export const STOP_BUDGET: i32 = 6; // an arena is full: act on the records, then call resume()
export const STOP_HOST: i32 = 7; // a PUBLISH the host must handle itself (verdict says so); descriptor is filled
export const STOP_FULL: i32 = 8; // 3.x: a PUBLISH that must wait for acknowledgements of those before it; nothing of it is consumed

// ---- Records: 8 words each, in packet order ---------------------------------------------------------------------
//   word 0: kind | flags << 8    word 1: slot    words 2..7: by kind
export const RECORD_WORDS: u32 = 8;
export const R_WRITE: u32 = 1; // 2 ptr, 3 len; R_INPUT set: ptr lies in the input region (else in the gather arena)
export const R_STORED: u32 = 2; // 2 offset in the store arena, 3 position, 4 packet id (0: not sent), 5 options (QoS, RETAIN << 2, (group + 1) << 8), 6 subscription ids offset (or NO_OFFSET), 7 sender
export const STORED_UNSENT: u32 = 8; // option of R_STORED: the packet id is reserved, nothing is sent before the commit
export const R_ACKED: u32 = 3; // 2 position, 3 packet id, 4 reason: PUBACK or PUBCOMP, or PUBREC >= 0x80
export const R_RECEIVED: u32 = 4; // 2 position, 3 packet id: PUBREC of a stored message; the host answers with PUBREL after commit
export const R_WINDOW: u32 = 5; // the send window of a slot with a queue opened
export const R_RETAIN: u32 = 6; // 2 offset in the store arena: store or clear as retained message
export const R_LOCAL: u32 = 7; // 2 offset in the store arena, 5 options: a delivery for a slot with SLOT_LOCAL
export const R_PUBREL: u32 = 8; // 2 packet id: PUBREL of a slot whose inbound QoS 2 state is kept by the host
export const R_EXTERNAL: u32 = 9; // 2 ptr, 3 len of the head; the host appends the external payload
export const R_TAP: u32 = 10; // 2 offset in the store arena, 3 reason code of a refusal: copy of a PUBLISH with VERDICT_TAP or VERDICT_SAMPLE
export const R_SENT: u32 = 11; // 2 position, 3 packet id: a replayed message is in flight now
export const R_LIMITED: u32 = 12; // a session is over the rate of a meter, whose number this has; once where the next ones are of the same
export const R_SKIPPED: u32 = 13; // samples of a slot are skipped; once until takeSkipped()
export const R_PACED: u32 = 14; // 2 ms, 3 UNSENT_*: a slot with waiting messages is over its rate; it can take more when so many ms are over
export const R_UNSENT: u32 = 15; // 2 UNSENT_*, 3 offset in the store arena (or NO_OFFSET): a QoS 0 message was dropped; once a second for each reason
export const R_INPUT: u32 = 1; // flag of R_WRITE
export const NO_OFFSET: u32 = 0xffffffff;

// Why a message is not sent now
export const UNSENT_CREDIT: u32 = 1; // too much waits for the connection
export const UNSENT_RATE: u32 = 2; // over the rate of its receiver
export const UNSENT_RATE_OF_ALL: u32 = 3; // over the rate of all receivers together

// ---- A message in the store arena, in segments and in delivery batches: 32 bytes of head, then the body -----------
//    0: u32 length of head + body, without padding       16: f64 time of receipt, ms since the epoch
//    4: u32 M_* flags                                     24: u32 Message Expiry Interval, s (NO_EXPIRY: none)
//    8: u32 sender's slot (NO_SLOT: none)                 28: u32 length of an external payload that follows elsewhere
//   12: u32 length of the topic
//   32: u16 topic length (big endian) | topic | properties (varint length, bytes) | payload
export const MESSAGE_HEAD: u32 = 32;
export const M_QOS_MASK: u32 = 3;
export const M_RETAIN: u32 = 4;
export const M_SPACE_SHIFT: u32 = 16; // inject: number of the space it stays in, 0: none; 16 bits
export const M_NO_SHARED: u32 = 8; // inject: ordinary subscriptions only
export const M_UNMETERED: u32 = 16; // inject: the rate of all receivers together does not count it
export const M_ANSWERED: u32 = 32; // inject: whoever sends it is told what became of it, so R_UNSENT is not
export const NO_EXPIRY: u32 = 0xffffffff;
export const NO_SLOT: u32 = 0xffffffff;

// ---- Entries of a replay batch: options word, see route/replay.ts -----------------------------------------------------
export const E_RETAIN: u32 = 4;
export const E_DUP: u32 = 8;
export const E_PUBREL: u32 = 16; // no body: the message was received, only its release is repeated

// ---- Subscription options: one word -------------------------------------------------------------------------------
//   31 . . . . . 4 3 2 1 0
//   [ subscription id |A|L|QoS]     A: Retain As Published   L: No Local   subscription id 0: none
export const OPT_QOS_MASK: u32 = 3;
export const OPT_NO_LOCAL: u32 = 4;
export const OPT_RETAIN_AS_PUBLISHED: u32 = 8;
export const OPT_ID_SHIFT: u32 = 4;
export const GROUP_BIT: u32 = 0x80000000; // a list item that names a shared group instead of a slot

// ---- Slots: 128 bytes each, in pages of 1,024 ----------------------------------------------------------------------
export const SLOT_SIZE: u32 = 128;
export const SLOT_PAGE_LOG2: u32 = 10;
// flags word
export const SLOT_USED: u32 = 1;
export const SLOT_ONLINE: u32 = 2;
export const SLOT_V5: u32 = 4;
export const SLOT_PERSISTENT: u32 = 8; // the session survives its connection: QoS 1/2 goes through the store
export const SLOT_ALLOW_ALL: u32 = 16; // no verdict needed to publish
export const SLOT_PUBLISHER_QOS: u32 = 32; // delivered at the publisher's QoS [QOS-2]
export const SLOT_LOCAL: u32 = 64; // an in-process subscriber: R_LOCAL instead of bytes
export const SLOT_QUEUED: u32 = 128; // the host holds messages for it: QoS 1/2 must queue behind them
export const SLOT_REASON_STRINGS: u32 = 256; // 5.0 and Request Problem Information is not 0
export const SLOT_NO_RETAIN: u32 = 512; // RETAIN=1 of this client is an ordinary message [SESS-5]
export const SLOT_MAX_QOS1: u32 = 1024; // QoS 2 is an error for this client, and not sent to it [QOS-1]
export const SLOT_DEDUPE_QOS1: u32 = 2048; // a copy of an unacknowledged QoS 1 PUBLISH is not forwarded again [QOS-4]
export const SLOT_RETAIN_UNAVAILABLE: u32 = 4096; // RETAIN=1 is an error: 0x9A
export const SLOT_PROPERTY_BOUNDS: u32 = 8192; // User and request properties are bounded: 0x97, 0x83 [V5-7]; an unknown alias is 0x94 [V5-9]
export const SLOT_VALIDATE_UTF8: u32 = 16384; // payload format 1 is checked: 0x99
export const SLOT_SPACE_SHIFT: u32 = 16; // number of the space its session is in, 0: none; 16 bits, set by openSlot [TOPIC-10]
export const SLOT_V31: u32 = 32768; // 3.1: DUP on PUBREL is allowed

// ---- Verdicts: a word per (slot, topic) ----------------------------------------------------------------------------
export const VERDICT_ALLOW: u32 = 1;
export const VERDICT_TAP: u32 = 2; // the host gets a copy (R_TAP)
export const VERDICT_HOST: u32 = 4; // the host handles the packet itself (STOP_HOST)
export const VERDICT_ISOLATED: u32 = 16; // delivered within the space of its sender only
export const VERDICT_SAMPLE: u32 = 8; // the host gets copies of some (R_TAP), refused ones too; see route/rates/samples.ts
export const VERDICT_REASON_SHIFT: u32 = 8; // reason code of a refusal (0x87 unless said otherwise), 8 bits
export const VERDICT_METER_SHIFT: u32 = 16; // number of the meter that counts the message, 0: the slot's own

// ---- Which property of a PUBLISH goes beyond SLOT_PROPERTY_BOUNDS; their Reason Strings are set with setReasonText() ----
export const EXCESS_PAIRS: u32 = 1; // the number of User Properties
export const EXCESS_NAME: u32 = 2; // a name that begins with "_"
export const EXCESS_PAIR: u32 = 3; // the length of a name and its value
export const EXCESS_RESPONSE: u32 = 4; // the length of the Response Topic
export const EXCESS_CORRELATION: u32 = 5; // the length of the Correlation Data

// ---- Sizes -----------------------------------------------------------------------------------------------------------
export const INPUT_SIZE: u32 = 262144; // a tail and a chunk of up to 64 KiB each; the head of a large packet
export const LARGE_PACKET: u32 = 65536; // a packet longer than this is collected by the host
export const SLACK: u32 = 64; // SIMD loads read past the end
export const MAX_LEVELS: u32 = 256; // hard bound of topic levels; the host may set a lower one
export const RECORD_CAPACITY: u32 = 16384;
export const ITEM_CAPACITY: u32 = 65536;
export const TEMPLATE_SIZE: u32 = 1048576;
export const GATHER_SIZE: u32 = 1048576;
export const MAX_METERS: u32 = 4095; // of one slot, besides its own
export const STORE_SIZE: u32 = 1048576;
