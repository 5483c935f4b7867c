// From the core's descriptor to typed packets. Everything is copied out: core memory is written again by the next call.
import {
  D_CLIENT_ID,
  D_CONNECT_FLAGS,
  D_FILTER_COUNT,
  D_FILTERS,
  D_FLAGS,
  D_KEEP_ALIVE,
  D_LEVEL,
  D_PACKET_ID,
  D_PASSWORD,
  D_PAYLOAD,
  D_PROP_COUNT,
  D_PROPS,
  D_REASON,
  D_TOPIC,
  D_TYPE,
  D_USERNAME,
  D_WILL_PROP_FIRST,
  FILTER_DETAIL_SHIFT,
  FILTER_INVALID,
  FILTER_WORDS,
  PROP_WORDS,
} from "../core/generated/abi.ts";
import type { ConnectPacket, Packet, Subscription, UnsubscribePacket } from "./packet.ts";
import { PACKET_NAMES, type ProtocolLevel, type Qos } from "./packet-types.ts";
import { type Properties, propertyById } from "./properties.ts";

// A byte order mark belongs to the string [MQTT-1.5.4-3].
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Core memory as the reader sees it; `header` is the word index of headerPtr(). */
interface View {
  u8: Uint8Array;
  u32: Uint32Array;
  header: number;
}

/**
 * The packet decodePacket() has just described. `memory` is all of the core's memory, `headerPtr` the address the core
 * tells. Strings come from validated bytes.
 */
export function readPacket(memory: ArrayBufferLike, headerPtr: number): Packet {
  const view: View = { u8: new Uint8Array(memory), u32: new Uint32Array(memory), header: headerPtr >> 2 };
  const type = PACKET_NAMES[word(view, D_TYPE)];
  const level = word(view, D_LEVEL) as ProtocolLevel;
  const packetId = word(view, D_PACKET_ID);
  const reasonCode = word(view, D_REASON);
  const rest = type === "connect" ? {} : readTable(view, 0, word(view, D_PROP_COUNT));
  switch (type) {
    case "connect":
      return readConnect(view, level);
    case "connack": {
      const sessionPresent = (word(view, D_CONNECT_FLAGS) & 1) === 1;
      return { type, sessionPresent, reasonCode, ...rest };
    }
    case "publish": {
      const flags = word(view, D_FLAGS);
      return {
        type,
        topic: text(view, D_TOPIC),
        payload: bytes(view, D_PAYLOAD),
        qos: ((flags >> 1) & 3) as Qos,
        retain: (flags & 1) === 1,
        dup: (flags & 8) === 8,
        packetId,
        ...rest,
      };
    }
    case "puback":
    case "pubrec":
    case "pubrel":
    case "pubcomp":
      return { type, packetId, reasonCode, ...rest };
    case "subscribe":
      return { type, packetId, subscriptions: readSubscriptions(view), ...rest };
    case "unsubscribe":
      return { type, packetId, ...readUnsubscribed(view), ...rest };
    case "suback":
    case "unsuback":
      return { type, packetId, reasonCodes: [...bytes(view, D_PAYLOAD)], ...rest };
    case "pingreq":
    case "pingresp":
      return { type };
    case "disconnect":
    case "auth":
      return { type, reasonCode, ...rest };
    case undefined:
      throw new RangeError("the descriptor holds no packet");
  }
}

/** Properties of a PUBLISH or of any packet in the property table: entries `first` to `last`. */
export function readProperties(
  memory: ArrayBufferLike,
  table: number,
  first: number,
  last: number,
): Properties {
  const u8 = new Uint8Array(memory);
  const u32 = new Uint32Array(memory);
  const properties: Properties = {};
  const values = properties as Record<string, unknown>;
  let at = (table >> 2) + first * PROP_WORDS;
  for (let index = first; index < last; index++, at += PROP_WORDS) {
    const spec = propertyById(u32[at]);
    if (spec === undefined) throw new RangeError(`property ${u32[at]} in the table`);
    const value = u32[at + 1];
    switch (spec.type) {
      case "string":
        values[spec.name] = textAt(u8, value, u32[at + 2]);
        break;
      case "binary":
        values[spec.name] = copyAt(u8, value, u32[at + 2]);
        break;
      case "pair": {
        const name = textAt(u8, value, u32[at + 2]);
        at += PROP_WORDS;
        index += 1;
        properties.userProperties ??= [];
        properties.userProperties.push([name, textAt(u8, u32[at + 1], u32[at + 2])]);
        break;
      }
      case "varint":
        properties.subscriptionIdentifiers ??= [];
        properties.subscriptionIdentifiers.push(value);
        break;
      default:
        values[spec.name] = value;
    }
  }
  return properties;
}

