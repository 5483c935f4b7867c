// What devices may publish, subscribe and keep, as rows: rates, topics, sessions, 5.0 properties.
// Groups and names are those of `platform.…` in the configuration.
import { flag, number, type SettingRow } from "./row.ts";

export const MESSAGE_SETTINGS = {
  rates: {
    enabled: flag(
      true,
      "keep the rates: attempts to connect, messages, calls; false sets every setting counted per second or minute to 0, for tests and benchmarks",
    ),
    qos0PerSecond: number(
      30,
      "per s",
      0,
      65_535,
      "QoS 0 messages of one device; more are dropped; 0: no bound [LIMIT-2]",
    ),
    qos1PerSecond: number(
      10,
      "per s",
      0,
      65_535,
      "QoS 1 messages of one device; more are dropped without PUBACK; 0: no bound [LIMIT-2]",
    ),
    bytesPerSecond: number(
      1_048_576,
      "per s",
      0,
      1_073_741_824,
      "bytes one connection may bring, 1,024 at least; beyond it is not read for a while; 0: no bound [LIMIT-4]",
    ),
    accountPerSecond: number(
      10_000,
      "per s",
      0,
      1_000_000,
      "messages of all devices together; more are dropped as those of one device are; 0: no bound [LIMIT-3]",
    ),
    deliveriesPerSecond: number(
      50,
      "per s",
      0,
      65_535,
      "messages to one device; beyond it QoS 0 is dropped, and refused where the server's side sends it, QoS 1 waits; 0: no bound [SESS-3]",
    ),
    accountDeliveriesPerSecond: number(
      2_000,
      "per s",
      0,
      1_000_000,
      "messages to all devices together, broadcasts excepted; beyond it as above; 0: no bound [LIMIT-3]",
    ),
  },
  broadcast: {
    devicePublish: flag(false, "devices may publish on `/broadcast/{pk}/…` of their product [TOPIC-9]"),
    maxBytes: number(65_536, "bytes", 1, 262_144, "largest payload of a broadcast [BCAST-1]"),
    callsPerMinute: number(
      1,
      "per min",
      0,
      100_000,
      "broadcasts to all devices of a product; 0: no bound [BCAST-1]",
    ),
    topicCallsPerSecond: number(1, "per s", 0, 100_000, "broadcasts to a topic; 0: no bound [BCAST-2]"),
  },
  topics: {
    maxBytes: number(
      128,
      "bytes",
      16,
      65_535,
      "longest Topic Name or Filter, `/ext/rrpc/…` excepted [TOPIC-5]",
    ),
    maxSlashes: number(
      7,
      "count",
      2,
      255,
      "slashes of a custom topic; system topics may have more [TOPIC-6]",
    ),
  },
  subscribe: {
    maxFilters: number(
      8,
      "count",
      1,
      65_535,
      "Topic Filters in one SUBSCRIBE; with more all of them are refused [SUB-1]",
    ),
    maxPerDevice: number(
      100,
      "count",
      1,
      1_000_000,
      "subscriptions of a device; those of sub-devices count on their own [SUB-2]",
    ),
    maxPerCall: number(
      10,
      "count",
      1,
      1_000,
      "Topic Filters that one call of the server's side subscribes for a device [SUB-4]",
    ),
    maxPerBroadcast: number(
      1_000,
      "count",
      1,
      10_000_000,
      "devices that may get one broadcast topic, under whichever filters [TOPIC-9]",
    ),
    closeOnUnauthorized: flag(
      false,
      "a SUBSCRIBE without permission ends the connection, instead of a failure in SUBACK [PERM-2]",
    ),
  },
  sessions: {
    maxQueueSeconds: number(
      604_800,
      "s",
      1,
      4_294_967_295,
      "how long a QoS 1 message is kept for a device, sent and unacknowledged ones too [SESS-2]",
    ),
    strict3x: flag(
      false,
      "3.x: a CONNECT with a Will is refused and a PUBLISH with RETAIN dropped, instead of going without them [SESS-5]",
    ),
  },
  v5: {
    rateReason: flag(
      false,
      "5.0: a QoS 1 message over the rate gets PUBACK 0x97 instead of no acknowledgement [LIMIT-2]",
    ),
    maxUserProperties: number(
      20,
      "count",
      0,
      1_000,
      "User Properties of a CONNECT, a Will or a PUBLISH [V5-7]",
    ),
    maxUserPropertyCharacters: number(
      128,
      "characters",
      1,
      65_535,
      "key and value of a User Property together [V5-7]",
    ),
    maxResponseTopic: number(128, "characters", 1, 65_535, "longest Response Topic [V5-8]"),
    maxCorrelationBytes: number(128, "bytes", 0, 65_535, "longest Correlation Data [V5-8]"),
    maxRetained: number(
      100,
      "count",
      0,
      1_000_000,
      "retained messages on topics of one device; what a device sets beyond it is forwarded, not kept, 0x97 [V5-5]",
    ),
    maxInflight: number(
      100,
      "count",
      1,
      65_535,
      "QoS 1 messages unacknowledged by a 5.0 device, or its Receive Maximum where that is less [V5-16]",
    ),
    validateUtf8: flag(false, "5.0: a payload that says it is UTF-8 and is not is refused with 0x99 [V5-12]"),
  },
  qos: {
    publisherDecides5: flag(false, "5.0 deliveries use the publisher's QoS, as 3.x ones do [QOS-3]"),
  },
} as const satisfies Record<string, Record<string, SettingRow>>;
