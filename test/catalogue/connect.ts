// CONNECT, right.
import { ascii, longhand, type PacketCase, right, V5, V31, V311 } from "./format.ts";

export const connectCases: PacketCase[] = [
  right(
    "CONNECT of 3.1",
    V31,
    `10 0f              | CONNECT
     00 06 "MQIsdp" 03  | protocol name and level
     02                 | Clean Session
     00 3c              | Keep Alive 60
     00 01 "c"          | client id`,
    { type: "connect", level: 3, clientId: "c", cleanStart: true, keepAlive: 60 },
  ),
  right(
    "CONNECT of 3.1 with a client id longer than 23 characters",
    V31,
    `10 2c
     00 06 "MQIsdp" 03
     00
     00 00
     00 1e "012345678901234567890123456789"`,
    {
      type: "connect",
      level: 3,
      clientId: "012345678901234567890123456789",
      cleanStart: false,
      keepAlive: 0,
    },
  ),
  right(
    "CONNECT of 3.1.1, smallest",
    V311,
    `10 0c
     00 04 "MQTT" 04
     02
     00 00
     00 00              | no client id: the server may assign one`,
    { type: "connect", level: 4, clientId: "", cleanStart: true, keepAlive: 0 },
  ),
  right(
    "CONNECT of 3.1.1 with everything",
    V311,
    `10 24
     00 04 "MQTT" 04
     ee                 | user name, password, Will Retain, Will QoS 1, Will, Clean Session
     ff ff
     00 02 "id"
     00 03 "w/t"        | Will Topic
     00 05 "later"      | Will Message
     00 04 "user"
     00 02 00 ff        | password: any bytes`,
    {
      type: "connect",
      level: 4,
      clientId: "id",
      cleanStart: true,
      keepAlive: 65535,
      will: { topic: "w/t", payload: ascii("later"), qos: 1, retain: true },
      username: "user",
      password: Uint8Array.of(0, 255),
    },
  ),
  right(
    "CONNECT of 3.1.1 with an empty Will Message and an empty user name",
    V311,
    `10 14
     00 04 "MQTT" 04
     86
     00 0a
     00 01 "c"
     00 01 "w"
     00 00              | Will Message
     00 00              | user name
    `,
    {
      type: "connect",
      level: 4,
      clientId: "c",
      cleanStart: true,
      keepAlive: 10,
      will: { topic: "w", payload: new Uint8Array(), qos: 0, retain: false },
      username: "",
    },
  ),
  right(
    "CONNECT of 5.0, smallest",
    V5,
    `10 0d
     00 04 "MQTT" 05
     00
     00 00
     00                 | Property Length
     00 00`,
    { type: "connect", level: 5, clientId: "", cleanStart: false, keepAlive: 0 },
  ),
  right(
    "CONNECT of 5.0 with a password alone",
    V5,
    `10 10
     00 04 "MQTT" 05
     42
     00 00
     00
     00 00
     00 01 "p"`,
    { type: "connect", level: 5, clientId: "", cleanStart: true, keepAlive: 0, password: ascii("p") },
  ),
  right(
    "CONNECT of 5.0 with every property",
    V5,
    `10 72
     00 04 "MQTT" 05
     f6                      | user name, password, Will Retain, Will QoS 2, Will, Clean Start
     00 1e
     2f                      | Property Length 47
     11 00 00 0e 10          | Session Expiry Interval 3600
     21 00 14                | Receive Maximum 20
     27 00 01 00 00          | Maximum Packet Size 65536
     22 00 0a                | Topic Alias Maximum 10
     19 01                   | Request Response Information
     17 00                   | Request Problem Information
     26 00 01 "a" 00 01 "1"  | User Property
     26 00 01 "a" 00 01 "2"  | User Property, same name
     15 00 04 "SHA1"         | Authentication Method
     16 00 03 00 01 02       | Authentication Data
     00 02 "me"
     26                      | Will Property Length 38
     18 00 00 00 05          | Will Delay Interval 5
     01 01                   | Payload Format Indicator
     02 00 00 00 78          | Message Expiry Interval 120
     03 00 04 "text"         | Content Type
     08 00 03 "r/t"          | Response Topic
     09 00 01 07             | Correlation Data
     26 00 02 "k1" 00 02 "v1"
     00 01 "w"
     00 02 "by"
     00 01 "u"
     00 01 "p"`,
    {
      type: "connect",
      level: 5,
      clientId: "me",
      cleanStart: true,
      keepAlive: 30,
      properties: {
        sessionExpiryInterval: 3600,
        receiveMaximum: 20,
        maximumPacketSize: 65536,
        topicAliasMaximum: 10,
        requestResponseInformation: 1,
        requestProblemInformation: 0,
        userProperties: [
          ["a", "1"],
          ["a", "2"],
        ],
        authenticationMethod: "SHA1",
        authenticationData: Uint8Array.of(0, 1, 2),
      },
      will: {
        topic: "w",
        payload: ascii("by"),
        qos: 2,
        retain: true,
        properties: {
          willDelayInterval: 5,
          payloadFormatIndicator: 1,
          messageExpiryInterval: 120,
          contentType: "text",
          responseTopic: "r/t",
          correlationData: Uint8Array.of(7),
          userProperties: [["k1", "v1"]],
        },
      },
      username: "u",
      password: ascii("p"),
    },
  ),
  longhand(
    "CONNECT of 3.1 whose user name and password flags promise more than the packet has",
    V31,
    `10 0f
     00 06 "MQIsdp" 03
     c2                 | 3.1: the Remaining Length takes precedence
     00 3c
     00 01 "c"`,
    { type: "connect", level: 3, clientId: "c", cleanStart: true, keepAlive: 60 },
  ),
  longhand(
    "CONNECT of 3.1 whose password flag promises more than the packet has",
    V31,
    `10 12
     00 06 "MQIsdp" 03
     c2
     00 3c
     00 01 "c"
     00 01 "u"`,
    { type: "connect", level: 3, clientId: "c", cleanStart: true, keepAlive: 60, username: "u" },
  ),
  longhand(
    "CONNECT of 3.1 with the reserved flag and a Will QoS without Will",
    V31,
    `10 0f
     00 06 "MQIsdp" 03
     0b
     00 00
     00 01 "c"`,
    { type: "connect", level: 3, clientId: "c", cleanStart: true, keepAlive: 0 },
  ),
  longhand(
    "CONNECT of 3.1.1 with a length of two bytes where one would do",
    V311,
    `10 8c 00
     00 04 "MQTT" 04 02 00 00 00 00`,
    { type: "connect", level: 4, clientId: "", cleanStart: true, keepAlive: 0 },
  ),
];
