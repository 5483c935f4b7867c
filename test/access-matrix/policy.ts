// A policy with one rule: nobody but "admin" has a right to what lies under forbidden/, unless it is lent to him for a
// while. It must stay the only thing that decides in the matrix: everything else is allowed.
import type { Policy } from "../../src/access/policy.ts";
import { openPolicy } from "../support/policy.ts";

/** Topics under forbidden/ that are open to everybody for now. */
export const lent = new Set<string>();

const may = (username: string | undefined, topic: string): boolean =>
  username === "admin" || !topic.startsWith("forbidden/") || lent.has(topic);

export const policy: Policy = openPolicy({
  override: {
    // Not cacheable: a loan ends at once.
    authorizePublish: ({ username }, topic) => ({ allow: may(username, topic), cacheable: false }),
    authorizeSubscribe: ({ username }, { filter, qos }) => (may(username, filter) ? qos : 0x87),
    authorizeDelivery: ({ username }, topic) => may(username, topic),
  },
});
