// One pass over a Topic Name: validates it, splits it into levels and hashes each (SIMD, 16 bytes a step); the same for
// a Topic Filter, byte by byte since that is rare. Reads up to 15 bytes behind the string: every region ends in
// SLACK bytes. Results stay valid until the next scan of the same kind; topics and filters do not share them.
//
//   LEVELS, 16 B each   [ level hash:u64 | level hash:u32 | start:u16 | length:u16 ]   start: from the topic's first byte
//   PATH, 16 B each     [ path key:u64   | path key:u32   | isPlus:u32 ]               of the filter's first n levels
import { MAX_LEVELS } from "../abi";
import {
  DETAIL_FILTER_EMPTY,
  DETAIL_FILTER_HASH,
  DETAIL_FILTER_PLUS,
  DETAIL_NUL,
  DETAIL_TOPIC_EMPTY,
  DETAIL_TOPIC_LEVELS,
  DETAIL_TOPIC_WILDCARD,
  DETAIL_UTF8,
} from "../codec/abi";
import { hasNul, validateUtf8 } from "../codec/utf8";
import { entryCount } from "./entries";
import {
  HASH_LEVEL,
  LEVEL1,
  LEVEL2,
  MIX1,
  MIX2,
  plusHash1,
  plusHash2,
  PREFIX,
  rootPath1,
  rootPath2,
  setKeys,
} from "./hash";

const MAX_BYTES: u32 = 65535;
export const LEVEL_SIZE: usize = 16;
export const LEVELS: usize = memory.data(256 * 16, 16);
export const PATH: usize = memory.data(257 * 16, 16); // [0]: the root

// Of the last scanTopicName()
export let levelCount: u32 = 0;
export let topicHash: u64 = 0;
export let topicHash2: u32 = 0;
export let topicDollar: bool = false; // '$' leads: wildcards in the first level do not match

// Of the last scanTopicFilter()
export let filterDepth: u32 = 0; // levels, without a last '#'
export let filterExact: bool = false; // no wildcard
export let filterHash: bool = false; // ends in '#'

let maxLevels: u32 = 128;

/** Levels a Topic Name or Topic Filter may have, 1 to MAX_LEVELS. */
export function setMaxLevels(count: u32): void {
  maxLevels = max(1, min(count, MAX_LEVELS));
}

/** Keys of all hashes, from a random source, before the first filter is stored. */
export function setSeed(a: u32, b: u32, c: u32, d: u32): void {
  assert(entryCount() == 0);
  setKeys(a, b, c, d);
}

export function levelsPtr(): usize {
  return LEVELS;
}

/** Whether the string and the bytes behind it that a SIMD load touches lie in memory. */
// @ts-ignore: decorator
@inline
function IS_READABLE(ptr: usize, len: u32): bool {
  return <u64>ptr + len + 15 <= <u64>memory.size() << 16;
}

// @ts-ignore: decorator
@inline
function STORE_LEVEL(level: usize, h1: u64, h2: u32, offset: usize, size: usize): void {
  assert(level >= LEVELS && level < LEVELS + <usize>MAX_LEVELS * LEVEL_SIZE);
  store<u64>(level, h1);
  store<u64>(level, <u64>h2 | ((<u64>offset) << 32) | ((<u64>size) << 48), 8);
}

