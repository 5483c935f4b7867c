// A policy is what makes one profile differ from another: who may connect, publish and subscribe, and which of the
// protocol's freedoms are used. Chosen per listener. The rest of the broker reads its fields and never asks for its name.
import type { Properties } from "../protocol/properties.ts";
import type { StreamInfo } from "../transport/streams/stream.ts";
import type { PublishedMessage } from "./published-message.ts";

/** Who a connection turned out to be. Fixed at CONNECT, kept by the session. */
export interface Identity {
  /** Client Identifier in use (assigned or sent). */
  readonly clientId: string;
  readonly username: string | undefined;
  /** Key of the session inside the policy's namespace [SESS-0]. */
  readonly sessionKey: string;
  /** The policy's own data about this client (ProductKey, DeviceName, grants, …). */
  readonly data?: unknown;
}

export interface ConnectRequest {
  readonly level: 3 | 4 | 5;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly cleanStart: boolean;
  readonly keepAlive: number;
  readonly properties: Properties;
  readonly will: WillRequest | undefined;
  readonly stream: StreamInfo;
}

export interface WillRequest {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties: Properties;
}

/** Refusal of a CONNECT: `code3` is the 3.x return code 1..5, `reason` the 5.0 reason code. */
export interface ConnectRefusal {
  readonly ok: false;
  readonly code3: 1 | 2 | 3 | 4 | 5;
  readonly reason: number;
  readonly reasonString?: string;
  /** For the log only, never sent. */
  readonly detail?: string;
  /** For a policy's own log: the code it has for this there. */
  readonly logCode?: number;
}

export interface ConnectAcceptance {
  readonly ok: true;
  readonly identity: Identity;
  /** Set where the server chose the Client Identifier. */
  readonly assignedClientId?: string;
  /** Set where the server overrides Keep Alive, s. */
  readonly serverKeepAlive?: number;
  /** True: publish without asking authorizePublish; so nothing of it is tapped or served. */
  readonly allowAllPublish?: boolean;
  /** Longest the session may outlive its connection, s. Default: as the client and limits.sessionExpiry say. */
  readonly maxSessionExpiry?: number;
  /** Parsed and thrown away where false [SESS-5]. Default true. */
  readonly keepWill?: boolean;
  /** How often this session may publish. Default: as often as it likes. */
  readonly rates?: PublishRates;
  /** How often this session may be sent to. Default: as often as there is something. */
  readonly deliveries?: DeliveryRates;
  /**
   * How many bytes a second its connection may bring, 1,024 at least: where more come it is not read for a while, and its
   * Keep Alive stands still (`delayed.bandwidth`). Default: as many as come.
   */
  readonly bytesPerSecond?: number;
  /** How many messages a second are sampled, see PublishVerdict.sample. Default: none. */
  readonly samples?: SampleRates;
}

export interface SampleRates {
  /** Of this session. */
  readonly perSecond: number;
  /** Of all sessions of the broker together; the latest CONNECT that names it sets it. Default: no bound. */
  readonly ofAll?: number;
}

/** So many messages may pass in any window of time; what is beyond is dropped and counted (`dropped.rate`). */
export interface PublishRates {
  /** Messages of QoS 0, 1 to 65,535. Default: as many as come. */
  readonly qos0?: number;
  /** Messages of QoS 1 and 2. */
  readonly qos1?: number;
  /** Of any QoS, of all sessions that name it together, up to 1,000,000; the latest CONNECT sets it. Default: no bound. */
  readonly ofAll?: number;
  /** Default 1,000. */
  readonly windowMs?: number;
  /** Reason code for 5.0 clients. Default: like a 3.x client, they get no acknowledgement, and may send it again. */
  readonly beyond?: number;
}

/**
 * So many messages may be sent in any second. What is beyond is dropped where it has QoS 0, and counted
 * (`dropped.delivery_rate`, `dropped.delivery_rate_of_all`); with QoS 1 and 2 it waits in the session's queue.
 */
