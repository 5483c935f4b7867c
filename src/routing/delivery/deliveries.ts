// What the core's records mean for sessions: messages stored and sent, acknowledgements, retained messages, copies for
// subscribers in this process. Each record is acted on at once; what enters the core again waits for settle().
import type { Gate } from "../../access/gate.ts";
import {
  NO_OFFSET,
  SLOT_QUEUED,
  STORED_UNSENT,
  UNSENT_CREDIT,
  UNSENT_RATE,
} from "../../core/generated/abi.ts";
import { type MessageView, messageTopic, viewMessage } from "../../core/message-view.ts";
import type { Limits } from "../../limits.ts";
import type { Metrics } from "../../metrics.ts";
import { Q_LATE, Q_PROMISED, Q_RECEIVED } from "../../session/queue.ts";
import type { Segments } from "../../session/segments.ts";
import type { BrokerMemory } from "../turn/broker-memory.ts";
import type { BrokerSession } from "../turn/broker-session.ts";
import type { CoreDoor } from "../turn/core-door.ts";
import { messageParts } from "../messages/message.ts";
import { OwedAcknowledgements } from "../queues/owed-acknowledgements.ts";
import { Pacer } from "../queues/pacer.ts";
import { MAX_SPAN, QueuePump } from "../queues/queue-pump.ts";
import type { RetainedKeeper } from "../retained/retained-keeper.ts";
import { SafeSending } from "../queues/safe-sending.ts";
import { SessionQueues } from "../queues/session-queues.ts";
import { SkippedSamples } from "../messages/skipped-samples.ts";
import { StoreArena } from "../messages/store-arena.ts";
import { Taps } from "../messages/taps.ts";
import type { Turn } from "../turn/turn.ts";

/** Receives messages for an in-process subscriber; called after the run. */
export type LocalReceiver = (message: MessageView, options: number) => void;

export class Deliveries {
  readonly arena: StoreArena;
  readonly queues: SessionQueues;
  readonly pump: QueuePump;
  readonly pacer: Pacer;
  readonly retained: RetainedKeeper;
  readonly receivers: (LocalReceiver | undefined)[] = [];
  /** A step of an exchange could not be stored: the session's connection must begin it again. */
  onUnsafe: ((session: BrokerSession) => void) | undefined;
  /** A session may be sent to again: for what waits elsewhere than in its queue. */
  onPaceOver: ((session: BrokerSession) => void) | undefined;
  readonly taps: Taps;
  readonly skippedSamples: SkippedSamples;
  readonly #door: CoreDoor;
  readonly #turn: Turn;
  readonly #gate: Gate;
  readonly #safe: SafeSending;
  readonly #acknowledgements: OwedAcknowledgements;
  readonly #local: (() => void)[] = [];

  constructor(
    door: CoreDoor,
    segments: Segments,
    memory: BrokerMemory,
    retained: RetainedKeeper,
    gate: Gate,
    turn: Turn,
    limits: Limits,
    metrics: Metrics,
  ) {
    this.#door = door;
    this.#turn = turn;
    this.#gate = gate;
    this.retained = retained;
    this.arena = new StoreArena(door, segments, turn);
    this.taps = new Taps(door, gate);
    this.skippedSamples = new SkippedSamples(door, gate, (slot) => this.queues.sessions[slot]);
    this.queues = new SessionQueues(door, this.arena, segments, memory, turn, limits, metrics);
    this.#safe = new SafeSending(
      door,
      this.queues,
      turn,
      (session) => {
        this.pump.send(session);
        this.settle();
      },
      (session) => this.onUnsafe?.(session),
    );
    this.pump = new QueuePump(door, this.queues, this.arena, this.#safe, gate, turn, limits, metrics);
    this.pacer = new Pacer(
      (action) => door.whenFree(action),
      (session) => {
        turn.touch();
        this.pump.want(session.slot);
        this.settle();
        this.onPaceOver?.(session);
      },
    );
    this.#acknowledgements = new OwedAcknowledgements(door);
  }

  /** The records of another call are going to be read. */
  begin(external: Buffer | undefined): void {
    this.arena.begin(external);
  }

  /** The turn's batch is with the store: what comes now belongs to the next one. */
  commitStarted(): void {
    this.#safe.commitStarted();
  }

  stored(
    slot: number,
    offset: number,
    position: number,
    packetId: number,
    options: number,
    ids: number,
    sender: number,
    senderId: number,
  ): void {
    const session = this.queues.sessions[slot] ?? this.queues.wake?.(slot);
    if (session === undefined) return;
    const { missed } = this.queues;
    if (!this.queues.append(session, offset, position, packetId, options, ids)) {
      // Over its own bound a session loses messages, over the broker's the sender keeps them: better twice than never.
      if (senderId !== 0 && this.queues.missed !== missed)
        this.#door.border.core.refuseMessage(sender, senderId);
      return;
    }
    const { queue } = session;
    if (this.queues.promised) queue.addOption(position, Q_PROMISED);
    if (options & STORED_UNSENT) this.#safe.when(session, position, packetId);
    else if (packetId !== 0) {
      queue.setPacketId(position, packetId);
      if (queue.sent === position) queue.advance();
      if (queue.length >= MAX_SPAN) this.#door.border.core.setSlotFlags(slot, SLOT_QUEUED, 0);
    }
  }

  acknowledged(slot: number, position: number): void {
    const session = this.queues.sessions[slot];
    if (session?.queue.holds(position)) this.queues.forget(session, position);
    // A message too large for its receiver was never sent: the boundary moves over it [MQTT-3.1.2-25].
    if (session !== undefined && session.queue.sent === position && session.queue.tail !== position)
      session.queue.advance();
  }

