// The descriptor of a decoded packet: the D_* words of the header, shared by the decoders of all packet kinds.

import {
  D_FILTERS,
  D_PACKET_ID,
  D_PAYLOAD,
  D_PAYLOAD_LEN,
  D_PROP_COUNT,
  D_PROPS,
  D_PROPS_RAW,
  D_PROPS_RAW_LEN,
  D_TYPE,
  DETAIL_PACKET_ID,
  DETAIL_TRAILING,
  DETAIL_TRUNCATED,
  FILTER_CAPACITY,
  FILTER_WORDS,
} from "./abi";
import { fail } from "./errors";
import { READ16 } from "./fields";
import { headerPtr, setWord } from "./header";
import { clearProperties, parseProperties, propCount, propsEnd, propsPtr, propsStart } from "./properties";
import { MALFORMED, PROTOCOL_ERROR } from "./reasons";

const FILTERS: usize = memory.data(<i32>(FILTER_CAPACITY * FILTER_WORDS * 4));

/** Zero in every word means "not there"; the tables' addresses never change. */
export function clearDescriptor(): void {
  memory.fill(headerPtr() + D_TYPE * 4, 0, (D_PROPS_RAW_LEN - D_TYPE + 1) * 4);
  clearProperties();
  setWord(D_PROPS, <u32>propsPtr());
  setWord(D_FILTERS, <u32>FILTERS);
}

/** Writes one entry of the filter table. */
export function setFilter(index: u32, ptr: usize, len: u32, options: u32): void {
  const entry = FILTERS + <usize>index * FILTER_WORDS * 4;
  store<u32>(entry, <u32>ptr);
  store<u32>(entry, len, 4);
  store<u32>(entry, options, 8);
}

/** Reads a packet identifier, which is never 0 [MQTT-2.2.1-3]. */
export function decodePacketId(at: usize, end: usize): i32 {
  if (end - at < 2) return fail(MALFORMED, DETAIL_TRUNCATED, at);
  const id = READ16(at);
  if (id == 0) return fail(PROTOCOL_ERROR, DETAIL_PACKET_ID, at);
  setWord(D_PACKET_ID, id);
  return 0;
}

/** Reads Property Length and properties into the table; propsEnd is where the packet goes on. */
export function decodeProperties(at: usize, end: usize, kind: u32): i32 {
  const reason = parseProperties(at, end, kind);
  if (reason) return reason;
  setWord(D_PROP_COUNT, propCount);
  setWord(D_PROPS_RAW, <u32>propsStart);
  setWord(D_PROPS_RAW_LEN, <u32>(propsEnd - propsStart));
  return 0;
}

export function setPayload(at: usize, end: usize): void {
  setWord(D_PAYLOAD, <u32>at);
  setWord(D_PAYLOAD_LEN, <u32>(end - at));
}

/** The packet must end here. */
export function finish(at: usize, end: usize): i32 {
  return at == end ? 0 : fail(MALFORMED, DETAIL_TRAILING, at);
}
