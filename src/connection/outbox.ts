// What a connection is sent: one ordered queue in front of its stream. Idle: written at once, a slice of the sender's
// chunk where it may be. Written to in this turn already, or often in the last one: copied, and written once at the end
// of the turn, because a system call costs more than many small copies. Slow:
// handed to the stream in bounded batches, the next one when the last has drained.
// It never drops: what the core has emitted belongs to the stream.
import type { ByteStream } from "../transport/streams/stream.ts";
import { BufferPool } from "./buffer-pool.ts";

/** A write of this size gains nothing from waiting for others. */
const LARGE_WRITE = 16_384;
/** Writes in one turn from which on the next turn's wait for its end, the first one too. */
const MANY_WRITES = 3;
const FIRST_FILL = 16_384;
/** What a collecting buffer begins with where the last one was filled so far: a slow client holds no more for one byte. */
const MOST_FIRST = 65_536;
/** Bytes handed to a slow stream at a time: the grain in which its progress is seen. */
const BATCH = 262_144;
const MAX_FILL = BATCH;
const POOL = new BufferPool();

/** Who ends turns: flushes outboxes that were filled meanwhile. */
export interface TurnKeeper {
  /** Counts up with each turn of the event loop that did something. */
  readonly turn: number;
  /** Where outboxes count what waits in them at the end of a turn, all together. */
  readonly held: { outboxes: number };
  flushLater(outbox: Outbox): void;
  /** Keeps the outbox for a moment where many clients are greeted, and flushes it then; false: nothing is kept. */
  holdBack(outbox: Outbox): boolean;
}

/** Told when everything has left: more may be given. */
export interface OutboxOwner {
  outboxEmpty(): void;
}

export class Outbox {
  readonly #owner: OutboxOwner;
  readonly #stream: ByteStream;
  readonly #takesAtOnce: boolean;
  readonly #keeper: TurnKeeper;
  #turn = -1;
  #writes = 0;
  /** Writes of the turn before this one. */
  #writesBefore = 0;
  /** Full buffers in front of the one being filled. */
  #queue: Uint8Array[] = [];
  #queued = 0;
  #fill: Buffer | undefined;
  #filled = 0;
  #firstFill = FIRST_FILL;
  /** Collected pieces the stream may still read. */
  #handed: Uint8Array[] = [];
  #listed = false;
  #dropped = false;
  #counted = 0;
  readonly #held: { outboxes: number };
  /** Bytes taken since the core was last told the credit. */
  taken = 0;
  /** Bytes taken before that. */
  settled = 0;
  /** Packets of the host's own making, for the statistics. */
  packets = 0;

  constructor(owner: OutboxOwner, stream: ByteStream, keeper: TurnKeeper) {
    this.#owner = owner;
    this.#stream = stream;
    this.#takesAtOnce = stream.takesAtOnce === true;
    this.#keeper = keeper;
    this.#held = keeper.held;
  }

  /** Bytes that have not left this process. */
  get pending(): number {
    return this.#queued + this.#filled + this.#stream.pendingBytes;
  }

  /** Bytes that are not even handed to the stream. */
  get waiting(): number {
    return this.#queued + this.#filled;
  }

  /** Sends bytes [from, from + length) of a chunk. Returns true where it is still read: it must not be written to again. */
  range(chunk: Buffer, from: number, length: number): boolean {
    if (!this.#takesAtOnce && length < LARGE_WRITE) {
      this.copy(chunk, from, length);
      return false;
    }
    this.taken += length;
    if (this.#mayWrite(length)) {
      this.#stream.write(from === 0 && length === chunk.length ? chunk : chunk.subarray(from, from + length));
      return !this.#takesAtOnce || this.#stream.pendingBytes !== 0;
    }
    // A copy: a slice would keep all of the sender's chunk alive for as long as this client is slow.
    this.#append(chunk, from, length);
    return false;
  }