export interface DeliveryRates {
  /** To this session, 1 to 65,535; to each owner it is paced for on its own. Default: no bound. */
  readonly each?: number;
  /** To all sessions that name it together, up to 1,000,000; the latest CONNECT sets it. Default: no bound. */
  readonly ofAll?: number;
}

/** Why a message of QoS 0 was not sent: too much waits for the connection, or a rate of DeliveryRates. */
export type UnsentReason = "connection" | "rate" | "rate of all";

export type ConnectDecision = ConnectAcceptance | ConnectRefusal;

/** VERDICT_* bits of the core's ABI, see assembly/abi.ts. */
export interface PublishVerdict {
  readonly allow: boolean;
  /** Reason code of a refusal. Default 0x87. */
  readonly reason?: number;
  readonly reasonString?: string;
  /** The same answer holds for this client and topic until the policy changes. Default true. */
  readonly cacheable?: boolean;
  /** Delivered as usual, and `tapped` gets a copy. */
  readonly tap?: boolean;
  /**
   * Delivered, or refused, as usual, and `tapped` gets a copy of some: as many a second as `samples` of the CONNECT says. The
   * others are counted, and `skipped` is told how many. A message that is tapped or served anyway is not sampled.
   */
  readonly sample?: boolean;
  /**
   * Whose rate counts the message: the session's own, or that of whom this names, which has the same numbers. A session has
   * up to 4,095 of them, gone when its client connects anew.
   */
  readonly meter?: string;
  /** Delivered to clients of the same space only, see Policy.spaces, and to those without one. */
  readonly isolated?: boolean;
  /** Delivered to nobody: `serve` gets the message, and what it answers is the acknowledgement. */
  readonly host?: boolean;
}

/** Spaces in which a name means something of its own: the same Topic Name in two of them is two topics [TOPIC-10]. */
export interface Spaces {
  /** Space of a session, by its key alone, and the same as long as it lives. */
  of(sessionKey: string): string | undefined;
  /** Is this Topic Name, or plain Topic Filter, one that means something in its space only? */
  covers(topic: string): boolean;
  /** No session is of this space any more: what is retained in it ends. Default: spaces do not end. */
  ended?(space: string): boolean;
}

/**
 * Reason code of the acknowledgement; nothing is 0. From 0x80 a refusal, which 3.x clients are not told. "ignored": there is
 * no acknowledgement.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a function without a return is an answer
export type ServeResult = number | "ignored" | undefined | void;

/** Answer for one Topic Filter: granted QoS 0..2, or a reason code >= 0x80. */
export type SubscribeVerdict = number | SubscribeRefusal;

/** A refusal with words of its own, which 3.x clients do not get. */
export interface SubscribeRefusal {
  /** Reason code, >= 0x80. */
  readonly reason: number;
  readonly reasonString?: string;
  /** The whole SUBSCRIBE is refused by the end of its connection. */
  readonly close?: boolean;
  /** The whole SUBSCRIBE is refused, and gets no SUBACK. */
  readonly ignore?: boolean;
}

/** How many subscriptions there may be. */
export interface SubscriptionBounds {
  /** For whom it counts: a session may hold some for others. */
  readonly owner: string;
  /** Of one owner in one session. */
  readonly most: number;
  /** Sessions that may get one topic of this filter's crowd, see Policy.crowdOf. Default: as many as come. */
  readonly subscribers?: number;
}

/** How many retained messages there may be; a further topic is forwarded and not kept, 0x97 says so. */
export interface RetainedBounds {
  /** The topics that count, by Topic Filters none of which matches what another does. */
  readonly filters: readonly string[];
  readonly most: number;
}

/** What properties of a 5.0 PUBLISH may hold; one beyond is refused with 0x97 (number) or 0x83. */
export interface PropertyBounds {
  readonly userProperties: number;
  /** Unicode code points of name and value together; a name may not begin with "_". */
  readonly userPropertyCharacters: number;
  /** Unicode code points. */
  readonly responseTopic: number;
  /** Bytes. */
  readonly correlationData: number;
}

