// Broadcasts of the server's side: to every online device of a product [BCAST-1], or to those that subscribed one of its
// broadcast topics [BCAST-2]. Nothing is kept for who is away.
import { OperationError } from "../../errors.ts";
import type { PlatformSettings } from "../settings/settings.ts";
import type { MessageIds } from "../shared/message-ids.ts";
import type { DeviceId } from "../names/user-name.ts";
import type { Devices, OnlineDevice, PushMessage } from "../contract/service.ts";
import { SlidingRates } from "../shared/sliding-rates.ts";

export interface BroadcastParts {
  readonly devices: Pick<Devices, "push">;
  readonly ids: MessageIds;
  readonly settings: PlatformSettings["broadcast"];
  /** Devices of all products that are online, sub-devices too, and the session each is reached over. */
  readonly online: () => Iterable<Pick<OnlineDevice, "device" | "sessionKey">>;
  readonly publish: (message: PushMessage) => Promise<unknown>;
  /** Bytes of a topic that a device may subscribe [TOPIC-5]. Default: any number. */
  readonly maxTopicBytes?: number;
  /** Throws OperationError REGISTRY_MISSING where there is no such product. Default: there is. */
  readonly requireProduct?: (productKey: string) => void;
  readonly now?: () => number;
}

export interface BroadcastResult {
  readonly messageId: string;
  /** Devices it was sent to; undefined where it went to whoever subscribed. */
  readonly devices: number | undefined;
}

/** Devices that are sent to before others are let in between. */
const SLICE = 500;

export class Broadcasts {
  readonly #parts: BroadcastParts;
  readonly #now: () => number;
  readonly #toAll: SlidingRates;
  readonly #toTopics: SlidingRates;

  constructor(parts: BroadcastParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
    this.#toAll = new SlidingRates(parts.settings.callsPerMinute, 60_000);
    this.#toTopics = new SlidingRates(parts.settings.topicCallsPerSecond, 1_000);
  }

  /**
   * `topic`: `/broadcast/{pk}/…`; without one every online device of the product gets the message, subscribed or not.
   * Rejects with OperationError BROADCAST_TOPIC, BROADCAST_SIZE, REGISTRY_MISSING or RATE_LIMIT.
   */
  async send(productKey: string, payload: Uint8Array, topic?: string): Promise<BroadcastResult> {
    const { ids, settings, publish, requireProduct } = this.#parts;
    requireProduct?.(productKey);
    if (payload.length > settings.maxBytes) {
      const message = `payload: ${payload.length} bytes are more than ${settings.maxBytes}`;
      throw new OperationError("BROADCAST_SIZE", message);
    }
    const messageId = ids.next();
    if (topic === undefined) {
      this.#admit(this.#toAll, `${settings.callsPerMinute} in a minute`);
      return { messageId, devices: await this.#toEveryDevice(productKey, payload, messageId) };
    }
    this.#checkTopic(productKey, topic);
    this.#admit(this.#toTopics, `${settings.topicCallsPerSecond} in a second`);
    await publish({ topic, payload, broadcast: true });
    return { messageId, devices: undefined };
  }

  #checkTopic(productKey: string, topic: string): void {
    const { maxTopicBytes = Number.POSITIVE_INFINITY } = this.#parts;
    const head = `/broadcast/${productKey}/`;
    const words =
      !topic.startsWith(head) || topic.length === head.length || /[+#\0]/.test(topic)
        ? `is no broadcast topic of the product: it begins with ${head}`
        : Buffer.byteLength(topic) > maxTopicBytes
          ? `has more than ${maxTopicBytes} bytes: no device may subscribe it`
          : undefined;
    if (words !== undefined) throw new OperationError("BROADCAST_TOPIC", `topic: "${topic}" ${words}`);
  }

  async #toEveryDevice(productKey: string, payload: Uint8Array, messageId: string): Promise<number> {
    const { devices, online } = this.#parts;
    // As of now: who comes while it is sent misses it.
    const receivers: { device: DeviceId; sessionKey: string }[] = [];
    for (const one of online()) if (one.device.productKey === productKey) receivers.push(one);
    const pushes: Promise<boolean>[] = [];
    for (const { device, sessionKey } of receivers) {
      const topic = `/sys/${productKey}/${device.deviceName}/broadcast/request/${messageId}`;
      pushes.push(
        devices
          .push(device, { topic, payload, broadcast: true, traceId: messageId }, "always", sessionKey)
          .then(
            (outcome) => outcome === "sent",
            () => false,
          ),
      );
      if (pushes.length % SLICE === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return (await Promise.all(pushes)).filter(Boolean).length;
  }

  #admit(rates: SlidingRates, text: string): void {
    if (rates.admit("", this.#now())) return;
    throw new OperationError("RATE_LIMIT", `broadcasts are limited to ${text}: try again later`);
  }
}