  /** Sends a copy of core memory. */
  copy(memory: Buffer, from: number, length: number): void {
    this.taken += length;
    if (!this.#mayWrite(length)) this.#append(memory, from, length);
    else if (this.#takesAtOnce) this.#writeCopy(memory, from, length);
    else this.#stream.write(Buffer.from(memory.subarray(from, from + length)));
  }

  #writeCopy(memory: Buffer, from: number, length: number): void {
    const bytes = POOL.take(length);
    memory.copy(bytes, 0, from, from + length);
    this.#stream.write(bytes.subarray(0, length));
    if (this.#stream.pendingBytes === 0) POOL.give(bytes);
    else this.#handed.push(bytes);
  }

  /** Sends bytes as they are. Returns true where they are still read: they must not be written to again. */
  lend(bytes: Buffer): boolean {
    this.send(bytes);
    return !this.#takesAtOnce || this.waiting !== 0 || this.#stream.pendingBytes !== 0;
  }

  /** Sends bytes that never change. */
  send(bytes: Uint8Array): void {
    this.taken += bytes.length;
    if (this.#mayWrite(bytes.length)) {
      this.#stream.write(bytes);
      return;
    }
    if (bytes.length < FIRST_FILL) {
      this.#append(bytes as Buffer, 0, bytes.length);
      return;
    }
    this.#push(bytes);
  }

  /** Sends a packet of the host's own making. */
  packet(bytes: Uint8Array): void {
    this.packets++;
    this.send(bytes);
  }

  /** Sends CONNACK: in a rush of clients a little later, together with those of others. */
  greeting(bytes: Uint8Array): void {
    if (this.#listed || this.#dropped || !this.#keeper.holdBack(this)) {
      this.packet(bytes);
      return;
    }
    this.packets++;
    this.taken += bytes.length;
    this.#listed = true;
    this.#push(bytes);
  }

  /** Queues bytes as they are. */
  #push(bytes: Uint8Array): void {
    this.#seal();
    if (this.#dropped) return;
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    this.#list();
  }

  #mayWrite(length: number): boolean {
    const { turn } = this.#keeper;
    if (this.#turn !== turn) {
      this.#writesBefore = this.#turn === turn - 1 ? this.#writes : 0;
      this.#turn = turn;
      this.#writes = 0;
    }
    const first = this.#writes++ === 0 && this.#writesBefore < MANY_WRITES;
    if (!first && length < LARGE_WRITE) return false;
    return this.#queued + this.#filled === 0 && this.#stream.pendingBytes === 0;
  }

  #append(source: Uint8Array, from: number, length: number): void {
    if (this.#dropped) return;
    let fill = this.#fill;
    if (fill === undefined || this.#filled + length > fill.length) {
      fill = this.#room(length);
      this.#fill = fill;
    }
    if (source instanceof Buffer) source.copy(fill, this.#filled, from, from + length);
    else
      fill.set(
        from === 0 && length === source.length ? source : source.subarray(from, from + length),
        this.#filled,
      );
    this.#filled += length;
    this.#list();
  }

  /** A buffer with room for `length` bytes more: what is collected grows up to MAX_FILL, then another begins. */
  #room(length: number): Buffer {
    const fill = this.#fill;
    const needed = this.#filled + length;
    if (fill !== undefined && needed <= MAX_FILL) {
      const grown = POOL.take(Math.min(MAX_FILL, needed * 2));
      fill.copy(grown, 0, 0, this.#filled);
      POOL.give(fill);
      return grown;
    }
    this.#seal();
    return POOL.take(Math.max(this.#firstFill, length));
  }

  #seal(): void {
    const fill = this.#fill;
    if (fill !== undefined && this.#filled !== 0) {
      this.#queue.push(fill.subarray(0, this.#filled));
      this.#queued += this.#filled;
      const size = this.#filled * 2 > fill.length ? fill.length : fill.length / 2;
      this.#firstFill = Math.min(MOST_FIRST, Math.max(FIRST_FILL, size));
    }
    this.#fill = undefined;
    this.#filled = 0;
  }

  /** What the stream has taken may be collected into again. */
  #release(): void {
    const handed = this.#handed;
    if (handed.length === 0 || this.#stream.pendingBytes !== 0) return;
    for (const bytes of handed) POOL.give(bytes);
    handed.length = 0;
  }

  #list(): void {
    if (this.#listed) return;
    this.#listed = true;
    this.#keeper.flushLater(this);
  }

  /** The stream has taken everything. Returns false where nothing waits behind it. */
  drained(): boolean {
    this.#release();
    if (this.waiting === 0) return false;
    this.flush();
    return true;
  }

  /** Writes what waits, if the stream is idle; a busy stream calls again through drained(). */
  flush(): void {
    this.#listed = false;
    this.#write();
    this.#count();
  }

  #write(): void {
    this.#release();
    if (this.#queued + this.#filled === 0 || this.#stream.pendingBytes !== 0) return;
    this.#seal();
    let handed = 0;
    const queue = this.#queue;
    let n = 0;
    while (n < queue.length && handed < BATCH) {
      const bytes = queue[n];
      const room = BATCH - handed;
      if (bytes.length > room * 2) {
        // A big piece goes in parts, so that progress within it is seen.
        this.#stream.write(bytes.subarray(0, room));
        queue[n] = bytes.subarray(room);
        handed += room;
        break;
      }
      this.#stream.write(bytes);
      if (this.#takesAtOnce) this.#handed.push(bytes);
      handed += bytes.length;
      n++;
    }
    if (n > 0) queue.splice(0, n);
    this.#queued -= handed;
    // The kernel took all of it: go on in the next turn, so that one fast receiver does not hold up the loop.
    if (this.#stream.pendingBytes !== 0) return;
    this.#release();
    if (this.#queued !== 0) this.#list();
    else this.#owner.outboxEmpty();
  }

  /** What still waits at the end of a turn is what this client holds. */
  #count(): void {
    const { waiting } = this;
    this.#held.outboxes += waiting - this.#counted;
    this.#counted = waiting;
  }

  /** The stream is closed: what waits will never leave. */
  drop(): void {
    this.#dropped = true;
    this.#queue = [];
    this.#queued = 0;
    this.#handed = [];
    this.#fill = undefined;
    this.#filled = 0;
    this.#count();
  }
}