  received(slot: number, position: number, packetId: number): void {
    const session = this.queues.sessions[slot];
    if (session === undefined) return;
    let commit = 0;
    if (session.queue.holds(position)) {
      session.queue.addOption(position, Q_RECEIVED);
      if (session.persistent) {
        this.#turn.batch.queue(session);
        commit = this.#await(session, () => {
          if (!session.queue.holds(position)) return;
          session.queue.removeOption(position, Q_RECEIVED);
          // The store may have kept the step all the same, as a fact that the refusal does not undo.
          this.#turn.moved(session);
          this.#turn.touch();
        });
        this.#rememberReceived(session, commit);
      }
    }
    this.#acknowledgements.pubrel(slot, packetId, commit);
  }

  /** A PUBREL repeated to the next connection waits for the same commit as the first one. */
  #rememberReceived(session: BrokerSession, commit: number): void {
    if (session.receivedCommit === commit) return;
    session.receivedCommit = commit;
    this.#turn.afterCommit(() => {
      if (session.receivedCommit === commit) session.receivedCommit = 0;
    });
  }

  released(slot: number, packetId: number, reason: number): void {
    const session = this.queues.sessions[slot];
    if (session?.passing?.has(packetId)) {
      session.passing.set(packetId, { reason, connection: session.connection });
      return;
    }
    let commit = 0;
    if (session?.inbound?.delete(packetId)) {
      this.#turn.batch.released(session, packetId);
      commit = this.#await(session, () => session.inbound?.add(packetId));
    } else if (session?.persistent && this.#turn.unsettled) {
      // Freed before, perhaps not safely yet: a crash would hold the id again, and its next message be taken for this one.
      commit = this.#await(session, () => {});
    }
    this.#acknowledgements.pubcomp(slot, packetId, reason, commit);
  }

  /**
   * The commit a PUBREL or PUBCOMP waits for. Neither can say no: where the commit fails its step is taken back, and the
   * client repeats it behind its next CONNECT.
   */
  #await(session: BrokerSession, takeBack: () => void): number {
    this.#turn.afterCommit((reason) => {
      if (reason === 0) return;
      takeBack();
      this.onUnsafe?.(session);
    });
    return this.#turn.commit;
  }

  sent(slot: number, position: number, packetId: number): void {
    const session = this.queues.sessions[slot];
    if (session === undefined) return;
    const { queue } = session;
    if (queue.sent !== position) return;
    if (queue.holds(position)) {
      queue.setPacketId(position, packetId);
      if (session.persistent) {
        queue.addOption(position, Q_LATE);
        this.#turn.moved(session);
      }
    }
    queue.advance();
  }

  /** A PUBLISH with RETAIN=1 of a client. */
  retain(slot: number, offset: number, packetId: number): void {
    const message = this.arena.copy(offset);
    const session = this.queues.sessions[slot];
    const policy = session?.policy.capabilities;
    if (policy !== undefined && !(session?.level === 5 ? policy.retain5 : policy.retain3)) return;
    const view = viewMessage(message, 0);
    if (this.retained.store(message, view.qos > 0, session)) return;
    const { core } = this.#door.border;
    // Before 5.0 without an acknowledgement: the store may work again when the client sends it again.
    if (this.retained.storeBehind) core.refuseMessage(slot, packetId);
    else core.refuseRetained(slot, packetId);
  }

  local(slot: number, offset: number, options: number): void {
    const receiver = this.receivers[slot];
    if (receiver === undefined) return;
    const message = viewMessage(this.arena.copy(offset), 0);
    this.#local.push(() => receiver(message, options));
  }

  tap(slot: number, offset: number, refusal: number): void {
    const session = this.queues.sessions[slot];
    if (session === undefined) return;
    const { arena } = this;
    // Of a large message there is one in a call; all others share a copy.
    if (arena.external !== undefined) this.taps.add(session, arena.copy(offset), 0, refusal);
    else this.taps.add(session, arena.copyAll(), offset, refusal);
  }

  /** A session publishes more often than it may, or than somebody it speaks for may. */
  limited(slot: number, meter: number): void {
    const session = this.queues.sessions[slot];
    if (session?.policy.limited === undefined) return;
    const { policy, identity } = session;
    const name = session.meterNames?.[meter - 1];
    this.#door.later(() => this.#gate.tell(() => policy.limited?.(identity, name)));
  }

  /** Messages wait for a session that is over its rate. */
  paced(slot: number, ms: number, why: number): void {
    const session = this.queues.sessions[slot];
    if (session !== undefined) this.pacer.wait(session, ms, why);
  }

  /** A QoS 0 message was dropped. */
  unsent(slot: number, why: number, offset: number): void {
    const session = this.queues.sessions[slot];
    if (session?.policy.unsent === undefined) return;
    const { policy, identity } = session;
    const view = offset === NO_OFFSET ? undefined : viewMessage(this.arena.copy(offset), 0);
    const parts = view && messageParts(view);
    const topic = view && messageTopic(view);
    const size = parts && parts.payloadEnd - parts.payload;
    const reason = why === UNSENT_CREDIT ? "connection" : why === UNSENT_RATE ? "rate" : "rate of all";
    this.#door.later(() => this.#gate.tell(() => policy.unsent?.(identity, reason, topic, size)));
  }

  /** Does what could not be done between records. */
  settle(): void {
    this.arena.external = undefined;
    this.queues.trim();
    this.#acknowledgements.settle();
    this.pump.settle();
    while (this.#local.length > 0) {
      const deliver = this.#local.shift() as () => void;
      setImmediate(deliver);
    }
  }
}
