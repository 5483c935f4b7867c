// Takes requests on /sys/{pk}/{dn}/thing/…, answers each once on its `_reply`, and offers what was taken to the business
// side [UP-1]. What a request means is its handler's. Such messages are tapped, not consumed: a device that subscribed its own
// topics sees them, as on the platform.
import type { Logger } from "../../../logger.ts";
import type { DeviceRegistry, KnownDevice } from "../../registry/index.ts";
import type { UpstreamFeed } from "../../upstream/feed.ts";
import type { DeviceId } from "../../names/user-name.ts";
import type { MessageIds } from "../../shared/message-ids.ts";
import type { DeviceMessage, Devices, Route } from "../../contract/service.ts";
import type { Fault } from "../thing-model/data-types.ts";
import {
  ALINK_CODES,
  type AlinkReply,
  type AlinkRequest,
  isForeignMethod,
  MALFORMED,
  methodOf,
  NOT_ALINK,
  parseAlink,
  UNPARSED,
} from "./envelope.ts";
import { sendReply } from "./replies.ts";
import type { NoticeOf, ThingNotice } from "../thing-model/thing-notices.ts";
import type { ThingModels } from "../thing-model/thing-model.ts";

export interface AlinkCall {
  readonly message: DeviceMessage;
  readonly request: AlinkRequest;
  /** What "+" in the path stands for. */
  readonly levels: readonly string[];
}

export interface AlinkOutcome extends AlinkReply {
  /** What goes up where the product has a thing model. Default: the message, its topic without /sys. */
  readonly up?: () => readonly ThingNotice[];
  /** Of values that were not taken, for the run log. */
  readonly faults?: readonly Fault[];
}

/** For the run log: what became of a message, by its path behind the device's names. `text`: why it failed. */
export type ThingLog = (message: DeviceMessage, path: string, code: number, text?: string) => void;

export type AlinkHandler = (call: AlinkCall) => AlinkOutcome | Promise<AlinkOutcome>;

export interface AlinkDeskParts {
  readonly devices: Pick<Devices, "push">;
  readonly registry: DeviceRegistry;
  readonly models: ThingModels;
  readonly upstream: Pick<UpstreamFeed, "active" | "offer">;
  readonly ids: MessageIds;
  readonly logger: Pick<Logger, "error">;
  readonly log?: ThingLog;
  /** Counts a message that is no Alink object. */
  readonly malformed: () => void;
}

export class AlinkDesk {
  readonly #parts: AlinkDeskParts;

  constructor(parts: AlinkDeskParts) {
    this.#parts = parts;
  }

  /** `path`: behind the device's names, "thing/event/property/post". */
  route(path: string, handler: AlinkHandler): Route {
    return {
      pattern: `/sys/{pk}/{dn}/${path}`,
      consumes: false,
      handle: (message, levels) => this.#requested(message, levels, handler),
    };
  }

  /** For what is no request. */
  tap(
    path: string,
    handle: (message: DeviceMessage, levels: readonly string[]) => void | Promise<void>,
  ): Route {
    return { pattern: `/sys/{pk}/{dn}/${path}`, consumes: false, handle };
  }

  // Nothing is awaited that is at hand: messages of a device go up in the order they came.
  #requested(message: DeviceMessage, levels: readonly string[], handler: AlinkHandler): Promise<void> {
    const request = this.parse(message.payload);
    if (request === undefined) return this.#reply(message, UNPARSED, MALFORMED);
    // Taken all the same: the topic says what is meant.
    if (isForeignMethod(request.method))
      this.log(message, pathOf(message), NOT_ALINK, "the method is none of the Alink protocol");
    const done = (outcome: AlinkOutcome): Promise<void> => {
      // What was refused is not taken, and goes nowhere.
      if (outcome.code === 200) this.offer(message, outcome.up);
      return this.#reply(message, request, outcome);
    };
    const failed = (error: unknown): Promise<void> => {
      this.#parts.logger.error({ err: error, topic: message.topic }, "a request of a device failed");
      return done({ code: 500 });
    };
    try {
      const outcome = handler({ message, request, levels });
      return outcome instanceof Promise ? outcome.then(done, failed) : done(outcome);
    } catch (error) {
      return failed(error);
    }
  }

  #reply(message: DeviceMessage, request: AlinkRequest, outcome: AlinkOutcome): Promise<void> {
    const path = pathOf(message);
    if (outcome.code !== 200)
      this.log(message, path, outcome.code, outcome.message ?? ALINK_CODES[outcome.code]);
    for (const { code, message: text } of outcome.faults ?? []) this.log(message, path, code, text);
    return sendReply(this.#parts.devices, message, request, methodOf(path), outcome);
  }

  /** undefined: no Alink object, and counted. */
  parse(payload: Uint8Array): AlinkRequest | undefined {
    const request = parseAlink(payload);
    if (request === undefined) this.#parts.malformed();
    return request;
  }

  log(...what: Parameters<ThingLog>): void {
    this.#parts.log?.(...what);
  }

  /** Tells the business side: notices, or the message itself; as sent where the product has no thing model. */
  offer(message: DeviceMessage, up?: () => readonly ThingNotice[]): void {
    const { device, topic, payload } = message;
    const asIs = (): ThingNotice[] => [{ device, topic: this.upstreamTopic(device, topic), payload }];
    this.tell(message, () => (up !== undefined && this.#isModelled(device) ? up() : asIs()));
  }

  /** Topic of a thing message as it goes up [UP-1]: without /sys where the product has a thing model. */
  upstreamTopic(device: DeviceId, topic: string): string {
    const own = `/sys/${device.productKey}/${device.deviceName}/thing/`;
    return topic.startsWith(own) && this.#isModelled(device) ? topic.slice("/sys".length) : topic;
  }

  #isModelled({ productKey }: DeviceId): boolean {
    return this.#parts.models.of(productKey) !== undefined;
  }

  /** Notices a message causes, whether or not there is a thing model. Asked for only while somebody listens. */
  tell({ qos, properties, messageId, time }: DeviceMessage, notices: () => readonly ThingNotice[]): void {
    const { upstream, ids } = this.#parts;
    if (!upstream.active) return;
    for (const [index, notice] of notices().entries())
      upstream.offer({
        kind: "data",
        ...notice,
        qos,
        properties,
        messageId: index === 0 ? messageId : ids.next(),
        time,
      });
  }

  /** What the bodies of notices about a device say. `known`: as the registry has it, if it was asked. */
  about(
    { message, request }: Pick<AlinkCall, "message" | "request">,
    device: DeviceId = message.device,
    known: KnownDevice | undefined = this.known(device),
  ): NoticeOf {
    const { productKey } = device;
    return {
      device,
      iotId: known?.iotId,
      deviceType:
        this.#parts.models.of(productKey)?.deviceType ??
        this.#parts.registry.findProduct(productKey)?.name ??
        productKey,
      requestId: request.id,
      gmtCreate: message.time,
    };
  }

  /** Where the registry answers at once; one that lives elsewhere is not waited for. */
  known({ productKey, deviceName }: DeviceId): KnownDevice | undefined {
    const found = this.#parts.registry.findDevice(productKey, deviceName);
    if (!(found instanceof Promise)) return found;
    found.catch(() => undefined);
    return undefined;
  }
}

/** `thing/…` of a topic of the device. */
export function pathOf({ topic, device }: DeviceMessage): string {
  return topic.slice(`/sys/${device.productKey}/${device.deviceName}/`.length);
}
