// What the platform asks of the broker it runs in, by session: the broker implements it, services never see it (they
// have Devices, service.ts). Everything that leaves goes through the delivery path of all messages.
import type { Identity } from "../../access/policy.ts";
import type { Properties } from "../../protocol/properties.ts";
import type { PushMessage, PushOutcome } from "./service.ts";

/** The live connection of a session. */
export interface HostConnection {
  readonly level: 3 | 4 | 5;
  readonly remoteAddress: string;
  /** ms since the epoch */
  readonly connectedAt: number;
  readonly lastPacketAt: number;
  /** s, in force for this connection */
  readonly keepAlive: number;
  /** The socket is known to be broken though the connection has not ended yet [RRPC-5]. */
  readonly broken: boolean;
}

/** A subscription of a device [SUB-4]. */
export interface HeldSubscription {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
  /** ms since the epoch; of one from before the broker started: when that was. */
  readonly since: number;
}

/** A message of the server's side. */
export interface ServerMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties?: Properties;
}

/** What became of one: packets that are on their way, QoS 0 dropped over a rate of deliveries, or because too much waits. */
export interface SendResult {
  readonly sent: number;
  readonly overRate: number;
  readonly dropped: number;
}

export interface PlatformHost {
  /**
   * Sends to one session of the platform's namespace: where it subscribed the topic or, `implied`, in any case [SUB-5].
   * Resolves by the same promise as a PUBACK.
   */
  push(sessionKey: string, message: PushMessage, implied: boolean): Promise<PushOutcome>;
  /** To whoever subscribed, as broker.publish(). */
  publish(message: PushMessage & { readonly retain?: boolean }): Promise<unknown>;
  /** Messages on topics that hold these names one behind the other, "pk/dn", have a rate of their own in the session [GW-4]. */
  paceFor(sessionKey: string, names: string, own: boolean): void;
  /** undefined: the session is offline, or there is none. */
  connectionOf(sessionKey: string): HostConnection | undefined;
  /** Ends the live connection: DISCONNECT with the reason in 5.0, a plain close before. False: there is none. */
  disconnect(sessionKey: string, reason: number, reasonString: string): boolean;
  /**
   * Subscriptions and waiting messages of a session move into sessions of their owners that are kept, by filter and topic; what
   * has no owner stays, and what is of one that is connected.
   */
  park(sessionKey: string, ownerOf: (topic: string) => Identity | undefined): void;
  /** A parked session moves into another one: its messages are sent, in their order. `clean`: it ends instead. */
  unpark(parkedKey: string, sessionKey: string, clean: boolean): void;
  /** Ends the session with what is kept for it; after disconnect() where it has a connection. */
  endSession(sessionKey: string): void;
  /** Ends what is retained on topics that match, names of all: who they were of is gone. */
  forgetRetained(filters: readonly string[]): void;
  /** What somebody may publish or subscribe has changed: everybody is asked about again, at once. */
  grantsChanged(): void;
  /** Who wants copies of messages has changed: what the core remembers of that is void. */
  interestChanged(): void;
  /**
   * Subscribes filters for the client that is connected, as if it had itself. Resolves with granted QoS or reason codes, as
   * SUBACK would; undefined: it is offline.
   */
  subscribe(
    sessionKey: string,
    filters: readonly string[],
    qos: 0 | 1 | 2,
  ): Promise<readonly number[]> | undefined;
  /** Ends subscriptions of the client that is connected, likewise; reason codes as UNSUBACK has them. */
  unsubscribe(sessionKey: string, filters: readonly string[]): Promise<readonly number[]> | undefined;
  /** Counts up a metric of the broker. */
  count(metric: string): void;
  /** The same, with a line in the log, of which there are only so many in a second. */
  notice(metric: string, fields: object, message: string): void;
  /** What the session has subscribed, in no order. */
  subscriptionsOf(sessionKey: string): readonly HeldSubscription[];
}
