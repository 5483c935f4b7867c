// Ends of sessions that the store may not have yet: each is told to it again as long as a client asks for the session under
// that key, so that a crash cannot bring back what a client was told is gone.
import type { Turn } from "../turn/turn.ts";

export class UnsafeEnds {
  readonly #turn: Turn;
  /** By session key: numbers in the store, oldest first. */
  readonly #storeIds = new Map<string, number>();

  constructor(turn: Turn) {
    this.#turn = turn;
  }

  /** It ends with this turn's commit. */
  add(key: string, storeId: number): void {
    this.#storeIds.delete(key);
    this.#storeIds.set(key, storeId);
    this.#turn.afterCommit((reason) => {
      if (reason !== 0 || this.#storeIds.get(key) !== storeId) return;
      // A store that works again has written the ends it could not write before.
      for (const [older, id] of this.#storeIds) {
        this.#storeIds.delete(older);
        if (id === storeId) return;
      }
    });
  }

  /** True where a session under this key has ended and the store may still have it: it is told again, in this turn. */
  tellAgain(key: string): boolean {
    const storeId = this.#storeIds.get(key);
    if (storeId === undefined) return false;
    this.#turn.batch.sessionEnded({ key, storeId, cursor: () => NO_QUEUE });
    this.add(key, storeId);
    return true;
  }
}

const NO_QUEUE = new Uint8Array(8);
