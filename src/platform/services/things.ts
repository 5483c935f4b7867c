// Things as the server's side sees them: what they reported and what is wanted of them, setting properties, calling services,
// configuration, firmware. Composes the services of alink/ and ota/; messages of devices go to those directly.
import { OperationError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import type { DeviceRegistry, Product } from "../registry/index.ts";
import { Registry } from "../registry/index.ts";
import type { Documents } from "../registry/table/documents.ts";
import { missingDevice, missingProduct } from "../registry/changes/edits.ts";
import type { PlatformSettings } from "../settings/settings.ts";
import type { UpstreamFeed } from "../upstream/feed.ts";
import type { DeviceId } from "../names/user-name.ts";
import { FirmwareService } from "./ota/firmware-service.ts";
import type { Firmware, FirmwareState } from "./ota/firmware-state.ts";
import type { MessageIds } from "../shared/message-ids.ts";
import type { Rrpc } from "./rrpc.ts";
import type { Called, Devices, PushOutcome, Route, Service } from "../contract/service.ts";
import { AlinkDesk, type ThingLog } from "./alink/alink-desk.ts";
import type { Fault } from "./thing-model/data-types.ts";
import { DesiredProperties, type DesiredProperty } from "./thing-model/desired-properties.ts";
import { desiredService } from "./alink/desired-service.ts";
import { DeviceInfo } from "./alink/device-info.ts";
import { type AlinkRequest, parseAlink } from "./alink/envelope.ts";
import { PropertyStore, type ReportedProperty } from "./thing-model/property-store.ts";
import { type ConfigFile, type ProductConfig, RemoteConfig } from "./alink/remote-config.ts";
import { ThingModels } from "./thing-model/thing-model.ts";
import { ThingService } from "./alink/thing-service.ts";

export interface ThingsParts {
  readonly devices: Pick<Devices, "push">;
  readonly registry: DeviceRegistry;
  readonly documents: Documents;
  readonly upstream: Pick<UpstreamFeed, "active" | "offer">;
  readonly ids: MessageIds;
  readonly rrpc: Pick<Rrpc, "call">;
  readonly settings: PlatformSettings["thing"];
  readonly logger: Logger;
  readonly malformed: () => void;
  readonly log?: ThingLog;
  /** Writes the entries of calls. Default: nobody does. */
  readonly called?: Called;
}

export type Values = { readonly [id: string]: unknown };

export interface Sent {
  /** `id` of the message: the device's answer has it, and what goes up of that as requestId. */
  readonly requestId: string;
  readonly pushed: PushOutcome;
}

export interface SendOptions {
  /** Default 0: a device that is away does not get it. */
  readonly qos?: 0 | 1;
}

export interface InvokeOptions extends SendOptions {
  /** Wait for the answer, over RRPC. Default: as the thing model says, otherwise false. */
  readonly sync?: boolean;
  /** How long, see `platform.rrpc`. */
  readonly timeoutMs?: number;
}

export type InvokeResult =
  | ({ readonly code: "SENT" } & Sent)
  | {
      readonly code: "SUCCESS";
      readonly requestId: string;
      /** What the device answered: its `code`, `data` and `message`; undefined where it was no Alink object. */
      readonly answer: AlinkRequest["body"] | undefined;
    }
  | { readonly code: "TIMEOUT" | "OFFLINE" | "HALFCONN"; readonly requestId: string };

export class Things implements Service {
  readonly routes: readonly Route[];
  readonly desk: AlinkDesk;
  readonly #parts: ThingsParts;
  readonly #called: Called;
  readonly #models: ThingModels;
  readonly #properties: PropertyStore;
  readonly #desired: DesiredProperties;
  readonly #config: RemoteConfig;
  readonly #firmware: FirmwareService;

  constructor(parts: ThingsParts) {
    this.#parts = parts;
    this.#called = parts.called ?? ((_device, _name, _params, work) => work(parts.ids.next()));
    const { devices, registry, documents, upstream, ids, settings, logger, malformed, log } = parts;
    const failed = (error: unknown): void =>
      logger.error({ err: error }, "what devices reported could not be written; tried again");
    this.#models = new ThingModels(registry, logger);
    this.desk = new AlinkDesk({
      devices,
      registry,
      models: this.#models,
      upstream,
      ids,
      logger,
      malformed,
      log,
    });
    this.#properties = new PropertyStore({ documents, ...settings, failed });
    this.#desired = new DesiredProperties({ documents, ...settings });
    this.#config = new RemoteConfig({ desk: this.desk, documents, devices, ids });
    this.#firmware = new FirmwareService({
      desk: this.desk,
      devices,
      registry,
      documents,
      ...settings,
      failed,
    });
    const services: readonly Service[] = [
      new ThingService({
        desk: this.desk,
        devices,
        registry,
        models: this.#models,
        properties: this.#properties,
        settings,
      }),
      desiredService(this.desk, this.#desired),
      new DeviceInfo(this.desk, registry),
      this.#config,
      this.#firmware,
    ];
    this.routes = services.flatMap((service) => service.routes);
  }

  // ---- properties ----

  /** What the device reported last. */
  properties(device: DeviceId): { readonly [id: string]: ReportedProperty } {
    return this.#properties.get(device);
  }

  desired(device: DeviceId): { readonly [id: string]: DesiredProperty } {
    return this.#desired.get(device);
  }

  /**
   * Wants these values of the device, and tells it where it is online; otherwise it asks when it comes. `versions`: as read,
   * 0 where never set. Resolves to the new ones. Rejects with OperationError THING_VALUE, THING_VERSION, THING_SIZE.
   */
  async setDesired(
    device: DeviceId,
    values: Values,
    versions: { readonly [id: string]: number } = {},
  ): Promise<{ readonly versions: { readonly [id: string]: number } } & Sent> {
    const params = { properties: Object.keys(values) };
    return this.#called(device, "SetDeviceDesiredProperty", params, async (traceId) => {
      this.#need(device);
      this.#checkSettings(device, values);
      const entries = new Map(Object.entries(values));
      const made = await this.#desired.set(device, entries, new Map(Object.entries(versions)));
      return { versions: made, ...(await this.#send(device, "property/set", values, {}, traceId)) };
    });
  }

  /**
   * Sends a property set. What the device answers goes up as thing/downlink/reply/message. Rejects with OperationError
   * THING_VALUE where the thing model does not allow it.
   */
  async setProperties(device: DeviceId, values: Values, options: SendOptions = {}): Promise<Sent> {
    const params = { properties: Object.keys(values) };
    return this.#called(device, "SetDeviceProperty", params, async (traceId) => {
      this.#checkSettings(device, values);
      return this.#send(device, "property/set", values, options, traceId);
    });
  }

  // ---- services ----

  /** Calls a service of the device. Rejects with OperationError THING_VALUE, THING_SERVICE, and those of rrpc(). */
  async invoke(
    device: DeviceId,
    service: string,
    args: Values = {},
    options: InvokeOptions = {},
  ): Promise<InvokeResult> {
    return this.#called(device, "InvokeThingService", { service }, (traceId) =>
      this.#invoke(device, service, args, options, traceId),
    );
  }

  async #invoke(
    device: DeviceId,
    service: string,
    args: Values,
    options: InvokeOptions,
    traceId: string,
  ): Promise<InvokeResult> {
    if (!/^[A-Za-z0-9_.:-]{1,128}$/.test(service))
      throw new OperationError("THING_SERVICE", `service: "${service}" is no identifier of a service`);
    const model = this.#models.of(device.productKey);
    refuse(`service ${service}`, model?.checkService(service, args));
    if (!(options.sync ?? model?.service(service)?.sync ?? false))
      return { code: "SENT", ...(await this.#send(device, service, args, options, traceId)) };
    const { requestId, topic, payload } = this.#message(device, service, args);
    const result = await this.#parts.rrpc.call(device, Buffer.from(payload), {
      topic,
      timeoutMs: options.timeoutMs,
      traceId,
    });
    if (result.code !== "SUCCESS") return { code: result.code, requestId };
    return { code: "SUCCESS", requestId, answer: parseAlink(result.payload)?.body };
  }

  /** Bytes to a device that speaks no Alink. */
  sendRaw(device: DeviceId, payload: Uint8Array, options: SendOptions = {}): Promise<PushOutcome> {
    const topic = `/sys/${device.productKey}/${device.deviceName}/thing/model/down_raw`;
    const params = { size: payload.length };
    return this.#called(device, "SendRawData", params, (traceId) =>
      this.#parts.devices.push(device, { topic, payload, qos: options.qos, traceId }, "declared"),
    );
  }

  // ---- configuration ----

  /** The configuration file of a product; undefined: it has none. */
  config(productKey: string): ProductConfig | undefined {
    return this.#config.get(productKey);
  }

  /** undefined takes it away. Rejects with ConfigError THING_CONFIG. */
  async setConfig(productKey: string, file: ConfigFile | undefined): Promise<ProductConfig | undefined> {
    if (this.#parts.registry.findProduct(productKey) === undefined) throw missingProduct(productKey);
    return this.#config.set(productKey, file);
  }

  /** Tells a device of its product's configuration file; undefined: there is none. */
  pushConfig(device: DeviceId): Promise<PushOutcome | undefined> {
    return this.#called(device, "PushThingConfig", {}, (traceId) => this.#config.push(device, traceId));
  }

  /** Whether the device shall report its own log. */
  async setLogReport(device: DeviceId, on: boolean): Promise<PushOutcome> {
    return this.#called(device, "SetLogReport", { on }, async (traceId) => {
      this.#need(device);
      return this.#config.setLogReport(device, on, traceId);
    });
  }

  // ---- firmware ----

  firmware(device: DeviceId): FirmwareState {
    return this.#firmware.get(device);
  }

  /** Tells a device of firmware, and again whenever it asks, until it has it. Rejects with ConfigError THING_FIRMWARE. */
  async upgrade(device: DeviceId, firmware: Firmware): Promise<PushOutcome> {
    const params = { module: firmware.module, version: firmware.version };
    return this.#called(device, "UpgradeFirmware", params, async (traceId) => {
      this.#need(device);
      return this.#firmware.upgrade(device, firmware, traceId);
    });
  }

  // ---- life ----

  /** Resolves when what devices reported so far is on the disk. */
  async flush(): Promise<void> {
    await Promise.all([this.#properties.flush(), this.#firmware.flush()]);
  }

  /** Hears of what changes in the registry; call the result to hear no more. */
  follow(): readonly (() => void)[] {
    const { registry, logger } = this.#parts;
    if (!(registry instanceof Registry)) return [];
    const changed = ({ productKey }: Product): void => this.#models.forget(productKey);
    const gone = (what: object, work: Promise<unknown>): void => {
      work.catch((error: unknown) => logger.error({ err: error, ...what }, "what services kept of it stays"));
    };
    return [
      registry.on("product.created", changed),
      registry.on("product.changed", changed),
      registry.on("product.deleted", (product) => {
        changed(product);
        const { productKey } = product;
        if (this.#config.get(productKey) !== undefined)
          gone({ productKey }, this.#config.set(productKey, undefined));
      }),
      registry.on("device.deleted", ({ productKey, deviceName }) => {
        const device = { productKey, deviceName };
        const kept = [this.#properties, this.#desired, this.#firmware];
        const work = [...kept.map((one) => one.forget(device)), this.#config.forgetDevice(device)];
        gone(device, Promise.all(work));
      }),
    ];
  }

  async close(): Promise<void> {
    await Promise.all([this.#properties.close(), this.#firmware.close()]);
  }

  /** Nothing is kept of what does not exist; a registry that lives elsewhere is not asked. */
  #need(device: DeviceId): void {
    const { registry } = this.#parts;
    if (
      registry instanceof Registry &&
      registry.findDevice(device.productKey, device.deviceName) === undefined
    )
      throw missingDevice(device);
  }

  #checkSettings(device: DeviceId, values: Values): void {
    if (Object.keys(values).length === 0)
      throw new OperationError("THING_VALUE", "values: there is none: name at least one property");
    const model = this.#models.of(device.productKey);
    for (const [id, value] of Object.entries(values))
      refuse(`property ${id}`, model?.checkSetting(id, value));
  }

  async #send(
    device: DeviceId,
    service: string,
    params: Values,
    { qos }: SendOptions,
    traceId: string,
  ): Promise<Sent> {
    const { requestId, topic, payload } = this.#message(device, service, params);
    const pushed = await this.#parts.devices.push(device, { topic, payload, qos, traceId }, "declared");
    return { requestId, pushed };
  }

  /** SDKs read `id` as a decimal number, and find the handler by the end of `method`. */
  #message(device: DeviceId, service: string, params: Values) {
    const requestId = this.#parts.ids.next();
    const method = `thing.service.${service.replaceAll("/", ".")}`;
    return {
      requestId,
      topic: `/sys/${device.productKey}/${device.deviceName}/thing/service/${service}`,
      payload: JSON.stringify({ method, id: requestId, params, version: "1.0.0" }),
    };
  }
}

function refuse(what: string, fault: Fault | undefined): void {
  if (fault !== undefined)
    throw new OperationError("THING_VALUE", `values: ${what}: ${fault.message} (${fault.code})`);
}
