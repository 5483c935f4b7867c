// What is wrong with a CONNECT that the core has refused, in words that name the property and its bound, for CONNACK and log.
// The core describes no packet it refuses, so the packet is read once more, up to the defect. Decides nothing.
import { DETAIL_PROPERTIES_MANY, DETAIL_PROPERTY_VALUE } from "../../core/generated/abi.ts";
import { detailText } from "../../protocol/details.ts";
import { type PropertySpec, propertyById } from "../../protocol/properties.ts";
import { PROTOCOL_MAXIMUM } from "./connack.ts";

const MAXIMUM_PACKET_SIZE = 39;
const SIZES: Readonly<Partial<Record<PropertySpec["type"], number>>> = { byte: 1, u16: 2, u32: 4 };
const RULES: Readonly<Record<NonNullable<PropertySpec["rule"]>, string>> = {
  flag: "0 or 1",
  notZero: "not 0",
  topic: "a Topic Name",
};

export interface ConnectDefect {
  readonly words: string;
  /** The client's, where it stands in front of the defect: the CONNACK that tells why must keep to it [MQTT-3.2.2-19]. */
  readonly maximumPacketSize: number;
}

/** `detail` and `offset` are the core's; `most` is limits.propertiesPerPacket. */
export function connectDefect(bytes: Buffer, detail: number, offset: number, most: number): ConnectDefect {
  const words = detailText(detail);
  const found: ConnectDefect = { words, maximumPacketSize: PROTOCOL_MAXIMUM };
  const own = sectionAt(bytes, propertiesAt(bytes));
  if (own === undefined || offset < own.from) return found;
  const { id, maximumPacketSize = PROTOCOL_MAXIMUM } = walk(bytes, own, offset);
  if (offset < own.end) return { words: named(words, detail, id, "CONNECT", most), maximumPacketSize };
  // Behind the Client Identifier those of the Will, if it has one.
  const will = own.end + 2 > offset ? undefined : sectionAt(bytes, own.end + 2 + bytes.readUInt16BE(own.end));
  if (will === undefined || offset < will.from || offset >= will.end) return { words, maximumPacketSize };
  return { words: named(words, detail, walk(bytes, will, offset).id, "the Will", most), maximumPacketSize };
}

function named(words: string, detail: number, id: number, place: string, most: number): string {
  if (detail === DETAIL_PROPERTIES_MANY) return `${words}: more than ${most} in ${place}`;
  const spec = propertyById(id);
  if (spec === undefined) return `${words}: ${id} in ${place}`;
  const name = spec.name.replace(/[A-Z]/g, " $&").replace(/^[a-z]/, (first) => first.toUpperCase());
  const rule =
    detail !== DETAIL_PROPERTY_VALUE || spec.rule === undefined ? "" : `, which is ${RULES[spec.rule]}`;
  return `${words}: ${name} in ${place}${rule}`;
}

interface Section {
  readonly from: number;
  readonly end: number;
}

/** Where the Property Length of a CONNECT stands. */
function propertiesAt(bytes: Buffer): number {
  let at = 1;
  while (at < bytes.length && bytes[at] & 0x80) at++;
  at++;
  // Protocol name, level, flags and Keep Alive.
  return at + 2 > bytes.length ? bytes.length : at + 2 + bytes.readUInt16BE(at) + 4;
}

/** Properties behind a Property Length; undefined where that is none. */
function sectionAt(bytes: Buffer, at: number): Section | undefined {
  let length = 0;
  for (let i = 0; i < 4 && at + i < bytes.length; i++) {
    length += (bytes[at + i] & 0x7f) * 128 ** i;
    if (bytes[at + i] < 0x80) return { from: at + i + 1, end: at + i + 1 + length };
  }
  return undefined;
}

/** Passes the properties in front of `offset`, which are well-formed; `id` is of the one that reaches it. */
function walk(
  bytes: Buffer,
  { from, end }: Section,
  offset: number,
): { id: number; maximumPacketSize?: number } {
  let maximumPacketSize: number | undefined;
  let at = from;
  while (at < end) {
    const id = bytes[at];
    const next = at + 1 + sizeOf(bytes, at + 1, propertyById(id)?.type);
    if (next > offset) return { id, maximumPacketSize };
    if (id === MAXIMUM_PACKET_SIZE) maximumPacketSize = bytes.readUInt32BE(at + 1);
    at = next;
  }
  return { id: 0, maximumPacketSize };
}

/** Of a property's value; more than there is where it is cut off. */
function sizeOf(bytes: Buffer, at: number, type: PropertySpec["type"] | undefined): number {
  if (type === undefined) return bytes.length;
  const size = SIZES[type];
  if (size !== undefined) return size;
  let length = 0;
  for (let rest = type === "pair" ? 2 : 1; rest > 0; rest--) {
    if (at + length + 2 > bytes.length) return bytes.length;
    length += 2 + bytes.readUInt16BE(at + length);
  }
  return length;
}
