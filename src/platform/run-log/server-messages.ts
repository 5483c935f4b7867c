// A message of the server's side on a topic of a device: whose topic it is, and what becomes of the message there, for the
// run log. Looks only; it is delivered by others, to whoever subscribed.
import { topicMatches } from "../../access/topic-filters.ts";
import type { PlatformHost } from "../host.ts";
import type { DeviceRegistry } from "../registry.ts";
import type { PushMessage, PushOutcome } from "../services/service.ts";
import type { DeviceId } from "../user-name.ts";

/** A device's names stand among the first levels of its topics. */
const LEVELS = 6;

/** The known device whose names stand in the topic. */
export function ownerOf(topic: string, registry: DeviceRegistry): DeviceId | undefined {
  const levels = topic.split("/", LEVELS);
  for (let i = 1; i + 1 < levels.length; i++) {
    const [productKey, deviceName] = [levels[i], levels[i + 1]];
    if (registry.findProduct(productKey) === undefined) continue;
    const found = registry.findDevice(productKey, deviceName);
    // A registry that must wait is not asked for the sake of the log.
    if (found !== undefined && !(found instanceof Promise)) return { productKey, deviceName };
  }
  return undefined;
}

/** `sessions`: keys of those over which the device can be reached. */
export function outcomeOf(
  sessions: readonly string[],
  { topic, qos = 0 }: Pick<PushMessage, "topic" | "qos">,
  host: Pick<PlatformHost, "connectionOf" | "subscriptionsOf">,
): PushOutcome {
  let best: PushOutcome = "offline";
  for (const session of sessions) {
    const online = host.connectionOf(session) !== undefined;
    const subscribed = host.subscriptionsOf(session).some(({ filter }) => topicMatches(filter, topic));
    if (online && subscribed) return "sent";
    if (subscribed && qos > 0) best = "queued";
    else if (online && best === "offline") best = "unsubscribed";
  }
  return best;
}
