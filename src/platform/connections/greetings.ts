// What a device is told behind its CONNACK without having asked, and the end of those that came for nothing else: they have
// some seconds to take it and go [DYN-5].
import { ReasonCode } from "../../protocol/reason-codes.ts";
import type { PlatformHost } from "../contract/host.ts";
import type { PushMessage } from "../contract/service.ts";

export class Greetings {
  readonly #host: PlatformHost;
  readonly #maxMs: number;
  readonly #ends = new Map<string, NodeJS.Timeout>();

  constructor(host: PlatformHost, { maxSeconds }: { readonly maxSeconds: number }) {
    this.#host = host;
    this.#maxMs = maxSeconds * 1_000;
  }

  greet(sessionKey: string, greeting: PushMessage, errand: boolean): void {
    // With QoS 0 a push that cannot be made has nobody to be told.
    this.#host.push(sessionKey, greeting, true).catch(() => undefined);
    if (!errand) return;
    const end = (): void => {
      this.#host.disconnect(sessionKey, ReasonCode.maximumConnectTime, "The registration is over");
    };
    this.#ends.set(sessionKey, setTimeout(end, this.#maxMs).unref());
  }

  left(sessionKey: string): void {
    clearTimeout(this.#ends.get(sessionKey));
    this.#ends.delete(sessionKey);
  }

  close(): void {
    for (const key of [...this.#ends.keys()]) this.left(key);
  }
}