export interface SubscribeRequest {
  readonly filter: string;
  /** Share name of `$share/NAME/filter`; `filter` is the part behind it. */
  readonly shareName: string | undefined;
  readonly qos: 0 | 1 | 2;
  readonly level: 3 | 4 | 5;
}

/** Fields that differ between profiles; copied to slots and CONNACKs. */
export interface Capabilities {
  readonly maximumQos: 1 | 2;
  /** Retained messages stored for and delivered to 3.x clients; 5.0 clients. */
  readonly retain3: boolean;
  readonly retain5: boolean;
  readonly wildcardSubscriptions: boolean;
  readonly subscriptionIdentifiers: boolean;
  readonly sharedSubscriptions3: boolean;
  readonly sharedSubscriptions5: boolean;
  /** Delivered at the publisher's QoS, whatever was subscribed [QOS-2]. */
  readonly publisherQos3: boolean;
  readonly publisherQos5: boolean;
  /** A copy of an unacknowledged QoS 1 PUBLISH is not forwarded again [QOS-4]. */
  readonly dedupeQos1: boolean;
  readonly receiveMaximum: number;
  /** QoS 1 of a 3.x client that are not acknowledged yet; beyond it nothing more is read of it for a while. Default 65,535. */
  readonly unacknowledged3?: number;
  /** In each direction. */
  readonly topicAliasMaximum: number;
  /** Whole packet, bytes, client to server. */
  readonly maximumPacketSize: number;
  /** Send capabilities that equal MQTT's defaults too [V5-1]. */
  readonly announceAll: boolean;
  /** 3.x: a packet over the maximum is discarded without acknowledgement instead of closing [LIMIT-1]. */
  readonly discardOversize3: boolean;
  /** Accept 5.0 at all [NET-2]. */
  readonly mqtt5: boolean;
  /** False: there is no Authentication Method at all, and AUTH is a bad one instead of a protocol error [NET-4]. */
  readonly enhancedAuthentication?: boolean;
  /** What a 5.0 client is told that subscribes with QoS 3, and with reserved bits. Default: MQTT's own, 0x82 and 0x81. */
  readonly optionReasons?: { readonly qos3: number; readonly reserved: number };
  /** What is dropped when a session's queue is full. */
  readonly queueOverflow: "newest" | "oldest";
  /** Longest time a queued message is kept, s; undefined: no bound [SESS-2]. */
  readonly maxQueueAge: number | undefined;
  readonly validatePayloadFormat: boolean;
  /** Topic Filters in one SUBSCRIBE, where that is less than limits.filtersPerSubscribe. */
  readonly filtersPerSubscribe?: number;
  /** Unacknowledged QoS 1 and 2 messages towards a 5.0 client, where that is less than its Receive Maximum. */
  readonly sendWindow5?: number;
  /** The same for all policies of a broker that have any. Default: what MQTT allows. */
  readonly propertyBounds?: PropertyBounds;
}

/** Exchange of AUTH packets. Each step answers with data for the client, success, or a refusal. */
export interface AuthExchange {
  step(data: Uint8Array | undefined): AuthStep | Promise<AuthStep>;
}
export type AuthStep =
  | { readonly state: "continue"; readonly data?: Uint8Array; readonly properties?: Properties }
  | { readonly state: "success"; readonly data?: Uint8Array; readonly username?: string }
  | { readonly state: "refused"; readonly reason: number; readonly reasonString?: string };

