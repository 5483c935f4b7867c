// A session: what outlives a connection [MQTT-3.1.2 Session state]. Data only; session-registry.ts makes and ends
// them.
import type { Identity, Policy, WillRequest } from "../access/policy.ts";
import type { ProtocolLevel } from "../protocol/packet-types.ts";
import { SessionQueue } from "./queue.ts";
import type { Unsettled } from "./unsettled.ts";

/** What the session needs of the connection it is mapped to. */
export interface SessionConnection {
  readonly id: number;
}

/** A PUBREL that came before its message was on its way to all. */
export interface WaitingRelease<C> {
  readonly reason: number;
  /** The connection that waits for PUBCOMP. */
  readonly connection: C | undefined;
}

export interface Subscription {
  /** As the client sent it, `$share/NAME/` included. */
  readonly filter: string;
  /** The part that is matched. */
  readonly plain: string;
  readonly shareName: string | undefined;
  readonly group: number;
  /** The core's options word. */
  readonly options: number;
  /** ms since the epoch; of one from before the broker started: when that was. */
  readonly since: number;
}

/** A message that the policy is serving. */
export interface Serving<C> {
  /** Over which it came. */
  readonly connection: C;
  /** The reason code it will be acknowledged with. */
  readonly answer: Promise<number>;
}

/** A subscription besides the text of its filter: its objects here, its entries in the core's table. */
const SUBSCRIPTION_COST = 200;

/** Bytes a subscription counts for limits.subscriptionBytes. */
export function subscriptionCost(filter: string): number {
  return Buffer.byteLength(filter) + SUBSCRIPTION_COST;
}

/** Session Expiry Interval that never ends. */
export const NEVER = 0xffffffff;

export class Session<C extends SessionConnection = SessionConnection> {
  readonly key: string;
  readonly slot: number;
  identity: Identity;
  policy: Policy;
  level: ProtocolLevel = 4;
  connection: C | undefined;
  /** s; 0: ends with the connection. */
  expiryInterval = 0;
  /** ms since the epoch; set while offline. */
  expiresAt: number | undefined;
  readonly subscriptions = new Map<string, Subscription>();
  /** What the subscriptions count, see subscriptionCost(). */
  subscriptionBytes = 0;
  /** How many of them count for whom; undefined until it is asked. */
  owners: Map<string, number> | undefined;
  readonly queue = new SessionQueue();
  /** QoS 2 ids of the client between PUBLISH and PUBREL; kept here only where the session survives its connection. */
  inbound: Set<number> | undefined;
  /** QoS 1 ids of messages that the policy is serving; undefined: none is. */
  serving: Map<number, Serving<C>> | undefined;
  /** Ids of `inbound` whose message is not on its way to all yet, see routing/delivery/inbound-delivery.ts. */
  passing: Map<number, WaitingRelease<C> | undefined> | undefined;
  /** Options of subscriptions whose change is not safe yet, by filter. */
  unsettled: Unsettled<number> | undefined;
  will: WillRequest | undefined;
  /** Number in the store. */
  storeId = 0;
  /** Commit whose batch has its cursor. */
  cursorCommit = 0;
  /** Commit that makes the newest PUBREC safe, 0 where it is. */
  receivedCommit = 0;
  /** Numbers of the core's meters, by whom they count [LIMIT-2]. */
  meters: Map<string, number> | undefined;
  /** Names of the meters, by number from 1. */
  meterNames: string[] | undefined;
  /** Owners of topics whose deliveries are counted on their own, "a/b" as the topic has it [GW-4]. */
  pacedFor: Set<string> | undefined;
  /** Over a rate of deliveries: it is woken when that is over. */
  paced = false;
  /** Version of its grants for which its subscriptions were asked for; undefined: not since it woke. */
  reviewed: number | undefined;
  /** Number of its space, 0: none, see Policy.spaces. */
  space = 0;
  /** Ended: its slot waits to be freed. */
  ended = false;
  /** A pump is wanted at the end of this run. */
  pumping = false;

  constructor(key: string, slot: number, identity: Identity, policy: Policy) {
    this.key = key;
    this.slot = slot;
    this.identity = identity;
    this.policy = policy;
  }

  /** See SessionRef in store.ts. */
  cursor(): Uint8Array {
    return this.queue.encodeCursor();
  }

  get persistent(): boolean {
    return this.expiryInterval > 0;
  }
}
