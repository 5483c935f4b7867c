// The host's side of the hot path: feeds runs into the core, acts on its records, and gives the core back its turn.
// Everything that enters the core goes through here, one at a time: what is born while records are being read waits in
// a FIFO. Which message goes to whom is the core's decision; what a control packet means is the handlers'.
import type { Border } from "../../core/border.ts";
import {
  H_AWAITED,
  STOP_BUDGET,
  STOP_CONTROL,
  STOP_DONE,
  STOP_ERROR,
  STOP_FULL,
  STOP_HOST,
  STOP_LARGE,
  STOP_PARTIAL,
  STOP_VERDICT,
} from "../../core/generated/abi.ts";
import { type Connection, ONLINE } from "../../connection/connection.ts";
import type { Limits } from "../../limits.ts";
import type { BrokerMemory } from "../turn/broker-memory.ts";
import type { CoreDoor, Waiting } from "../turn/core-door.ts";
import { Credit } from "./credit.ts";
import { type CallDoor, Injections } from "./injections.ts";
import type { Deliveries } from "./deliveries.ts";
import type { PacketHandlers } from "./packet-handlers.ts";
import { headLength, LargeInput } from "./large-input.ts";
import { Records } from "./records.ts";
import { LONG_REST, RunInput } from "./run-input.ts";
import type { Turn } from "../turn/turn.ts";

/** Time a fan-out may hold the event loop before others get their turn, ms. */
const SLICE_MS = 2;

export class Router implements CoreDoor, CallDoor {
  border: Border;
  readonly turn: Turn;
  handlers!: PacketHandlers;
  readonly #credit: Credit;
  readonly #records: Records;
  /** Messages that come from outside runs. */
  readonly injections: Injections = new Injections(this);
  now = Date.now();
  /** Records are being read, or the core is inside a call: it may not be entered. */
  #closed = false;
  /** A fan-out has been interrupted to let the event loop turn. */
  #suspended = false;
  readonly #waiting: Waiting[] = [];
  // The present run.
  #connection: Connection | undefined;
  readonly #input = new RunInput();
  #from = 0;
  readonly #large = new LargeInput();
  /** The present run is a packet of which the core sees the head. */
  #isLarge = false;
  #sliceEnd = 0;
  readonly #continue = (): void => this.#afterSlice();
  readonly #drainNow = (): void => this.#drain();

  constructor(border: Border, turn: Turn, memory: BrokerMemory, limits: Limits) {
    this.border = border;
    this.turn = turn;
    this.#credit = new Credit(memory, limits);
    this.#records = new Records(this, memory, Math.min(1_048_576, limits.outgoingBytes >>> 2));
  }

  /** Connections by slot. */
  get connections(): (Connection | undefined)[] {
    return this.#records.connections;
  }

  get deliveries(): Deliveries {
    return this.#records.deliveries;
  }

  /** Where records go. Set once, by the composition. */
  set deliveries(deliveries: Deliveries) {
    this.#records.deliveries = deliveries;
  }

  /** True where the core may be entered at once. */
  get free(): boolean {
    return !this.#closed && !this.#suspended;
  }

  /** A run is going on, or its records are being read: input must wait. */
  get busy(): boolean {
    return this.#closed || this.#suspended || this.#connection !== undefined;
  }

  /** Runs `action` when the core is free: now, or after what is going on. `connection` is whose it is. */
  whenFree(action: () => void, connection?: Connection): void {
    if (this.free) this.#guard(action, connection);
    else this.later(action, connection);
  }

