// Posts of properties and events, answers to what was set or called, and the other messages of things that are only
// acknowledged: held against the thing model where the product has one, kept, answered, and handed up [UP-1].
import type { DeviceRegistry, KnownDevice } from "../../registry/index.ts";
import type { PlatformSettings } from "../../settings/settings.ts";
import type { DeviceId } from "../../names/user-name.ts";
import { own, plainObject } from "../../shared/json.ts";
import type { DeviceMessage, Devices, Route, Service } from "../../contract/service.ts";
import { type AlinkCall, type AlinkDesk, type AlinkOutcome, pathOf } from "./alink-desk.ts";
import type { Fault } from "../thing-model/data-types.ts";
import { alinkReply } from "./envelope.ts";
import {
  checkCounts,
  isSame,
  type Posted,
  type PostDefect,
  type PostedData,
  readBatchPost,
  readEventPost,
  readHistoryPost,
  readIdentity,
  readPackPost,
  readPropertyPost,
} from "../thing-model/posts.ts";
import type { PropertyStore } from "../thing-model/property-store.ts";
import type { ThingModels } from "../thing-model/thing-model.ts";
import {
  downlinkReplyNotice,
  eventNotice,
  type Failed,
  foundNotice,
  propertyNotice,
  type ThingNotice,
} from "../thing-model/thing-notices.ts";

export interface ThingServiceParts {
  readonly desk: AlinkDesk;
  readonly devices: Pick<Devices, "push">;
  readonly registry: DeviceRegistry;
  readonly models: ThingModels;
  readonly properties: PropertyStore;
  readonly settings: PlatformSettings["thing"];
}

/** Of what one post of one device became. */
interface Checked {
  readonly data: PostedData;
  readonly properties: readonly Posted[];
  readonly failedProperties: readonly Failed[];
  readonly events: readonly (Posted & Partial<Pick<Failed, "fault">>)[];
}

export class ThingService implements Service {
  readonly routes: readonly Route[];
  readonly #parts: ThingServiceParts;

  constructor(parts: ThingServiceParts) {
    this.#parts = parts;
    const { desk } = parts;
    this.routes = [
      desk.route("thing/event/property/post", (call) =>
        this.#post(call, readPropertyPost(call.message.device, call.request.params, call.message.time)),
      ),
      desk.route("thing/event/property/batch/post", (call) =>
        this.#post(call, readBatchPost(call.message.device, call.request.params, call.message.time)),
      ),
      desk.route("thing/event/property/pack/post", (call) =>
        this.#postFor(call, readPackPost(call.message.device, call.request.params, call.message.time), false),
      ),
      desk.route("thing/event/property/history/post", (call) =>
        this.#postFor(call, readHistoryPost(call.request.params, call.message.time), true),
      ),
      desk.route("thing/event/+/post", (call) =>
        this.#post(
          call,
          readEventPost(call.message.device, call.levels[0], call.request.params, call.message.time),
        ),
      ),
      desk.route("thing/list/found", (call) => this.#found(call)),
      desk.route("thing/log/post", ({ request }) => ({ code: Array.isArray(request.params) ? 200 : 460 })),
      desk.tap("thing/service/property/set_reply", (message) => this.#answered(message)),
      desk.tap("thing/service/property/get_reply", (message) => this.#answered(message)),
      desk.tap("thing/service/+", (message) => this.#answered(message)),
      desk.tap("thing/model/up_raw", (message) => this.#raw(message)),
    ];
  }

  #post(call: AlinkCall, data: PostedData | PostDefect): AlinkOutcome {
    return typeof data === "number" ? { code: data } : this.#take(call, [data], false);
  }

  /** Of devices named in the message: the sender itself and the sub-devices that belong to it. */
  async #postFor(call: AlinkCall, all: PostedData[] | PostDefect, history: boolean): Promise<AlinkOutcome> {
    const code = typeof all === "number" ? all : checkCounts(all, call.message.device, this.#parts.settings);
    if (typeof all === "number" || code !== undefined) return { code: code ?? 460 };
    for (const { device } of all) {
      const defect = await this.#defectOf(device, call.message.device);
      if (defect !== undefined) return { code: defect };
    }
    return this.#take(call, all, history);
  }

  async #defectOf(device: DeviceId, gateway: DeviceId): Promise<number | undefined> {
    if (isSame(device, gateway)) return undefined;
    const known: KnownDevice | undefined = await this.#parts.registry.findDevice(
      device.productKey,
      device.deviceName,
    );
    if (known === undefined) return 6100;
    if (known.gateway === undefined || !isSame(known.gateway, gateway)) return 6401;
    return known.enabled ? undefined : 6204;
  }

  #take(call: AlinkCall, all: readonly PostedData[], history: boolean): AlinkOutcome {
    const { settings, properties } = this.#parts;
    const code = checkCounts(all, call.message.device, settings);
    if (code !== undefined) return { code };
    if (properties.full) return { code: 429 };
    const checked = all.map((data) => this.#check(data));
    const told: [string, string][] = [];
    const faults: Fault[] = [];
    for (const { data, ...one } of checked) {
      for (const { id, fault } of [...one.failedProperties, ...one.events])
        if (fault !== undefined) {
          told.push([id, fault.message]);
          if (faults.length < MAX_LOGGED) faults.push(fault);
        }
      // What was long ago is not how things are.
      if (history) continue;
      for (const id of properties.put(data.device, one.properties))
        told.push([id, "too many properties are kept of this device"]);
    }
    return {
      code: 200,
      data: plainObject(told),
      faults,
      up: () => checked.flatMap((one) => this.#notices(call, one, history)),
    };
  }

  #check(data: PostedData): Checked {
    const model = this.#parts.models.of(data.device.productKey);
    if (model === undefined)
      return { data, properties: data.properties, failedProperties: [], events: data.events };
    const properties: Posted[] = [];
    const failedProperties: Failed[] = [];
    for (const one of data.properties) {
      const fault = model.checkProperty(one.id, one.value);
      if (fault === undefined) properties.push(one);
      else failedProperties.push({ ...one, fault });
    }
    const events = data.events.map((one) => ({ ...one, fault: model.checkEvent(one.id, one.value) }));
    return { data, properties, failedProperties, events };
  }

  #notices(call: AlinkCall, checked: Checked, history: boolean): ThingNotice[] {
    const { device } = checked.data;
    const about = this.#parts.desk.about(call, device);
    const model = this.#parts.models.of(device.productKey);
    const rows = inRows(checked.properties);
    if (rows.length === 0 && checked.failedProperties.length > 0) rows.push([]);
    return [
      ...rows.map((row, index) =>
        propertyNotice(about, row, index === 0 ? checked.failedProperties : [], history),
      ),
      ...checked.events.map((one) => eventNotice(about, model?.event(one.id), one, one.fault, history)),
    ];
  }

