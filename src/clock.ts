// What the broker does once a second: connections that are late or stuck, Wills and sessions that are due, retained
// messages that have expired, grants that have changed.
import {
  AUTHENTICATING,
  CLOSING,
  CONNECTING,
  type Connection,
  ONLINE,
  WAITING,
} from "./connection/connection.ts";
import { closeConnection, limitClosed } from "./handlers/context/close.ts";
import type { Context } from "./handlers/context/context.ts";
import type { Limits } from "./limits.ts";
import { ReasonCode } from "./protocol/reason-codes.ts";
import { splitPlace } from "./routing/turn/spaces.ts";

const CLOCK_MS = 1_000;
const SWEEP_EVERY_MS = 60_000;
/** Retained topics looked at per second of a sweep. */
const SWEEP_STEPS = 20_000;

interface Grants {
  /** Counts up when a policy's grants change. */
  readonly generation: number;
  /** Is this name not the space's any more, see Policy.spaces? */
  leftSpaces(space: string, name: string): boolean;
}

export class Clock {
  readonly #context: Context;
  readonly #connections: ReadonlySet<Connection>;
  readonly #grants: Grants;
  readonly #timer: NodeJS.Timeout;
  #generation = 0;
  #sweep: Generator<string | undefined> | undefined;
  #lastSweep = Date.now();
  /** Topics the present sweep has found that are free no more [TOPIC-10]. */
  #left = 0;

  constructor(context: Context, connections: ReadonlySet<Connection>, grants: Grants) {
    this.#context = context;
    this.#connections = connections;
    this.#grants = grants;
    this.#timer = setInterval(() => this.#tick(), CLOCK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const { router, notices } = this.#context;
    notices.renew();
    router.whenFree(() => this.#everySecond(Date.now()));
  }

  #everySecond(now: number): void {
    const { sessions, wills, limits } = this.#context;
    const { generation } = this.#grants;
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.#context.grants.begin(this.#context);
      // A name that was free may be a product's now.
      if (this.#context.deliveries.retained.messages.prefixes().length > 0) this.#lastSweep = 0;
    }
    for (const connection of this.#connections) {
      try {
        this.#checkConnection(connection, now, limits);
      } catch (error) {
        if (this.#context.router.isTrap(error)) throw error;
        this.#context.router.failed(error, connection);
      }
    }
    wills.sweep(now);
    sessions.sweep(now);
    this.#sweepRetained(now);
  }

  #checkConnection(connection: Connection, now: number, limits: Limits): void {
    switch (connection.state) {
      case WAITING:
      case AUTHENTICATING:
      case CONNECTING:
        if (now - connection.openedAt >= limits.connectTimeout) {
          limitClosed(this.#context, connection, "closed.connect_timeout", "closing: not connected in time");
          connection.destroy();
        }
        return;
      case ONLINE:
        // 1.5 times Keep Alive without a packet [MQTT-3.1.2-22]; while we keep it waiting its clock stands still.
        if (
          connection.keepAliveMs > 0 &&
          !connection.paused &&
          !connection.held &&
          now - connection.lastSeen > connection.keepAliveMs
        ) {
          limitClosed(this.#context, connection, "closed.keep_alive", "closing: Keep Alive timeout");
          closeConnection(this.#context, connection, ReasonCode.keepAliveTimeout, "Keep Alive timeout");
          return;
        }
    }
    this.#checkProgress(connection, now, limits);
  }

  /** A client that takes no byte for too long is closed, whatever is owed to it. */
  #checkProgress(connection: Connection, now: number, limits: Limits): void {
    const { pendingBytes } = connection.stream;
    if (pendingBytes === 0 || pendingBytes < connection.stuckBytes) {
      connection.stuckSince = 0;
    } else if (connection.stuckSince === 0) {
      connection.stuckSince = now;
    } else if (now - connection.stuckSince >= limits.slowClientTimeout) {
      limitClosed(this.#context, connection, "closed.slow_client", "closing: the client takes no bytes");
      if (connection.state < CLOSING)
        closeConnection(this.#context, connection, ReasonCode.quotaExceeded, "no byte taken");
      connection.destroy();
    }
    connection.stuckBytes = pendingBytes;
    // Acknowledgements are never dropped: a client that sends and does not read is bounded here.
    if (connection.state === ONLINE && connection.outbox.pending > limits.outgoingBytes * 2) {
      limitClosed(
        this.#context,
        connection,
        "closed.slow_client",
        "closing: too many bytes wait for the client",
      );
      closeConnection(
        this.#context,
        connection,
        ReasonCode.quotaExceeded,
        "too many bytes wait for this client",
      );
      connection.destroy();
    }
  }

  #sweepRetained(now: number): void {
    if (this.#sweep === undefined) {
      if (now - this.#lastSweep < SWEEP_EVERY_MS) return;
      const gone = (place: string): boolean => {
        const found = splitPlace(place);
        if (found === undefined || !this.#grants.leftSpaces(found.space, found.name)) return false;
        this.#left++;
        return true;
      };
      this.#sweep = this.#context.deliveries.retained.messages.sweep(() => Date.now(), gone);
    }
    for (let i = 0; i < SWEEP_STEPS; i++) {
      const { done, value: expired } = this.#sweep.next();
      if (!done) {
        if (expired !== undefined) this.#context.deliveries.retained.clear(expired);
        continue;
      }
      this.#sweep = undefined;
      this.#lastSweep = now;
      if (this.#left > 0)
        this.#context.logger.warn(
          { topics: this.#left },
          "retained messages ended: their product is gone, or another was made to whom their topics, free before, belong",
        );
      this.#left = 0;
      return;
    }
  }
}
