// The kept state as JSON lines, for people and other programs. One object per line, `type` first:
//   {"type":"millrace","version":1}
//   {"type":"session","key","clientId","username"?,"policy","level","expiryInterval","expiresAt"?,"will"?:{"due","message"}}
//   {"type":"subscription","session","filter","options"}          session: a session's key; options: see assembly/abi.ts
//   {"type":"cursor","session","cursor"}                          how far the session's queue is done with
//   {"type":"inbound","session","packetId","message"?}            without message: delivered already
//   {"type":"delivery","session","position","options","packetId"?,"group"?,"subscriptionIds"?,"message"}
//   {"type":"retained","topic","message"}
// Messages are in canonical form (assembly/abi.ts), in Base64. Deliveries come in the order they were committed.
import { NO_OFFSET } from "../core/generated/abi.ts";
import { viewMessage } from "../core/message-view.ts";
import { messageLength } from "./contract/records.ts";
import { DELIVERY_WORDS, type Store, type StoreVisitor } from "./contract/store.ts";

export const EXPORT_VERSION = 1;

/** Takes one line, without its end. A promise slows the export down. */
export type LineSink = (line: string) => Promise<void> | undefined;

/** Writes everything a store that was just opened gives back. */
export async function exportStore(store: Pick<Store, "load">, sink: LineSink): Promise<void> {
  const keys = new Map<number, string>();
  const write = (entry: object): Promise<void> | undefined => sink(JSON.stringify(entry));
  await write({ type: "millrace", version: EXPORT_VERSION });
  const visitor: StoreVisitor = {
    session(key, record) {
      const { storeId, will, ...rest } = record;
      keys.set(storeId, key);
      return write({
        type: "session",
        key,
        ...rest,
        will: will === undefined ? undefined : { due: will.due, message: base64(will.message) },
      });
    },
    subscription: (storeId, filter, options) =>
      write({ type: "subscription", session: keys.get(storeId), filter, options }),
    cursor: (storeId, cursor) =>
      write({ type: "cursor", session: keys.get(storeId), cursor: base64(cursor) }),
    inbound: (storeId, packetId, message) =>
      write({
        type: "inbound",
        session: keys.get(storeId),
        packetId,
        message: message === undefined ? undefined : base64(message.subarray(0, messageLength(message))),
      }),
    segment: async (_serial, bytes, deliveries) => {
      for (let at = 0; at + DELIVERY_WORDS <= deliveries.length; at += DELIVERY_WORDS) {
        const session = keys.get(deliveries[at]);
        // Its session has ended.
        if (session === undefined) continue;
        await write(describeDelivery(session, bytes, deliveries.subarray(at, at + DELIVERY_WORDS)));
      }
    },
    retained: (topic, message) => write({ type: "retained", topic, message: base64(message) }),
  };
  await store.load(visitor);
}

function describeDelivery(session: string, bytes: Buffer, words: Uint32Array): object {
  const [, position, offset, options, ids, group] = words;
  const view = viewMessage(bytes, offset);
  const end = offset + view.size + view.external;
  if (end > bytes.length) throw new RangeError("a message reaches beyond its segment");
  const packetId = options >>> 16;
  return {
    type: "delivery",
    session,
    position,
    options: options & 0xffff,
    packetId: packetId === 0 ? undefined : packetId,
    group: group === 0 ? undefined : group,
    subscriptionIds: ids === NO_OFFSET ? undefined : readIds(bytes, ids),
    message: base64(bytes.subarray(offset, end)),
  };
}

/** The core's list: count, then the identifiers. */
function readIds(bytes: Buffer, at: number): number[] {
  const ids: number[] = [];
  const count = bytes.readUInt32LE(at);
  for (let i = 1; i <= count; i++) ids.push(bytes.readUInt32LE(at + i * 4));
  return ids;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}