/** 0, or the DETAIL_* code of what is wrong; then the other results are undefined. */
export function scanTopicName(ptr: usize, len: u32): i32 {
  if (len == 0) return DETAIL_TOPIC_EMPTY; // [MQTT-4.7.3-1]
  if (len > MAX_BYTES) return DETAIL_UTF8; // [MQTT-4.7.3-3]
  assert(IS_READABLE(ptr, len));
  const end = ptr + len;
  const last = LEVELS + <usize>(maxLevels - 1) * LEVEL_SIZE;
  let highs = i8x16.splat(0);
  let bad = i8x16.splat(0);
  let path1 = rootPath1;
  let path2 = rootPath2;
  let level = LEVELS;
  let start = ptr;
  for (let at = ptr; at < end; at += 16) {
    let bytes = v128.load(at);
    if (end - at < 16) bytes = PREFIX(bytes, end - at, i8x16.splat(0x20));
    highs = v128.or(highs, bytes);
    // '+' and '#' differ in one bit
    const wild = i8x16.eq(v128.and(bytes, i8x16.splat(<i8>0xf7)), i8x16.splat(0x23));
    bad = v128.or(bad, v128.or(wild, i8x16.eq(bytes, i8x16.splat(0))));
    let slashes = i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(0x2f)));
    while (slashes) {
      if (level >= last) return explainTopic(ptr, len);
      const stop = at + <usize>ctz(slashes);
      slashes &= slashes - 1;
      const hash = HASH_LEVEL(start, <u32>(stop - start));
      const h1 = LEVEL1(hash);
      const h2 = LEVEL2(hash);
      STORE_LEVEL(level, h1, h2, start - ptr, stop - start);
      path1 = MIX1(path1, h1);
      path2 = MIX2(path2, h2);
      level += LEVEL_SIZE;
      start = stop + 1;
    }
  }
  // The last level stands behind the loop: closing it inside costs every topic 12 % (measured).
  const hash = HASH_LEVEL(start, <u32>(end - start));
  const h1 = LEVEL1(hash);
  const h2 = LEVEL2(hash);
  STORE_LEVEL(level, h1, h2, start - ptr, end - start);
  if (v128.any_true(bad)) return explainTopic(ptr, len);
  if (i8x16.bitmask(highs) && !validateUtf8(ptr, len)) return DETAIL_UTF8; // [MQTT-1.5.4-1]
  topicHash = MIX1(path1, h1);
  topicHash2 = MIX2(path2, h2);
  topicDollar = load<u8>(ptr) == 0x24;
  levelCount = <u32>((level - LEVELS) / LEVEL_SIZE) + 1;
  assert(levelCount <= MAX_LEVELS);
  return 0;
}

/** Encoding before syntax: an ill-formed string has no levels and no wildcards. */
function explainTopic(ptr: usize, len: u32): i32 {
  if (!validateUtf8(ptr, len)) return hasNul(ptr, len) ? DETAIL_NUL : DETAIL_UTF8; // [MQTT-4.7.3-2]
  for (let i: u32 = 0; i < len; i++) {
    const byte = load<u8>(ptr + i);
    if (byte == 0x2b || byte == 0x23) return DETAIL_TOPIC_WILDCARD; // [MQTT-3.3.2-2]
  }
  return DETAIL_TOPIC_LEVELS;
}

/** 0, or the DETAIL_* code of what is wrong. Fills PATH. */
export function scanTopicFilter(ptr: usize, len: u32): i32 {
  if (len == 0) return DETAIL_FILTER_EMPTY; // [MQTT-4.7.3-1]
  if (len > MAX_BYTES) return DETAIL_UTF8; // [MQTT-4.7.3-3]
  assert(IS_READABLE(ptr, len));
  if (!validateUtf8(ptr, len)) return hasNul(ptr, len) ? DETAIL_NUL : DETAIL_UTF8;
  const end = ptr + len;
  let path1 = rootPath1;
  let path2 = rootPath2;
  let levels: u32 = 0;
  let depth: u32 = 0;
  let start = ptr;
  filterExact = true;
  filterHash = false;
  store<u64>(PATH, path1);
  store<u32>(PATH, path2, 8);
  store<u32>(PATH, 0, 12);
  for (let at = ptr; at <= end; at++) {
    const byte = at < end ? <u32>load<u8>(at) : 0x2f;
    if (byte == 0x23) {
      if (at != start || at + 1 != end) return DETAIL_FILTER_HASH; // [MQTT-4.7.1-1]
    } else if (byte == 0x2b) {
      if (at != start || (at + 1 != end && load<u8>(at, 1) != 0x2f)) return DETAIL_FILTER_PLUS; // [MQTT-4.7.1-2]
    } else if (byte == 0x2f) {
      if (++levels > maxLevels) return DETAIL_TOPIC_LEVELS;
      const first = at > start ? <u32>load<u8>(start) : 0;
      if (first == 0x23) {
        filterHash = true;
        filterExact = false;
        break;
      }
      const plus = first == 0x2b;
      if (plus) {
        filterExact = false;
        path1 = MIX1(path1, plusHash1);
        path2 = MIX2(path2, plusHash2);
      } else {
        const hash = HASH_LEVEL(start, <u32>(at - start));
        path1 = MIX1(path1, LEVEL1(hash));
        path2 = MIX2(path2, LEVEL2(hash));
      }
      depth++;
      const entry = PATH + <usize>depth * LEVEL_SIZE;
      store<u64>(entry, path1);
      store<u32>(entry, path2, 8);
      store<u32>(entry, <u32>plus, 12);
      start = at + 1;
    }
  }
  filterDepth = depth;
  assert(depth <= MAX_LEVELS);
  return 0;
}
