// What an embedder hands to createBroker(), and what the command line makes of its configuration.
import type { Policy } from "./access/policy.ts";
import type { LimitOverrides } from "./limits.ts";
import type { Logger } from "./logger.ts";
import type { Store } from "./store/contract/store.ts";
import type { ListenerOptions, TlsOptions } from "./transport/streams/stream.ts";

export type { Logger } from "./logger.ts";

export interface BrokerListener extends Omit<ListenerOptions, "kind" | "tls"> {
  /** Default "tcp". http and https: what devices ask over HTTP, for the platform profile. */
  readonly kind?: ListenerOptions["kind"] | "http" | "https";
  readonly tls?: TlsOptions;
  /** platform profile: take TLS with a pre-shared key made of the device's secret [AUTH-12]. Default false. */
  readonly psk?: boolean;
  /** Profile or policy of this listener; default: the broker's. */
  readonly profile?: "standard" | "platform" | Policy;
  /** standard profile: clients without credentials may connect. Default: only where the listener is bound to loopback. */
  readonly anonymous?: boolean;
}

export interface BrokerOptions {
  /** Default "standard" for embedders; the command line's default is "platform". */
  readonly profile?: "standard" | "platform" | Policy;
  readonly listeners?: readonly BrokerListener[];
  /** standard profile: see access/. */
  readonly passwordFile?: string;
  readonly aclFile?: string;
  /** platform profile: products and devices that may sign in. */
  readonly devices?: import("./platform/registry/index.ts").DeviceRegistry;
  /** platform profile: what its documents leave open. */
  readonly platform?: import("./platform/settings/settings.ts").PlatformOverrides;
  /** platform profile: directory the run log of devices is kept in. Default: it is kept in memory only. */
  readonly runLogDirectory?: string;
  readonly limits?: LimitOverrides;
  readonly store?: Store;
  readonly logger?: Logger;
  /** Seconds between $SYS updates; 0: none. Default 10. */
  readonly sysInterval?: number;
  /** Shared subscriptions: "round-robin" (default) or "hash" of the publisher's session. */
  readonly sharedStrategy?: "round-robin" | "hash";
  /** Publish Wills when the broker shuts down. Default false: clients are told 0x8B and come back. */
  readonly willsAtShutdown?: boolean;
  /** Unacknowledged QoS 1 of a shared subscription goes to another member at disconnect, not at session end. Default false. */
  readonly sharedMoveAtDisconnect?: boolean;
}
