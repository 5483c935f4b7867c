// What a store gives back as plain values, and a session for batches: for every test that opens a store again.
import { NO_OFFSET } from "../../src/core/generated/abi.ts";
import type { SegmentRef, SessionRecord, SessionRef, Store } from "../../src/store/contract/store.ts";

export class StoredSession implements SessionRef {
  readonly key: string;
  readonly storeId: number;
  /** What cursor() gives next. */
  state = "";
  constructor(storeId: number, key = `standard/client-${storeId}`) {
    this.storeId = storeId;
    this.key = key;
  }
  cursor(): Uint8Array {
    return Buffer.from(this.state);
  }
  record(changes: Partial<SessionRecord> = {}): SessionRecord {
    return {
      storeId: this.storeId,
      clientId: `client-${this.storeId}`,
      username: undefined,
      policy: "standard",
      level: 5,
      expiryInterval: 3_600,
      expiresAt: undefined,
      will: undefined,
      ...changes,
    };
  }
}

/** A canonical message, see assembly/abi.ts. */
export function message(topic: string, payload: string): Buffer {
  const name = Buffer.from(topic);
  const body = Buffer.concat([
    Buffer.of(name.length >> 8, name.length & 255),
    name,
    Buffer.of(0),
    Buffer.from(payload),
  ]);
  const bytes = Buffer.alloc(32 + body.length);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(1, 4);
  bytes.writeUInt32LE(0xffffffff, 8);
  bytes.writeUInt32LE(name.length, 12);
  bytes.writeDoubleLE(1_700_000_000_000, 16);
  bytes.writeUInt32LE(0xffffffff, 24);
  body.copy(bytes, 32);
  return bytes;
}

/** A segment with one message, owed to each of the sessions. */
export function segment(
  serial: number,
  text: string,
  sessions: readonly StoredSession[],
  position = serial,
): SegmentRef {
  const bytes = message("t", text);
  const words = sessions.flatMap(({ storeId }) => [storeId, position, 0, 1, NO_OFFSET, 0]);
  return { serial, bytes, deliveries: Uint32Array.from(words) };
}

export interface KeptState {
  sessions: Record<string, SessionRecord>;
  subscriptions: Record<string, number>;
  cursors: Record<number, string>;
  inbound: Record<string, string | undefined>;
  /** Serial, payload and receivers. */
  segments: [number, string, number[]][];
  retained: Record<string, string>;
  /** Kinds in the order they first came. */
  order: string[];
}

const payloadOf = (bytes: Buffer): string => bytes.toString("utf8", 35 + bytes.readUInt32LE(12));

export async function keptState(store: Store): Promise<KeptState> {
  const state: KeptState = {
    sessions: {},
    subscriptions: {},
    cursors: {},
    inbound: {},
    segments: [],
    retained: {},
    order: [],
  };
  // Bytes are looked at when everything has been read: what load() gives must stay as it is.
  const later: (() => void)[] = [];
  const note = (kind: string): void => {
    if (state.order.at(-1) !== kind) state.order.push(kind);
  };
  await store.load({
    session(key, record) {
      note("session");
      state.sessions[key] = record;
    },
    subscription(storeId, filter, options) {
      note("subscription");
      state.subscriptions[`${storeId} ${filter}`] = options;
    },
    cursor(storeId, cursor) {
      note("cursor");
      later.push(() => {
        state.cursors[storeId] = Buffer.from(cursor).toString();
      });
    },
    inbound(storeId, packetId, bytes) {
      note("inbound");
      later.push(() => {
        state.inbound[`${storeId} ${packetId}`] = bytes === undefined ? undefined : payloadOf(bytes);
      });
    },
    segment(serial, bytes, deliveries) {
      note("segment");
      later.push(() =>
        state.segments.push([serial, payloadOf(bytes), [...deliveries].filter((_, i) => i % 6 === 0)]),
      );
    },
    retained(topic, bytes) {
      note("retained");
      later.push(() => {
        state.retained[topic] = payloadOf(bytes);
      });
    },
  });
  for (const look of later) look();
  return state;
}