  #found(call: AlinkCall): AlinkOutcome {
    const { params } = call.request;
    if (!Array.isArray(params) || params.length === 0) return { code: 460 };
    if (params.length > this.#parts.settings.maxPostSubDevices) return { code: 6357 };
    const found = params.map(readIdentity);
    if (!found.every((device) => device !== undefined)) return { code: 460 };
    const { desk } = this.#parts;
    const up = (): ThingNotice[] => [
      foundNotice(
        desk.about(call),
        found.map((device) => ({ ...device, iotId: desk.known(device)?.iotId })),
      ),
    ];
    return { code: 200, up };
  }

  /** The device's answer to a setting or a call: handed up, not answered. Anything else there goes up as it is. */
  #answered(message: DeviceMessage): void {
    const { desk } = this.#parts;
    const request = message.topic.endsWith(REPLY) ? desk.parse(message.payload) : undefined;
    if (request === undefined) {
      desk.offer(message);
      return;
    }
    const code = own(request.body, "code");
    const text = own(request.body, "message");
    desk.log(
      message,
      pathOf(message),
      typeof code === "number" && Number.isSafeInteger(code) ? code : 200,
      typeof text === "string" ? text.slice(0, MAX_TEXT) : undefined,
    );
    desk.offer(message, () => [
      downlinkReplyNotice(
        desk.about({ message, request }),
        message.topic.slice(0, -REPLY.length),
        request.body,
      ),
    ]);
  }

  /** Bytes only the business side understands. Devices of products with such data wait for an answer. */
  async #raw(message: DeviceMessage): Promise<void> {
    const { desk, devices, registry } = this.#parts;
    desk.offer(message);
    if (registry.findProduct(message.device.productKey)?.dataFormat !== "raw") return;
    const payload = alinkReply({ id: "", version: undefined }, "thing.model.up_raw", { code: 200 });
    const { topic, traceId } = message;
    const reply = { topic: `${topic}${REPLY}`, payload, traceId };
    await devices.push(message.device, reply, "declared", message.sessionKey);
  }
}

const REPLY = "_reply";
/** Faults of one post that stand in the run log. */
const MAX_LOGGED = 3;
/** Characters of what a device says that stand there. */
const MAX_TEXT = 256;

/** A body has one value of each property: the n-th values of all go up together. */
function inRows(posted: readonly Posted[]): Posted[][] {
  const rows: Posted[][] = [];
  const counts = new Map<string, number>();
  for (const one of posted) {
    const row = counts.get(one.id) ?? 0;
    counts.set(one.id, row + 1);
    if (row === rows.length) rows.push([]);
    rows[row].push(one);
  }
  return rows;
}
