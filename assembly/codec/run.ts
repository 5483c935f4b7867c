// A run of PUBLISH packets into a table of descriptors: what the hot path does with bytes before anything is matched.
// For hosts that want a fast parser, and for measuring it.

import { H_CONSUMED, H_DETAIL, H_OFFSET, H_REASON, H_TOTAL } from "../abi";
import { DETAIL_LENGTH, DETAIL_NONE, RUN_CAPACITY, RUN_WORDS } from "./abi";
import { errorAt, errorDetail, fail } from "./errors";
import { frameBody, frameTotal, readFrame } from "./frame";
import { setWord } from "./header";
import {
  parsePublish,
  pubAlias,
  pubExpiry,
  pubPacketId,
  pubPayload,
  pubPayloadLen,
  pubPropsRaw,
  pubPropsRawLen,
  pubTopic,
  pubTopicLen,
} from "./publish";
import { MALFORMED } from "./reasons";

const TABLE: usize = memory.data(<i32>(RUN_CAPACITY * RUN_WORDS * 4));

/** Address of the run table. */
export function runPtr(): usize {
  return TABLE;
}

/**
 * Parses PUBLISH packets one behind the other and returns how many are in the run table. Stops at any other packet, at
 * an incomplete one (H_TOTAL: its length, 0 if unknown), at a wrong one (H_REASON, H_DETAIL, H_OFFSET) or when the
 * table is full. H_CONSUMED: bytes of the packets in the table.
 */
export function parseRun(ptr: usize, len: u32, level: u32): i32 {
  const end = ptr + len;
  let at = ptr;
  let entry = TABLE;
  let count: i32 = 0;
  let reason: i32 = 0;
  while (count < <i32>RUN_CAPACITY) {
    const size = readFrame(at, end);
    if (size <= 0) {
      if (size < 0) reason = fail(MALFORMED, DETAIL_LENGTH, at + 4);
      break;
    }
    const first = <u32>load<u8>(at);
    if (first >> 4 != 3) break;
    reason = parsePublish(at, frameBody, at + size, level);
    if (reason) break;
    store<u32>(entry, <u32>at);
    store<u32>(entry, <u32>size, 4);
    store<u32>(entry, first, 8);
    store<u32>(entry, pubPacketId, 12);
    store<u32>(entry, <u32>pubTopic, 16);
    store<u32>(entry, pubTopicLen, 20);
    store<u32>(entry, <u32>pubPropsRaw, 24);
    store<u32>(entry, pubPropsRawLen, 28);
    store<u32>(entry, <u32>pubPayload, 32);
    store<u32>(entry, pubPayloadLen, 36);
    store<u32>(entry, pubAlias, 40);
    store<u32>(entry, pubExpiry, 44);
    entry += RUN_WORDS * 4;
    at += size;
    count += 1;
  }
  setWord(H_CONSUMED, <u32>(at - ptr));
  setWord(H_TOTAL, count == <i32>RUN_CAPACITY ? 0 : frameTotal);
  setWord(H_REASON, reason);
  setWord(H_DETAIL, reason ? errorDetail : DETAIL_NONE);
  setWord(H_OFFSET, reason ? <u32>(errorAt - at) : 0);
  return count;
}
