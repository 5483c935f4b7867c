// The header: u32 words in which the core tells its results (H_* in abi.ts, D_* in codec/abi.ts).
// It only stores words; what a word means belongs to the one who writes it.
import { H_WORDS } from "../abi";

const HEADER: usize = memory.data(<i32>H_WORDS * 4);

/** Address of the header. */
export function headerPtr(): usize {
  return HEADER;
}

// @ts-ignore: decorator
@inline
export function setWord(word: u32, value: u32): void {
  store<u32>(HEADER + ((<usize>word) << 2), value);
}

/** Adds to a running count, which takes two words. */
// @ts-ignore: decorator
@inline
export function count(word: u32, by: u32): void {
  const at = HEADER + ((<usize>word) << 2);
  store<u64>(at, load<u64>(at) + <u64>by);
}

// @ts-ignore: decorator
@inline
export function getWord(word: u32): u32 {
  return load<u32>(HEADER + ((<usize>word) << 2));
}
