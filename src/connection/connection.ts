// One client's connection: its stream, what of the input is not yet understood, and what it agreed on at CONNECT.
// It hands bytes to the router and control packets to handlers, and decides nothing about messages.
import type { DeliveryRates, Policy, PublishRates, SampleRates } from "../access/policy.ts";
import type { ProtocolLevel } from "../protocol/packet-types.ts";
import type { Session } from "../session/session.ts";
import type { ByteStream, StreamHandler } from "../transport/streams/stream.ts";
import type { ByteRate } from "./byte-rate.ts";
import { Outbox, type OutboxOwner, type TurnKeeper } from "./outbox.ts";

/** Where a connection stands. */
export const WAITING = 0; // for CONNECT
export const CONNECTING = 1; // CONNECT is being decided; nothing else is read
export const AUTHENTICATING = 2; // an exchange of AUTH packets
export const ONLINE = 3;
export const CLOSING = 4; // last bytes are on their way; input is ignored
export const CLOSED = 5;

/** What a connection reports to. */
export interface Inlet extends TurnKeeper {
  receive(connection: Connection, chunk: Buffer): void;
  drained(connection: Connection): void;
  ended(connection: Connection): void;
  closed(connection: Connection, error: Error | undefined): void;
}

/** A PUBLISH longer than the core's input region, being collected. */
export interface LargePacket {
  readonly bytes: Buffer;
  filled: number;
  /** Bytes of it that count against the broker's. */
  counted: number;
}

/** The last packet that has come, in part: a copy of one that is acknowledged, or it may turn out to be one. */
export interface PartialCopy {
  /** What has come where its identifier has not: some of its topic at most. */
  begun: Buffer;
  /** Bytes still to come, to be passed over; where that is not known yet, more than a packet has. */
  missing: number;
  /** By identifiers acknowledged since it came: what to do where it turns out to have one of them. */
  readonly known: Map<number, () => void>;
}

let lastId = 0;

export class Connection implements StreamHandler, OutboxOwner {
  readonly id = ++lastId;
  readonly stream: ByteStream;
  readonly policy: Policy;
  readonly outbox: Outbox;
  readonly #inlet: Inlet;
  state = WAITING;
  level: ProtocolLevel = 4;
  clientId = "";
  /** -1 until a session is attached. */
  slot = -1;
  session: Session<Connection> | undefined;
  /** An incomplete packet, or input behind a question that waits for its answer. */
  tail: Buffer | undefined;
  large: LargePacket | undefined;
  /** Bytes of an oversize packet still to be skipped [LIMIT-1]. */
  skip = 0;
  /** Behind `tail`: what came last of a message that may be acknowledged already [QOS-4]. */
  partialCopy: PartialCopy | undefined;
  /** A handler or the policy owes an answer: nothing behind it may be processed. */
  held = false;
  /** Bytes that wait behind that answer. */
  heldBytes = 0;
  /** It waits for the store: what has been read is no more than a run, and waits as long as it takes. */
  heldForStore = false;
  /** What its answers count that wait for the store. */
  owedBytes = 0;
  /** It is read meanwhile: copies of the message that is dealt with are to be known as such [QOS-4]. */
  readsHeld = false;
  /** Its peer has ended while it was held: what came before that is dealt with first. */
  endsHeld = false;
  #pauses = 0;
  /** ms; 0: off. */
  keepAliveMs = 0;
  /** The client's Maximum Packet Size. */
  maximumPacketSize = 268_435_455;
  receiveMaximum = 65_535;
  topicAliasMaximum = 0;
  /** Reason Strings and User Properties are wanted [MQTT-3.1.2-29]. */
  problemInformation = true;
  authMethod: string | undefined;
  /** The policy's generation when its CONNECT was decided. */
  decidedAt = 0;
  /** How often its session may publish. */
  rates: PublishRates | undefined;
  /** How often its session may be sent to. */
  deliveries: DeliveryRates | undefined;
  /** How many bytes a second it may bring; undefined: as many as come. */
  bandwidth: ByteRate | undefined;
  /** It has brought more, and is not read for a while. */
  slowed = false;
  /** How many of its messages are sampled. */
  samples: SampleRates | undefined;
  readonly openedAt: number;
  lastSeen: number;
  /** Since when bytes wait without one being taken; 0: none wait. */
  stuckSince = 0;
  stuckBytes = 0;
  /** Reason code this connection ended with, for Will and log. */
  endReason: number | undefined;
  /** What exactly it was that ended it, where the server did; for the log. */
  endDetail: string | undefined;
  /** True once the client has sent DISCONNECT 0x00: the Will is gone. */
  willCancelled = false;

  constructor(stream: ByteStream, policy: Policy, inlet: Inlet, now: number) {
    this.stream = stream;
    this.policy = policy;
    this.#inlet = inlet;
    this.outbox = new Outbox(this, stream, inlet);
    this.openedAt = now;
    this.lastSeen = now;
  }

  get open(): boolean {
    return this.state < CLOSING;
  }

  onData(chunk: Buffer): void {
    if (this.state < CLOSING) this.#inlet.receive(this, chunk);
  }

  onDrain(): void {
    if (!this.outbox.drained()) this.#inlet.drained(this);
  }

  outboxEmpty(): void {
    this.#inlet.drained(this);
  }

  onEnd(): void {
    this.#inlet.ended(this);
  }

  onClose(error?: Error): void {
    this.outbox.drop();
    this.#inlet.closed(this, error);
  }

  /** Reading stops while the server owes work; keep alive stands still meanwhile. Counted, so that reasons may overlap. */
  pause(): void {
    if (this.#pauses++ === 0) this.stream.pause();
  }

  resume(now: number): void {
    if (this.#pauses === 0 || --this.#pauses > 0) return;
    this.lastSeen = now;
    this.stream.resume();
  }

  get paused(): boolean {
    return this.#pauses > 0;
  }

  /** Last bytes, if any, then the end. Input that still comes is ignored. */
  finish(bytes: Uint8Array | undefined): void {
    if (this.state >= CLOSING) return;
    this.state = CLOSING;
    if (bytes !== undefined) this.outbox.packet(bytes);
    // Everything before it must be with the stream first, or end() would overtake it.
    while (this.outbox.waiting > 0 && this.stream.pendingBytes === 0) this.outbox.flush();
    if (this.outbox.waiting === 0) this.stream.end();
  }

  /** After finish(), when a slow stream has taken more: closes as soon as nothing waits. */
  finishDrained(): void {
    if (this.state === CLOSING && this.outbox.waiting === 0) this.stream.end();
  }

  destroy(): void {
    if (this.state < CLOSING) this.state = CLOSING;
    this.stream.destroy();
  }
}
