// One packet from bytes: what decode() of the stand-alone core returns. Reading beyond chunks is packet-parser.ts.
import { detailText } from "../protocol/details.ts";
import type { Packet } from "../protocol/packet.ts";
import { readPacket } from "../protocol/packet-reader.ts";
import type { ProtocolLevel } from "../protocol/packet-types.ts";
import { CoreError } from "./core-errors.ts";
import { DECODE_INCOMPLETE, H_DETAIL, H_OFFSET } from "./generated/abi.ts";
import type { Region } from "./region.ts";

export interface DecodedPacket {
  readonly status: "packet";
  readonly packet: Packet;
  /** bytes of the packet: the next one begins behind them */
  readonly length: number;
}

export interface IncompletePacket {
  readonly status: "incomplete";
  /** bytes the packet will have; 0 while even that is unknown */
  readonly length: number;
}

export interface RefusedPacket {
  readonly status: "error";
  /** what a 5.0 DISCONNECT (or CONNACK) should say */
  readonly reasonCode: number;
  /** what exactly was wrong, in words */
  readonly detail: string;
  /** of the offending byte, from the start of the packet */
  readonly offset: number;
}

export type Decoded = DecodedPacket | IncompletePacket | RefusedPacket;

const LONGEST_HEADER = 5;
const MALFORMED_LENGTH = -1;

/** Bytes of the packet that begins at `at`; 0: not known yet, -1: its length has a fifth byte, which is malformed. */
export function packetLength(bytes: Uint8Array, at: number, end: number): number {
  let remaining = 0;
  for (let i = 1; i < LONGEST_HEADER && at + i < end; i++) {
    const byte = bytes[at + i];
    remaining += (byte & 0x7f) << (7 * (i - 1));
    if (byte < 0x80) return 1 + i + remaining;
  }
  return end - at < LONGEST_HEADER ? 0 : MALFORMED_LENGTH;
}

export function checkLevel(level: ProtocolLevel): void {
  if (level !== 3 && level !== 4 && level !== 5) {
    throw new CoreError("CORE_ARGUMENT", `level ${String(level)}: it is 3 (3.1), 4 (3.1.1) or 5 (5.0)`);
  }
}

/** Decodes the first packet of the bytes; what follows it is not looked at. */
export function decodeBytes(region: Region, bytes: Uint8Array, level: ProtocolLevel): Decoded {
  const length = packetLength(bytes, 0, bytes.length);
  // Bytes that cannot be enough are not copied.
  if (length === 0 || length > bytes.length) return { status: "incomplete", length };
  const whole = bytes.subarray(0, length === MALFORMED_LENGTH ? LONGEST_HEADER : length);
  return region.withBytes(whole, (ptr): Decoded => {
    const reasonCode = region.core.decodePacket(ptr, whole.length, level);
    if (reasonCode === 0) {
      const packet = readPacket(region.core.memory.buffer, region.core.headerPtr());
      return { status: "packet", packet, length };
    }
    if (reasonCode === DECODE_INCOMPLETE) throw new Error("core and host disagree on the length of a packet");
    const detail = detailText(region.header(H_DETAIL));
    return { status: "error", reasonCode, detail, offset: region.header(H_OFFSET) };
  });
}
