// What the server's side does with devices by name, beside what services offer: publishing on their topics, subscribing for
// them. Checks what is given, says what became of it, and writes the entries of one call under one trace id [LOG-1].
import { OperationError } from "../errors.ts";
import type { PlatformHost, SendResult, ServerMessage } from "./host.ts";
import { propertyFault } from "./property-bounds.ts";
import type { DeviceRegistry } from "./registry.ts";
import type { DeviceLog } from "./run-log/device-log.ts";
import { LogCode } from "./run-log/entry.ts";
import { addresseeOf, outcomeOf } from "./run-log/server-messages.ts";
import type { MessageIds } from "./services/message-ids.ts";
import type { PushOutcome } from "./services/service.ts";
import type { PlatformSettings } from "./settings.ts";
import type { DeviceId } from "./user-name.ts";

/** Sends a message to whoever subscribed. `answered`: what became of it is told here, not by the policy. */
export type Send = (message: ServerMessage, options: { readonly answered: boolean }) => Promise<SendResult>;

export interface ServerCallsParts {
  readonly host: PlatformHost;
  readonly registry: DeviceRegistry;
  readonly settings: PlatformSettings;
  readonly ids: MessageIds;
  readonly log: DeviceLog;
  /** Keys of sessions over which a device can be reached. */
  readonly reach: (device: DeviceId) => readonly string[];
}

export class ServerCalls {
  readonly #parts: ServerCallsParts;

  constructor(parts: ServerCallsParts) {
    this.#parts = parts;
  }

  /**
   * A message on any topic. Rejects with OperationError INVALID_PROPERTY on topics of the platform [V5-7], and where its QoS
   * is 0 and its topic is of one device, RATE_LIMIT [SESS-3] and DEVICE_BUSY.
   */
  async publish(message: ServerMessage, send: Send): Promise<void> {
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
    if (fault !== undefined) {
      note(LogCode.parameter, fault);
      throw new OperationError("INVALID_PROPERTY", fault);
    }
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

  #rateText(): string {
    const { deliveriesPerSecond, accountDeliveriesPerSecond } = this.#parts.settings.rates;
    const bounds = `${deliveriesPerSecond || "any number of"} messages a second to a device and ${accountDeliveriesPerSecond || "any number"} to all`;
    return `there may be ${bounds}: try again later`;
  }

  #outcomeOf(device: DeviceId, { topic, qos }: ServerMessage, told: SendResult): PushOutcome {
    if (told.sent > 0) return "sent";
    if (told.overRate > 0) return "throttled";
    if (told.dropped > 0) return "busy";
    const { reach, host } = this.#parts;
    const looked = outcomeOf(reach(device), { topic, qos: qos === 0 ? 0 : 1 }, host);
    // It is subscribed and online, and nothing has left yet.
    return looked === "sent" && qos > 0 ? "queued" : looked;
  }
}