  /** Runs `action` behind what is going on. */
  later(action: () => void, connection?: Connection): void {
    this.#waiting.push({ action, connection });
    // Records read outside a run have nobody who looks here behind them.
    if (this.#connection === undefined) setImmediate(this.#drainNow);
  }

  /** Runs `action` when the run that goes on or is about to begin is over, before all that waits. */
  next(action: () => void, connection: Connection): void {
    this.#waiting.unshift({ action, connection });
  }

  #guard(action: () => void, connection: Connection | undefined): void {
    try {
      action();
    } catch (error) {
      const trap = this.isTrap(error);
      if (trap && this.#connection !== undefined) throw error; // within a run it is the run's business
      // A client that is online has sent nothing that could be to blame here.
      this.failed(error, trap && connection?.state === ONLINE ? undefined : connection);
    }
  }

  /** The core was left in the middle of a call, whatever was thrown; or the engine itself says so. */
  isTrap(error: unknown): boolean {
    return error instanceof WebAssembly.RuntimeError || this.border.interrupted;
  }

  /**
   * Something was thrown. A trap costs the core, which is rebuilt; anything else is a defect of the host's own code and costs
   * one connection. To be called where nothing of the core's is on the stack.
   */
  failed(error: unknown, connection: Connection | undefined): void {
    if (this.isTrap(error)) {
      this.#trap(error, connection);
      return;
    }
    try {
      this.handlers.broken(error, connection);
    } catch (second) {
      if (this.isTrap(second)) this.#trap(second, connection);
      else connection?.destroy();
    }
  }

  /** Routes input of an online connection: what it left over, then this chunk. */
  run(connection: Connection, chunk: Buffer): void {
    if (!this.free || this.#connection !== undefined) {
      const kept = Buffer.from(chunk);
      this.#waiting.push({ action: () => this.run(connection, kept), connection });
      return;
    }
    if (connection.state !== ONLINE) return;
    this.turn.touch();
    this.now = Date.now();
    connection.lastSeen = this.now;
    const input = this.#input;
    const { tail } = connection;
    connection.tail = undefined;
    this.#connection = connection;
    this.#from = 0;
    try {
      input.begin(tail, chunk);
      input.load(this.border);
      this.#advance(this.border.route(connection.slot, 0, input.length, this.now));
    } catch (error) {
      this.#runFailed(error, connection);
    }
    if (!this.#suspended) this.#drain();
  }

  /** Routes a packet that was collected because it is a large one. */
  runLarge(connection: Connection, packet: Buffer): void {
    const head = headLength(packet, connection.level);
    if (head === packet.length) {
      this.run(connection, packet);
      return;
    }
    if (!this.free || this.#connection !== undefined) {
      this.#waiting.push({ action: () => this.runLarge(connection, packet), connection });
      return;
    }
    if (connection.state !== ONLINE) return;
    this.turn.touch();
    this.now = Date.now();
    this.#connection = connection;
    this.#input.begin(undefined, packet.subarray(0, head));
    this.#large.begin(packet, head);
    this.#isLarge = true;
    this.#from = 0;
    try {
      this.#input.load(this.border);
      this.#advance(this.border.routeLarge(connection.slot, head, packet.length - head, this.now));
    } catch (error) {
      this.#runFailed(error, connection);
    }
    if (!this.#suspended) this.#drain();
  }

  /** What of the present run lies behind the packet that stopped it, that packet included. */
  rest(): Buffer {
    return this.#isLarge ? EMPTY : Buffer.from(this.#input.from(this.#from));
  }

  #drain(): void {
    while (this.#waiting.length > 0 && this.free && this.#connection === undefined) {
      const { action, connection } = this.#waiting.shift() as Waiting;
      this.#guard(action, connection);
    }
  }

  #trap(error: unknown, connection: Connection | undefined): void {
    this.#endRun();
    this.#closed = false;
    this.handlers.trapped(error, connection);
  }

  /** A handler has thrown, or the core has: the run is over, and what it has caused so far takes its course. */
  #runFailed(error: unknown, connection: Connection): void {
    this.#endRun();
    this.failed(error, connection);
    if (this.free) this.#guard(() => this.settle(), undefined);
  }