export interface Policy {
  /** For logs and metrics. */
  readonly name: string;
  /** Sessions of different namespaces never meet. */
  readonly namespace: string;
  readonly capabilities: Capabilities;
  /** Decides a CONNECT. Synchronous where it can be. `authenticatedAs` is the username an AUTH exchange proved. */
  connect(request: ConnectRequest, authenticatedAs?: string): ConnectDecision | Promise<ConnectDecision>;
  authorizePublish(
    identity: Identity,
    topic: string,
    qos: number,
    retain: boolean,
  ): PublishVerdict | Promise<PublishVerdict>;
  authorizeSubscribe(
    identity: Identity,
    request: SubscribeRequest,
  ): SubscribeVerdict | Promise<SubscribeVerdict>;
  /** Default: names mean the same for everybody. A verdict on a name they cover says `isolated`. */
  readonly spaces?: Spaces;
  /** Bounds of a subscription that would be new in its session. Default: those of the broker's limits. */
  subscriptionBounds?(identity: Identity, filter: string): SubscriptionBounds;
  /**
   * The crowd of a plain filter whose topics have a bound of subscribers: filters that have a topic in common are of one crowd.
   * undefined: nobody counts. The same answer as long as the policy lives.
   */
  crowdOf?(filter: string): string | undefined;
  /** Bounds of a retained message of this client on a topic that has none yet. Default: those of the broker's limits. */
  retainedBounds?(identity: Identity, topic: string): RetainedBounds | undefined;
  /** May a message on this topic be handed to this client now? Asked for queued and retained replay. */
  authorizeDelivery(identity: Identity, topic: string): boolean;
  /** At present everybody may be handed everything: authorizeDelivery() need not be asked. Default: false. */
  readonly deliversAll?: boolean;
  /**
   * A copy of a message whose verdict says `tap`, behind the run of packets that brought it, in order. It is on its way
   * already and its acknowledgement does not wait: keep this short. `refusal`: the reason code of a sample that was refused,
   * and reached nobody; otherwise 0.
   */
  tapped?(identity: Identity, message: PublishedMessage, refusal: number): void;
  /** So many messages to be sampled were not, for want of room: about a second after the first of them, or at the end. */
  skipped?(identity: Identity, count: number): void;
  /**
   * A message whose verdict says `host`. Until a promise settles the client's input waits, so that order is kept, and so
   * does the acknowledgement. One that fails, or takes longer than limits.heldTimeout, is refused with 0x80 (5.0) or not
   * acknowledged (3.x).
   */
  serve?(identity: Identity, message: PublishedMessage): ServeResult | PromiseLike<ServeResult>;
  /** Messages of this session went over its rate, or over that of a `meter`: told for each run of packets, not for each message. */
  limited?(identity: Identity, meter?: string): void;
  /** A packet of so many bytes was passed over, see Capabilities.discardOversize3. */
  discarded?(identity: Identity, bytes: number): void;
  /** More of its bytes come than `bytesPerSecond` says: they are read later. */
  slowed?(identity: Identity): void;
  /**
   * A message of QoS 0 was not sent to a session that is sampled: told of one in a second for each reason. `size`: bytes of its
   * payload; undefined with the topic where there was no room for a copy.
   */
  unsent?(identity: Identity, why: UnsentReason, topic: string | undefined, size: number | undefined): void;
  /** Starts enhanced authentication; undefined: the method is not known (0x8C). */
  authenticate?(method: string, request: ConnectRequest): AuthExchange | undefined;
  /** A response-information prefix for this client, where it asked for one. */
  responseInformation?(identity: Identity): string | undefined;
  /** Counts up when grants change: cached verdicts of older generations are void. */
  readonly generation: number;
  /**
   * Counts up when the grants of this identity change; a generation that does not change it costs its session no review of
   * its subscriptions. Default: the generation.
   */
  grantsVersion?(identity: Identity): number;
  /** A filter of a SUBSCRIBE, or of an UNSUBSCRIBE, was answered: granted QoS or 0, from 0x80 a refusal. */
  subscribed?(identity: Identity, filter: string, code: number): void;
  unsubscribed?(identity: Identity, filter: string, code: number): void;
  /** Its CONNECT is accepted, and it is about to be given its session: what another speaks in its name for ends first. */
  arriving?(identity: Identity): void;
  /** Called after a session of this policy went online or offline. */
  connected?(identity: Identity): void;
  /**
   * `lastSeen`: when the client's last packet came, ms since the epoch. `detail`: what exactly was wrong, where the server
   * ended it; 3.x clients are not told.
   */
  disconnected?(identity: Identity, reason: number, lastSeen: number, detail?: string): void;
}
