// What the router asks of the handlers: the packets that are not on the hot path, and what the core refuses.
import type { Connection } from "../../connection/connection.ts";

/** What the router leaves to handlers. They return true when the run may go on behind the packet. */
export interface PacketHandlers {
  /** A whole packet of `length` bytes at `from` in the input region, not on the hot path. */
  control(connection: Connection, from: number, length: number): boolean;
  /**
   * A PUBLISH without a known verdict; `missing` is the payload behind what the core has seen. True: enter the core again at the
   * same place.
   */
  verdict(connection: Connection, missing: Buffer | undefined): boolean;
  /** A PUBLISH must wait for the acknowledgements of those before it. True: enter the core again at the same place. */
  full(connection: Connection): boolean;
  /** A PUBLISH the host handles; behind it, when true. */
  publish(connection: Connection, missing: Buffer | undefined): boolean;
  /** The core refuses what the client sent. */
  failed(connection: Connection, reason: number, detail: number, offset: number): void;
  /** A packet of `total` bytes announces itself; false: refused. */
  large(connection: Connection, total: number): boolean;
  /** So many bytes more of this client wait behind a question that is not answered yet. */
  behindQuestion(connection: Connection, bytes: number): void;
  /** The host's own code has thrown, on behalf of this connection or of nobody's. */
  broken(error: unknown, connection: Connection | undefined): void;
  /** The core trapped: everything in it is lost. */
  trapped(error: unknown, connection: Connection | undefined): void;
}
