// Every limit of the broker in one table: name, unit, default, metric, and what happens beyond it. docs/limits.md is
// tested equal to it. A limit that is not here does not exist.

export interface LimitRow {
  readonly unit: "bytes" | "count" | "ms" | "s" | "per s";
  readonly value: number;
  /** Counter that goes up each time the limit acts, in `broker.metrics`. */
  readonly metric: string;
  readonly beyond: string;
}

export const LIMITS = {
  maxPacketSize: {
    unit: "bytes",
    value: 268_435_455,
    metric: "refused.packet_size",
    beyond: "DISCONNECT 0x95 (5.0), close (3.x)",
  },
  maxPacketBeforeConnect: {
    unit: "bytes",
    value: 65_536,
    metric: "refused.packet_before_connect",
    beyond: "close",
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
  },
  topicAliasMaximum: { unit: "count", value: 32, metric: "refused.topic_alias", beyond: "DISCONNECT 0x94" },
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
  },
  subscriptionsPerSession: {
    unit: "count",
    value: 10_000,
    metric: "refused.subscriptions",
    beyond: "SUBACK 0x97 (5.0), 0x80 (3.x)",
  },
  filtersPerSubscribe: {
    unit: "count",
    value: 1_000,
    metric: "refused.filters",
    beyond: "SUBACK 0x97 (5.0), 0x80 (3.x) for all",
  },
  propertiesPerPacket: { unit: "count", value: 512, metric: "refused.properties", beyond: "DISCONNECT 0x97" },
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
  sendWindow: { unit: "count", value: 1_000, metric: "queued.window", beyond: "QoS 1 and 2 queued" },
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
    beyond: "what would wait for a session is dropped; a large PUBLISH: DISCONNECT 0x97 (5.0), close (3.x)",
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
  },
  keepAlive: {
    unit: "s",
    value: 65_535,
    metric: "capped.keep_alive",
    beyond: "5.0: lowered, Server Keep Alive says so; 65,535: any, 0 included",
  },
  heldBytes: {
    unit: "bytes",
    value: 131_072,
    metric: "closed.held_bytes",
    beyond: "behind an unanswered permission question: DISCONNECT 0x97 (5.0), close (3.x)",
  },
  heldTimeout: {
    unit: "ms",
    value: 30_000,
    metric: "closed.held",
    beyond: "an unanswered permission question counts as refused",
  },
} as const satisfies Record<string, LimitRow>;

export type LimitName = keyof typeof LIMITS;
export type Limits = { readonly [name in LimitName]: number };
export type LimitOverrides = { readonly [name in LimitName]?: number };

/** All limits, with overrides. Throws RangeError for a negative or fractional value. */
export function resolveLimits(overrides: LimitOverrides = {}): Limits {
  const limits: { [name in LimitName]?: number } = {};
  for (const name of Object.keys(LIMITS) as LimitName[]) {
    const value = overrides[name] ?? LIMITS[name].value;
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`limits.${name}: ${value} is not a whole number >= 0`);
    limits[name] = value;
  }
  return limits as Limits;
}
