// SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK.
import * as abi from "../../src/core/generated/abi.ts";
import type { Subscription } from "../../src/protocol/packet.ts";
import { ALL, longhand, type PacketCase, right, SINCE311, V3X, V5, V31, V311, wrong } from "./format.ts";

function to(filter: string, qos: 0 | 1 | 2, more: Partial<Subscription> = {}): Subscription {
  return { filter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0, ...more };
}

export const subscribeCases: PacketCase[] = [
  right("SUBSCRIBE to one filter", V3X, `82 08 00 0a 00 03 "a/b" 01`, {
    type: "subscribe",
    packetId: 10,
    subscriptions: [to("a/b", 1)],
  }),
  right(
    "SUBSCRIBE to several filters",
    V3X,
    `82 16 00 01 00 01 "#" 00 00 01 "+" 02 00 05 "+/a/#" 01 00 01 "/" 00`,
    {
      type: "subscribe",
      packetId: 1,
      subscriptions: [to("#", 0), to("+", 2), to("+/a/#", 1), to("/", 0)],
    },
  ),
  right(
    "SUBSCRIBE of 5.0 with identifier, User Property and every option",
    V5,
    `82 22
     12 34
     0a                      | Property Length 10
     0b 80 01                | Subscription Identifier 128
     26 00 01 "k" 00 01 "v"
     00 03 "a/+" 2d          | Retain Handling 2, Retain As Published, No Local, QoS 1
     00 0c "$share/g/a/#" 1a | Retain Handling 1, Retain As Published, QoS 2`,
    {
      type: "subscribe",
      packetId: 0x1234,
      properties: { subscriptionIdentifiers: [128], userProperties: [["k", "v"]] },
      subscriptions: [
        to("a/+", 1, { noLocal: true, retainAsPublished: true, retainHandling: 2 }),
        to("$share/g/a/#", 2, { retainAsPublished: true, retainHandling: 1 }),
      ],
    },
  ),
  right("SUBSCRIBE to $share alone, an ordinary filter", V3X, `82 0b 00 01 00 06 "$share" 00`, {
    type: "subscribe",
    packetId: 1,
    subscriptions: [to("$share", 0)],
  }),
  longhand("SUBSCRIBE of 3.1 sent again with DUP", V31, `8a 08 00 0a 00 03 "a/b" 01`, {
    type: "subscribe",
    packetId: 10,
    subscriptions: [to("a/b", 1)],
  }),
  right(
    "SUBSCRIBE whose wrong filters are marked, the others stay",
    V3X,
    `82 32 00 01
     00 02 "a#" 00
     00 03 "a+/" 00
     00 00 00                | empty
     00 03 "#/a" 00
     00 02 "ok" 01
     00 08 "$share/g" 00
     00 09 "$share//a" 00`,
    {
      type: "subscribe",
      packetId: 1,
      subscriptions: [
        to("a#", 0, { defect: abi.DETAIL_FILTER_HASH }),
        to("a+/", 0, { defect: abi.DETAIL_FILTER_PLUS }),
        to("", 0, { defect: abi.DETAIL_FILTER_EMPTY }),
        to("#/a", 0, { defect: abi.DETAIL_FILTER_HASH }),
        to("ok", 1),
        to("$share/g", 0, { defect: abi.DETAIL_SHARE_FILTER }),
        to("$share//a", 0, { defect: abi.DETAIL_SHARE_NAME }),
      ],
    },
  ),
  right(
    "SUBSCRIBE to wrong shared filters",
    V5,
    `82 2a 00 01 00
     00 0a "$share/g+/" 00
     00 09 "$share/g/" 00
     00 0b "$share/g/a#" 00`,
    {
      type: "subscribe",
      packetId: 1,
      subscriptions: [
        to("$share/g+/", 0, { defect: abi.DETAIL_SHARE_NAME }),
        to("$share/g/", 0, { defect: abi.DETAIL_SHARE_FILTER }),
        to("$share/g/a#", 0, { defect: abi.DETAIL_FILTER_HASH }),
      ],
    },
  ),
  wrong("SUBSCRIBE with flags 0", ALL, `> 80 08 00 0a 00 03 "a/b" 01`, 0x81, abi.DETAIL_FLAGS),
  wrong("SUBSCRIBE with flags 3", ALL, `> 83 08 00 0a 00 03 "a/b" 01`, 0x81, abi.DETAIL_FLAGS),
  wrong("SUBSCRIBE with DUP", SINCE311, `> 8a 08 00 0a 00 03 "a/b" 01`, 0x81, abi.DETAIL_FLAGS),
  wrong(
    "SUBSCRIBE with packet identifier 0",
    ALL,
    `82 08 > 00 00 00 03 "a/b" 01`,
    0x82,
    abi.DETAIL_PACKET_ID,
  ),
  wrong("SUBSCRIBE without a packet identifier", ALL, "82 01 > 00", 0x81, abi.DETAIL_TRUNCATED),
  wrong("SUBSCRIBE without a filter", V3X, "82 02 00 01 >", 0x82, abi.DETAIL_NO_FILTERS),
  wrong("SUBSCRIBE of 5.0 without a filter", V5, "82 03 00 01 00 >", 0x82, abi.DETAIL_NO_FILTERS),
  wrong("SUBSCRIBE without the last options", V3X, `82 07 00 01 00 03 "a/b" >`, 0x81, abi.DETAIL_TRUNCATED),
  wrong(
    "SUBSCRIBE whose filter reaches past the packet",
    V3X,
    `82 06 00 01 > 00 03 "a/"`,
    0x81,
    abi.DETAIL_TRUNCATED,
  ),
  wrong(
    "SUBSCRIBE with one byte behind the last filter",
    V3X,
    `82 09 00 01 00 03 "a/b" 00 > 00`,
    0x81,
    abi.DETAIL_TRUNCATED,
  ),
  wrong("SUBSCRIBE to a filter that is no UTF-8", V3X, `82 06 00 01 00 01 > 80 00`, 0x81, abi.DETAIL_UTF8),
  wrong("SUBSCRIBE to a filter with U+0000", V3X, `82 07 00 01 00 02 > "a" 00 00`, 0x81, abi.DETAIL_NUL),
  wrong("SUBSCRIBE of 3.x with QoS 3", V3X, `82 08 00 01 00 03 "a/b" > 03`, 0x81, abi.DETAIL_OPTIONS_QOS),
  wrong("SUBSCRIBE of 3.x with No Local", V3X, `82 08 00 01 00 03 "a/b" > 04`, 0x81, abi.DETAIL_OPTIONS),
  wrong(
    "SUBSCRIBE of 3.x with bit 7 of the options",
    V3X,
    `82 08 00 01 00 03 "a/b" > 81`,
    0x81,
    abi.DETAIL_OPTIONS,
  ),
  wrong("SUBSCRIBE of 5.0 with QoS 3", V5, `82 09 00 01 00 00 03 "a/b" > 03`, 0x82, abi.DETAIL_OPTIONS_QOS),
  wrong(
    "SUBSCRIBE of 5.0 with a reserved option, bit 6",
    V5,
    `82 09 00 01 00 00 03 "a/b" > 40`,
    0x81,
    abi.DETAIL_OPTIONS,
  ),
  wrong(
    "SUBSCRIBE of 5.0 with a reserved option, bit 7",
    V5,
    `82 09 00 01 00 00 03 "a/b" > 80`,
    0x81,
    abi.DETAIL_OPTIONS,
  ),
  wrong(
    "SUBSCRIBE with Retain Handling 3",
    V5,
    `82 09 00 01 00 00 03 "a/b" > 30`,
    0x82,
    abi.DETAIL_RETAIN_HANDLING,
  ),
  wrong(
    "SUBSCRIBE with No Local to a share",
    V5,
    `82 10 00 01 00 00 0a "$share/g/a" > 05`,
    0x82,
    abi.DETAIL_SHARE_NO_LOCAL,
  ),
  wrong(
    "SUBSCRIBE with Subscription Identifier 0",
    V5,
    `82 0b 00 01 02 > 0b 00 00 03 "a/b" 00`,
    0x82,
    abi.DETAIL_PROPERTY_VALUE,
  ),
  wrong(
    "SUBSCRIBE with Subscription Identifier twice",
    V5,
    `82 0d 00 01 04 0b 01 > 0b 02 00 03 "a/b" 00`,
    0x82,
    abi.DETAIL_PROPERTY_TWICE,
  ),
  wrong(
    "SUBSCRIBE with a Subscription Identifier of five bytes",
    V5,
    `82 0f 00 01 06 > 0b ff ff ff ff 01 00 03 "a/b" 00`,
    0x81,
    abi.DETAIL_PROPERTY_TRUNCATED,
  ),
  wrong(
    "SUBSCRIBE with a Topic Alias",
    V5,
    `82 0c 00 01 03 > 23 00 01 00 03 "a/b" 00`,
    0x81,
    abi.DETAIL_PROPERTY_PACKET,
  ),
  wrong(
    "SUBSCRIBE with a Reason String",
    V5,
    `82 0d 00 01 04 > 1f 00 01 "x" 00 03 "a/b" 00`,
    0x81,
    abi.DETAIL_PROPERTY_PACKET,
  ),

  right("SUBACK", V3X, "90 05 00 01 00 01 02", { type: "suback", packetId: 1, reasonCodes: [0, 1, 2] }),
  right("SUBACK of 3.1.1 with a failure", V311, "90 03 00 01 80", {
    type: "suback",
    packetId: 1,
    reasonCodes: [0x80],
  }),
  right("SUBACK of 5.0", V5, `90 0a 00 01 04 1f 00 01 "x" 87 8f 02`, {
    type: "suback",
    packetId: 1,
    reasonCodes: [0x87, 0x8f, 2],
    properties: { reasonString: "x" },
  }),
  wrong("SUBACK of 3.1 with a failure", V31, "90 03 00 01 > 80", 0x82, abi.DETAIL_REASON_CODE),
  wrong("SUBACK with code 3", V3X, "90 03 00 01 > 03", 0x82, abi.DETAIL_REASON_CODE),
  wrong(
    "SUBACK of 5.0 with the code of another packet",
    V5,
    "90 04 00 01 00 > 92",
    0x82,
    abi.DETAIL_REASON_CODE,
  ),
  wrong("SUBACK without codes", V3X, "90 02 00 01 >", 0x82, abi.DETAIL_NO_CODES),
  wrong("SUBACK with flags", ALL, "> 92 03 00 01 00", 0x81, abi.DETAIL_FLAGS),
  wrong("SUBACK with packet identifier 0", ALL, "90 03 > 00 00 00", 0x82, abi.DETAIL_PACKET_ID),

  right("UNSUBSCRIBE", V3X, `a2 0a 00 02 00 03 "a/b" 00 01 "#"`, {
    type: "unsubscribe",
    packetId: 2,
    filters: ["a/b", "#"],
  }),
  right("UNSUBSCRIBE of 5.0", V5, `a2 0d 00 02 07 26 00 01 "k" 00 01 "v" 00 01 "a"`, {
    type: "unsubscribe",
    packetId: 2,
    filters: ["a"],
    properties: { userProperties: [["k", "v"]] },
  }),
  right("UNSUBSCRIBE whose wrong filter is marked", V3X, `a2 09 00 02 00 01 "a" 00 02 "b#"`, {
    type: "unsubscribe",
    packetId: 2,
    filters: ["a", "b#"],
    defects: new Map([[1, abi.DETAIL_FILTER_HASH]]),
  }),
  longhand("UNSUBSCRIBE of 3.1 sent again with DUP", V31, `aa 05 00 02 00 01 "a"`, {
    type: "unsubscribe",
    packetId: 2,
    filters: ["a"],
  }),
  wrong("UNSUBSCRIBE without a filter", V3X, "a2 02 00 01 >", 0x82, abi.DETAIL_NO_FILTERS),
  wrong("UNSUBSCRIBE with flags 0", ALL, `> a0 05 00 02 00 01 "a"`, 0x81, abi.DETAIL_FLAGS),
  wrong("UNSUBSCRIBE with packet identifier 0", ALL, `a2 05 > 00 00 00 01 "a"`, 0x82, abi.DETAIL_PACKET_ID),
  wrong(
    "UNSUBSCRIBE with half a filter length",
    V3X,
    `a2 06 00 02 00 01 "a" > 00`,
    0x81,
    abi.DETAIL_TRUNCATED,
  ),
  wrong(
    "UNSUBSCRIBE with a Subscription Identifier",
    V5,
    `a2 08 00 02 02 > 0b 01 00 01 "a"`,
    0x81,
    abi.DETAIL_PROPERTY_PACKET,
  ),

  right("UNSUBACK", V3X, "b0 02 00 07", { type: "unsuback", packetId: 7, reasonCodes: [] }),
  right("UNSUBACK of 5.0", V5, "b0 05 00 07 00 00 11", {
    type: "unsuback",
    packetId: 7,
    reasonCodes: [0, 0x11],
  }),
  wrong("UNSUBACK of 3.x with a code", V3X, "b0 03 00 07 > 00", 0x81, abi.DETAIL_TRAILING),
  wrong("UNSUBACK of 5.0 without codes", V5, "b0 03 00 07 00 >", 0x82, abi.DETAIL_NO_CODES),
  wrong("UNSUBACK of 5.0 with a granted QoS", V5, "b0 04 00 07 00 > 01", 0x82, abi.DETAIL_REASON_CODE),
];
