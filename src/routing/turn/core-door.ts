// What parts of the routing that are not the router may do with the core: finish a call, and wait until it is free.
import type { Connection } from "../../connection/connection.ts";
import type { Border } from "../../core/border.ts";

export interface CoreDoor {
  /** The core of now: another one after a trap. */
  readonly border: Border;
  /** Runs `action` when the core is free: now, or after what is going on. `connection` is whose it is. */
  whenFree(action: () => void, connection?: Connection): void;
  /** Runs `action` behind what is going on. */
  later(action: () => void): void;
  /** Finishes a call made outside a run: `stop` is its first result. */
  complete(stop: number): number;
  /** Was this thrown by the core, or does it leave the core in the middle of a call? */
  isTrap(error: unknown): boolean;
  /** Something was thrown: a trap costs the core, anything else the connection. */
  failed(error: unknown, connection: Connection | undefined): void;
  /** Tells the core how much a connection may still be given; true where that is anything. */
  settleCredit(connection: Connection): boolean;
}

/** What waits until the core is free, and whose it is. */
export interface Waiting {
  readonly action: () => void;
  readonly connection: Connection | undefined;
}
