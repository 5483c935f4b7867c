// Gives back what a database file holds, in the order of StoreVisitor, in bounded memory.
import {
  KIND_CURSOR,
  KIND_INBOUND,
  KIND_RETAINED,
  KIND_SEGMENT,
  KIND_SESSION,
  KIND_SUBSCRIPTION,
  nameInKey,
  SEGMENT_BYTES,
} from "./keys.ts";
import type { LmdbFile } from "./lmdb-file.ts";
import { decodeSession, decodeWords, ValueReader } from "../contract/records.ts";
import type { StoreVisitor } from "../contract/store.ts";
import { causeText, corrupt, nameDamage, StoreFileError } from "../contract/store-errors.ts";

export async function loadFile(file: LmdbFile, visitor: StoreVisitor): Promise<void> {
  try {
    await visitAll(file, visitor);
  } catch (error) {
    if (error instanceof StoreFileError || error instanceof RangeError)
      throw corrupt(file.path, causeText(error), error);
    throw nameDamage(file.path, error);
  }
}

async function visitAll(file: LmdbFile, visitor: StoreVisitor): Promise<void> {
  await file.forEach(KIND_SESSION, (key, value) => {
    const { key: name, record } = decodeSession(key.readUInt32BE(1), value);
    return visitor.session(name, record);
  });
  await file.forEach(KIND_SUBSCRIPTION, (key, value) => {
    const filter = nameInKey(key, 5) ?? value.utf8Slice(4, value.length);
    return visitor.subscription(key.readUInt32BE(1), filter, value.readUInt32LE(0));
  });
  await file.forEach(KIND_CURSOR, (key, value) => visitor.cursor(key.readUInt32BE(1), value));
  await file.forEach(KIND_INBOUND, (key, value) =>
    visitor.inbound(key.readUInt32BE(1), key.readUInt16BE(5), value.length === 0 ? undefined : value),
  );
  let bytes: Buffer | undefined;
  let serial = 0;
  await file.forEach(KIND_SEGMENT, (key, value) => {
    const at = key.readUIntBE(1, 6);
    if (key[7] === SEGMENT_BYTES) {
      if (bytes !== undefined) throw new StoreFileError(`segment ${serial} has no index`);
      bytes = value;
      serial = at;
      return undefined;
    }
    if (bytes === undefined || serial !== at) throw new StoreFileError(`segment ${at} has no bytes`);
    const segment = bytes;
    bytes = undefined;
    return visitor.segment(at, segment, decodeWords(value));
  });
  if (bytes !== undefined) throw new StoreFileError(`segment ${serial} has no index`);
  await file.forEach(KIND_RETAINED, (key, value) => {
    const topic = nameInKey(key, 1);
    if (topic !== undefined) return visitor.retained(topic, value);
    const reader = new ValueReader(value);
    return visitor.retained(reader.text(), reader.rest());
  });
}
