// Where input goes: before CONNECT, packet by packet to the handlers; afterwards in runs through the router, which comes
// back here for everything that is not on the hot path.
import {
  AUTHENTICATING,
  CLOSING,
  CONNECTING,
  type Connection,
  type Inlet,
  ONLINE,
  WAITING,
} from "../connection/connection.ts";
import type { Outbox } from "../connection/outbox.ts";
import {
  DETAIL_ALIAS_RANGE,
  DETAIL_ALIAS_UNKNOWN,
  DETAIL_FILTERS_MANY,
  DETAIL_PACKET_SIZE,
  DETAIL_PROPERTIES_MANY,
  DETAIL_RECEIVE_MAXIMUM,
  DETAIL_TOPIC_LEVELS,
  INPUT_SIZE,
} from "../core/generated/abi.ts";
import type { Metrics } from "../metrics.ts";
import { detailText } from "../protocol/details.ts";
import type { ConnectPacket } from "../protocol/packet.ts";
import { encodeConnack } from "../protocol/packet-encoder.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import type { PacketHandlers } from "../routing/packet-handlers.ts";
import { handleAuth } from "./auth.ts";
import { closeConnection, detach, failConnection, streamClosed } from "./close.ts";
import { handleConnect } from "./connect.ts";
import type { Context } from "./context.ts";
import { handleDisconnect } from "./disconnect.ts";
import { answerVerdict, publishDurably } from "./publish.ts";
import { handleSubscribe } from "./subscribe.ts";
import { handleUnsubscribe } from "./unsubscribe.ts";

const CONNECT = 1;
const PUBLISH = 3;
const AUTH = 15;
const EMPTY = Buffer.alloc(0);

export class Dispatch implements Inlet, PacketHandlers {
  readonly #context: Context;
  /** Bytes of large packets that have come and are not complete. */
  #collecting = 0;
  /** Rebuilds the core after a trap. */
  readonly #rebuild: (offender: Connection | undefined) => void;
  readonly #forget: (connection: Connection) => void;

  constructor(
    context: Context,
    rebuild: (offender: Connection | undefined) => void,
    forget: (connection: Connection) => void,
  ) {
    this.#context = context;
    this.#rebuild = rebuild;
    this.#forget = forget;
  }

  get turn(): number {
    return this.#context.turn.turn;
  }

  flushLater(outbox: Outbox): void {
    this.#context.turn.flushLater(outbox);
  }

  // ---- input ----

  receive(connection: Connection, chunk: Buffer): void {
    this.#context.metrics.bytesReceived += chunk.length;
    this.#input(connection, chunk);
  }

  #input(connection: Connection, chunk: Buffer): void {
    const { router } = this.#context;
    if (!connection.open) return;
    if (router.busy) {
      // What its turn finds then decides: it may be held, or in the middle of a large packet.
      connection.pause();
      router.later(() => {
        connection.resume(Date.now());
        this.#input(connection, chunk);
      });
    } else if (connection.held) this.#keepHeld(connection, chunk);
    else if (connection.state !== ONLINE) router.whenFree(() => this.#beforeOnline(connection, chunk));
    else if (connection.large !== undefined || connection.skip > 0) this.#collect(connection, chunk);
    else this.#run(connection, chunk);
  }

