// Keyed hashes of topic levels and paths. Whoever does not know the seeds cannot aim at a bucket or build a collision:
// a block of 16 bytes goes through two NH hashes (sums of products of 32-bit words, each with a secret added), a path
// is a chain of secret multiplications. Nothing here validates: U+0000 must be refused elsewhere, since levels are
// padded with zeros.
//
//   level hash   64 + 32 bits, of the bytes of one level ('+' of a filter: a secret of its own)
//   path key     64 + 32 bits, path(levels 1..n) = mix(path(levels 1..n-1), level n); 96 bits because 64 would
//                be expected to collide within weeks at ten million probes a second into a million filters

const NH_KEYS: usize = memory.data(32, 16);
const PREFIX_MASKS: usize = memory.data<u64>([~0, ~0, 0, 0], 16); // 16 x 0xff, then 16 x 0
let levelFactor: u64 = 0;
let blockFactor1: u64 = 0;
let blockFactor2: u64 = 0;
let pathFactor1: u64 = 0;
let pathFactor2: u32 = 0;

export let plusHash1: u64 = 0;
export let plusHash2: u32 = 0;
export let rootPath1: u64 = 0;
export let rootPath2: u32 = 0;

let state1: u64 = 0;
let state2: u64 = 0;

setKeys(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344);

function scramble(x: u64): u64 {
  x = (x ^ (x >>> 32)) * 0xd6e8feb86659fd93;
  x = (x ^ (x >>> 32)) * 0xd6e8feb86659fd93;
  return x ^ (x >>> 32);
}

function nextKey(): u64 {
  state1 += 0x9e3779b97f4a7c15;
  state2 = rotl(state2, 7) + state1;
  return scramble(scramble(state1) + state2);
}

/** Derives every key from 128 bits of the host's random numbers. Nothing may be stored under the old keys. */
export function setKeys(a: u32, b: u32, c: u32, d: u32): void {
  state1 = ((<u64>a) << 32) | b;
  state2 = ((<u64>c) << 32) | d;
  for (let i: usize = 0; i < 32; i += 8) store<u64>(NH_KEYS + i, nextKey());
  levelFactor = nextKey() | 1;
  blockFactor1 = nextKey() | 1;
  blockFactor2 = nextKey() | 1;
  pathFactor1 = nextKey() | 1;
  pathFactor2 = <u32>nextKey() | 1;
  plusHash1 = nextKey();
  plusHash2 = <u32>nextKey();
  rootPath1 = nextKey();
  rootPath2 = <u32>nextKey();
}

// @ts-ignore: decorator
@inline
export function MIX1(path: u64, level: u64): u64 {
  const x = (path + level) * pathFactor1;
  return x ^ (x >>> 32);
}

// @ts-ignore: decorator
@inline
export function MIX2(path: u32, level: u32): u32 {
  const x = (path + level) * pathFactor2;
  return x ^ (x >>> 16);
}

/** Two 64-bit NH hashes of 16 bytes, one per lane: each multiplies all four words in pairs, under keys of its own. */
// @ts-ignore: decorator
@inline
function NH(block: v128): v128 {
  const x = i32x4.add(block, v128.load(NH_KEYS));
  const y = i32x4.add(v128.shuffle<u32>(block, block, 1, 0, 3, 2), v128.load(NH_KEYS, 16));
  return i64x2.add(i64x2.extmul_low_i32x4_u(x, y), i64x2.extmul_high_i32x4_u(x, y));
}

function hashLong(ptr: usize, len: u32): v128 {
  let h = NH(v128.load(ptr));
  while (true) {
    ptr += 16;
    len -= 16;
    const block = len >= 16 ? v128.load(ptr) : v128.and(v128.load(ptr), v128.load(PREFIX_MASKS + 16 - len));
    const n = NH(block);
    const a = i64x2.extract_lane(h, 0) * blockFactor1;
    const b = i64x2.extract_lane(h, 1) * blockFactor2;
    h = i64x2.replace_lane(i64x2.splat(a ^ (a >>> 32)), 1, b ^ (b >>> 32));
    h = i64x2.add(h, n);
    if (len <= 16) return h;
  }
}

/** Hash of one level; LEVEL1 and LEVEL2 take it apart. Reads up to 15 bytes behind the level. */
// @ts-ignore: decorator
@inline
export function HASH_LEVEL(ptr: usize, len: u32): v128 {
  return len <= 16 ? NH(v128.and(v128.load(ptr), v128.load(PREFIX_MASKS + 16 - len))) : hashLong(ptr, len);
}

// @ts-ignore: decorator
@inline
export function LEVEL1(hash: v128): u64 {
  // NH is linear in short levels: without this round numbered names would fall into few buckets.
  const x = i64x2.extract_lane(hash, 0) * levelFactor;
  return x ^ (x >>> 32);
}

// @ts-ignore: decorator
@inline
export function LEVEL2(hash: v128): u32 {
  const x = i64x2.extract_lane(hash, 1);
  return <u32>(x ^ (x >>> 32));
}

/** The first `len` bytes of a block, the others replaced by `fill`. */
// @ts-ignore: decorator
@inline
export function PREFIX(block: v128, len: usize, fill: v128): v128 {
  return v128.bitselect(block, fill, v128.load(PREFIX_MASKS + 16 - len));
}
