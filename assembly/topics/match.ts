// Finds every list that a topic reaches. Changes nothing and allocates nothing; table.ts does that.
// At each entry of a path two ways lead on, the topic's own level and '+'; the one not taken waits on a stack.
//
//   STACK, 32 B each   [ path key:u64 | path key:u32 | entry:u32 | depth:u32 | - ]
import {
  CHILDREN_MASK,
  E_FLAGS,
  E_HASH,
  E_SUBS,
  findEntry,
  HAS_PLUS,
  HASH_SHIFT,
  KIND_MASK,
  ROOT,
  SUBS_SHIFT,
} from "./entries";
import { MIX1, MIX2, plusHash1, plusHash2, rootPath1, rootPath2 } from "./hash";
import { LEVEL_SIZE, LEVELS, levelCount, topicDollar, topicHash, topicHash2 } from "./levels";
import { LIST_COUNT, LIST_ONE } from "./list";
import { RUN_SIZE, runBytes, runs } from "./runs";

const STACK: usize = memory.data(257 * 32, 16);
const FRAME_SIZE: usize = 32;

// @ts-ignore: decorator
@inline
function EMIT(run: usize, field: usize, kind: u32): usize {
  assert(run >= runs && run + RUN_SIZE <= runs + runBytes());
  const one = kind == LIST_ONE;
  store<u32>(run, one ? <u32>field : load<u32>(field));
  store<u32>(run, one ? 1 : LIST_COUNT(field), 4);
  return run + RUN_SIZE;
}

/**
 * Matches the topic of the last scanTopicName(). Returns the number of runs at listsPtr(), each {u32 address, u32 count}
 * of items {u32 slot or group, u32 options}, in no order; valid until the next subscribe() or unsubscribe().
 */
export function matchTopic(): u32 {
  let run = runs;
  const exact = findEntry(~topicHash, topicHash2);
  if (exact) run = EMIT(run, exact + E_SUBS, (load<u32>(exact, E_FLAGS) >>> SUBS_SHIFT) & KIND_MASK);

  let entry = ROOT;
  let path1 = rootPath1;
  let path2 = rootPath2;
  let level = LEVELS;
  const end = LEVELS + <usize>levelCount * LEVEL_SIZE;
  let frame = STACK;
  let flags = load<u32>(ROOT, E_FLAGS);
  // Wildcards in the first level do not match topics that begin with '$' [MQTT-4.7.2-1].
  if (topicDollar) flags &= ~(HAS_PLUS | (KIND_MASK << HASH_SHIFT));
  let children = load<u32>(ROOT, E_FLAGS);
  children = (children & CHILDREN_MASK) - (children >>> 31);
  while (true) {
    const hashKind = (flags >>> HASH_SHIFT) & KIND_MASK;
    if (hashKind) run = EMIT(run, entry + E_HASH, hashKind);
    if (level == end) {
      const kind = (flags >>> SUBS_SHIFT) & KIND_MASK;
      if (kind) run = EMIT(run, entry + E_SUBS, kind);
    } else {
      if (flags & HAS_PLUS) {
        const plus1 = MIX1(path1, plusHash1);
        const plus2 = MIX2(path2, plusHash2);
        const plus = findEntry(plus1, plus2);
        assert(plus != 0);
        store<u64>(frame, plus1);
        store<u32>(frame, plus2, 8);
        store<u32>(frame, <u32>plus, 12);
        store<u32>(frame, <u32>(level + LEVEL_SIZE), 16);
        frame += FRAME_SIZE;
        assert(frame <= STACK + 257 * FRAME_SIZE);
      }
      if (children) {
        path1 = MIX1(path1, load<u64>(level));
        path2 = MIX2(path2, load<u32>(level, 8));
        entry = findEntry(path1, path2);
        if (entry) {
          level += LEVEL_SIZE;
          flags = load<u32>(entry, E_FLAGS);
          children = (flags & CHILDREN_MASK) - (flags >>> 31);
          continue;
        }
      }
    }
    if (frame == STACK) break;
    frame -= FRAME_SIZE;
    path1 = load<u64>(frame);
    path2 = load<u32>(frame, 8);
    entry = <usize>load<u32>(frame, 12);
    level = <usize>load<u32>(frame, 16);
    flags = load<u32>(entry, E_FLAGS);
    children = (flags & CHILDREN_MASK) - (flags >>> 31);
  }
  return <u32>((run - runs) / RUN_SIZE);
}
