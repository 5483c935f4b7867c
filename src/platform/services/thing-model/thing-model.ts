// The thing model (TSL) of a product, as far as messages are held against it: its properties, events and services. Read
// once per product and again when it changes. A product without one has no say in what its devices post.
import type { Logger } from "../../../logger.ts";
import { type DeviceRegistry, Registry } from "../../registry/index.ts";
import { isObject, type JsonObject, own } from "../../shared/json.ts";
import { checkFields, checkValue, type Fault, type Fields, readFields, unknownName } from "./data-types.ts";

export interface EventModel {
  readonly name: string;
  /** info, alert or error. */
  readonly type: string;
  readonly output: Fields;
}

export interface ServiceModel {
  /** The caller waits for the device's answer. */
  readonly sync: boolean;
  readonly input: Fields;
}

export class ThingModel {
  readonly deviceType: string | undefined;
  readonly #properties: Fields;
  readonly #readOnly: ReadonlySet<string>;
  readonly #events: ReadonlyMap<string, EventModel>;
  readonly #services: ReadonlyMap<string, ServiceModel>;

  constructor(tsl: JsonObject) {
    this.deviceType = textOf(tsl, "deviceType");
    const properties = own(tsl, "properties");
    this.#properties = readFields(properties);
    this.#readOnly = new Set(
      named(properties).flatMap(([id, entry]) => (own(entry, "accessMode") === "r" ? [id] : [])),
    );
    this.#events = new Map(
      named(own(tsl, "events")).map(([id, entry]) => [
        id,
        {
          name: textOf(entry, "name") ?? id,
          type: textOf(entry, "type") ?? "info",
          output: readFields(own(entry, "outputData")),
        },
      ]),
    );
    this.#services = new Map(
      named(own(tsl, "services")).map(([id, entry]) => [
        id,
        { sync: own(entry, "callType") === "sync", input: readFields(own(entry, "inputData")) },
      ]),
    );
  }

  /** undefined: the value may be posted. */
  checkProperty(id: string, value: unknown): Fault | undefined {
    const type = this.#properties.get(id);
    return type === undefined ? unknownName(id) : checkValue(type, value);
  }

  /** undefined: the server may set it. */
  checkSetting(id: string, value: unknown): Fault | undefined {
    if (this.#readOnly.has(id)) return { code: 460, message: `${id} is read-only in the thing model` };
    return this.checkProperty(id, value);
  }

  event(id: string): EventModel | undefined {
    return this.#events.get(id);
  }

  checkEvent(id: string, value: unknown): Fault | undefined {
    const event = this.#events.get(id);
    return event === undefined ? unknownName(id) : checkObject(event.output, value);
  }

  service(id: string): ServiceModel | undefined {
    return this.#services.get(id);
  }

  checkService(id: string, value: unknown): Fault | undefined {
    const service = this.#services.get(id);
    return service === undefined ? unknownName(id) : checkObject(service.input, value);
  }
}

const LISTS = ["properties", "events", "services"] as const;

/** What of a thing model would be passed over without a word; undefined: nothing. For whoever gives one by hand. */
export function modelDefect(tsl: unknown): string | undefined {
  if (!isObject(tsl)) return "is no JSON object: give the product's TSL";
  const given = LISTS.filter((key) => own(tsl, key) !== undefined);
  if (given.length === 0) return `has neither ${LISTS.join(", ")}: give the product's TSL`;
  for (const key of given) {
    const list = own(tsl, key);
    if (!Array.isArray(list)) return `${key} is no list`;
    const seen = new Set<string>();
    for (const [index, entry] of list.entries()) {
      const id = isObject(entry) ? textOf(entry, "identifier") : undefined;
      if (id === undefined) return `${key}[${index}] has no identifier`;
      if (seen.has(id)) return `${key}: identifier "${id}" stands twice`;
      seen.add(id);
      const type = own(entry, "dataType");
      if (key === "properties" && (!isObject(type) || textOf(type, "type") === undefined))
        return `properties: "${id}" has no dataType with a type, such as {"type":"int"}`;
    }
  }
  return undefined;
}

function checkObject(fields: Fields, value: unknown): Fault | undefined {
  if (!isObject(value)) return { code: 6312, message: "tsl parse: params struct error -> is an object" };
  return checkFields(fields, value);
}

function named(list: unknown): (readonly [string, JsonObject])[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry) => {
    const id = isObject(entry) ? own(entry, "identifier") : undefined;
    return typeof id === "string" ? [[id, entry as JsonObject] as const] : [];
  });
}

function textOf(object: JsonObject, key: string): string | undefined {
  const value = own(object, key);
  return typeof value === "string" ? value : undefined;
}

/** Models of all products, read when first asked for. */
export class ThingModels {
  readonly #registry: DeviceRegistry;
  readonly #logger: Pick<Logger, "warn">;
  readonly #models = new Map<string, ThingModel | undefined>();

  constructor(registry: DeviceRegistry, logger: Pick<Logger, "warn">) {
    this.#registry = registry;
    this.#logger = logger;
  }

  /** undefined: the product has none. */
  of(productKey: string): ThingModel | undefined {
    if (!this.#models.has(productKey)) this.#models.set(productKey, this.#read(productKey));
    return this.#models.get(productKey);
  }

  /** The product has changed or is gone. */
  forget(productKey: string): void {
    this.#models.delete(productKey);
  }

  #read(productKey: string): ThingModel | undefined {
    if (!(this.#registry instanceof Registry)) return undefined;
    const text = this.#registry.findModel(productKey);
    if (text === undefined) return undefined;
    const tsl: unknown = JSON.parse(text);
    if (isObject(tsl) && LISTS.some((key) => Array.isArray(own(tsl, key)))) return new ThingModel(tsl);
    const message = "the thing model has no list of properties, events or services: posts are not checked";
    this.#logger.warn({ productKey }, message);
    return undefined;
  }
}
