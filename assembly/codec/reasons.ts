// Reason codes the codec itself answers with, and which codes each packet may carry (MQTT 5.0, tables 3-1 to 3-13).

export const MALFORMED: i32 = 0x81;
export const PROTOCOL_ERROR: i32 = 0x82;
export const UNSUPPORTED_VERSION: i32 = 0x84;
export const TOPIC_INVALID: i32 = 0x90;
export const ALIAS_INVALID: i32 = 0x94;
export const QUOTA_EXCEEDED: i32 = 0x97;

// @ts-ignore: decorator
@inline
function BIT(code: u32): u64 {
  return (<u64>1) << (code - 0x80);
}

/** Errors a packet may carry, as a bit for each code from 0x80; 0 for packets without reason codes. */
function errorsOf(type: u32): u64 {
  switch (type) {
    case 2: // CONNACK
      return (
        0x7ff | BIT(0x8c) | BIT(0x90) | BIT(0x95) | BIT(0x97) | BIT(0x99) | BIT(0x9a) | BIT(0x9b) | BIT(0x9c) |
        BIT(0x9d) | BIT(0x9f)
      );
    case 4:
    case 5: // PUBACK, PUBREC
      return BIT(0x80) | BIT(0x83) | BIT(0x87) | BIT(0x90) | BIT(0x91) | BIT(0x97) | BIT(0x99);
    case 6:
    case 7: // PUBREL, PUBCOMP
      return BIT(0x92);
    case 9: // SUBACK
      return (
        BIT(0x80) | BIT(0x83) | BIT(0x87) | BIT(0x8f) | BIT(0x91) | BIT(0x97) | BIT(0x9e) | BIT(0xa1) | BIT(0xa2)
      );
    case 11: // UNSUBACK
      return BIT(0x80) | BIT(0x83) | BIT(0x87) | BIT(0x8f) | BIT(0x91);
    case 14: // DISCONNECT; 0x8C stands in table 2-6 only
      return (
        BIT(0x80) | BIT(0x81) | BIT(0x82) | BIT(0x83) | BIT(0x87) | BIT(0x89) | BIT(0x8b) | BIT(0x8c) | BIT(0x8d) |
        BIT(0x8e) | BIT(0x8f) | BIT(0x90) | ((<u64>0xffff) << 0x13)
      );
    default:
      return 0;
  }
}

/** Whether a 5.0 packet of this type may carry this reason code. */
export function isReasonOf(type: u32, code: u32): bool {
  if (code >= 0x80) return code <= 0xa2 && (errorsOf(type) & BIT(code)) != 0;
  switch (type) {
    case 4:
    case 5:
      return code == 0 || code == 0x10; // no matching subscribers
    case 9:
      return code <= 2; // granted QoS
    case 11:
      return code == 0 || code == 0x11; // no subscription existed
    case 14:
      return code == 0 || code == 4; // disconnect with Will Message
    case 15:
      return code == 0 || code == 0x18 || code == 0x19; // continue, re-authenticate
    default:
      return code == 0;
  }
}

/** Whether a return code may stand in this packet before 5.0: CONNACK and SUBACK. */
export function isReturnCode(type: u32, code: u32, level: u32): bool {
  if (type == 2) return code <= 5;
  return code <= 2 || (code == 0x80 && level >= 4); // 0x80 came with 3.1.1
}
