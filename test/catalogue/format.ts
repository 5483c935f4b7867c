// How the packet catalogue is written: raw bytes, one field a line, and what must come of them.
//
//   00 04 "MQTT"   | protocol name        hex digits and quoted text; everything behind | is a comment
//   >03            | flags                > marks the byte at which a wrong packet must be refused
import type { Packet } from "../../src/protocol/packet.ts";
import type { ProtocolLevel } from "../../src/protocol/packet-types.ts";

export interface PacketCase {
  readonly name: string;
  readonly levels: readonly ProtocolLevel[];
  readonly bytes: Uint8Array;
  /** Of a right packet: what it says. */
  readonly packet?: Packet;
  /** A right packet that we would write otherwise. */
  readonly longhand?: boolean;
  /** Of a wrong packet. */
  readonly refusal?: { readonly reason: number; readonly detail: number; readonly offset: number };
}

export const V31: ProtocolLevel[] = [3];
export const V311: ProtocolLevel[] = [4];
export const V5: ProtocolLevel[] = [5];
export const V3X: ProtocolLevel[] = [3, 4];
export const SINCE311: ProtocolLevel[] = [4, 5];
export const ALL: ProtocolLevel[] = [3, 4, 5];

/** Bytes and, if a byte is marked, its offset. */
export function parseBytes(text: string): { bytes: Uint8Array; marked: number | undefined } {
  const bytes: number[] = [];
  let marked: number | undefined;
  for (const line of text.split("\n")) {
    for (const [token] of line.split("|")[0].matchAll(/"[^"]*"|>|[0-9a-f]{2}(?=\s|$)|\S+/g)) {
      if (token === ">") marked = bytes.length;
      else if (token.startsWith('"')) bytes.push(...new TextEncoder().encode(token.slice(1, -1)));
      else if (/^[0-9a-f]{2}$/.test(token)) bytes.push(Number.parseInt(token, 16));
      else throw new SyntaxError(`${token} in: ${line}`);
    }
  }
  return { bytes: Uint8Array.from(bytes), marked };
}

export function right(name: string, levels: ProtocolLevel[], text: string, packet: Packet): PacketCase {
  return { name, levels, bytes: parseBytes(text).bytes, packet };
}

/** Right, but not how this project would write it. */
export function longhand(name: string, levels: ProtocolLevel[], text: string, packet: Packet): PacketCase {
  return { ...right(name, levels, text, packet), longhand: true };
}

export function wrong(
  name: string,
  levels: ProtocolLevel[],
  text: string,
  reason: number,
  detail: number,
): PacketCase {
  const { bytes, marked } = parseBytes(text);
  if (marked === undefined) throw new SyntaxError(`no byte is marked in: ${name}`);
  return { name, levels, bytes, refusal: { reason, detail, offset: marked } };
}

export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
