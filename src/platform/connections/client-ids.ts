// Which session uses which client id, for platforms that want them unique over all devices [CONN-2]: the later one stays.
import type { Identity } from "../../access/policy.ts";
import { ReasonCode } from "../../protocol/reason-codes.ts";
import type { PlatformHost } from "../contract/host.ts";

export class ClientIds {
  readonly #host: Pick<PlatformHost, "disconnect">;
  /** Session keys by client id, of those that are online. */
  readonly #online = new Map<string, string>();

  constructor(host: Pick<PlatformHost, "disconnect">) {
    this.#host = host;
  }

  connected({ clientId, sessionKey }: Identity): void {
    const earlier = this.#online.get(clientId);
    this.#online.set(clientId, sessionKey);
    if (earlier !== undefined && earlier !== sessionKey)
      this.#host.disconnect(earlier, ReasonCode.sessionTakenOver, "Another device uses the client id");
  }

  disconnected({ clientId, sessionKey }: Identity): void {
    if (this.#online.get(clientId) === sessionKey) this.#online.delete(clientId);
  }
}
