// Notifications for embedders, past tense. A listener that throws is logged and never ends the broker.
import type { Logger } from "./logger.ts";

export interface ClientInfo {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly remoteAddress: string;
  readonly protocol: 3 | 4 | 5;
}

export interface BrokerEvents {
  "client.connected": ClientInfo & { readonly sessionPresent: boolean };
  /** `reason`: the 5.0 reason code that fits best, also for 3.x. */
  "client.disconnected": ClientInfo & { readonly reason: number };
  "client.refused": { readonly clientId: string; readonly remoteAddress: string; readonly reason: number };
  "client.subscribed": ClientInfo & { readonly filter: string; readonly qos: number };
  "client.unsubscribed": ClientInfo & { readonly filter: string };
  "session.ended": { readonly clientId: string };
  closed: Record<string, never>;
}

export class EventHub<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Adds a listener; call the result to take it away. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    let set = this.#listeners.get(name);
    if (set === undefined) {
      set = new Set();
      this.#listeners.set(name, set);
    }
    const added = listener as (event: never) => void;
    set.add(added);
    return () => {
      set.delete(added);
    };
  }

  has(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const set = this.#listeners.get(name);
    if (set === undefined) return;
    for (const listener of set) {
      try {
        listener(event as never);
      } catch (error) {
        this.#logger.error({ err: error, event: String(name) }, "an event listener failed");
      }
    }
  }
}
