// CONNACK, PINGREQ, PINGRESP, DISCONNECT, AUTH, and what is wrong before a packet has a type.
import * as abi from "../../src/core/generated/abi.ts";
import { ALL, longhand, type PacketCase, right, SINCE311, V3X, V5, V31, V311, wrong } from "./format.ts";

export const sessionCases: PacketCase[] = [
  right("CONNACK", V3X, "20 02 00 00", { type: "connack", sessionPresent: false, reasonCode: 0 }),
  right("CONNACK with Session Present", V311, "20 02 01 00", {
    type: "connack",
    sessionPresent: true,
    reasonCode: 0,
  }),
  right("CONNACK of a refusal", V3X, "20 02 00 05", {
    type: "connack",
    sessionPresent: false,
    reasonCode: 5,
  }),
  longhand("CONNACK of 3.1 with its unused byte set", V31, "20 02 01 00", {
    type: "connack",
    sessionPresent: false,
    reasonCode: 0,
  }),
  right("CONNACK of 5.0", V5, "20 03 01 00 00", { type: "connack", sessionPresent: true, reasonCode: 0 }),
  right("CONNACK of 5.0 that refuses", V5, `20 0a 00 87 07 1f 00 04 "nope"`, {
    type: "connack",
    sessionPresent: false,
    reasonCode: 0x87,
    properties: { reasonString: "nope" },
  }),
  right(
    "CONNACK of 5.0 with every property",
    V5,
    `20 47
     00 00
     44                      | Property Length 68
     11 00 00 00 0a          | Session Expiry Interval 10
     21 00 64                | Receive Maximum 100
     24 01                   | Maximum QoS 1
     25 00                   | Retain Available: no
     27 00 00 10 00          | Maximum Packet Size 4096
     12 00 02 "id"           | Assigned Client Identifier
     22 00 08                | Topic Alias Maximum 8
     1f 00 02 "ok"           | Reason String
     26 00 01 "k" 00 01 "v"  | User Property
     28 01                   | Wildcard Subscription Available
     29 00                   | Subscription Identifiers Available: no
     2a 01                   | Shared Subscription Available
     13 00 1e                | Server Keep Alive 30
     1a 00 03 "r/i"          | Response Information
     1c 00 04 "host"         | Server Reference
     15 00 01 "m"            | Authentication Method
     16 00 02 01 02          | Authentication Data`,
    {
      type: "connack",
      sessionPresent: false,
      reasonCode: 0,
      properties: {
        sessionExpiryInterval: 10,
        receiveMaximum: 100,
        maximumQos: 1,
        retainAvailable: 0,
        maximumPacketSize: 4096,
        assignedClientIdentifier: "id",
        topicAliasMaximum: 8,
        reasonString: "ok",
        userProperties: [["k", "v"]],
        wildcardSubscriptionAvailable: 1,
        subscriptionIdentifiersAvailable: 0,
        sharedSubscriptionAvailable: 1,
        serverKeepAlive: 30,
        responseInformation: "r/i",
        serverReference: "host",
        authenticationMethod: "m",
        authenticationData: Uint8Array.of(1, 2),
      },
    },
  ),
  wrong("CONNACK with flags in the fixed header", ALL, "> 21 02 00 00", 0x81, abi.DETAIL_FLAGS),
  wrong("CONNACK of one byte", ALL, "20 01 > 00", 0x81, abi.DETAIL_TRUNCATED),
  wrong("CONNACK with reserved acknowledge flags", V311, "20 02 > 02 00", 0x81, abi.DETAIL_CONNACK_FLAGS),
  wrong("CONNACK of 3.x with return code 6", V3X, "20 02 00 > 06", 0x82, abi.DETAIL_REASON_CODE),
  wrong("CONNACK of 5.0 with return code 5", V5, "20 03 00 > 05 00", 0x82, abi.DETAIL_REASON_CODE),
  wrong("CONNACK of 5.0 with a code of DISCONNECT", V5, "20 03 00 > 8e 00", 0x82, abi.DETAIL_REASON_CODE),
  wrong("CONNACK of a refusal with Session Present", V311, "20 02 > 01 05", 0x82, abi.DETAIL_SESSION_PRESENT),
  wrong("CONNACK of 3.x with more bytes", V3X, "20 03 00 00 > 00", 0x81, abi.DETAIL_TRAILING),
  wrong("CONNACK of 5.0 without a Property Length", V5, "20 02 00 00 >", 0x81, abi.DETAIL_PROPERTIES_LENGTH),
  wrong("CONNACK with Maximum QoS 2", V5, "20 05 00 00 02 > 24 02", 0x82, abi.DETAIL_PROPERTY_VALUE),
  wrong("CONNACK with Retain Available 2", V5, "20 05 00 00 02 > 25 02", 0x82, abi.DETAIL_PROPERTY_VALUE),
  wrong(
    "CONNACK with Authentication Data but no method",
    V5,
    "20 06 00 00 > 03 16 00 00",
    0x82,
    abi.DETAIL_AUTH_METHOD,
  ),
  wrong("CONNACK with bytes behind the properties", V5, "20 04 00 00 00 > 00", 0x81, abi.DETAIL_TRAILING),

  right("PINGREQ", ALL, "c0 00", { type: "pingreq" }),
  right("PINGRESP", ALL, "d0 00", { type: "pingresp" }),
  wrong("PINGREQ with flags", ALL, "> c1 00", 0x81, abi.DETAIL_FLAGS),
  wrong("PINGREQ with a body", ALL, "c0 01 > 00", 0x81, abi.DETAIL_TRAILING),
  wrong("PINGRESP with a body", ALL, "d0 01 > 00", 0x81, abi.DETAIL_TRAILING),

  right("DISCONNECT", ALL, "e0 00", { type: "disconnect", reasonCode: 0 }),
  right("DISCONNECT with Will", V5, "e0 01 04", { type: "disconnect", reasonCode: 4 }),
  right("DISCONNECT with a new Session Expiry Interval", V5, "e0 07 00 05 11 00 00 00 00", {
    type: "disconnect",
    reasonCode: 0,
    properties: { sessionExpiryInterval: 0 },
  }),
  right("DISCONNECT of a server", V5, `e0 0d 9d 0b 1c 00 04 "host" 1f 00 01 "x"`, {
    type: "disconnect",
    reasonCode: 0x9d,
    properties: { serverReference: "host", reasonString: "x" },
  }),
  longhand("DISCONNECT with everything spelled out", V5, "e0 02 00 00", {
    type: "disconnect",
    reasonCode: 0,
  }),
  wrong("DISCONNECT with flags", ALL, "> e2 00", 0x81, abi.DETAIL_FLAGS),
  wrong("DISCONNECT of 3.x with a body", V3X, "e0 01 > 00", 0x81, abi.DETAIL_TRAILING),
  wrong("DISCONNECT with a code of CONNACK", V5, "e0 01 > 85", 0x82, abi.DETAIL_REASON_CODE),
  wrong("DISCONNECT with code 1", V5, "e0 01 > 01", 0x82, abi.DETAIL_REASON_CODE),
  wrong("DISCONNECT with a Receive Maximum", V5, "e0 05 00 03 > 21 00 01", 0x81, abi.DETAIL_PROPERTY_PACKET),
  wrong("DISCONNECT with bytes behind the properties", V5, "e0 03 00 00 > 00", 0x81, abi.DETAIL_TRAILING),

  right("AUTH of success without properties", V5, "f0 00", { type: "auth", reasonCode: 0 }),
  right("AUTH that continues", V5, `f0 0b 18 09 15 00 01 "m" 16 00 02 "hi"`, {
    type: "auth",
    reasonCode: 0x18,
    properties: { authenticationMethod: "m", authenticationData: new TextEncoder().encode("hi") },
  }),
  wrong("AUTH before 5.0", V3X, "> f0 00", 0x81, abi.DETAIL_PACKET_TYPE),
  wrong("AUTH with flags", V5, "> f1 00", 0x81, abi.DETAIL_FLAGS),
  wrong("AUTH with a code that does not exist", V5, "f0 02 > 01 00", 0x82, abi.DETAIL_REASON_CODE),
  wrong("AUTH without a method", V5, "f0 02 18 > 00", 0x82, abi.DETAIL_AUTH_METHOD),
  wrong("AUTH without a Property Length", V5, "f0 01 18 >", 0x81, abi.DETAIL_PROPERTIES_LENGTH),
  wrong("AUTH with a method twice", V5, "f0 08 18 06 15 00 00 > 15 00 00", 0x82, abi.DETAIL_PROPERTY_TWICE),

  wrong("type 0", ALL, "> 00 00", 0x81, abi.DETAIL_PACKET_TYPE),
  wrong("a length of five bytes", ALL, "c0 80 80 80 > 80 01", 0x81, abi.DETAIL_LENGTH),
  wrong("a length of 0xFFs", ALL, "30 ff ff ff > ff ff", 0x81, abi.DETAIL_LENGTH),
  wrong("PINGREQ with a length not in its shortest form", V5, "c0 > 80 00", 0x81, abi.DETAIL_LENGTH_MINIMAL),
  longhand("PINGREQ of 3.x with a length not in its shortest form", V3X, "c0 80 80 80 00", {
    type: "pingreq",
  }),
  wrong(
    "DISCONNECT with a length not in its shortest form",
    V5,
    "e0 > 80 80 00",
    0x81,
    abi.DETAIL_LENGTH_MINIMAL,
  ),
  wrong("PUBREL of 5.0 with packet identifier 0 and DUP", SINCE311, "> 6a 02 00 00", 0x81, abi.DETAIL_FLAGS),
];