function readConnect(view: View, level: ProtocolLevel): ConnectPacket {
  const flags = word(view, D_CONNECT_FLAGS);
  const count = word(view, D_PROP_COUNT);
  const willFirst = word(view, D_WILL_PROP_FIRST);
  const packet: ConnectPacket = {
    type: "connect",
    level,
    clientId: text(view, D_CLIENT_ID),
    cleanStart: (flags & 2) === 2,
    keepAlive: word(view, D_KEEP_ALIVE),
    ...readTable(view, 0, willFirst),
  };
  if (flags & 0x80) packet.username = text(view, D_USERNAME);
  if (flags & 0x40) packet.password = bytes(view, D_PASSWORD);
  if (flags & 4) {
    packet.will = {
      topic: text(view, D_TOPIC),
      payload: bytes(view, D_PAYLOAD),
      qos: ((flags >> 3) & 3) as Qos,
      retain: (flags & 0x20) === 0x20,
      ...readTable(view, willFirst, count),
    };
  }
  return packet;
}

function readSubscriptions(view: View): Subscription[] {
  const subscriptions: Subscription[] = [];
  for (const [filter, options] of readFilters(view)) {
    const subscription: Subscription = {
      filter,
      qos: (options & 3) as Qos,
      noLocal: (options & 4) === 4,
      retainAsPublished: (options & 8) === 8,
      retainHandling: ((options >> 4) & 3) as 0 | 1 | 2,
    };
    const defect = defectOf(options);
    if (defect !== undefined) subscription.defect = defect;
    subscriptions.push(subscription);
  }
  return subscriptions;
}

function readUnsubscribed(view: View): Pick<UnsubscribePacket, "filters" | "defects"> {
  const packet: Pick<UnsubscribePacket, "filters" | "defects"> = { filters: [] };
  for (const [filter, options] of readFilters(view)) {
    const defect = defectOf(options);
    if (defect !== undefined) {
      packet.defects ??= new Map();
      packet.defects.set(packet.filters.length, defect);
    }
    packet.filters.push(filter);
  }
  return packet;
}

function readFilters(view: View): [filter: string, options: number][] {
  const filters: [string, number][] = [];
  let at = word(view, D_FILTERS) >> 2;
  for (let left = word(view, D_FILTER_COUNT); left > 0; left--, at += FILTER_WORDS) {
    filters.push([textAt(view.u8, view.u32[at], view.u32[at + 1]), view.u32[at + 2]]);
  }
  return filters;
}

function defectOf(options: number): number | undefined {
  return (options & FILTER_INVALID) === 0 ? undefined : (options >> FILTER_DETAIL_SHIFT) & 0xff;
}

/** To be spread into a packet; nothing where there are no properties, which is the usual case. */
function readTable(view: View, first: number, last: number): { properties?: Properties } {
  if (first === last) return {};
  return { properties: readProperties(view.u8.buffer, word(view, D_PROPS), first, last) };
}

function word(view: View, index: number): number {
  return view.u32[view.header + index];
}

/** The string or the bytes whose address is in this word and whose length is in the next. */
function text(view: View, index: number): string {
  return textAt(view.u8, word(view, index), word(view, index + 1));
}

function bytes(view: View, index: number): Uint8Array {
  return copyAt(view.u8, word(view, index), word(view, index + 1));
}

function textAt(u8: Uint8Array, at: number, length: number): string {
  return decoder.decode(u8.subarray(at, at + length));
}

function copyAt(u8: Uint8Array, at: number, length: number): Uint8Array {
  return u8.slice(at, at + length);
}
