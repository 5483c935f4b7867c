// What the properties of a PUBLISH may hold for a slot with SLOT_PROPERTY_BOUNDS: User Properties by number, name and length
// [V5-7], Response Topic and Correlation Data by length [V5-8]. Reads properties that are known to be valid.
import { EXCESS_CORRELATION, EXCESS_NAME, EXCESS_PAIR, EXCESS_PAIRS, EXCESS_RESPONSE } from "../abi";
import { READ16 } from "../codec/fields";
import { pubPropsRaw, pubPropsRawLen } from "../codec/publish";

let mostPairs: u32 = 0xffffffff;
let pairCharacters: u32 = 0xffffffff;
let responseCharacters: u32 = 0xffffffff;
let correlationBytes: u32 = 0xffffffff;

/** User Properties of a packet; code points of name and value together; code points; bytes. */
export function setPropertyBounds(pairs: u32, characters: u32, response: u32, correlation: u32): void {
  mostPairs = pairs;
  pairCharacters = characters;
  responseCharacters = response;
  correlationBytes = correlation;
}

/** EXCESS_* of the PUBLISH that was parsed last; 0: it keeps to the bounds. */
export function propertyExcess(): u32 {
  let at = pubPropsRaw;
  const end = at + pubPropsRawLen;
  let pairs: u32 = 0;
  let excess: u32 = 0;
  while (at < end) {
    const id = <u32>load<u8>(at++);
    switch (id) {
      case 1: // Payload Format Indicator
        at += 1;
        break;
      case 2: // Message Expiry Interval
        at += 4;
        break;
      case 35: // Topic Alias
        at += 2;
        break;
      case 38: {
        const nameLen = READ16(at);
        const name = at + 2;
        const value = name + nameLen + 2;
        const valueLen = READ16(value - 2);
        at = value + valueLen;
        if (++pairs > mostPairs) return EXCESS_PAIRS;
        if (nameLen && load<u8>(name) == 0x5f) excess = EXCESS_NAME; // "_"
        else if (characters(name, nameLen) + characters(value, valueLen) > pairCharacters) excess = EXCESS_PAIR;
        break;
      }
      default: {
        const len = READ16(at);
        at += 2;
        if (id == 8 && characters(at, len) > responseCharacters) excess = EXCESS_RESPONSE;
        else if (id == 9 && len > correlationBytes) excess = EXCESS_CORRELATION;
        at += len;
      }
    }
  }
  return excess;
}

/** Code points of valid UTF-8: its bytes without those that continue one. */
function characters(at: usize, len: u32): u32 {
  let count: u32 = 0;
  for (const end = at + len; at < end; at++) if ((load<u8>(at) & 0xc0) != 0x80) count++;
  return count;
}
