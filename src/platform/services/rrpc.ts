// Synchronous calls from the server's side to a device [RRPC-1] to [RRPC-7]: a request goes out under a number, the first
// answer of that device under the same number ends the call. Bounded in calls under way; keeps nothing else.
import { OperationError } from "../../errors.ts";
import type { PlatformSettings } from "../settings/settings.ts";
import type { DeviceId } from "../names/user-name.ts";
import type { MessageIds } from "../shared/message-ids.ts";
import { sizeFault } from "../shared/message-size.ts";
import type { DeviceMessage, Devices, OnlineDevice, Route, Service } from "../contract/service.ts";

export interface RrpcOptions {
  /** How long to wait for the answer, 1,000 to 8,000 ms. Default 5,000 [RRPC-4]. */
  readonly timeoutMs?: number;
  /** Full topic of the device's own with its leading slash, for devices that take such calls [RRPC-2]. */
  readonly topic?: string;
  /** Of the call that this is a part of, for the run log. Default: the message id. */
  readonly traceId?: string;
}

export type RrpcResult =
  | { readonly code: "SUCCESS"; readonly messageId: string; readonly payload: Buffer }
  | { readonly code: "TIMEOUT" | "OFFLINE" | "HALFCONN"; readonly messageId: string };

export interface RrpcEvents {
  /** Right after the request left. */
  called?(
    device: DeviceId,
    messageId: string,
    topic: string,
    payload: Uint8Array,
    traceId: string | undefined,
  ): void;
  ended?(device: DeviceId, result: RrpcResult, traceId: string | undefined): void;
  /** The request was not sent: over the rate [SESS-3]. */
  throttled?(device: DeviceId, messageId: string, traceId: string | undefined): void;
  /** An answer nobody waits for [RRPC-4]. */
  stray?(message: DeviceMessage, messageId: string): void;
}

interface Call {
  readonly device: DeviceId;
  /** An answer counts under one of these names only. */
  readonly answers: Set<string>;
  readonly timer: NodeJS.Timeout;
  end(result: RrpcResult): void;
}

export interface RrpcParts {
  readonly devices: Pick<Devices, "push" | "onlineOf">;
  readonly ids: MessageIds;
  /** The connection is broken, or has been silent for longer than its Keep Alive [RRPC-5]. */
  readonly isHalfOpen: (online: OnlineDevice) => boolean;
  readonly events?: RrpcEvents;
  readonly settings: PlatformSettings["rrpc"];
}

export class Rrpc implements Service {
  readonly routes: readonly Route[];
  readonly #parts: RrpcParts;
  readonly #settings: PlatformSettings["rrpc"];
  readonly #calls = new Map<string, Call>();

  constructor(parts: RrpcParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    const answer = (message: DeviceMessage, [messageId]: readonly string[]): void =>
      this.#answered(message, messageId);
    this.routes = [
      { pattern: "/sys/{pk}/{dn}/rrpc/response/+", consumes: true, handle: answer },
      { pattern: "/ext/rrpc/+/sys/{pk}/{dn}/#", consumes: true, handle: answer },
      { pattern: "/ext/rrpc/+/{pk}/{dn}/#", consumes: true, handle: answer },
    ];
  }

  /** Calls under way. */
  get size(): number {
    return this.#calls.size;
  }

