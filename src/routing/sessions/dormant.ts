// A session whose client is away and to which nothing is owed: one string instead of a dozen objects, so that a broker can
// know millions of them. Its slot and its filters stay in the core; what wakes it is its client or a message for it.
import type { SessionRecord } from "../../store/contract/store.ts";

/** Fields in front of the filters. */
const HEAD = 7;

export class Dormant {
  readonly slot: number;
  /** JSON without its outer brackets: the fields of `describe`, then [filter, options, since] for each subscription. */
  #text: string;

  constructor(slot: number, record: Omit<SessionRecord, "will">) {
    this.slot = slot;
    const { storeId, clientId, username = null, policy, level, expiryInterval, expiresAt = null } = record;
    this.#text = compact(
      JSON.stringify([storeId, clientId, username, policy, level, expiryInterval, expiresAt]).slice(1, -1),
    );
  }

  /** `since`: when it was subscribed, ms since the epoch. */
  addFilter(filter: string, options: number, since: number): void {
    this.#text = compact(`${this.#text},${JSON.stringify([filter, options, since])}`);
  }

  describe(): { record: SessionRecord; filters: [filter: string, options: number, since: number][] } {
    const all = JSON.parse(`[${this.#text}]`);
    const [storeId, clientId, username, policy, level, expiryInterval, expiresAt] = all;
    return {
      record: {
        storeId,
        clientId,
        username: username ?? undefined,
        policy,
        level,
        expiryInterval,
        expiresAt: expiresAt ?? undefined,
        will: undefined,
      },
      filters: all.slice(HEAD),
    };
  }
}

/** The same text in one piece: a concatenated string keeps its parts alive. */
function compact(text: string): string {
  return Buffer.from(text, "utf8").toString("utf8");
}
