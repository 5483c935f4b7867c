// What the server's side does with devices by name, beside what services offer: publishing on their topics, subscribing for
// them. Checks what is given, says what became of it, and writes the entries of one call under one trace id [LOG-1].
import { OperationError } from "../errors.ts";
import type { DeviceConnections } from "./connections/device-connections.ts";
import type { HeldSubscription, PlatformHost, SendResult, ServerMessage } from "./contract/host.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import { propertyFault } from "./policy/property-bounds.ts";
import type { DeviceRegistry } from "./registry/index.ts";
import type { DeviceLog } from "./run-log/device-log.ts";
import { LogCode } from "./run-log/entry.ts";
import { addresseeOf, nobodyAt, outcomeOf } from "./run-log/server-messages.ts";
import type { MessageIds } from "./shared/message-ids.ts";
import { sizeFault } from "./shared/message-size.ts";
import type { PushOutcome } from "./contract/service.ts";
import type { PlatformSettings } from "./settings/settings.ts";
import { ownerIn } from "./names/topic-bounds.ts";
import { type DeviceId, keyOf } from "./names/user-name.ts";

/** Sends a message to whoever subscribed. `answered`: what became of it is told here, not by the policy. */
export type Send = (message: ServerMessage, options: { readonly answered: boolean }) => Promise<SendResult>;

export interface ServerCallsParts {
  readonly host: PlatformHost;
  readonly registry: DeviceRegistry;
  readonly settings: PlatformSettings;
  readonly ids: MessageIds;
  readonly log: DeviceLog;
  readonly devices: Pick<DeviceConnections, "reach" | "subscribe" | "unsubscribe" | "subscriptionsOf">;
}

export interface SubscribeOptions {
  /** What is asked for. Default 1. */
  readonly qos?: 0 | 1;
}

const CALLS = { subscribe: "SubscribeTopic", unsubscribe: "UnsubscribeTopic" } as const;

export class ServerCalls {
  readonly #parts: ServerCallsParts;

  constructor(parts: ServerCallsParts) {
    this.#parts = parts;
  }

  /**
   * Sends a message on any topic. Rejects with OperationError: REGISTRY_MISSING where the topic names a product or a device that
   * does not exist; INVALID_PROPERTY [V5-7] and MESSAGE_SIZE [LIMIT-1] on topics of the platform; RATE_LIMIT [SESS-3] and
   * DEVICE_BUSY where the QoS is 0 and the topic is of one device. `shared`: there are clients of other profiles as well, to whom
   * any name may mean something.
   */
  async publish(message: ServerMessage, send: Send, shared = false): Promise<void> {
    const { registry, settings, ids, log } = this.#parts;
    const { topic, payload, qos } = message;
    const addressee = addresseeOf(topic, registry);
    const fault = addressee && propertyFault(message.properties ?? {}, settings.v5);
    const device = addressee?.device;
    const traceId = ids.next();
    const params = { topic, size: payload.length, qos, ...(message.retain && { retain: true }) };
    const note = (status: number, text?: string): void => {
      if (addressee?.known && device !== undefined)
        log.call(device, "Pub", traceId, status, { Message: text, Params: params });
    };
    const large = addressee && sizeFault(payload); // [LIMIT-1]
    if (large !== undefined) {
      note(LogCode.payload, large.message);
      throw large;
    }
    if (fault !== undefined) {
      note(LogCode.parameter, fault);
      throw new OperationError("INVALID_PROPERTY", fault);
    }
    const missing = nobodyAt(topic, registry, shared);
    if (missing !== undefined) throw new OperationError("REGISTRY_MISSING", missing);
    let told: SendResult;
    try {
      told = await send(message, { answered: device !== undefined });
    } catch (error) {
      note(LogCode.internal, error instanceof Error ? error.message : String(error));
      throw error;
    }
    if (device === undefined) return;
    const outcome = this.#outcomeOf(device, message, told);
    const failure =
      outcome === "throttled"
        ? new OperationError("RATE_LIMIT", `${topic}: ${this.#rateText()}`) // [SESS-3] [LIMIT-3]
        : outcome === "busy"
          ? new OperationError("DEVICE_BUSY", `${topic}: too much waits for the device already`)
          : undefined;
    const status =
      outcome === "throttled" ? LogCode.throttled : outcome === "busy" ? LogCode.congestion : LogCode.success;
    note(status, failure?.message);
    if (addressee?.known) log.pushed(device, { topic, payload, qos: qos === 0 ? 0 : 1, traceId }, outcome);
    if (failure !== undefined) throw failure;
  }

