// Messages the core has written into its store arena: taken over into the turn's segment once per call, however many
// sessions they are for, or copied one by one. Valid only while the records of that call are being read.
import type { Segments } from "../../session/segments.ts";
import type { CoreDoor } from "../turn/core-door.ts";
import type { Turn } from "../turn/turn.ts";

export class StoreArena {
  /** Payload the host holds for the message of the present call. */
  external: Buffer | undefined;
  readonly #door: CoreDoor;
  readonly #segments: Segments;
  readonly #turn: Turn;
  #base = -1;
  #externalAt = -1;
  #all: Buffer | undefined;

  constructor(door: CoreDoor, segments: Segments, turn: Turn) {
    this.#door = door;
    this.#segments = segments;
    this.#turn = turn;
  }

  /** The records of another call are going to be read. */
  begin(external: Buffer | undefined): void {
    if (external !== undefined) this.external = external;
    this.#base = -1;
    this.#externalAt = -1;
    this.#all = undefined;
  }

  /** Offset in the turn's segment of what stands at `offset` of the store arena: the arena is taken over once per call. */
  keep(offset: number): number {
    const border = this.#door.border;
    if (this.external !== undefined && border.memory.readUInt32LE(border.store + offset + 28) !== 0) {
      if (this.#externalAt < 0) {
        const head = border.store + offset;
        const size = border.memory.readUInt32LE(head);
        this.#externalAt = this.#segments.appendParts(
          border.memory.subarray(head, head + size),
          this.external,
        );
      }
      return this.#externalAt;
    }
    return this.keepPlain(offset);
  }

  /** The same for what is never external: subscription identifiers. */
  keepPlain(offset: number): number {
    const border = this.#door.border;
    if (this.#base < 0) {
      this.#base = this.#segments.append(border.memory, border.store, border.storeUsed);
      this.#turn.touch();
    }
    return this.#base + offset;
  }

  /** A copy of all that this call has stored, made once; offsets in it are those of the arena. */
  copyAll(): Buffer {
    const border = this.#door.border;
    this.#all ??= border.copy(border.store, border.storeUsed);
    return this.#all;
  }

  /** A copy of the message at an offset of the store arena, external payload included. */
  copy(offset: number): Buffer {
    const border = this.#door.border;
    const at = border.store + offset;
    const size = border.memory.readUInt32LE(at);
    const external = border.memory.readUInt32LE(at + 28);
    const bytes = Buffer.allocUnsafeSlow(size + external);
    border.memory.copy(bytes, 0, at, at + size);
    if (external !== 0) {
      bytes.set(this.external as Buffer, size);
      // From here on the payload is part of the message like any other.
      bytes.writeUInt32LE(size + external, 0);
      bytes.writeUInt32LE(0, 28);
    }
    return bytes;
  }
}