  /**
   * Resolves with what became of the call; it does not reject because a device is away or slow. Rejects with
   * OperationError RRPC_TIMEOUT_VALUE, RRPC_TOPIC, MESSAGE_SIZE or RRPC_BUSY, and RATE_LIMIT where the device is sent too much
   * already.
   */
  async call(device: DeviceId, payload: Uint8Array, options: RrpcOptions = {}): Promise<RrpcResult> {
    const { devices, ids, isHalfOpen, events } = this.#parts;
    const { minTimeoutMs, maxTimeoutMs, defaultTimeoutMs, maxCalls } = this.#settings;
    const { timeoutMs = defaultTimeoutMs, topic = "", traceId } = options;
    if (!(timeoutMs >= minTimeoutMs && timeoutMs <= maxTimeoutMs)) {
      const range = `${minTimeoutMs} to ${maxTimeoutMs} ms`;
      throw new OperationError("RRPC_TIMEOUT_VALUE", `timeoutMs: ${timeoutMs} is not within ${range}`); // [RRPC-4]
    }
    if (topic !== "" && !isOwnTopic(topic, device)) {
      const own = `/${device.productKey}/${device.deviceName}/`;
      throw new OperationError(
        "RRPC_TOPIC",
        `topic: "${topic}" is none of the device: it begins with ${own} or /sys${own}`,
      );
    }
    const large = sizeFault(payload); // [LIMIT-1]
    if (large !== undefined) throw large;
    const messageId = ids.next();
    const online = devices.onlineOf(device);
    if (online.length === 0) return this.#ended(device, { code: "OFFLINE", messageId }, traceId); // [RRPC-5]
    if (online.every(isHalfOpen)) return this.#ended(device, { code: "HALFCONN", messageId }, traceId);
    if (this.#calls.size >= maxCalls)
      throw new OperationError("RRPC_BUSY", `${maxCalls} calls are under way already: try again later`);

    const answers = new Set<string>();
    let throttle = (): void => {};
    const result = new Promise<RrpcResult>((resolve, reject) => {
      const over = (): void => {
        clearTimeout(timer);
        this.#calls.delete(messageId);
      };
      const end = (outcome: RrpcResult): void => {
        over();
        resolve(this.#ended(device, outcome, traceId));
      };
      throttle = () => {
        over();
        events?.throttled?.(device, messageId, traceId);
        reject(new OperationError("RATE_LIMIT", THROTTLED));
      };
      const timer = setTimeout(() => end({ code: "TIMEOUT", messageId }), timeoutMs);
      this.#calls.set(messageId, { device, answers, timer, end });
    });
    let unsent = 0;
    for (const connection of online) {
      const custom = topic !== "" && takesCustomCalls(connection);
      const own = `/sys/${device.productKey}/${device.deviceName}/rrpc`;
      const request = custom ? `/ext/rrpc/${messageId}${topic}` : `${own}/request/${messageId}`;
      answers.add(custom ? request : `${own}/response/${messageId}`);
      events?.called?.(device, messageId, request, payload, traceId);
      // QoS 0 [RRPC-3]. One that is not subscribed gets nothing, and the call times out [RRPC-7].
      devices
        .push(
          device,
          { topic: request, payload, traceId: traceId ?? messageId },
          "declared",
          connection.sessionKey,
        )
        .then(
          (outcome) => {
            if (outcome === "throttled" && ++unsent === online.length) throttle(); // [SESS-3]
          },
          () => {},
        );
    }
    return result;
  }

  close(): void {
    for (const [messageId, call] of [...this.#calls]) call.end({ code: "TIMEOUT", messageId });
  }

  #ended(device: DeviceId, result: RrpcResult, traceId: string | undefined): RrpcResult {
    this.#parts.events?.ended?.(device, result, traceId);
    return result;
  }

  #answered(message: DeviceMessage, messageId: string): void {
    const call = this.#calls.get(messageId);
    // The topic names the device, and the gate let only that device use it [RRPC-6].
    if (call === undefined || !call.answers.has(message.topic)) {
      this.#parts.events?.stray?.(message, messageId);
      return;
    }
    call.end({ code: "SUCCESS", messageId, payload: message.payload });
  }
}

const THROTTLED =
  "the device, or all devices together, are sent as many messages a second as the rate allows";

/** Bit 0 of `ext`: calls over the device's own topics [RRPC-2]. */
function takesCustomCalls({ extensions }: OnlineDevice): boolean {
  const ext = Number(extensions.get("ext"));
  return Number.isInteger(ext) && (ext & 1) === 1;
}

function isOwnTopic(topic: string, { productKey, deviceName }: DeviceId): boolean {
  const own = `/${productKey}/${deviceName}/`;
  return (topic.startsWith(own) || topic.startsWith(`/sys${own}`)) && !/[+#\0]/.test(topic);
}