  #endRun(): void {
    this.#connection = undefined;
    this.#input.end();
    this.#isLarge = false;
    this.#large.end();
  }

  /** Goes on from a stop until the run is over, held, or a slice of time is used up. */
  #advance(first: number): void {
    this.#sliceEnd = 0;
    let stop = first;
    while (true) {
      this.records(this.#isLarge ? this.#large : undefined);
      if (stop === STOP_BUDGET) {
        if (this.#overtime()) {
          this.#suspended = true;
          setImmediate(this.#continue);
          return;
        }
        stop = this.border.resume();
        continue;
      }
      // Read before settle(): a pump in it is a call of its own and has a count of its own.
      const { consumed } = this.border;
      this.settle();
      stop = this.#connection?.open ? this.#next(stop, consumed) : -1;
      if (stop < 0) {
        this.#endRun();
        return;
      }
    }
  }

  #overtime(): boolean {
    const now = performance.now();
    if (this.#sliceEnd === 0) this.#sliceEnd = now + SLICE_MS;
    return now > this.#sliceEnd;
  }

  #afterSlice(): void {
    this.#suspended = false;
    const connection = this.#connection as Connection;
    try {
      this.#advance(this.border.resume());
    } catch (error) {
      this.#runFailed(error, connection);
    }
    if (!this.#suspended) this.#drain();
  }

  /** What a final stop asks for; returns the next stop of the same run, or -1 at its end. */
  #next(stop: number, consumed: number): number {
    const { border } = this;
    const connection = this.#connection as Connection;
    if (this.#isLarge) return this.#nextLarge(connection, stop);
    this.#from += consumed;
    const { length } = this.#input;
    switch (stop) {
      case STOP_DONE:
        return -1;
      case STOP_PARTIAL:
        connection.tail = this.#input.keep(this.#from);
        if (connection.tail.length >= LONG_REST) connection.stream.longRest?.();
        return -1;
      case STOP_CONTROL: {
        const total = border.total;
        if (!this.handlers.control(connection, this.#from, total))
          return this.#leave(connection, total, total);
        this.#from += total;
        break;
      }
      case STOP_FULL:
      case STOP_VERDICT: {
        const total = border.total;
        const { handlers } = this;
        const again =
          stop === STOP_FULL ? handlers.full(connection) : handlers.verdict(connection, undefined);
        if (!again) return this.#leave(connection, 0, total);
        break;
      }
      case STOP_HOST: {
        const total = border.total;
        if (!this.handlers.publish(connection, undefined)) return this.#leave(connection, total, total);
        this.#from += total;
        break;
      }
      case STOP_LARGE: {
        const total = border.total;
        if (!this.handlers.large(connection, total)) return -1;
        const bytes = this.#large.collect(total);
        connection.large = { bytes, filled: this.#input.from(this.#from).copy(bytes), counted: 0 };
        return -1;
      }
      case STOP_ERROR:
        this.handlers.failed(connection, border.reason, border.detail, border.offset);
        return -1;
      default:
        throw new Error(`the core stopped with ${stop}`);
    }
    if (connection.state !== ONLINE) return -1;
    if (this.#from >= length) return -1;
    return border.route(connection.slot, this.#from, length, this.now);
  }

  #nextLarge(connection: Connection, stop: number): number {
    const { border } = this;
    const missing = this.#large.payload as Buffer;
    switch (stop) {
      case STOP_DONE:
        return -1;
      case STOP_FULL:
        this.handlers.full(connection);
        return this.#leaveLarge(connection);
      case STOP_VERDICT:
        if (!this.handlers.verdict(connection, missing)) return this.#leaveLarge(connection);
        return border.routeLarge(connection.slot, this.#input.length, missing.length, this.now);
      case STOP_HOST:
        this.handlers.publish(connection, missing);
        return -1;
      default:
        this.handlers.failed(connection, border.reason, border.detail, border.offset);
        return -1;
    }
  }

  /** The rest waits: a handler owes an answer about a packet of `total` bytes, `done` of which are dealt with already. */
  #leave(connection: Connection, done: number, total: number): number {
    const rest = this.#from + done;
    if (connection.open && rest < this.#input.length) connection.tail = this.#input.keep(rest);
    if (connection.held) this.handlers.behindQuestion(connection, this.#input.length - this.#from - total);
    return -1;
  }

  #leaveLarge(connection: Connection): number {
    if (connection.open) {
      const bytes = this.#large.keep();
      connection.large = { bytes, filled: bytes.length, counted: 0 };
    }
    return -1;
  }

  /** Finishes a call made outside a run: `stop` is its first result. Interrupts nobody, so it is for small ones. */
  complete(stop: number): number {
    let at = stop;
    while (true) {
      this.records();
      if (at !== STOP_BUDGET) break;
      at = this.border.resume();
    }
    return at;
  }

  /** Acts on the records of the last call; `large` where it was about that packet. */
  records(large?: LargeInput): void {
    const { border } = this;
    if (border.word(H_AWAITED) !== 0) {
      this.turn.awaited = true;
      this.turn.touch();
    }
    if (border.recordCount > 0) {
      this.#closed = true;
      this.#records.act(border, this.#input, large);
      this.#closed = false;
    }
    border.acted();
    this.#credit.turns(border, this.connections);
  }

  /** Tells the core how much a connection may still be given; true where that is anything. */
  settleCredit(connection: Connection): boolean {
    return this.#credit.settle(this.border, connection);
  }

  /** What records asked for and must not happen between them: acknowledgements by the host, queues to pump. */
  settle(): void {
    this.#records.settle();
    this.deliveries.settle();
  }
}

const EMPTY = Buffer.alloc(0);
