// The topic table: which subscribers want a topic. A hash table of filter paths, no tree of nodes: the entry of a path
// is found by the key of all its levels. Stores no text; 96-bit keyed hashes stand for it (hash.ts).
//
//   filter        entries                                      the item hangs on
//   a/b           exact(a/b), one entry, key1 complemented     exact(a/b), subscribers
//   a/+/b         a, a/+, a/+/b                                a/+/b, subscribers
//   a/+/#         a, a/+                                       a/+, '#' list: so "a/+/#" matches "a/x" too
//   #             the root, which is not in the hash table     root, '#' list
//
// Invariants:
// - an entry has a list or children, otherwise it is removed, upward to the root;
// - `children` counts the entries one level below, HAS_PLUS says that one of them is '+';
// - the runs have room for every topic: matchTopic() allocates nothing.
import {
  advance,
  CHILDREN_MASK,
  E_FLAGS,
  E_HASH,
  E_SUBS,
  entryBytes,
  findEntry,
  HAS_PLUS,
  HASH_SHIFT,
  insertEntry,
  KIND_MASK,
  removeEntry,
  reserveEntries,
  ROOT,
  SUBS_SHIFT,
  trimEntries,
} from "./entries";
import { filterDepth, filterExact, filterHash, LEVEL_SIZE, PATH, scanTopicFilter } from "./levels";
import { LIST_BLOCK, LIST_COUNT, LIST_NEW, LIST_NO_MEMORY, LIST_NONE, listBytes, listKind, listPut, listRemove } from "./list";
import { countList, reserveRuns, runBytes, trimRuns } from "./runs";

export { matchTopic } from "./match";
export { listsPtr } from "./runs";

export const SUBSCRIBE_NEW: i32 = 0;
export const SUBSCRIBE_REPLACED: i32 = 1;
export const SUBSCRIBE_NO_MEMORY: i32 = -1;
export const SUBSCRIBE_INVALID: i32 = -2;

let filters: u32 = 0;
let subscriptions: u32 = 0;

// @ts-ignore: decorator
@inline
function PATH_KEY1(depth: u32): u64 {
  return load<u64>(PATH + <usize>depth * LEVEL_SIZE);
}

// @ts-ignore: decorator
@inline
function PATH_KEY2(depth: u32): u32 {
  return load<u32>(PATH + <usize>depth * LEVEL_SIZE, 8);
}

// @ts-ignore: decorator
@inline
function PATH_PLUS(depth: u32): bool {
  return load<u32>(PATH + <usize>depth * LEVEL_SIZE, 12) != 0;
}

function findPath(depth: u32): usize {
  return depth == 0 ? ROOT : findEntry(PATH_KEY1(depth), PATH_KEY2(depth));
}

/** Entry of the scanned filter, made with its ancestors where missing. Room has been reserved. */
function makeFilter(): usize {
  if (filterExact) {
    const entry = findEntry(~PATH_KEY1(filterDepth), PATH_KEY2(filterDepth));
    return entry ? entry : insertEntry(~PATH_KEY1(filterDepth), PATH_KEY2(filterDepth));
  }
  // From the leaf upward to the first that exists: most filters add one entry to a known path.
  let depth = filterDepth;
  let entry = findPath(depth);
  while (entry == 0) entry = findPath(--depth);
  while (depth < filterDepth) {
    depth++;
    const flags = load<u32>(entry, E_FLAGS) + 1;
    assert((flags & CHILDREN_MASK) != 0);
    store<u32>(entry, PATH_PLUS(depth) ? flags | HAS_PLUS : flags, E_FLAGS);
    entry = insertEntry(PATH_KEY1(depth), PATH_KEY2(depth));
  }
  return entry;
}

/** Removes the scanned filter's entry if nothing needs it, then its ancestors likewise. */
function pruneFilter(entry: usize): void {
  if (filterExact) {
    if (load<u32>(entry, E_FLAGS) == 0) removeEntry(entry);
    return;
  }
  for (let depth = filterDepth; depth > 0 && load<u32>(entry, E_FLAGS) == 0; depth--) {
    removeEntry(entry);
    entry = findPath(depth - 1);
    assert(entry != 0);
    const flags = load<u32>(entry, E_FLAGS);
    assert((flags & CHILDREN_MASK) != 0);
    store<u32>(entry, (PATH_PLUS(depth) ? flags & ~HAS_PLUS : flags) - 1, E_FLAGS);
  }
}

function setKind(entry: usize, shift: u32, kind: u32): void {
  store<u32>(entry, (load<u32>(entry, E_FLAGS) & ~(KIND_MASK << shift)) | (kind << shift), E_FLAGS);
}


/**
 * Adds an item (slot or group) with its options to a filter, or replaces its options [MQTT-3.8.4-3].
 * Any address of the table, runs included, is void afterwards; memory may grow.
 */
export function subscribe(filterPtr: usize, filterLen: u32, item: u32, options: u32): i32 {
  if (scanTopicFilter(filterPtr, filterLen) != 0) return SUBSCRIBE_INVALID;
  const need = filterExact ? 1 : filterDepth;
  advance(need + 1);
  if (!reserveEntries(need) || !reserveRuns()) return SUBSCRIBE_NO_MEMORY;
  const entry = makeFilter();
  const shift = filterHash ? HASH_SHIFT : SUBS_SHIFT;
  const kind = (load<u32>(entry, E_FLAGS) >>> shift) & KIND_MASK;
  const result = listPut(entry + (filterHash ? E_HASH : E_SUBS), kind, item, options);
  // Only a list that was there already asks for memory: no entry has been made in vain.
  if (result == LIST_NO_MEMORY) return SUBSCRIBE_NO_MEMORY;
  if (result == LIST_NEW) {
    subscriptions++;
    setKind(entry, shift, listKind);
    if (kind == LIST_NONE) {
      filters++;
      if (!filterExact) countList(filterDepth, filterHash, 1);
    }
    return SUBSCRIBE_NEW;
  }
  return SUBSCRIBE_REPLACED;
}

/** Removes an item from a filter: 1 removed, 0 not there (or the filter is invalid). */
export function unsubscribe(filterPtr: usize, filterLen: u32, item: u32): i32 {
  if (scanTopicFilter(filterPtr, filterLen) != 0) return 0;
  advance((filterExact ? 1 : filterDepth) + 1);
  const entry = filterExact
    ? findEntry(~PATH_KEY1(filterDepth), PATH_KEY2(filterDepth))
    : findPath(filterDepth);
  if (entry == 0) return 0;
  const shift = filterHash ? HASH_SHIFT : SUBS_SHIFT;
  const kind = (load<u32>(entry, E_FLAGS) >>> shift) & KIND_MASK;
  if (!listRemove(entry + (filterHash ? E_HASH : E_SUBS), kind, item)) return 0;
  subscriptions--;
  setKind(entry, shift, listKind);
  if (listKind == LIST_NONE) {
    filters--;
    if (!filterExact) countList(filterDepth, filterHash, -1);
    pruneFilter(entry);
    trimEntries();
    trimRuns(filters == 0);
  }
  return 1;
}

/** Filters with at least one subscriber. */
export function filterCount(): u32 {
  return filters;
}

/** Items of all filters. */
export function subscriptionCount(): u32 {
  return subscriptions;
}

/** Bytes of entries, lists and runs. */
export function tableBytes(): u32 {
  return entryBytes() + listBytes + runBytes();
}
