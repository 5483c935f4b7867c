// The head a proxy puts in front of a connection to say who the client is: PROXY protocol versions 1 (text) and 2
// (binary). Only the parser and the reader; whom to believe is decided by the listener's address list.
//
// Version 2:   0           12      13      14      16
//              | signature | ver/cmd | family | length | addresses, then TLVs (skipped) |
import { isIPv4, isIPv6 } from "node:net";
import type { Duplex } from "node:stream";
import { takeChunk } from "./first-byte.ts";
import type { SourceAddress } from "../streams/origin.ts";

const SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const TEXT = Buffer.from("PROXY ");
/** Longest version 1 line with its CR LF, by the specification. */
const TEXT_AT_MOST = 107;
const BINARY_HEAD = 16;
/**
 * Addresses and TLVs of a version 2 head. Not in limits.ts: real proxies send some hundred bytes, they are listed by the
 * operator, and handshakeTimeout bounds the time.
 */
export const BINARY_BODY_AT_MOST = 4_096;

export type ProxyHead =
  | { readonly state: "more" }
  | { readonly state: "bad"; readonly why: string }
  /** `source` is undefined where the proxy speaks for itself (LOCAL, UNKNOWN) or of a family we do not show. */
  | { readonly state: "head"; readonly length: number; readonly source: SourceAddress | undefined };

const MORE: ProxyHead = { state: "more" };

function bad(why: string): ProxyHead {
  return { state: "bad", why };
}

/** Reads a head at the start of `bytes`. Bytes that can not become one are told at the first wrong byte. */
export function parseProxyHead(bytes: Buffer): ProxyHead {
  if (bytes.length === 0) return MORE;
  if (startsLike(bytes, TEXT)) return bytes.length < TEXT.length ? MORE : parseText(bytes);
  if (startsLike(bytes, SIGNATURE)) return bytes.length < BINARY_HEAD ? MORE : parseBinary(bytes);
  return bad("no PROXY head");
}

function startsLike(bytes: Buffer, prefix: Buffer): boolean {
  const length = Math.min(bytes.length, prefix.length);
  return bytes.compare(prefix, 0, length, 0, length) === 0;
}

function parseText(bytes: Buffer): ProxyHead {
  const end = bytes.subarray(0, TEXT_AT_MOST).indexOf("\r\n");
  if (end < 0) return bytes.length < TEXT_AT_MOST ? MORE : bad("version 1 line too long");
  const length = end + 2;
  const fields = bytes.toString("latin1", TEXT.length, end).split(" ");
  const [family, from, to, fromPort, toPort] = fields;
  if (family === "UNKNOWN") return { state: "head", length, source: undefined };
  const isAddress = family === "TCP4" ? isIPv4 : family === "TCP6" ? isIPv6 : undefined;
  if (isAddress === undefined) return bad("version 1 line of an unknown family");
  if (fields.length !== 5 || !isAddress(from) || !isAddress(to) || !isPort(fromPort) || !isPort(toPort)) {
    return bad("malformed version 1 line");
  }
  return { state: "head", length, source: { address: from, port: Number(fromPort) } };
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function parseBinary(bytes: Buffer): ProxyHead {
  const command = bytes[12];
  const family = bytes[13];
  const body = bytes.readUInt16BE(14);
  if (command !== 0x20 && command !== 0x21) return bad("version or command unknown");
  if (body > BINARY_BODY_AT_MOST) return bad("version 2 head too long");
  const length = BINARY_HEAD + body;
  if (command === 0x21 && (family === 0x11 || family === 0x21)) {
    if (body < (family === 0x11 ? 12 : 36)) return bad("version 2 head too short for its addresses");
    if (bytes.length < length) return MORE;
    return { state: "head", length, source: family === 0x11 ? sourceIPv4(bytes) : sourceIPv6(bytes) };
  }
  return bytes.length < length ? MORE : { state: "head", length, source: undefined };
}

function sourceIPv4(bytes: Buffer): SourceAddress {
  return { address: bytes.subarray(16, 20).join("."), port: bytes.readUInt16BE(24) };
}

function sourceIPv6(bytes: Buffer): SourceAddress {
  const groups: string[] = [];
  for (let at = 16; at < 32; at += 2) groups.push(bytes.readUInt16BE(at).toString(16));
  // The URL parser writes IPv6 addresses the one canonical way.
  const address = new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
  return { address, port: bytes.readUInt16BE(48) };
}

/** Reads a head off a stream; what came behind it goes back into the stream. */
export function readProxyHead(stream: Duplex, done: (head: ProxyHead) => void): void {
  let bytes: Buffer = Buffer.alloc(0);
  const take = (chunk: Buffer | undefined): void => {
    if (chunk === undefined) {
      done(bad("ended within the head"));
      return;
    }
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    const head = parseProxyHead(bytes);
    if (head.state === "more") {
      takeChunk(stream, take);
      return;
    }
    if (head.state === "head" && head.length < bytes.length) stream.unshift(bytes.subarray(head.length));
    done(head);
  };
  takeChunk(stream, take);
}
