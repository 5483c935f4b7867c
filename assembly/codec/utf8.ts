// UTF-8 as MQTT wants it [MQTT-1.5.4-1] [MQTT-1.5.4-2]: well-formed, no surrogates, no U+0000.
// Reads up to 15 bytes behind the string: every region ends in SLACK bytes.

/** Whether the bytes are a valid UTF-8 Encoded String. */
export function validateUtf8(ptr: usize, len: u32): bool {
  const end = ptr + len;
  while (ptr < end) {
    // Bytes 1..127 are greater than zero as signed numbers; U+0000 and everything beyond ASCII is not.
    const odd = ~i8x16.bitmask(i8x16.gt_s(v128.load(ptr), i8x16.splat(0))) & 0xffff;
    const rest = end - ptr;
    if (odd) {
      const run = <usize>ctz(odd);
      if (run >= rest) return true;
      return validateBeyondAscii(ptr + run, end, 1);
    }
    if (rest <= 16) return true;
    ptr += 16;
  }
  return true;
}

/** The same for a payload that is announced as UTF-8 (Payload Format Indicator 1): U+0000 is text there. */
export function validateUtf8Payload(ptr: usize, len: u32): bool {
  const end = ptr + len;
  while (ptr < end) {
    const odd = i8x16.bitmask(v128.load(ptr));
    const rest = end - ptr;
    if (odd) {
      const run = <usize>ctz(odd);
      if (run >= rest) return true;
      return validateBeyondAscii(ptr + run, end, 0);
    }
    if (rest <= 16) return true;
    ptr += 16;
  }
  return true;
}

/** Byte by byte, by the table of well-formed sequences (Unicode, table 3-7); `lowest` is the smallest character. */
function validateBeyondAscii(ptr: usize, end: usize, lowest: u32): bool {
  while (ptr < end) {
    const first = <u32>load<u8>(ptr);
    if (first < 0x80) {
      if (first < lowest) return false;
      ptr += 1;
    } else if (first < 0xe0) {
      // 0x80..0xBF cannot begin a character; 0xC0 and 0xC1 would be overlong.
      if (first < 0xc2 || end - ptr < 2 || (load<u8>(ptr, 1) & 0xc0) != 0x80) return false;
      ptr += 2;
    } else if (first < 0xf0) {
      if (end - ptr < 3 || (load<u16>(ptr, 1) & 0xc0c0) != 0x8080) return false;
      const second = <u32>load<u8>(ptr, 1);
      if (first == 0xe0 && second < 0xa0) return false; // overlong
      if (first == 0xed && second > 0x9f) return false; // surrogates
      ptr += 3;
    } else {
      if (first > 0xf4 || end - ptr < 4) return false;
      if ((load<u16>(ptr, 1) & 0xc0c0) != 0x8080 || (load<u8>(ptr, 3) & 0xc0) != 0x80) return false;
      const second = <u32>load<u8>(ptr, 1);
      if (first == 0xf0 && second < 0x90) return false; // overlong
      if (first == 0xf4 && second > 0x8f) return false; // above U+10FFFF
      ptr += 4;
    }
  }
  return true;
}

/** Whether a byte of the string is zero: tells DETAIL_NUL from DETAIL_UTF8 once a string was refused. */
export function hasNul(ptr: usize, len: u32): bool {
  for (let end = ptr + len; ptr < end; ptr++) {
    if (load<u8>(ptr) == 0) return true;
  }
  return false;
}

/** Whether `+` or `#` stands in the bytes. */
export function hasWildcard(ptr: usize, len: u32): bool {
  for (let end = ptr + len; ptr < end; ptr += 16) {
    const bytes = v128.load(ptr);
    const wild = i8x16.bitmask(v128.or(i8x16.eq(bytes, i8x16.splat(0x2b)), i8x16.eq(bytes, i8x16.splat(0x23))));
    if (wild && <usize>ctz(wild) < end - ptr) return true;
  }
  return false;
}
