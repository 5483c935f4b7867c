// Which entries of the database file a group of changes puts and removes, inside the transaction of its caller. For their layout
// see keys.ts and contract/records.ts.
import type { Database } from "lmdb";
import type { Changes } from "../contract/changes.ts";
import {
  inboundKey,
  isLongName,
  KIND_CURSOR,
  KIND_INBOUND,
  KIND_SESSION,
  KIND_SUBSCRIPTION,
  keyBehind,
  retainedKey,
  SEGMENT_BYTES,
  SEGMENT_INDEX,
  segmentKey,
  sessionKey,
  subscriptionKey,
} from "./keys.ts";
import { encodeLongRetained, encodeSession, encodeSubscription, encodeWords } from "../contract/records.ts";

export function putChanges(db: Database<Buffer, Buffer>, changes: Changes): void {
  for (const storeId of changes.ended) removeSession(db, storeId);
  for (const [storeId, session] of changes.sessions) {
    if (session.record !== undefined)
      db.put(sessionKey(KIND_SESSION, storeId), encodeSession(session.record.key, session.record.record));
    for (const [filter, options] of session.subscriptions) {
      const key = subscriptionKey(storeId, filter);
      if (options === undefined) db.remove(key);
      else db.put(key, encodeSubscription(options, isLongName(filter) ? filter : undefined));
    }
    for (const [packetId, message] of session.inbound) {
      if (message === undefined) db.remove(inboundKey(storeId, packetId));
      else db.put(inboundKey(storeId, packetId), message);
    }
  }
  for (const serial of changes.gone) {
    db.remove(segmentKey(serial, SEGMENT_BYTES));
    db.remove(segmentKey(serial, SEGMENT_INDEX));
  }
  for (const [serial, segment] of changes.segments) {
    db.put(segmentKey(serial, SEGMENT_BYTES), segment.bytes);
    db.put(segmentKey(serial, SEGMENT_INDEX), encodeWords(segment.deliveries));
  }
  for (const [storeId, cursor] of changes.cursors)
    db.put(sessionKey(KIND_CURSOR, storeId), Buffer.from(cursor.buffer, cursor.byteOffset, cursor.length));
  for (const [topic, message] of changes.retainedMessages) {
    if (message === undefined) db.remove(retainedKey(topic));
    else db.put(retainedKey(topic), isLongName(topic) ? encodeLongRetained(topic, message) : message);
  }
}

/** Everything of a session. */
function removeSession(db: Database<Buffer, Buffer>, storeId: number): void {
  db.remove(sessionKey(KIND_SESSION, storeId));
  db.remove(sessionKey(KIND_CURSOR, storeId));
  for (const kind of [KIND_SUBSCRIPTION, KIND_INBOUND]) {
    const start = sessionKey(kind, storeId);
    for (const key of db.getKeys({ start, end: keyBehind(start) })) db.remove(Buffer.from(key));
  }
}
