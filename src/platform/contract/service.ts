// What a service of the platform is: somebody who takes PUBLISH packets of devices on topics of its own and may answer
// them. A service knows devices, documents and time; it knows no socket, session or slot: those are behind PlatformHost.
import type { Extensions } from "../names/client-id.ts";
import type { Properties, UserProperty } from "../../protocol/properties.ts";
import type { DeviceId } from "../names/user-name.ts";

/** A PUBLISH of a device, as services and the server side see it. Valid for as long as anybody keeps it. */
export interface DeviceMessage {
  /** Whose topic it is: the device that sent it, or a sub-device it speaks for [GW-4]. */
  readonly device: DeviceId;
  /** Whose connection it came over. */
  readonly sender: DeviceId;
  /** Key of the sender's session [SESS-0]. */
  readonly sessionKey: string;
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** 3.1, 3.1.1, 5.0 */
  readonly level: 3 | 4 | 5;
  /** Empty for 3.x. */
  readonly properties: Properties;
  /** Decimal, 64 bits, unique [RRPC-1]. */
  readonly messageId: string;
  /** The same for everything this message causes [LOG-1]. */
  readonly traceId: string;
  /** When it arrived, ms since the epoch. */
  readonly time: number;
}

export interface Route {
  /**
   * "{pk}" and "{dn}" stand for the device the topic belongs to, "+" for any one level, "#" for any number of last ones.
   * The first route that matches takes the message.
   */
  readonly pattern: string;
  /** True: the message ends here [UP-1]. False: it goes on to subscribers and to the server side. */
  readonly consumes: boolean;
  /**
   * `levels`: what "+" and "#" stand for, in order ("#" as one text with slashes). A QoS 1 PUBLISH is acknowledged when a
   * promise resolves. What is thrown is logged and counted; the PUBLISH is acknowledged with 0x80 (5.0) or not at all.
   */
  handle(message: DeviceMessage, levels: readonly string[]): void | Promise<void>;
}

export interface Service {
  readonly routes: readonly Route[];
  /** A session of a device went online, or offline; before that nothing is asked of the service for it. */
  online?(device: DeviceId, sessionKey: string): void;
  offline?(device: DeviceId, sessionKey: string): void;
  /** Once a second, for what has a deadline. `now`: ms since the epoch. */
  tick?(now: number): void;
  close?(): void | Promise<void>;
}

/** What the server has to say to a device. */
export interface PushMessage {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  /** Default 0. */
  readonly qos?: 0 | 1;
  readonly properties?: Properties;
  /** Of what caused it, for the run log [LOG-1]. */
  readonly traceId?: string;
  /** Of a broadcast, which has a rate of its own: that of all devices together does not count it [BCAST-1] [LIMIT-3]. */
  readonly broadcast?: boolean;
}

/**
 * Which subscription a push needs [SUB-5]. `always`: none. `declared`: none where the device declared with `_ss=1` that it
 * takes the server's messages without, an explicit one otherwise. `explicit`: always one.
 */
export type PushNeeds = "always" | "declared" | "explicit";

/**
 * `sent`: on its way to an online session. `queued`: kept for later. `throttled`: not delivered, over a rate of messages to the
 * device [SESS-3] or to all [LIMIT-3]. `busy`: not delivered, too much waits for its connection. `unsubscribed`, `offline`.
 */
export type PushOutcome = "sent" | "queued" | "throttled" | "busy" | "unsubscribed" | "offline";

/** A connection over which a device can be reached: its own, or that of the gateway that speaks for it [GW-4]. */
export interface OnlineDevice {
  /** Whose connection it is. */
  readonly device: DeviceId;
  readonly sessionKey: string;
  /** Entries of the ClientID field: "ext", "_ss", "_v", … [AUTH-1]. */
  readonly extensions: Extensions;
  /** Of its CONNECT [LOG-2]. */
  readonly userProperties: readonly UserProperty[];
  /** ms since the epoch */
  readonly connectedAt: number;
}

/** Devices as services reach them: by ProductKey and DeviceName, whatever sessions and gateways are behind that. */
export interface Devices {
  /** To every session of the device [SESS-0], or to one. */
  push(device: DeviceId, message: PushMessage, needs: PushNeeds, sessionKey?: string): Promise<PushOutcome>;
  /** Live connections over which the device can be reached; empty: offline. */
  onlineOf(device: DeviceId): readonly OnlineDevice[];
  /** Ends the device's own connections, or takes it from its gateway. Returns how many. */
  disconnect(device: DeviceId, reason: number, reasonString: string): number;
}

/** Runs `work` as the call `name`. `params`: never what a payload says, but its names and sizes. */
export type Called = <T>(
  device: DeviceId,
  name: string,
  params: { readonly [name: string]: unknown },
  work: (traceId: string) => Promise<T>,
) => Promise<T>;
