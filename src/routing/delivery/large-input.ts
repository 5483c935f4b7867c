// A PUBLISH too long for a run, collected from its connection piece by piece. The core gets only its head, topic and properties;
// the payload is written to receivers out of the buffer in which it was collected. That buffer is used again, unless a stream
// or somebody else still reads it.
import { BufferPool } from "../../connection/buffer-pool.ts";
import type { Connection } from "../../connection/connection.ts";
import { INPUT_SIZE } from "../../core/generated/abi.ts";

/** Longer packets are collected in memory of their own. */
const LONGEST_POOLED = 1_048_576;
const PUBLISH = 3;

/** Length of what stands before the payload of a PUBLISH, but no more than the core takes; all, where that cannot be said. */
export function headLength(packet: Buffer, level: number): number {
  const { length } = packet;
  if (packet[0] >> 4 !== PUBLISH) return length;
  let at = 1;
  while ((packet[at++] & 128) !== 0);
  at += 2 + packet.readUInt16BE(at) + ((packet[0] & 6) === 0 ? 0 : 2);
  if (level === 5) {
    let properties = 0;
    for (let shift = 0; shift < 28 && at < length; shift += 7) {
      const byte = packet[at++];
      properties |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    at += properties;
  }
  return Math.min(at, INPUT_SIZE, length);
}

export class LargeInput {
  readonly #memory = new BufferPool(LONGEST_POOLED);
  #packet: Buffer | undefined;
  #head = 0;
  /** Somebody reads the packet when its run is over. */
  #kept = false;

  /** Room for a packet of `total` bytes. */
  collect(total: number): Buffer {
    return this.#memory.take(total).subarray(0, total);
  }

  begin(packet: Buffer, head: number): void {
    this.#packet = packet;
    this.#head = head;
    this.#kept = false;
  }

  /** What the core does not see; undefined where no such packet is being routed. */
  get payload(): Buffer | undefined {
    return this.#packet?.subarray(this.#head);
  }

  /** Sends a head that the core has made, `length` bytes at `from` of its memory, and the payload behind it. */
  send({ outbox }: Connection, memory: Buffer, from: number, length: number): void {
    const packet = this.#packet as Buffer;
    // Kept for now: it stays so where sending throws, as a stream may have part of it.
    const kept = this.#kept;
    this.#kept = true;
    let lent: boolean;
    if (length === this.#head && memory.compare(packet, 0, length, from, from + length) === 0) {
      lent = outbox.lend(packet);
    } else {
      outbox.copy(memory, from, length);
      lent = outbox.lend(packet.subarray(this.#head));
    }
    this.#kept = kept || lent;
  }

  /** The packet, for somebody who takes it over. */
  keep(): Buffer {
    this.#kept = true;
    return this.#packet as Buffer;
  }

  /** Its run is over. */
  end(): void {
    const packet = this.#packet;
    this.#packet = undefined;
    if (packet !== undefined && !this.#kept) this.#memory.give(packet);
  }
}
