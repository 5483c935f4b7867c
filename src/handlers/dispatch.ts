// Where input goes: until the client is online to early-packets.ts; afterwards in runs through the router, which comes back
// here for everything that is not on the hot path.
import type { ByteRate } from "../connection/byte-rate.ts";
import { CLOSING, type Connection, type Inlet, ONLINE } from "../connection/connection.ts";
import type { Outbox } from "../connection/outbox.ts";
import { DETAIL_OPTIONS, DETAIL_OPTIONS_QOS, INPUT_SIZE } from "../core/generated/abi.ts";
import { detailText } from "../protocol/details.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import type { PacketHandlers } from "../routing/delivery/packet-handlers.ts";
import { handleAuth } from "./connect/auth.ts";
import { closeConnection, detach, failConnection, streamClosed } from "./context/close.ts";
import type { Context } from "./context/context.ts";
import { EarlyPackets } from "./connect/early-packets.ts";
import { countLimit } from "./context/limit-counts.ts";
import { handleDisconnect } from "./disconnect.ts";
import { holdForCommits } from "./context/hold.ts";
import { answerVerdict, takePublish } from "./publish.ts";
import { passOver } from "./served-copies.ts";
import { handleSubscribe } from "./subscribe/subscribe.ts";
import { handleUnsubscribe } from "./subscribe/unsubscribe.ts";

const PUBLISH = 3;

export class Dispatch implements Inlet, PacketHandlers {
  readonly #context: Context;
  readonly #early: EarlyPackets;
  /** Rebuilds the core after a trap. */
  readonly #rebuild: (offender: Connection | undefined) => void;
  readonly #forget: (connection: Connection) => void;

  constructor(
    context: Context,
    rebuild: (offender: Connection | undefined) => void,
    forget: (connection: Connection) => void,
  ) {
    this.#context = context;
    this.#early = new EarlyPackets(context, this);
    this.#rebuild = rebuild;
    this.#forget = forget;
  }

  get turn(): number {
    return this.#context.turn.turn;
  }

  get held(): { outboxes: number } {
    return this.#context.memory;
  }

  holdBack(outbox: Outbox): boolean {
    return this.#context.turn.holdBack(outbox);
  }

  flushLater(outbox: Outbox): void {
    this.#context.turn.flushLater(outbox);
  }

  // ---- input ----

  receive(connection: Connection, chunk: Buffer): void {
    this.#context.metrics.bytesReceived += chunk.length;
    try {
      if (connection.bandwidth !== undefined) this.#slow(connection, connection.bandwidth, chunk.length);
      this.input(connection, chunk);
    } catch (error) {
      this.#context.router.failed(error, connection);
    }
  }

