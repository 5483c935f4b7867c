// The fixed header: where a packet ends.
//
//   byte 0                 bytes 1..4
//   [ type:4 | flags:4 ]   [ Remaining Length, 7 bits each, least significant first, bit 7: more follow ]

export let frameBody: usize = 0; // address behind the fixed header
export let frameTotal: u32 = 0; // length of the whole packet; 0 while the fixed header is incomplete

/** Length of the packet at `ptr`; 0: incomplete; negative: the length has a fifth byte, which is malformed. */
export function readFrame(ptr: usize, end: usize): i32 {
  if (end - ptr >= 2) {
    const length = <u32>load<u8>(ptr, 1);
    if (length < 0x80) {
      frameBody = ptr + 2;
      frameTotal = length + 2;
      return length + 2 <= <u32>(end - ptr) ? <i32>(length + 2) : 0;
    }
    return readLongFrame(ptr, end);
  }
  frameTotal = 0;
  return 0;
}

function readLongFrame(ptr: usize, end: usize): i32 {
  let length: u32 = 0;
  let shift: u32 = 0;
  let at = ptr + 1;
  frameTotal = 0;
  while (true) {
    if (at == end) return 0;
    const byte = <u32>load<u8>(at++);
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
    shift += 7;
    if (shift == 28) return -1;
  }
  frameBody = at;
  frameTotal = <u32>(at - ptr) + length;
  return frameTotal <= <u32>(end - ptr) ? <i32>frameTotal : 0;
}

/** Whether the length between `start` and `body` is in its shortest form [MQTT-1.5.5-1]; 3.x does not ask for it. */
// @ts-ignore: decorator
@inline
export function isMinimal(start: usize, body: usize): bool {
  return body - start == 2 || load<u8>(body - 1) != 0;
}

export let varintValue: u32 = 0;

/** Reads a Variable Byte Integer; returns its length, 0: it reaches past `end`, has a fifth byte or is not minimal. */
export function readVarint(ptr: usize, end: usize): u32 {
  let value: u32 = 0;
  let shift: u32 = 0;
  let at = ptr;
  while (at < end) {
    const byte = <u32>load<u8>(at++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (byte == 0 && shift != 0) return 0;
      varintValue = value;
      return <u32>(at - ptr);
    }
    shift += 7;
    if (shift == 28) return 0;
  }
  return 0;
}
