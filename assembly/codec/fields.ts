// Fields every packet is made of: two-byte numbers and strings with a length in front.

import { DETAIL_NUL, DETAIL_TRUNCATED, DETAIL_UTF8 } from "./abi";
import { fail } from "./errors";
import { MALFORMED } from "./reasons";
import { hasNul, validateUtf8 } from "./utf8";

/** Big endian u16. */
// @ts-ignore: decorator
@inline
export function READ16(ptr: usize): u32 {
  return <u32>bswap<u16>(load<u16>(ptr));
}

/** Big endian u32. */
// @ts-ignore: decorator
@inline
export function READ32(ptr: usize): u32 {
  return bswap<u32>(load<u32>(ptr));
}

/** Refuses a string that validateUtf8 did not accept. */
export function failString(ptr: usize, len: u32): i32 {
  return fail(MALFORMED, hasNul(ptr, len) ? DETAIL_NUL : DETAIL_UTF8, ptr);
}

/** Checks that a length and as many bytes stand between `ptr` and `end`. */
export function checkBinary(ptr: usize, end: usize, detail: u32): i32 {
  if (end - ptr < 2 || READ16(ptr) > <u32>(end - ptr - 2)) return fail(MALFORMED, detail, ptr);
  return 0;
}

/** The same for a UTF-8 Encoded String. */
export function checkString(ptr: usize, end: usize): i32 {
  const reason = checkBinary(ptr, end, DETAIL_TRUNCATED);
  if (reason) return reason;
  const len = READ16(ptr);
  return validateUtf8(ptr + 2, len) ? 0 : failString(ptr + 2, len);
}
