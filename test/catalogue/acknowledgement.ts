// PUBACK, PUBREC, PUBREL, PUBCOMP.
import * as abi from "../../src/core/generated/abi.ts";
import { ALL, longhand, type PacketCase, right, SINCE311, V3X, V5, V31, wrong } from "./format.ts";

export const acknowledgementCases: PacketCase[] = [
  right("PUBACK", ALL, "40 02 00 01", { type: "puback", packetId: 1, reasonCode: 0 }),
  right("PUBREC", ALL, "50 02 00 02", { type: "pubrec", packetId: 2, reasonCode: 0 }),
  right("PUBREL", ALL, "62 02 ff ff", { type: "pubrel", packetId: 65535, reasonCode: 0 }),
  right("PUBCOMP", ALL, "70 02 00 04", { type: "pubcomp", packetId: 4, reasonCode: 0 }),
  right("PUBACK with a reason code", V5, "40 03 00 01 10", { type: "puback", packetId: 1, reasonCode: 0x10 }),
  right("PUBREC with an error", V5, "50 03 00 01 97", { type: "pubrec", packetId: 1, reasonCode: 0x97 }),
  right("PUBREL of an unknown identifier", V5, "62 03 00 01 92", {
    type: "pubrel",
    packetId: 1,
    reasonCode: 0x92,
  }),
  right("PUBCOMP of an unknown identifier", V5, "70 03 00 01 92", {
    type: "pubcomp",
    packetId: 1,
    reasonCode: 0x92,
  }),
  right(
    "PUBACK with properties",
    V5,
    `40 12
     00 01
     87
     0e                      | Property Length 14
     1f 00 04 "nope"         | Reason String
     26 00 01 "k" 00 01 "v"`,
    {
      type: "puback",
      packetId: 1,
      reasonCode: 0x87,
      properties: { reasonString: "nope", userProperties: [["k", "v"]] },
    },
  ),
  longhand("PUBACK with success spelled out", V5, "40 03 00 01 00", {
    type: "puback",
    packetId: 1,
    reasonCode: 0,
  }),
  longhand("PUBACK with success and no properties spelled out", V5, "40 04 00 01 00 00", {
    type: "puback",
    packetId: 1,
    reasonCode: 0,
  }),
  longhand("PUBREL of 3.1 sent again with DUP", V31, "6a 02 00 01", {
    type: "pubrel",
    packetId: 1,
    reasonCode: 0,
  }),
  wrong("PUBACK with flags", ALL, "> 42 02 00 01", 0x81, abi.DETAIL_FLAGS),
  wrong("PUBREC with flags", ALL, "> 52 02 00 01", 0x81, abi.DETAIL_FLAGS),
  wrong("PUBREL with flags 0", ALL, "> 60 02 00 01", 0x81, abi.DETAIL_FLAGS),
  wrong("PUBREL with DUP", SINCE311, "> 6a 02 00 01", 0x81, abi.DETAIL_FLAGS),
  wrong("PUBCOMP with flags", ALL, "> 71 02 00 01", 0x81, abi.DETAIL_FLAGS),
  wrong("PUBACK without a body", ALL, "40 00 >", 0x81, abi.DETAIL_TRUNCATED),
  wrong("PUBACK with half an identifier", ALL, "40 01 > 01", 0x81, abi.DETAIL_TRUNCATED),
  wrong("PUBACK with packet identifier 0", ALL, "40 02 > 00 00", 0x82, abi.DETAIL_PACKET_ID),
  wrong("PUBREL with packet identifier 0", ALL, "62 02 > 00 00", 0x82, abi.DETAIL_PACKET_ID),
  wrong("PUBACK of 3.x with a reason code", V3X, "40 03 00 01 > 00", 0x81, abi.DETAIL_TRAILING),
  wrong("PUBACK with the code of another packet", V5, "40 03 00 01 > 92", 0x82, abi.DETAIL_REASON_CODE),
  wrong("PUBACK with a code that does not exist", V5, "40 03 00 01 > 05", 0x82, abi.DETAIL_REASON_CODE),
  wrong("PUBREL with a code of PUBREC", V5, "62 03 00 01 > 10", 0x82, abi.DETAIL_REASON_CODE),
  wrong("PUBCOMP with a code above all", V5, "70 03 00 01 > ff", 0x82, abi.DETAIL_REASON_CODE),
  wrong(
    "PUBACK with Reason String twice",
    V5,
    "40 0a 00 01 00 06 1f 00 00 > 1f 00 00",
    0x82,
    abi.DETAIL_PROPERTY_TWICE,
  ),
  wrong("PUBACK with a Content Type", V5, "40 07 00 01 00 03 > 03 00 00", 0x81, abi.DETAIL_PROPERTY_PACKET),
  wrong("PUBACK with bytes behind the properties", V5, "40 05 00 01 00 00 > 00", 0x81, abi.DETAIL_TRAILING),
  wrong(
    "PUBACK whose properties reach past the packet",
    V5,
    "40 04 00 01 00 > 01",
    0x81,
    abi.DETAIL_PROPERTIES_LENGTH,
  ),
];
