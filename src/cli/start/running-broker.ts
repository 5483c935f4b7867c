// The part of a broker that the command line uses, so that it can be tested without one.
import type { BrokerOptions } from "../../options.ts";
import type { PlatformBroker } from "../control/platform-calls.ts";
import type { Properties } from "../../protocol/properties.ts";

export interface ServerMessage {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly properties?: Properties;
}

export interface ReloadOutcome {
  readonly applied: readonly string[];
  readonly unchanged: readonly string[];
  readonly restart: readonly string[];
}

export interface RunningBroker extends PlatformBroker {
  readonly listeners: readonly { readonly url: string }[];
  publish(message: ServerMessage): Promise<unknown>;
  /** `options` is called within the reload: where it fails, the reload has. */
  reload(options: () => Promise<Partial<BrokerOptions>>): Promise<ReloadOutcome>;
  close(options?: { readonly drainMs?: number }): Promise<void>;
}
