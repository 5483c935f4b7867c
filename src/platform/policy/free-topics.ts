// Names of no class that devices of a product with free topics may use among themselves [TOPIC-10]: everything that is not
// the platform's and not some product's. Which product a session is of says its key; equal names of two products never meet.
import type { Spaces } from "../../access/policy.ts";
import { type DeviceRegistry, Registry } from "../registry/index.ts";

/** First levels after a leading slash that are the platform's. */
const RESERVED = new Set(["sys", "ext", "ota", "shadow", "broadcast", "as"]);

/** Is this Topic Name or plain Filter a free one, which matches nothing reserved and nothing of `/{pk}/…`? */
export function isFreeTopic(topic: string, registry: DeviceRegistry): boolean {
  const levels = topic.split("/");
  const first = levels[0] === "" ? levels[1] : levels[0];
  if (first === undefined || first === "+" || first === "#") return false;
  if (levels.some((level) => level.startsWith("$"))) return false;
  if (levels[0] !== "") return true;
  return !RESERVED.has(first) && registry.findProduct(first) === undefined;
}

export function productSpaces(registry: DeviceRegistry): Spaces {
  return {
    of: (sessionKey) => sessionKey.slice(0, sessionKey.indexOf("/")),
    covers: (topic) => isFreeTopic(topic, registry),
    // Who keeps products elsewhere may not have them at hand just now.
    ended: (space) => registry instanceof Registry && registry.findProduct(space) === undefined,
  };
}
