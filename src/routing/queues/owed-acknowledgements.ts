// Acknowledgements the host owes a client: PUBREL and PUBCOMP, told to the core when no records are being read.
import type { CoreDoor } from "../turn/core-door.ts";

const PUBREL = 0x62;
const PUBCOMP = 0x70;
const WORDS = 5;

export class OwedAcknowledgements {
  readonly #door: CoreDoor;
  /** Slot, type, packet id, reason, commit. */
  readonly #owed: number[] = [];

  constructor(door: CoreDoor) {
    this.#door = door;
  }

  pubrel(slot: number, packetId: number, commit: number): void {
    this.#owed.push(slot, PUBREL, packetId, 0, commit);
  }

  pubcomp(slot: number, packetId: number, reason: number, commit: number): void {
    this.#owed.push(slot, PUBCOMP, packetId, reason, commit);
  }

  /** Those that come meanwhile stand behind; where the core traps, the rest is owed by the next one. */
  settle(): void {
    const owed = this.#owed;
    if (owed.length === 0) return;
    let done = 0;
    try {
      while (done < owed.length) {
        const at = done;
        done += WORDS;
        this.#door.complete(
          this.#door.border.oweAck(owed[at], owed[at + 1], owed[at + 2], owed[at + 3], owed[at + 4]),
        );
      }
    } finally {
      owed.splice(0, done);
    }
  }
}