  /**
   * Subscribes topics for a device that is online [SUB-4]: granted QoS or reason codes in their order, as in a SUBACK. Rejects
   * with OperationError SUBSCRIBE_TOPICS and DEVICE_OFFLINE.
   */
  async subscribe(
    device: DeviceId,
    topics: readonly string[],
    { qos = 1 }: SubscribeOptions = {},
  ): Promise<readonly number[]> {
    const { devices } = this.#parts;
    return this.#forDevice("subscribe", device, topics, { topics, qos }, (own) =>
      devices.subscribe(device, own, qos),
    );
  }

  /**
   * Ends subscriptions of a device that is online, its own and those made for it [SUB-4]: reason codes in their order, as in an
   * UNSUBACK. Rejects as subscribe() does.
   */
  async unsubscribe(device: DeviceId, topics: readonly string[]): Promise<readonly number[]> {
    const { devices } = this.#parts;
    return this.#forDevice("unsubscribe", device, topics, { topics }, (own) =>
      devices.unsubscribe(device, own),
    );
  }

  async #forDevice(
    kind: "subscribe" | "unsubscribe",
    device: DeviceId,
    topics: readonly string[],
    Params: Readonly<Record<string, unknown>>,
    ask: (own: readonly string[]) => Promise<readonly number[] | undefined>,
  ): Promise<readonly number[]> {
    const { settings, ids, log } = this.#parts;
    const traceId = ids.next();
    const call = (status: number, content: Record<string, unknown>): void =>
      log.call(device, CALLS[kind], traceId, status, { ...content, Params });
    const most = settings.subscribe.maxPerCall;
    if (topics.length === 0 || topics.length > most) {
      const message = `topics: ${topics.length} are not 1 to ${most}`;
      call(LogCode.parameter, { Message: message });
      throw new OperationError("SUBSCRIBE_TOPICS", message);
    }
    // A gateway's connection may more than a device behind it.
    const own = topics.filter((topic) => (ownerIn(topic) ?? keyOf(device)) === keyOf(device));
    const answered = await ask(own);
    if (answered === undefined) {
      call(LogCode.offline, { Message: "the device is offline" });
      throw new OperationError("DEVICE_OFFLINE", `device ${keyOf(device)} is offline`);
    }
    const codes = topics.map((topic) => answered[own.indexOf(topic)] ?? ReasonCode.notAuthorized);
    call(LogCode.success, { ResultData: { codes } });
    for (const [i, topic] of topics.entries()) log.subscription(kind, device, topic, codes[i], traceId);
    return codes;
  }

  /** What a device has subscribed, itself, its gateway or the server's side for it, and since when [SUB-4]. */
  subscriptionsOf(device: DeviceId): readonly HeldSubscription[] {
    return this.#parts.devices.subscriptionsOf(device);
  }

  #rateText(): string {
    const { deliveriesPerSecond, accountDeliveriesPerSecond } = this.#parts.settings.rates;
    const bounds = `${deliveriesPerSecond || "any number of"} messages a second to a device and ${accountDeliveriesPerSecond || "any number"} to all`;
    return `there may be ${bounds}: try again later`;
  }

  #outcomeOf(device: DeviceId, { topic, qos }: ServerMessage, told: SendResult): PushOutcome {
    if (told.sent > 0) return "sent";
    if (told.overRate > 0) return "throttled";
    if (told.dropped > 0) return "busy";
    const { devices, host } = this.#parts;
    const looked = outcomeOf(devices.reach(device), { topic, qos: qos === 0 ? 0 : 1 }, host);
    // It is subscribed and online, and nothing has left yet.
    return looked === "sent" && qos > 0 ? "queued" : looked;
  }
}
