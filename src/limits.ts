// Every limit of the broker in one table: name, unit, default, metric, and what happens beyond it. docs/limits.md is
// tested equal to it. A limit that is not here does not exist.
import { FILTER_CAPACITY, INPUT_SIZE, MOST_PROPERTIES } from "./core/generated/abi.ts";
import { ConfigError } from "./errors.ts";

export interface LimitRow {
  readonly unit: "bytes" | "count" | "ms" | "s" | "per s";
  readonly value: number;
  /** Counter that goes up each time the limit acts, in `broker.metrics`. */
  readonly metric: string;
  readonly beyond: string;
  /** Least and greatest value that has a meaning; any whole number from 0 where they are not given. */
  readonly least?: number;
  readonly most?: number;
}

export const LIMITS = {
  maxPacketSize: {
    unit: "bytes",
    value: 268_435_455,
    metric: "refused.packet_size",
    beyond: "DISCONNECT 0x95 (5.0), close (3.x)",
    least: 16,
    most: 268_435_455,
  },
  maxPacketBeforeConnect: {
    unit: "bytes",
    value: 65_536,
    metric: "refused.packet_before_connect",
    beyond: "close",
    least: 16,
    most: INPUT_SIZE,
  },
  maxConnections: {
    unit: "count",
    value: 1_000_000,
    metric: "refused.connections",
    beyond: "new connection closed at once",
  },
  maxHandshakes: {
    unit: "count",
    value: 1_000,
    metric: "refused.handshakes",
    beyond: "new connection closed at once",
  },
  maxHandshakesPerAddress: {
    unit: "count",
    value: 250,
    metric: "refused.handshakes_per_address",
    beyond:
      "every place taken: the oldest handshake of the address with most is closed for one from elsewhere, see below",
  },
  maxConnectionRate: {
    unit: "per s",
    value: 0,
    metric: "refused.rate",
    beyond: "new connection closed at once; 0: no bound",
  },
  connectTimeout: { unit: "ms", value: 10_000, metric: "closed.connect_timeout", beyond: "close" },
  handshakeTimeout: { unit: "ms", value: 10_000, metric: "refused.deadline", beyond: "close" },
  webSocketMaxPayload: {
    unit: "bytes",
    value: 1_048_576,
    metric: "refused.websocket_payload",
    beyond: "WebSocket close 1009",
  },
  receiveMaximum: {
    unit: "count",
    value: 1_000,
    metric: "refused.receive_maximum",
    beyond: "DISCONNECT 0x93 (5.0); 3.x is not told of it: all 65,535 identifiers",
    least: 1,
    most: 65_535,
  },
  topicAliasMaximum: {
    unit: "count",
    value: 32,
    metric: "refused.topic_alias",
    beyond: "DISCONNECT 0x94",
    most: 65_535,
  },
  topicAliasBytes: {
    unit: "bytes",
    value: 65_536,
    metric: "refused.topic_alias_bytes",
    beyond: "DISCONNECT 0x97",
  },
  topicLevels: {
    unit: "count",
    value: 128,
    metric: "refused.topic_levels",
    beyond: "PUBLISH: DISCONNECT 0x90 or close; SUBSCRIBE: 0x8F or 0x80",
    least: 1,
    most: 65_535,
  },
  subscriptionsPerSession: {
    unit: "count",
    value: 10_000,
    metric: "refused.subscriptions",
    beyond: "SUBACK 0x97 (5.0), 0x80 (3.x)",
    // A message that matches all of them carries their identifiers, 5 bytes each, through the core's arenas.
    most: 50_000,
  },
  subscriptionBytes: {
    unit: "bytes",
    value: 4_194_304,
    metric: "refused.subscription_bytes",
    beyond: "a session's filters, 200 bytes for each with its text: SUBACK 0x97 (5.0), 0x80 (3.x)",
  },
  filtersPerSubscribe: {
    unit: "count",
    value: 1_000,
    metric: "refused.filters",
    beyond: "SUBACK 0x97 (5.0), 0x80 (3.x) for all",
    most: FILTER_CAPACITY,
  },
  propertiesPerPacket: {
    unit: "count",
    value: 512,
    metric: "refused.properties",
    beyond: "DISCONNECT 0x97",
    most: MOST_PROPERTIES,
  },
  outgoingBytes: {
    unit: "bytes",
    value: 16_777_216,
    metric: "dropped.qos0",
    beyond: "QoS 0 dropped, QoS 1 and 2 queued",
  },
  slowClientTimeout: {
    unit: "ms",
    value: 60_000,
    metric: "closed.slow_client",
    beyond: "DISCONNECT 0x97, close: no byte taken for this long",
  },
  sendWindow: {
    unit: "count",
    value: 1_000,
    metric: "queued.window",
    beyond: "QoS 1 and 2 queued",
    least: 1,
    most: 65_535,
  },
  queuedMessages: {
    unit: "count",
    value: 100_000,
    metric: "dropped.queue",
    beyond: "dropped by the policy's queueOverflow",
  },
  queuedBytes: {
    unit: "bytes",
    value: 67_108_864,
    metric: "dropped.queue",
    beyond: "dropped by the policy's queueOverflow",
  },
  brokerBytes: {
    unit: "bytes",
    value: 1_073_741_824,
    metric: "dropped.broker_bytes",
    beyond:
      "in this order, see below: no QoS 0 to clients that are behind; PUBACK, PUBREC 0x97; CONNACK 0x97; DISCONNECT 0x97",
  },
  retainedMessages: {
    unit: "count",
    value: 1_000_000,
    metric: "refused.retained",
    beyond: "not kept; PUBACK 0x97 (5.0)",
  },
  retainedBytes: {
    unit: "bytes",
    value: 536_870_912,
    metric: "refused.retained",
    beyond: "not kept; PUBACK 0x97 (5.0)",
  },
  pendingRemovalBytes: {
    unit: "bytes",
    value: 67_108_864,
    metric: "refused.pending_removals",
    beyond:
      "the store cannot write: new kept session: CONNACK 0x97 (5.0), 3 (3.x); retained message not kept: PUBACK 0x97 (5.0), none (3.x)",
  },
  sessions: {
    unit: "count",
    value: 2_000_000,
    metric: "refused.sessions",
    beyond: "CONNACK 0x97 (5.0), 3 (3.x)",
  },
  sessionExpiry: {
    unit: "s",
    value: 4_294_967_295,
    metric: "capped.session_expiry",
    beyond: "lowered, announced in CONNACK",
    most: 4_294_967_295,
  },
  keepAlive: {
    unit: "s",
    value: 65_535,
    metric: "capped.keep_alive",
    beyond: "5.0: lowered, Server Keep Alive says so; 65,535: any, 0 included",
    least: 1,
    most: 65_535,
  },
  heldBytes: {
    unit: "bytes",
    value: 131_072,
    metric: "closed.held_bytes",
    beyond:
      "behind an unanswered permission question: DISCONNECT 0x97 (5.0), close (3.x); answers that wait for the store: nothing more is read, see below",
  },
  heldTimeout: {
    unit: "ms",
    value: 30_000,
    metric: "closed.held",
    beyond: "an unanswered permission question counts as refused",
  },
  logLines: {
    unit: "per s",
    value: 20,
    metric: "dropped.log_lines",
    beyond:
      "lines about clients refused, closed or taken over, and subscriptions ended, for each metric: the rest is counted in one line",
  },
} as const satisfies Record<string, LimitRow>;

export type LimitName = keyof typeof LIMITS;
export type Limits = { readonly [name in LimitName]: number };
export type LimitOverrides = { readonly [name in LimitName]?: number };

/** All limits, with overrides. Throws ConfigError for a value that is no whole number or outside the row's range. */
export function resolveLimits(overrides: LimitOverrides = {}): Limits {
  const limits: { [name in LimitName]?: number } = {};
  for (const [name, row] of Object.entries(LIMITS) as [LimitName, LimitRow][]) {
    const value = overrides[name] ?? row.value;
    const { least, most } = rangeOf(row);
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      const range = row.most === undefined ? `from ${least}` : `from ${least} to ${most}`;
      const path = `limits.${name}`;
      throw new ConfigError("LIMIT_INVALID", path, `${path}: ${value} is not a whole number ${range}`);
    }
    limits[name] = value;
  }
  return limits as Limits;
}

/** The values a limit may have. */
export function rangeOf({ least = 0, most = Number.MAX_SAFE_INTEGER }: LimitRow): {
  readonly least: number;
  readonly most: number;
} {
  return { least, most };
}
