// Words of the policy for refusals that wait in a ring (acks.ts) behind what waits for a commit. A few places for all slots: a
// refusal that finds none has the text of its reason code.
// A place is 272 bytes:  0: usize slot (0: free)  4: u16 packet id  6: u16 length  8: u8 reason, u24 number  12: the words
import { Slot } from "../slots/slots";

const PLACES: u32 = 64;
const PLACE: usize = 272;
const WORDS: usize = 12;
const table: usize = memory.data(17408); // PLACES * PLACE
const END: usize = table + 17408;
let held: u32 = 0;
let number: u32 = 0;

/** Keeps `len` bytes, at most 256, for the refusal of this packet. */
export function keepWords(slot: Slot, id: u32, reason: u32, ptr: usize, len: u32): void {
  if (held == PLACES) return;
  let at = table;
  while (load<usize>(at) != 0) at += PLACE;
  store<usize>(at, changetype<usize>(slot));
  store<u16>(at, <u16>id, 4);
  store<u16>(at, <u16>len, 6);
  store<u32>(at, (number++ << 8) | reason, 8);
  memory.copy(at + WORDS, ptr, len);
  held++;
}

/** The place of the words for this refusal, the oldest; 0: there are none. Free for others from now on, and unchanged till then. */
export function takeWords(slot: Slot, id: u32, reason: u32): usize {
  if (held == 0) return 0;
  let found: usize = 0;
  for (let at = table; at < END; at += PLACE) {
    if (load<usize>(at) != changetype<usize>(slot) || <u32>load<u16>(at, 4) != id || (load<u32>(at, 8) & 0xff) != reason) continue;
    if (!found || <i32>(load<u32>(at, 8) - load<u32>(found, 8)) < 0) found = at;
  }
  if (!found) return 0;
  store<usize>(found, 0);
  held--;
  return found;
}

// @ts-ignore: decorator
@inline
export function wordsAt(place: usize): usize {
  return place + WORDS;
}

// @ts-ignore: decorator
@inline
export function wordsLength(place: usize): u32 {
  return load<u16>(place, 6);
}

/** What waited for this slot's refusals is void. */
export function dropWords(slot: Slot): void {
  if (held == 0) return;
  for (let at = table; at < END; at += PLACE) {
    if (load<usize>(at) != changetype<usize>(slot)) continue;
    store<usize>(at, 0);
    held--;
  }
}