  /** Reads on when what has come keeps to its rate [LIMIT-4]. */
  #slow(connection: Connection, bandwidth: ByteRate, bytes: number): void {
    const wait = bandwidth.take(bytes, Date.now());
    if (wait === 0 || connection.slowed) return;
    this.#context.metrics.limit("delayed.bandwidth");
    const { session } = connection;
    if (session !== undefined) this.#context.gate.tell(() => session.policy.slowed?.(session.identity));
    connection.slowed = true;
    connection.pause();
    setTimeout(() => {
      connection.slowed = false;
      if (connection.open) connection.resume(Date.now());
    }, wait).unref();
  }

  /**
   * Input of a connection, wherever it stands. The chunk is lent: what waits is a copy. `waited`: it stood in the tail, in front
   * of a partial copy.
   */
  input(connection: Connection, chunk: Buffer, waited = false): void {
    const { router } = this.#context;
    if (!connection.open) return;
    if (router.busy) {
      // What its turn finds then decides: it may be held, or in the middle of a large packet.
      connection.pause();
      const kept = Buffer.from(chunk);
      router.later(() => {
        connection.resume(Date.now());
        this.input(connection, kept, waited);
      }, connection);
    } else if (connection.partialCopy !== undefined && !waited) {
      connection.lastSeen = Date.now();
      const rest = passOver(connection, connection.partialCopy, chunk);
      if (rest !== undefined) this.input(connection, rest);
    } else if (connection.held) this.#keepHeld(connection, chunk);
    else if (connection.state !== ONLINE) {
      const kept = Buffer.from(chunk);
      router.whenFree(() => this.#early.input(connection, kept), connection);
    } else if (connection.large !== undefined || connection.skip > 0)
      this.#collect(connection, chunk, waited);
    else this.#run(connection, chunk, waited);
  }

  /** What has waited may be more than the core takes at a time. */
  #run(connection: Connection, chunk: Buffer, waited: boolean): void {
    const { router } = this.#context;
    const room = INPUT_SIZE - (connection.tail?.length ?? 0);
    if (chunk.length <= room) router.run(connection, chunk);
    else {
      // Behind the run the connection may be held, or in the middle of a large packet.
      const run = (): void => router.run(connection, chunk.subarray(0, room));
      this.#inOrder(connection, run, chunk.subarray(room), waited);
    }
  }

  /** Does `first`, then takes the rest of the same input, before anything that has come since [MQTT-4.6.0-5]. */
  #inOrder(connection: Connection, first: () => void, rest: Buffer, waited: boolean): void {
    let kept = rest;
    let taken = false;
    this.#context.router.next(() => {
      taken = true;
      this.input(connection, kept, waited);
    }, connection);
    first();
    // The run was interrupted: its chunk is lent no longer than this.
    if (!taken) kept = Buffer.from(rest);
  }

  /** Input behind an unanswered question waits, up to a bound; the stream is paused already, so little more can come. */
  #keepHeld(connection: Connection, chunk: Buffer): void {
    connection.tail = Buffer.concat(connection.tail === undefined ? [chunk] : [connection.tail, chunk]);
    if (!connection.readsHeld) this.behindQuestion(connection, chunk.length);
    else if (connection.tail.length * 2 > this.#context.limits.heldBytes) {
      connection.readsHeld = false;
      connection.pause();
    }
  }

  /** So many bytes more wait behind a question that is not answered yet. */
  behindQuestion(connection: Connection, bytes: number): void {
    if (connection.heldForStore) return;
    connection.heldBytes += bytes;
    if (connection.heldBytes <= this.#context.limits.heldBytes) return;
    this.#context.metrics.limit("closed.held_bytes");
    failConnection(
      this.#context,
      connection,
      ReasonCode.quotaExceeded,
      "too much input behind an unanswered question",
    );
  }

  /** Goes on with what waited. */
  continue(connection: Connection): void {
    if (!connection.open || connection.held) return;
    const { large, tail } = connection;
    if (connection.state === ONLINE && large !== undefined && large.filled === large.bytes.length) {
      connection.large = undefined;
      this.#context.router.runLarge(connection, large.bytes);
      if (connection.held || !connection.open) return;
    }
    if (tail !== undefined) {
      connection.tail = undefined;
      this.input(connection, tail, true);
    }
    if (connection.endsHeld && !connection.held) this.ended(connection);
  }

  /** A large PUBLISH arrives piece by piece into one buffer of its exact size; an oversize one is passed over. */
  #collect(connection: Connection, chunk: Buffer, waited: boolean): void {
    connection.lastSeen = Date.now();
    if (connection.skip > 0) {
      const skipped = Math.min(connection.skip, chunk.length);
      connection.skip -= skipped;
      if (skipped < chunk.length) this.#run(connection, chunk.subarray(skipped), waited);
      return;
    }
    const large = connection.large;
    if (large === undefined) return;
    const taken = chunk.copy(large.bytes, large.filled);
    large.filled += taken;
    if (large.filled < large.bytes.length) {
      large.counted += taken;
      this.#context.memory.arriving += taken;
      this.#checkCollecting(connection);
      return;
    }
    this.#context.memory.arriving -= large.counted;
    connection.large = undefined;
    const run = (): void => this.#context.router.runLarge(connection, large.bytes);
    if (taken === chunk.length) run();
    else this.#inOrder(connection, run, chunk.subarray(taken), waited);
  }

  /** Bytes that have really come count, not those announced: or a few headers would shut everybody out. */
  #checkCollecting(connection: Connection): void {
    if (this.#context.memory.admits(0)) return;
    failConnection(this.#context, connection, ReasonCode.quotaExceeded, "the broker is short of memory");
  }

  // ---- what the router asks ----

  control(connection: Connection, from: number, length: number): boolean {
    const context = this.#context;
    const { border } = context.router;
    context.metrics.packetsReceived++;
    const reason = border.decode(from, length, connection.level);
    if (reason !== 0) {
      const { detail } = border;
      countLimit(context.metrics, detail);
      const { optionReasons } = connection.policy.capabilities;
      const own =
        detail === DETAIL_OPTIONS_QOS
          ? optionReasons?.qos3
          : detail === DETAIL_OPTIONS
            ? optionReasons?.reserved
            : undefined;
      failConnection(context, connection, own ?? reason, detailText(detail));
      return false;
    }
    const packet = border.packet();
    switch (packet.type) {
      case "subscribe":
        return handleSubscribe(context, connection, packet);
      case "unsubscribe":
        return handleUnsubscribe(context, connection, packet);
      case "disconnect":
        handleDisconnect(context, connection, packet);
        return false;
      case "auth":
        handleAuth(context, connection, packet);
        return connection.open && !connection.held;
      case "connect":
        failConnection(context, connection, ReasonCode.protocolError, "a second CONNECT"); // [MQTT-3.1.0-2]
        return false;
      default:
        failConnection(context, connection, ReasonCode.protocolError, `${packet.type} from a client`);
        return false;
    }
  }

  verdict(connection: Connection, missing: Buffer | undefined): boolean {
    return answerVerdict(this.#context, connection, missing);
  }

  full(connection: Connection): boolean {
    return holdForCommits(this.#context, connection);
  }

  publish(connection: Connection, missing: Buffer | undefined): boolean {
    return takePublish(this.#context, connection, missing);
  }

  failed(connection: Connection, reason: number, detail: number, _offset: number): void {
    const context = this.#context;
    countLimit(context.metrics, detail);
    if (
      reason === ReasonCode.packetTooLarge &&
      connection.level !== 5 &&
      connection.policy.capabilities.discardOversize3
    ) {
      this.#discard(connection, context.router.border.total);
      return;
    }
    failConnection(context, connection, reason, detailText(detail));
  }

  /** Passes over a packet that is too large, as the platform does before 5.0 [LIMIT-1]. */
  #discard(connection: Connection, total: number): void {
    connection.skip = total;
    const { session } = connection;
    if (session !== undefined)
      this.#context.gate.tell(() => session.policy.discarded?.(session.identity, total));
    const rest = this.#context.router.rest();
    if (rest.length > 0) this.#context.router.next(() => this.#collect(connection, rest, true), connection);
  }

  large(connection: Connection, total: number): boolean {
    const context = this.#context;
    if (total > INPUT_SIZE && context.router.rest()[0] >> 4 !== PUBLISH) {
      // Only a PUBLISH has a payload that need not be seen.
      context.metrics.limit("refused.packet_size");
      failConnection(context, connection, ReasonCode.packetTooLarge, "a control packet of this size");
      return false;
    }
    if (!context.memory.admits(total)) {
      failConnection(context, connection, ReasonCode.quotaExceeded, "the broker is short of memory");
      return false;
    }
    return true;
  }

  broken(error: unknown, connection: Connection | undefined): void {
    const { logger, metrics } = this.#context;
    metrics.handlerErrors++;
    logger.error({ err: error, client: connection?.clientId }, "a part of the broker failed");
    if (connection === undefined) return;
    closeConnection(this.#context, connection, ReasonCode.unspecifiedError, "Internal error");
  }

  trapped(error: unknown, connection: Connection | undefined): void {
    const { logger, metrics } = this.#context;
    metrics.traps++;
    logger.error(
      { err: error, client: connection?.clientId },
      "the core trapped; it is rebuilt from the sessions",
    );
    this.#rebuild(connection);
  }

  // ---- stream events ----

  drained(connection: Connection): void {
    if (!connection.open) {
      connection.finishDrained();
      return;
    }
    const { session } = connection;
    if (session === undefined || session.connection !== connection) return;
    const { router, deliveries, retainedReplay } = this.#context;
    router.whenFree(() => {
      if (session.connection !== connection) return;
      router.settleCredit(connection);
      // Also where nothing waits: what made the core queue may have been dropped, and the pump tells it so.
      deliveries.pump.send(session);
      retainedReplay.drained(session);
    }, connection);
  }

  ended(connection: Connection): void {
    connection.endsHeld = connection.held && connection.readsHeld;
    if (!connection.endsHeld && connection.state < CLOSING) {
      connection.endReason ??= ReasonCode.unspecifiedError;
      this.#context.router.whenFree(() => {
        detach(this.#context, connection);
        connection.finish(undefined);
      }, connection);
    }
  }

  closed(connection: Connection, error: Error | undefined): void {
    this.#forget(connection);
    this.#context.memory.arriving -= connection.large?.counted ?? 0;
    connection.large = undefined;
    streamClosed(this.#context, connection, error);
  }
}