  /** What has waited may be more than the core takes at a time. */
  #run(connection: Connection, chunk: Buffer): void {
    const room = INPUT_SIZE - (connection.tail?.length ?? 0);
    if (chunk.length <= room) {
      this.#context.router.run(connection, chunk);
      return;
    }
    this.#context.router.run(connection, chunk.subarray(0, room));
    // Behind that the connection may be held, or in the middle of a large packet.
    this.#input(connection, chunk.subarray(room));
  }

  /** Input behind an unanswered question waits, up to a bound; the stream is paused already, so little more can come. */
  #keepHeld(connection: Connection, chunk: Buffer): void {
    connection.tail = connection.tail === undefined ? chunk : Buffer.concat([connection.tail, chunk]);
    this.behindQuestion(connection, chunk.length);
  }

  /** So many bytes more wait behind a question that is not answered yet. */
  behindQuestion(connection: Connection, bytes: number): void {
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
    if (tail === undefined) return;
    connection.tail = undefined;
    this.#input(connection, tail);
  }

  /** Packets until the client is online: CONNECT, then AUTH where an exchange was begun. One at a time. */
  #beforeOnline(connection: Connection, chunk: Buffer): void {
    const context = this.#context;
    let bytes = connection.tail === undefined ? chunk : Buffer.concat([connection.tail, chunk]);
    connection.tail = undefined;
    while (bytes.length > 0 && connection.open && !connection.held && connection.state !== ONLINE) {
      const type = bytes[0] >> 4;
      const expected = connection.state === WAITING ? CONNECT : AUTH;
      if (type !== expected || connection.state === CONNECTING) {
        // The first packet must be CONNECT [MQTT-3.1.0-1]; nothing but AUTH may follow before CONNACK.
        this.#refuseEarly(connection, ReasonCode.protocolError, `packet type ${type} before CONNACK`);
        return;
      }
      const total = packetLength(bytes);
      if (total < 0 || total > context.limits.maxPacketBeforeConnect) {
        if (total > 0) context.metrics.limit("refused.packet_before_connect");
        this.#refuseEarly(
          connection,
          total < 0 ? ReasonCode.malformedPacket : ReasonCode.packetTooLarge,
          "CONNECT is too long",
        );
        return;
      }
      if (total === 0 || bytes.length < total) {
        connection.tail = Buffer.from(bytes);
        return;
      }
      const packet = bytes.subarray(0, total);
      bytes = bytes.subarray(total);
      // What follows waits until this packet is decided.
      connection.tail = bytes.length > 0 ? Buffer.from(bytes) : undefined;
      this.#early(connection, packet);
      if (connection.held) {
        this.behindQuestion(connection, bytes.length);
        return;
      }
      bytes = connection.tail ?? EMPTY;
      connection.tail = undefined;
    }
    if (bytes.length === 0 || !connection.open) return;
    if (connection.held) connection.tail = Buffer.from(bytes);
    else this.#input(connection, bytes);
  }

  #early(connection: Connection, bytes: Buffer): void {
    const { border } = this.#context.router;
    border.load(bytes);
    const reason = border.decode(0, bytes.length, connection.state === WAITING ? 0 : 5);
    if (reason !== 0) {
      countLimit(this.#context.metrics, reason, border.detail);
      connection.level = earlyLevel(bytes);
      this.#refuseEarly(connection, reason, detailText(border.detail));
      return;
    }
    const packet = border.packet();
    if (packet.type === "connect") handleConnect(this.#context, connection, packet as ConnectPacket);
    else if (packet.type === "auth" && connection.state === AUTHENTICATING)
      handleAuth(this.#context, connection, packet);
  }

  /** Before CONNACK: a 5.0 client may be told in CONNACK, an unknown level is told 1, everybody else is just closed. */
  #refuseEarly(connection: Connection, reason: number, detail: string): void {
    const { metrics, logger } = this.#context;
    metrics.protocolErrors++;
    connection.endReason = reason;
    logger.info({ address: connection.stream.info.remoteAddress, reason, detail }, "closing before CONNACK");
    if (connection.state === WAITING && reason === ReasonCode.unsupportedProtocolVersion) {
      // Levels above 5 are answered as 5.0 would be, lower ones and bridges with code 1 so that they fall back.
      const level = connection.level === 5 ? 5 : 4;
      connection.finish(encodeConnack({ level, reasonCode: level === 5 ? reason : 1 }));
    } else if (connection.level === 5) {
      connection.finish(encodeConnack({ level: 5, reasonCode: reason })); // [MQTT-3.1.4-1]
    } else connection.destroy();
  }

  /** A large PUBLISH arrives piece by piece into one buffer of its exact size; an oversize one is passed over. */
  #collect(connection: Connection, chunk: Buffer): void {
    connection.lastSeen = Date.now();
    if (connection.skip > 0) {
      const skipped = Math.min(connection.skip, chunk.length);
      connection.skip -= skipped;
      if (skipped < chunk.length) this.#run(connection, chunk.subarray(skipped));
      return;
    }
    const large = connection.large;
    if (large === undefined) return;
    const taken = chunk.copy(large.bytes, large.filled);
    large.filled += taken;
    if (large.filled < large.bytes.length) {
      large.counted += taken;
      this.#collecting += taken;
      this.#checkCollecting(connection);
      return;
    }
    this.#collecting -= large.counted;
    connection.large = undefined;
    if (taken < chunk.length) connection.tail = Buffer.from(chunk.subarray(taken));
    const rest = connection.tail;
    connection.tail = undefined;
    this.#context.router.runLarge(connection, large.bytes);
    if (rest === undefined || !connection.open) return;
    // A packet that raised a question may stand in front.
    if (connection.held) this.#keepHeld(connection, rest);
    else this.#input(connection, rest);
  }

  /** Bytes that have really come count, not those announced: or a few headers would shut everybody out. */
  #checkCollecting(connection: Connection): void {
    const { deliveries, limits, metrics } = this.#context;
    if (deliveries.queues.segments.bytes + this.#collecting <= limits.brokerBytes) return;
    metrics.limit("dropped.broker_bytes");
    failConnection(this.#context, connection, ReasonCode.quotaExceeded, "the broker is short of memory");
  }

  // ---- what the router asks ----

  control(connection: Connection, from: number, length: number): boolean {
    const context = this.#context;
    const { border } = context.router;
    const reason = border.decode(from, length, connection.level);
    if (reason !== 0) {
      countLimit(context.metrics, reason, border.detail);
      failConnection(context, connection, reason, detailText(border.detail));
      return false;
    }
    const packet = border.packet();
    switch (packet.type) {
      case "subscribe":
        return handleSubscribe(context, connection, packet);
      case "unsubscribe":
        handleUnsubscribe(context, connection, packet);
        return true;
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

  verdict(connection: Connection): boolean {
    return answerVerdict(this.#context, connection);
  }

  publish(connection: Connection, missing: Buffer | undefined): boolean {
    publishDurably(this.#context, connection, missing);
    return true;
  }

  failed(connection: Connection, reason: number, detail: number, _offset: number): void {
    const context = this.#context;
    countLimit(context.metrics, reason, detail);
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
    const rest = this.#context.router.rest();
    if (rest.length > 0) this.#context.router.whenFree(() => this.#collect(connection, rest));
  }

  large(connection: Connection, total: number): boolean {
    const context = this.#context;
    if (total > INPUT_SIZE && context.router.rest()[0] >> 4 !== PUBLISH) {
      // Only a PUBLISH has a payload that need not be seen.
      context.metrics.limit("refused.packet_size");
      failConnection(context, connection, ReasonCode.packetTooLarge, "a control packet of this size");
      return false;
    }
    if (context.deliveries.queues.segments.bytes + this.#collecting + total > context.limits.brokerBytes) {
      context.metrics.limit("dropped.broker_bytes");
      failConnection(context, connection, ReasonCode.quotaExceeded, "the broker is short of memory");
      return false;
    }
    return true;
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
    });
  }

  ended(connection: Connection): void {
    if (connection.state < CLOSING) {
      connection.endReason ??= ReasonCode.unspecifiedError;
      this.#context.router.whenFree(() => {
        detach(this.#context, connection);
        connection.finish(undefined);
      });
    }
  }

  closed(connection: Connection, error: Error | undefined): void {
    this.#forget(connection);
    this.#collecting -= connection.large?.counted ?? 0;
    connection.large = undefined;
    streamClosed(this.#context, connection, error);
  }

  /** For the broker's clock. */
  close(connection: Connection, reason: number, text: string): void {
    closeConnection(this.#context, connection, reason, text);
  }
}

/** The metrics of limits.ts that the core's refusals stand for. */
const LIMIT_OF_DETAIL: ReadonlyMap<number, string> = new Map([
  [DETAIL_PACKET_SIZE, "refused.packet_size"],
  [DETAIL_RECEIVE_MAXIMUM, "refused.receive_maximum"],
  [DETAIL_ALIAS_RANGE, "refused.topic_alias"],
  [DETAIL_TOPIC_LEVELS, "refused.topic_levels"],
  [DETAIL_PROPERTIES_MANY, "refused.properties"],
  [DETAIL_FILTERS_MANY, "refused.filters"],
]);

function countLimit(metrics: Metrics, reason: number, detail: number): void {
  // An alias that is not known is a mistake; one that may not be remembered is over a limit.
  const metric =
    detail === DETAIL_ALIAS_UNKNOWN && reason === ReasonCode.quotaExceeded
      ? "refused.topic_alias_bytes"
      : LIMIT_OF_DETAIL.get(detail);
  if (metric !== undefined) metrics.limit(metric);
}

/** Length of the packet that begins here: 0 not known yet, -1 malformed. */
function packetLength(bytes: Buffer): number {
  let length = 0;
  for (let i = 1; i < 5; i++) {
    if (i >= bytes.length) return 0;
    length |= (bytes[i] & 127) << (7 * (i - 1));
    if (bytes[i] < 128) return i + 1 + length;
  }
  return -1;
}

/** The level a broken CONNECT claims, for the form of its answer. */
function earlyLevel(bytes: Buffer): 3 | 4 | 5 {
  let at = 1;
  while (at < bytes.length && bytes[at] & 128) at++;
  at++;
  if (at + 2 > bytes.length) return 4;
  const level = bytes[at + 2 + bytes.readUInt16BE(at)];
  return level === 3 ? 3 : level !== undefined && level >= 5 && level < 128 ? 5 : 4;
}
