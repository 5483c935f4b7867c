// A stream of packets, whatever chunks its bytes come in. Keeps no more than one incomplete packet and what the caller
// has not read yet; knows nothing of who may send which packet when.
import type { Packet } from "../protocol/packet.ts";
import { PACKET_NAMES, PacketType, type ProtocolLevel } from "../protocol/packet-types.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import { checkLevel, decodeBytes, packetLength } from "./codec.ts";
import { CoreError, PacketDecodeError } from "./core-errors.ts";
import type { Region } from "./region.ts";

/** The longest packet MQTT knows. */
const LONGEST_PACKET = 268_435_460;
const KEEP = 65_536; // a buffer above this is given back when it is empty
const EMPTY = new Uint8Array(0);
const CONNACK_OF_3X = 4; // bytes; in 5.0 a length of properties follows

export interface ParserOptions {
  /** Level of the packets until a CONNECT says otherwise. Left out: the CONNECT or CONNACK the stream begins with tells. */
  level?: ProtocolLevel;
  /** bytes; a longer packet is refused with 0x95 as soon as its length is known. Default: what MQTT allows, 256 MiB */
  maximumPacketSize?: number;
}

export class PacketParser {
  readonly #region: Region;
  readonly #maximum: number;
  #level: ProtocolLevel | undefined;
  #bytes = EMPTY;
  #start = 0;
  #end = 0;
  #failure: PacketDecodeError | undefined;

  constructor(region: Region, { level, maximumPacketSize = LONGEST_PACKET }: ParserOptions = {}) {
    if (level !== undefined) checkLevel(level);
    if (!(maximumPacketSize >= 2)) {
      throw new CoreError("CORE_ARGUMENT", `maximumPacketSize ${maximumPacketSize}: a packet has two bytes`);
    }
    this.#region = region;
    this.#level = level;
    this.#maximum = Math.min(maximumPacketSize, LONGEST_PACKET);
  }

  /** Level of the stream; undefined until it is known. */
  get level(): ProtocolLevel | undefined {
    return this.#level;
  }

  /** Bytes kept: of an incomplete packet, or of packets not read yet. */
  get buffered(): number {
    return this.#end - this.#start;
  }

  /**
   * Takes a copy of the chunk at once and returns the packets that are whole now; each is decoded when it is asked for,
   * and those not asked for come first next time. A malformed packet throws PacketDecodeError when its turn comes;
   * the stream ends there, and the parser throws the same error ever after.
   */
  push(chunk: Uint8Array): Iterable<Packet> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.buffered > this.#maximum) {
      throw new CoreError("CORE_PARSER_UNREAD", "packets of earlier chunks were not read");
    }
    this.#append(chunk);
    return this.#packets();
  }

  *#packets(): Generator<Packet, void, void> {
    for (let packet = this.#next(); packet !== undefined; packet = this.#next()) yield packet;
  }

  #next(): Packet | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const bytes = this.#bytes;
    const start = this.#start;
    const length = packetLength(bytes, start, this.#end);
    if (length > this.#maximum) {
      return this.#fail("CORE_PACKET", ReasonCode.packetTooLarge, "packet above the Maximum Packet Size", 1);
    }
    if (length === 0 || length > this.#end - start) return undefined;
    const level = this.#levelOf(bytes[start] >> 4, length);
    const decoded = decodeBytes(this.#region, bytes.subarray(start, this.#end), level);
    if (decoded.status === "error") {
      return this.#fail("CORE_PACKET", decoded.reasonCode, decoded.detail, decoded.offset);
    }
    if (decoded.status === "incomplete") return undefined;
    const { packet } = decoded;
    if (packet.type === "connect") this.#level = packet.level;
    this.#start += length;
    if (this.#start === this.#end) this.#clear();
    return packet;
  }

  #levelOf(type: number, length: number): ProtocolLevel {
    if (type === PacketType.connect) return 5; // it tells its level itself
    if (this.#level === undefined) {
      // A CONNACK of 3.x has two bytes behind its length, that of 5.0 has more. AUTH came with 5.0.
      if (type === PacketType.connack) this.#level = length <= CONNACK_OF_3X ? 4 : 5;
      else if (type === PacketType.auth) this.#level = 5;
    }
    if (this.#level !== undefined) return this.#level;
    const name = PACKET_NAMES[type] ?? `packet type ${type}`;
    const detail = `the stream begins with ${name}, not with connect or connack: the parser must be given a level`;
    return this.#fail("CORE_LEVEL_UNKNOWN", ReasonCode.protocolError, detail, 0);
  }

  #fail(
    code: "CORE_PACKET" | "CORE_LEVEL_UNKNOWN",
    reasonCode: number,
    detail: string,
    offset: number,
  ): never {
    this.#clear();
    this.#failure = new PacketDecodeError(code, reasonCode, detail, offset);
    throw this.#failure;
  }

  #append(chunk: Uint8Array): void {
    const used = this.buffered;
    const needed = used + chunk.length;
    if (needed > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(needed, Math.min(used * 2, this.#maximum)));
      bytes.set(this.#bytes.subarray(this.#start, this.#end));
      this.#bytes = bytes;
      this.#start = 0;
    } else if (this.#end + chunk.length > this.#bytes.length) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
      this.#start = 0;
    }
    this.#bytes.set(chunk, this.#start + used);
    this.#end = this.#start + needed;
  }

  #clear(): void {
    this.#start = 0;
    this.#end = 0;
    if (this.#bytes.length > KEEP) this.#bytes = EMPTY;
  }
}
