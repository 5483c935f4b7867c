// Compares one Topic Filter with one Topic Name, byte by byte: for permissions and other rules outside the table.
// Both must be valid; a wildcard that does not stand alone is taken as a character.

// @ts-ignore: decorator
@inline
function LEVEL_END(ptr: usize, end: usize): usize {
  while (ptr < end && load<u8>(ptr) != 0x2f) ptr++;
  return ptr;
}

export function filterMatches(filterPtr: usize, filterLen: u32, topicPtr: usize, topicLen: u32): bool {
  const filterEnd = filterPtr + filterLen;
  const topicEnd = topicPtr + topicLen;
  if (filterLen == 0 || topicLen == 0) return false;
  const first = load<u8>(filterPtr);
  if (load<u8>(topicPtr) == 0x24 && (first == 0x2b || first == 0x23)) return false; // [MQTT-4.7.2-1]
  while (true) {
    const filterStop = LEVEL_END(filterPtr, filterEnd);
    const size = filterStop - filterPtr;
    const lone = size == 1 ? load<u8>(filterPtr) : 0;
    if (lone == 0x23 && filterStop == filterEnd) return true;
    const topicStop = LEVEL_END(topicPtr, topicEnd);
    if (lone != 0x2b) {
      if (topicStop - topicPtr != size || memory.compare(filterPtr, topicPtr, size) != 0) return false;
    }
    if (filterStop == filterEnd) return topicStop == topicEnd;
    if (topicStop == topicEnd) {
      // "sport/#" matches "sport": '#' stands for the parent level as well.
      return filterEnd - filterStop == 2 && load<u8>(filterStop, 1) == 0x23;
    }
    filterPtr = filterStop + 1;
    topicPtr = topicStop + 1;
  }
}
