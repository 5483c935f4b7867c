// A message of the server's side on a topic of a device: whose topic it is, and what becomes of the message there, for the
// run log. Looks only; it is delivered by others, to whoever subscribed.
import { topicMatches } from "../../access/topic-filters.ts";
import type { PlatformHost } from "../contract/host.ts";
import { isFreeTopic } from "../policy/free-topics.ts";
import { type DeviceRegistry, Registry } from "../registry/index.ts";
import type { PushMessage, PushOutcome } from "../contract/service.ts";
import { ownerIn } from "../names/topic-bounds.ts";
import type { DeviceId } from "../names/user-name.ts";

/** A device's names stand among the first levels of its topics: `/ext/rrpc/{id}/sys/{pk}/{dn}/…`. */
const LEVELS = 7;

export interface Addressee {
  /** Whose names stand in the topic; undefined: it is of a product, or of a device that there is not. */
  readonly device: DeviceId | undefined;
  /** The registry has it. One that must wait is not asked: then it may be there, and has nothing in the log. */
  readonly known: boolean;
}

/** Whose topic it is; undefined: no product's. */
export function addresseeOf(topic: string, registry: DeviceRegistry): Addressee | undefined {
  const levels = topic.split("/", LEVELS);
  let product = false;
  for (let i = 1; i < levels.length; i++) {
    const [productKey, deviceName] = [levels[i], levels[i + 1]];
    if (registry.findProduct(productKey) === undefined) continue;
    product = true;
    const found = deviceName === undefined ? undefined : registry.findDevice(productKey, deviceName);
    if (found instanceof Promise) {
      found.catch(() => {}); // whoever keeps the devices tells of that
      return { device: { productKey, deviceName }, known: false };
    }
    if (found !== undefined) return { device: { productKey, deviceName }, known: true };
  }
  return product ? { device: undefined, known: false } : undefined;
}

/**
 * What is missing where the topic names a product or a device there is not. Names that devices may choose themselves are
 * nobody's [TOPIC-10]. `shared`: so are those of products there are not, for clients of other profiles.
 */
export function nobodyAt(topic: string, registry: DeviceRegistry, shared: boolean): string | undefined {
  const product = topic.startsWith("/broadcast/") ? topic.split("/", 3)[2] : undefined;
  const [productKey, deviceName] = ownerIn(topic)?.split("/") ?? [product];
  if (productKey === undefined) return undefined;
  if (registry.findProduct(productKey) === undefined) {
    const free = isFreeTopic(topic, registry);
    // Who keeps devices elsewhere does not say which products there are.
    const chosen =
      free && (!(registry instanceof Registry) || registry.products.some((one) => one.freeTopics));
    if (shared || chosen) return undefined;
    return `topic: ${topic} names product "${productKey}", which there is not; millrace product list shows them`;
  }
  if (deviceName === undefined) return undefined;
  // What it does not know at once it may have.
  if (registry.findDevice(productKey, deviceName) !== undefined) return undefined;
  return `topic: ${topic} names device "${deviceName}", which product ${productKey} has not; millrace device list ${productKey} shows them`;
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
