// Messages born on the host (of the embedder, Wills, QoS 2 that waited for its commit) on their way to their receivers: one
// at a time in the order they came, in slices, between which clients get their turn. A slice is a range of slots, so that
// each session gets the message once, whoever comes and goes meanwhile.
import { type Border, SCRATCH_SIZE } from "../core/border.ts";
import { H_HITS, H_NEXT_SLOT, NO_SLOT } from "../core/generated/abi.ts";
import { viewMessage } from "../core/message-view.ts";
import type { BrokerSession } from "./broker-session.ts";
import type { Deliveries } from "./deliveries.ts";
import { messageParts } from "./message.ts";

/** Receivers of one slice. */
const SLICE_RECEIVERS = 1_024;
/** Bytes of one slice, as far as the receivers' copies make them. */
const SLICE_BYTES = 8_388_608;
/** Messages that are begun in one turn, however few their receivers. */
const SLICE_MESSAGES = 256;
/** Members of a shared group that are asked for one message. */
const MEMBERS_ASKED = 256;
/** A message longer than this goes to the core without its payload. */
const WHOLE = 131_072;
/** Of the sender's slot in a canonical message, see assembly/abi.ts. */
const SENDER_OFFSET = 8;

export interface Injection {
  /** Canonical, not changed by anybody until it is done. */
  readonly message: Buffer;
  /** Its sender is told where the commit fails. */
  readonly refusable: boolean;
  /** The session it comes from, for No Local. */
  readonly sender?: BrokerSession;
  /** A slice is on its way, and belongs to this turn's commit; more follow in later ones. */
  sliced?(): void;
  /** It is on its way to all, but those that `missed` it for want of memory; the last of it belongs to this turn's commit. */
  done?(receivers: number, missed: boolean): void;
  /** It is not, or not to all. */
  failed?(error: unknown): void;
}

/** What the router lends: the core, when it is free. */
export interface CallDoor {
  readonly border: Border;
  readonly deliveries: Deliveries;
  whenFree(action: () => void): void;
  complete(stop: number): number;
  settle(): void;
}

export class Injections {
  readonly #door: CallDoor;
  readonly #queue: Injection[] = [];
  /** Where the first one stands. */
  #from = 0;
  #receivers = 0;
  #missed = false;
  #working = false;
  #idle: (() => void)[] = [];

  constructor(door: CallDoor) {
    this.#door = door;
  }

  /** Messages that are not on their way to all. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Resolves when nothing waits. */
  settled(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Begins at once where nothing is in front. The core must be free. */
  add(injection: Injection): void {
    this.#queue.push(injection);
    if (this.#queue.length === 1 && !this.#working) this.#work();
  }

  #work(): void {
    this.#working = true;
    try {
      this.#serve();
    } finally {
      this.#working = false;
      if (this.#queue.length > 0) setImmediate(() => this.#door.whenFree(() => this.#work()));
      else for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  #serve(): void {
    let left = SLICE_RECEIVERS;
    for (let begun = 0; begun < SLICE_MESSAGES && left > 0 && this.#queue.length > 0; begun++) {
      const injection = this.#queue[0];
      const { message, sender } = injection;
      // Its slot may be another session's by now: No Local must not compare with that.
      if (sender?.ended) message.writeUInt32LE(NO_SLOT, SENDER_OFFSET);
      const limit = Math.max(64, Math.min(left, Math.floor(SLICE_BYTES / message.length)));
      const before = this.#receivers;
      try {
        const { next, receivers } = this.#slice(injection, limit);
        this.#receivers += receivers;
        if (next !== NO_SLOT) {
          this.#from = next;
          injection.sliced?.();
          return;
        }
      } catch (error) {
        this.#next();
        injection.failed?.(error);
        throw error;
      }
      left -= this.#receivers - before;
      const [total, missed] = [this.#receivers, this.#missed];
      this.#next();
      injection.done?.(total, missed);
    }
  }

  #slice({ message, refusable }: Injection, limit: number): { next: number; receivers: number } {
    const { border } = this.#door;
    const { queues } = this.#door.deliveries;
    const { missed } = queues;
    let next = NO_SLOT;
    const receivers = this.#call(message, refusable, (head, now) => {
      const stop = border.injectSlice(head, head.length, this.#from, limit, now);
      next = border.word(H_NEXT_SLOT) >>> 0;
      return stop;
    });
    if (queues.missed !== missed) this.#missed = true;
    return { next, receivers };
  }

  /**
   * To one member of a shared group, at once: the next that `may` have it. Returns 1, or 0 where there is none. The core must
   * be free.
   */
  toGroup(message: Buffer, group: number, may: (slot: number) => boolean): number {
    const { qos } = viewMessage(message, 0);
    const asked = new Set<number>();
    while (asked.size < MEMBERS_ASKED) {
      const { border } = this.#door;
      const member = border.core.nextMember(group, qos, asked.size > 0 ? 1 : 0);
      // Round once: nobody may.
      if (member < 0 || asked.has(member)) return 0;
      asked.add(member);
      if (!may(member)) continue;
      return this.#call(message, false, (head, now) =>
        border.injectToMember(head, head.length, group, member, now),
      );
    }
    return 0;
  }

  /** To one session, at once: where it subscribed the topic or, `implied`, in any case. Returns 1, or 0 where it did not. */
  tell(message: Buffer, slot: number, implied: boolean): number {
    const { border } = this.#door;
    return this.#call(message, true, (head, now) =>
      border.injectToSlot(head, head.length, slot, implied, now),
    );
  }

  #call(message: Buffer, refusable: boolean, enter: (head: Buffer, now: number) => number): number {
    const { deliveries } = this.#door;
    let head = message;
    if (message.length > WHOLE) {
      const { payload, payloadEnd } = messageParts(viewMessage(message, 0));
      head = Buffer.from(message.subarray(0, payload));
      head.writeUInt32LE(payload, 0);
      head.writeUInt32LE(payloadEnd - payload, 28);
      deliveries.arena.external = message.subarray(payload);
    }
    if (head.length > SCRATCH_SIZE) throw new RangeError(`topic and properties of ${head.length} bytes`);
    const stop = enter(head, Date.now());
    deliveries.queues.promised = !refusable;
    try {
      this.#door.complete(stop);
    } finally {
      deliveries.queues.promised = false;
    }
    const receivers = this.#door.border.word(H_HITS);
    this.#door.settle();
    return receivers;
  }

  #next(): void {
    this.#queue.shift();
    this.#from = 0;
    this.#receivers = 0;
    this.#missed = false;
  }
}
