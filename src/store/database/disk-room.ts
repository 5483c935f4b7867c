// Room on the disk, asked for before the database engine writes: an engine that meets a full disk in the middle of a write
// may take the process with it, so it must not get there.
import * as fs from "node:fs";
import type { Changes } from "../contract/changes.ts";

/** Bytes that stay free: others fill the disk as well, between the question and the write. */
const SPARE_BYTES = 8_388_608;
/** With so much room for each byte of changes there is nothing to reckon. */
const PLENTY_FACTOR = 4;
const PAGE_BYTES = 4_096;
/** Head of a page of its own, of an entry beside others, and a key. */
const ENTRY_BYTES = 64;
/** Values from here on get pages of their own. */
const OWN_PAGES_FROM = 1_900;
/** A session's record without its Will: names of a client and a user. */
const RECORD_BYTES = 512;
/** Entries of a session that ends, as a guess. */
const ENTRIES_OF_SESSION = 8;
/** Pages on the way to a leaf, and the list of those given up, in parts of the leaves that are written anew. */
const PAGES_ABOVE = 0.1;

/** Bytes a process may still write to the file system of `directory`; infinite where the system does not tell. */
export function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = fs.statfsSync(directory);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/**
 * Bytes the engine may write for `changes` to a file with so many `leaves`: it writes whole pages, each with an entry that
 * changes anew, and leaves those of new entries half empty where they come in no order.
 */
export function bytesToWrite(changes: Changes, leaves: number): number {
  let own = 0;
  let small = 0;
  let entries = changes.ended.size * ENTRIES_OF_SESSION + 2 * changes.gone.size;
  const value = (length: number): void => {
    entries++;
    if (length < OWN_PAGES_FROM) small += length + ENTRY_BYTES;
    else {
      own += Math.ceil((length + ENTRY_BYTES) / PAGE_BYTES) * PAGE_BYTES;
      small += ENTRY_BYTES;
    }
  };
  for (const { record, subscriptions, inbound } of changes.sessions.values()) {
    if (record !== undefined) value(RECORD_BYTES + (record.record.will?.message.length ?? 0));
    for (const filter of subscriptions.keys()) value(2 * filter.length);
    for (const message of inbound.values()) value(message?.length ?? 0);
  }
  for (const { bytes, deliveries } of changes.segments.values()) {
    value(bytes.length);
    value(deliveries.byteLength);
  }
  for (const cursor of changes.cursors.values()) value(cursor.length);
  for (const [topic, message] of changes.retainedMessages) value(2 * topic.length + (message?.length ?? 0));
  const touched = Math.min(entries, leaves) + Math.ceil((2 * small) / PAGE_BYTES);
  return own + Math.ceil(touched * (1 + PAGES_ABOVE)) * PAGE_BYTES;
}

/** Throws where `changes` might fill the disk. `leaves` is asked only where room is scarce. */
export function requireRoomFor(free: number, changes: Changes, leaves: () => number): void {
  if (free >= changes.bytes * PLENTY_FACTOR + SPARE_BYTES) return;
  requireRoom(free, bytesToWrite(changes, leaves()));
}

/** Throws where writing `bytes` might fill the disk. */
export function requireRoom(free: number, bytes: number): void {
  const needed = bytes + SPARE_BYTES;
  if (free < needed) throw new Error(`no space left on device: ${free} bytes are free, ${needed} are needed`);
}
