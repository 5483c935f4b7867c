// Messages born on the host (of the embedder, Wills, QoS 2 that waited for its commit) on their way to their receivers: one
// at a time in the order they came, in slices, between which clients get their turn. A slice is a range of slots, so that
// each session gets the message once, whoever comes and goes meanwhile.
import { type Border, SCRATCH_SIZE } from "../../core/border.ts";
import {
  H_DROPPED,
  H_HITS,
  H_NEXT_SLOT,
  H_OVER_RATE,
  H_OVER_RATE_OF_ALL,
  H_SENT,
  NO_SLOT,
} from "../../core/generated/abi.ts";
import { viewMessage } from "../../core/message-view.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { Deliveries } from "./deliveries.ts";
import { messageParts } from "../messages/message.ts";

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

/** What became of a message so far; what waits in queues is neither sent nor dropped. */
export interface Told {
  /** Sessions that it is for. */
  receivers: number;
  /** Packets that are on their way. */
  sent: number;
  /** With QoS 0: dropped, its receiver over a rate of deliveries. */
  overRate: number;
  /** With QoS 0: dropped, too much waits for its receiver. */
  dropped: number;
}

export interface Injection {
  /** Canonical, not changed by anybody until it is done. */
  readonly message: Buffer;
  /** Its sender is told where the commit fails. */
  readonly refusable: boolean;
  /** The session it comes from, for No Local. */
  readonly sender?: BrokerSession;
  /** Numbers in the store of sessions that have it already. */
  readonly skip?: ReadonlySet<number> | undefined;
  /**
   * A slice is on its way, and belongs to this turn's commit; more follow in later ones. What of it must survive are `count`
   * deliveries of the turn's segment, from the one with the number `first` on.
   */
  sliced?(first: number, count: number): void;
  /** It is on its way to all, but those that `missed` it for want of memory; the last of it belongs to this turn's commit. */
  done?(told: Told, missed: boolean): void;
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
  #told = nobodyTold();
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
      const before = this.#told.receivers;
      const { segments } = this.#door.deliveries.queues;
      const first = segments.noted;
      try {
        const next = this.#slice(injection, limit);
        if (next !== NO_SLOT) {
          this.#from = next;
          injection.sliced?.(first, segments.noted - first);
          return;
        }
      } catch (error) {
        this.#next();
        injection.failed?.(error);
        throw error;
      }
      left -= this.#told.receivers - before;
      const [told, missed] = [this.#told, this.#missed];
      this.#next();
      injection.done?.(told, missed);
    }
  }

  #slice({ message, refusable, skip }: Injection, limit: number): number {
    const { border } = this.#door;
    const { queues } = this.#door.deliveries;
    const { missed } = queues;
    let next = NO_SLOT;
    queues.skip = skip;
    try {
      this.#call(message, refusable, this.#told, (head, now) => {
        const stop = border.injectSlice(head, head.length, this.#from, limit, now);
        next = border.word(H_NEXT_SLOT) >>> 0;
        return stop;
      });
    } finally {
      queues.skip = undefined;
    }
    if (queues.missed !== missed) this.#missed = true;
    return next;
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
      const told = nobodyTold();
      this.#call(message, false, told, (head, now) =>
        border.injectToMember(head, head.length, group, member, now),
      );
      return told.receivers;
    }
    return 0;
  }

  /** To one session, at once: where it subscribed the topic or, `implied`, in any case. No receiver: it did not. */
  tell(message: Buffer, slot: number, implied: boolean): Told {
    const { border } = this.#door;
    const told = nobodyTold();
    this.#call(message, true, told, (head, now) =>
      border.injectToSlot(head, head.length, slot, implied, now),
    );
    return told;
  }

  /** Adds to `told` what became of it. */
  #call(message: Buffer, refusable: boolean, told: Told, enter: (head: Buffer, now: number) => number): void {
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
    const { border } = this.#door;
    const sent = border.count(H_SENT);
    const overRate = overRates(border);
    const dropped = border.count(H_DROPPED);
    const stop = enter(head, Date.now());
    deliveries.queues.promised = !refusable;
    try {
      this.#door.complete(stop);
    } finally {
      deliveries.queues.promised = false;
    }
    // Before settle(), which may send what waited in queues.
    told.receivers += border.word(H_HITS);
    told.sent += border.count(H_SENT) - sent;
    told.overRate += overRates(border) - overRate;
    told.dropped += border.count(H_DROPPED) - dropped;
    this.#door.settle();
  }

  #next(): void {
    this.#queue.shift();
    this.#from = 0;
    this.#told = nobodyTold();
    this.#missed = false;
  }
}

function nobodyTold(): Told {
  return { receivers: 0, sent: 0, overRate: 0, dropped: 0 };
}

function overRates(border: Border): number {
  return border.count(H_OVER_RATE) + border.count(H_OVER_RATE_OF_ALL);
}
