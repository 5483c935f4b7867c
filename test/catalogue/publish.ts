// PUBLISH, right.
import { ascii, longhand, type PacketCase, right, V3X, V5, V31 } from "./format.ts";

const plain = { type: "publish", retain: false, dup: false } as const;

export const publishCases: PacketCase[] = [
  right("PUBLISH, QoS 0", V3X, `30 07 00 03 "a/b" "hi"`, {
    ...plain,
    topic: "a/b",
    payload: ascii("hi"),
    qos: 0,
    packetId: 0,
  }),
  right("PUBLISH with an empty payload", V3X, `31 05 00 03 "a/b" | RETAIN: clears the retained message`, {
    ...plain,
    topic: "a/b",
    payload: new Uint8Array(),
    qos: 0,
    retain: true,
    packetId: 0,
  }),
  right("PUBLISH, QoS 1 with DUP", V3X, `3a 08 00 03 "a/b" 00 0a 00`, {
    ...plain,
    topic: "a/b",
    payload: Uint8Array.of(0),
    qos: 1,
    dup: true,
    packetId: 10,
  }),
  right("PUBLISH, QoS 2 with RETAIN", V3X, `35 08 00 03 "a/b" ff ff "x"`, {
    ...plain,
    topic: "a/b",
    payload: ascii("x"),
    qos: 2,
    retain: true,
    packetId: 65535,
  }),
  right("PUBLISH to a topic beyond ASCII", V3X, `30 10 00 0e "温度/é/🦆"`, {
    ...plain,
    topic: "温度/é/🦆",
    payload: new Uint8Array(),
    qos: 0,
    packetId: 0,
  }),
  right("PUBLISH to a topic with a byte order mark, which stays", V3X, `30 06 00 04 ef bb bf "a"`, {
    ...plain,
    topic: "\ufeffa",
    payload: new Uint8Array(),
    qos: 0,
    packetId: 0,
  }),
  right("PUBLISH to a topic of empty levels", V3X, `30 04 00 02 "//"`, {
    ...plain,
    topic: "//",
    payload: new Uint8Array(),
    qos: 0,
    packetId: 0,
  }),
  right("PUBLISH of 5.0 without properties", V5, `30 08 00 03 "a/b" 00 "hi"`, {
    ...plain,
    topic: "a/b",
    payload: ascii("hi"),
    qos: 0,
    packetId: 0,
  }),
  right(
    "PUBLISH of 5.0 with every property",
    V5,
    `32 32
     00 01 "t"
     00 01
     29                      | Property Length 41
     01 01                   | Payload Format Indicator
     02 00 00 00 3c          | Message Expiry Interval 60
     23 00 05                | Topic Alias 5
     08 00 03 "r/t"          | Response Topic
     09 00 02 00 ff          | Correlation Data
     26 00 01 "b" 00 01 "2"  | User Property
     26 00 01 "a" 00 00      | User Property without a value
     03 00 04 "text"         | Content Type
     "hey"`,
    {
      ...plain,
      topic: "t",
      payload: ascii("hey"),
      qos: 1,
      packetId: 1,
      properties: {
        payloadFormatIndicator: 1,
        messageExpiryInterval: 60,
        topicAlias: 5,
        responseTopic: "r/t",
        correlationData: Uint8Array.of(0, 255),
        userProperties: [
          ["b", "2"],
          ["a", ""],
        ],
        contentType: "text",
      },
    },
  ),
  right(
    "PUBLISH of a server with several Subscription Identifiers",
    V5,
    `30 0e
     00 01 "t"
     0a
     0b 01                   | 1
     0b 80 01                | 128
     0b ff ff ff 7f          | 268,435,455`,
    {
      ...plain,
      topic: "t",
      payload: new Uint8Array(),
      qos: 0,
      packetId: 0,
      properties: { subscriptionIdentifiers: [1, 128, 268_435_455] },
    },
  ),
  right("PUBLISH with an alias instead of a topic", V5, `30 06 00 00 03 23 ff ff`, {
    ...plain,
    topic: "",
    payload: new Uint8Array(),
    qos: 0,
    packetId: 0,
    properties: { topicAlias: 65535 },
  }),
  right(
    "PUBLISH whose Property Length takes two bytes",
    V5,
    `30 8a 01
     00 01 "t"
     84 01                   | Property Length 132
     03 00 81 ${"61 ".repeat(129)}
     "x"`,
    {
      ...plain,
      topic: "t",
      payload: ascii("x"),
      qos: 0,
      packetId: 0,
      properties: { contentType: "a".repeat(129) },
    },
  ),
  longhand(
    "PUBLISH of 3.x with a Remaining Length of three bytes where one would do",
    V3X,
    `30 85 80 00 00 03 "a/b"`,
    {
      ...plain,
      topic: "a/b",
      payload: new Uint8Array(),
      qos: 0,
      packetId: 0,
    },
  ),
  longhand("PUBLISH of 3.1 with DUP and QoS 0, where DUP has no meaning", V31, `38 05 00 03 "a/b"`, {
    ...plain,
    topic: "a/b",
    payload: new Uint8Array(),
    qos: 0,
    dup: true,
    packetId: 0,
  }),
];
