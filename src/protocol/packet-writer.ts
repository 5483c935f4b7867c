// Writes the fields of a packet into one growing scratch buffer; take() copies the finished packet out of it.
// Knows field types only; which fields a packet has stands in packet-encoder.ts.

/** A field that MQTT cannot express: the caller's mistake, not the peer's. */
export class PacketEncodeError extends Error {
  readonly code = "MILLRACE_PACKET_FIELD";
  override readonly name = "PacketEncodeError";
}

const HEAD = 5; // room for the fixed header, whose length is known last
const SCRATCH = 4096;
const KEEP = 1 << 20; // a scratch buffer above this is not kept
const MAX_REMAINING_LENGTH = 268_435_455;
const encoder = new TextEncoder();

/** Bytes of a Variable Byte Integer. */
function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

export class PacketWriter {
  #bytes = new Uint8Array(SCRATCH);
  #end = HEAD;

  start(): void {
    this.#end = HEAD;
  }

  byte(value: number): void {
    this.#integer(value, 0xff);
    this.#room(1);
    this.#bytes[this.#end++] = value;
  }

  u16(value: number): void {
    this.#integer(value, 0xffff);
    this.#room(2);
    this.#bytes[this.#end++] = value >> 8;
    this.#bytes[this.#end++] = value;
  }

  u32(value: number): void {
    this.#integer(value, 0xffff_ffff);
    this.#room(4);
    this.#bytes[this.#end++] = value >>> 24;
    this.#bytes[this.#end++] = value >>> 16;
    this.#bytes[this.#end++] = value >>> 8;
    this.#bytes[this.#end++] = value;
  }

  varint(value: number): void {
    this.#integer(value, MAX_REMAINING_LENGTH);
    this.#room(4);
    this.#end = putVarint(this.#bytes, this.#end, value);
  }

  string(value: string): void {
    if (value.includes("\0")) throw new PacketEncodeError("U+0000 in a string"); // [MQTT-1.5.4-2]
    this.#room(2 + value.length * 3);
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(this.#end + 2));
    this.#length16(written);
    this.#end += written;
  }

  binary(value: Uint8Array): void {
    this.#room(2 + value.length);
    this.#length16(value.length);
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.#end);
    this.#end += value.length;
  }

  /** Runs `write`, and puts the length of what it wrote in front as a Variable Byte Integer. */
  measured(write: () => void): void {
    const at = this.#end;
    this.byte(0); // right in nearly every case: less than 128 bytes
    write();
    const length = this.#end - at - 1;
    const more = varintSize(length) - 1;
    if (more > 0) {
      this.#room(more);
      this.#bytes.copyWithin(at + 1 + more, at + 1, this.#end);
      this.#end += more;
    }
    putVarint(this.#bytes, at, length);
  }

  /** The packet: fixed header in front of everything written since start(). */
  take(firstByte: number): Uint8Array {
    const length = this.#end - HEAD;
    if (length > MAX_REMAINING_LENGTH) throw new PacketEncodeError("packet longer than 268,435,455 bytes");
    const start = HEAD - 1 - varintSize(length);
    this.#bytes[start] = firstByte;
    putVarint(this.#bytes, start + 1, length);
    const packet = this.#bytes.slice(start, this.#end);
    if (this.#bytes.length > KEEP) this.#bytes = new Uint8Array(SCRATCH);
    return packet;
  }

  #length16(length: number): void {
    if (length > 0xffff) throw new PacketEncodeError("field longer than 65,535 bytes");
    this.#bytes[this.#end++] = length >> 8;
    this.#bytes[this.#end++] = length;
  }

  #integer(value: number, maximum: number): void {
    if (!Number.isInteger(value) || value < 0 || value > maximum) {
      throw new PacketEncodeError(`${value} is not an integer from 0 to ${maximum}`);
    }
  }

  #room(count: number): void {
    const needed = this.#end + count;
    if (needed <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    bytes.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = bytes;
  }
}

function putVarint(bytes: Uint8Array, at: number, value: number): number {
  while (value >= 0x80) {
    bytes[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  bytes[at++] = value;
  return at;
}
