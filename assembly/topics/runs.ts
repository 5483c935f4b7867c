// Where matchTopic() writes what it found: runs of items, {u32 address, u32 count} each. The area is made big enough
// while filters are added, so that matching never allocates.
//
// How many runs can one topic have? Its prefix of depth d, with '+' in some places, has 2^d forms; so at most
// min(2^d, lists at depth d), summed over all depths, once for '#' lists and once for the others, and one exact filter.
import { alloc, free } from "../memory/heap";

export const RUN_SIZE: usize = 8;
const RUNS_MIN: u32 = 64;
const subsAt: usize = memory.data(257 * 4, 4); // lists of subscribers per depth, without those of exact filters
const hashAt: usize = memory.data(257 * 4, 4); // '#' lists per depth

export let runs: usize = 0;
let capacity: u32 = 0;
let bound: u32 = 0;

/** Address of the runs of the last matchTopic(). */
export function listsPtr(): usize {
  return runs;
}

export function runBytes(): u32 {
  return capacity * <u32>RUN_SIZE;
}

function setCapacity(count: u32): bool {
  const fresh = alloc(count * <u32>RUN_SIZE);
  if (fresh == 0) return false;
  if (runs) free(runs, runBytes());
  runs = fresh;
  capacity = count;
  return true;
}

/** Room for one more list, and for the one exact filter. False: no memory. */
export function reserveRuns(): bool {
  return bound + 2 <= capacity || setCapacity(max(RUNS_MIN, capacity << 1));
}

/** Counts a list that came (1) or went (-1). */
export function countList(depth: u32, hash: bool, delta: i32): void {
  const counter = (hash ? hashAt : subsAt) + (<usize>depth << 2);
  const before = load<u32>(counter);
  const after = before + delta;
  const forms = depth >= 31 ? 0xffffffff : <u32>1 << depth;
  store<u32>(counter, after);
  bound += min(after, forms) - min(before, forms);
  assert(delta < 0 || bound + 1 <= capacity);
}

/** Gives memory back; `empty`: no filter is left. */
export function trimRuns(empty: bool): void {
  if (empty) {
    if (runs) free(runs, runBytes());
    runs = 0;
    capacity = 0;
    assert(bound == 0);
  } else if (capacity > RUNS_MIN && bound + 2 <= capacity >>> 2) {
    setCapacity(capacity >>> 1);
  }
}
