// Reads the records of one call and hands each to whom it concerns: bytes to outboxes, deliveries to sessions. Nothing here
// may enter the core, and nothing is allocated for a QoS 0 message.
import type { Connection } from "../../connection/connection.ts";
import type { Border } from "../../core/border.ts";
import {
  R_ACKED,
  R_EXTERNAL,
  R_INPUT,
  R_LIMITED,
  R_LOCAL,
  R_PACED,
  R_PUBREL,
  R_RECEIVED,
  R_RETAIN,
  R_SENT,
  R_SKIPPED,
  R_STORED,
  R_TAP,
  R_UNSENT,
  R_WINDOW,
  R_WRITE,
  RECORD_WORDS,
} from "../../core/generated/abi.ts";
import type { BrokerMemory } from "../turn/broker-memory.ts";
import type { CoreDoor } from "../turn/core-door.ts";
import type { Deliveries } from "./deliveries.ts";
import type { LargeInput } from "./large-input.ts";
import type { RunInput } from "./run-input.ts";

type Action = (deliveries: Deliveries, words: Uint32Array, at: number) => void;

/**
 * What is done with a record that is no bytes for a connection, by its kind. A table, not cases: a case that is met for the
 * first time throws away what V8 has compiled of the whole loop, and a young broker meets one after the other.
 */
const ACTIONS: (Action | undefined)[] = [];
ACTIONS[R_STORED] = (deliveries, words, at) =>
  deliveries.stored(
    words[at + 1],
    words[at + 2],
    words[at + 3],
    words[at + 4],
    words[at + 5],
    words[at + 6],
    words[at + 7],
    words[at] >>> 8,
  );
ACTIONS[R_ACKED] = (deliveries, words, at) => deliveries.acknowledged(words[at + 1], words[at + 2]);
ACTIONS[R_RECEIVED] = (deliveries, words, at) =>
  deliveries.received(words[at + 1], words[at + 2], words[at + 3]);
ACTIONS[R_SENT] = (deliveries, words, at) => deliveries.sent(words[at + 1], words[at + 2], words[at + 3]);
ACTIONS[R_WINDOW] = (deliveries, words, at) => deliveries.pump.want(words[at + 1]);
ACTIONS[R_RETAIN] = (deliveries, words, at) => deliveries.retain(words[at + 1], words[at + 2], words[at + 3]);
ACTIONS[R_PUBREL] = (deliveries, words, at) =>
  deliveries.released(words[at + 1], words[at + 2], words[at + 3]);
ACTIONS[R_LOCAL] = (deliveries, words, at) => deliveries.local(words[at + 1], words[at + 2], words[at + 5]);
ACTIONS[R_LIMITED] = (deliveries, words, at) => deliveries.limited(words[at + 1], words[at + 2]);
ACTIONS[R_TAP] = (deliveries, words, at) => deliveries.tap(words[at + 1], words[at + 2], words[at + 3]);
ACTIONS[R_PACED] = (deliveries, words, at) => deliveries.paced(words[at + 1], words[at + 2], words[at + 3]);
ACTIONS[R_UNSENT] = (deliveries, words, at) => deliveries.unsent(words[at + 1], words[at + 2], words[at + 3]);
ACTIONS[R_SKIPPED] = (deliveries, words, at) => deliveries.skippedSamples.note(words[at + 1]);

/** A record that could not be acted on. */
interface Failure {
  readonly error: unknown;
  readonly connection: Connection | undefined;
}

export class Records {
  /** Connections by slot. */
  readonly connections: (Connection | undefined)[] = [];
  deliveries!: Deliveries;
  readonly #door: CoreDoor;
  readonly #memory: BrokerMemory;
  readonly #failures: Failure[] = [];
  /** The core has trapped meanwhile: told when the rest is done. */
  #trap: unknown;
  /** Bytes a connection may be given before the core is told anew what it may take. */
  readonly #creditStep: number;

  constructor(door: CoreDoor, memory: BrokerMemory, creditStep: number) {
    this.#door = door;
    this.#memory = memory;
    this.#creditStep = creditStep;
  }

  /** `input` is what R_INPUT ranges point into, `large` the packet whose payload the host holds. */
  act(border: Border, input: RunInput, large: LargeInput | undefined): void {
    this.deliveries.begin(large?.payload);
    const count = border.recordCount;
    for (let done = 0; done < count; ) done = this.#actFrom(done, count, border, input, large);
    if (this.#trap !== undefined) {
      const trap = this.#trap;
      this.#trap = undefined;
      throw trap;
    }
  }

  /** Tells of what failed, when no records are being read any more. */
  settle(): void {
    while (this.#failures.length > 0) {
      const { error, connection } = this.#failures.shift() as Failure;
      this.#door.failed(error, connection);
    }
  }

  /** Acts on the records from the given one on; returns where to go on, behind one that has failed. */
  #actFrom(
    first: number,
    count: number,
    border: Border,
    input: RunInput,
    large: LargeInput | undefined,
  ): number {
    const { connections, deliveries } = this;
    const words = border.words;
    const memory = border.memory;
    let at = border.records + first * RECORD_WORDS;
    let i = first;
    try {
      for (; i < count; i++, at += RECORD_WORDS) {
        const kind = words[at];
        const slot = words[at + 1];
        switch (kind & 0xff) {
          case R_WRITE: {
            const connection = connections[slot];
            if (connection === undefined) break;
            const { outbox } = connection;
            if (kind >>> 8 === R_INPUT) input.send(connection, words[at + 2] - border.input, words[at + 3]);
            else outbox.copy(memory, words[at + 2], words[at + 3]);
            if (outbox.taken > this.#creditStep || this.#memory.holdingBack)
              this.#door.settleCredit(connection);
            break;
          }
          case R_EXTERNAL: {
            const connection = connections[slot];
            if (connection === undefined) break;
            if (large !== undefined) large.send(connection, memory, words[at + 2], words[at + 3]);
            else {
              connection.outbox.copy(memory, words[at + 2], words[at + 3]);
              connection.outbox.send(deliveries.arena.external as Buffer);
            }
            this.#door.settleCredit(connection);
            break;
          }
          default:
            ACTIONS[kind & 0xff]?.(deliveries, words, at);
        }
      }
    } catch (error) {
      // One receiver's defect must not cost the others what is theirs.
      if (this.#door.isTrap(error)) this.#trap = error;
      else this.#failures.push({ error, connection: connections[words[at + 1]] });
      return i + 1;
    }
    return count;
  }
}
