// What `millrace rrpc`, `shadow`, `upstream` and `log` ask of a running broker, as calls and feeds with JSON in and out, for
// the control socket. Arguments are checked here for their type, by the platform for their sense.
import { OperationError } from "../../errors.ts";
import type { Broker } from "../../broker.ts";
import type { Registry } from "../../platform/registry/index.ts";
import type { RunLogQuery } from "../../platform/run-log/query.ts";
import type { Shadows } from "../../platform/services/shadow/shadow.ts";
import { upstreamLine } from "../../platform/upstream/upstream-message.ts";
import type { DeviceId } from "../../platform/names/user-name.ts";
import { type JsonObject, RequestRefusal } from "./control-protocol.ts";
import type { Feed, PlatformDesk } from "./control-server.ts";

export type PlatformBroker = Pick<
  Broker,
  "rrpc" | "shadows" | "upstream" | "runLog" | "subscribeDevice" | "unsubscribeDevice" | "subscriptionsOf"
>;

export interface RrpcAnswer {
  readonly code: "SUCCESS" | "TIMEOUT" | "OFFLINE" | "HALFCONN";
  readonly messageId: string;
  /** Base64, of SUCCESS. */
  readonly payload?: string;
}

export interface PlatformSource {
  readonly broker: () => Promise<PlatformBroker>;
  readonly registry: () => Promise<Registry>;
}

export class PlatformCalls implements PlatformDesk {
  readonly #source: PlatformSource;

  constructor(source: PlatformSource) {
    this.#source = source;
  }

  async call(name: string, given: JsonObject): Promise<unknown> {
    const broker = await this.#source.broker();
    switch (name) {
      case "rrpc": {
        const device = await this.#device(given);
        const payload = Buffer.from(text(given, "payload"), "base64");
        const { topic, timeoutMs } = given;
        const result = await broker.rrpc(device, payload, {
          ...(typeof topic === "string" && { topic }),
          ...(typeof timeoutMs === "number" && { timeoutMs }),
        });
        if (result.code !== "SUCCESS") return result;
        return { ...result, payload: result.payload.toString("base64") } satisfies RrpcAnswer;
      }
      case "device.subscribe": {
        const topics = topicsOf(given);
        return broker.subscribeDevice(await this.#device(given), topics, { qos: given["qos"] === 0 ? 0 : 1 });
      }
      case "device.unsubscribe": {
        const topics = topicsOf(given);
        return broker.unsubscribeDevice(await this.#device(given), topics);
      }
      case "device.subscriptions":
        return broker.subscriptionsOf(await this.#device(given));
      case "shadow.get":
      case "shadow.update":
        return shadowCall(broker.shadows, name, await this.#device(given), given);
      default:
        throw bad(`there is no call ${JSON.stringify(name)}`);
    }
  }

  async follow(name: string, given: JsonObject): Promise<Feed> {
    const broker = await this.#source.broker();
    switch (name) {
      case "upstream": {
        const { productKey } = given;
        if (typeof productKey === "string") knownProduct(await this.#source.registry(), productKey);
        const reader = broker.upstream(typeof productKey === "string" ? { productKey } : {});
        return { items: mapped(reader, (message) => upstreamLine(message)), close: () => reader.close() };
      }
      case "log": {
        const query = logQuery(given["query"]);
        // Before the search, so that nothing falls between.
        const reader = given["follow"] === true ? broker.runLog.follow(query) : undefined;
        return { items: found(broker.runLog, query, reader), close: () => reader?.close() };
      }
      default:
        throw bad(`there is no feed ${JSON.stringify(name)}`);
    }
  }

  async #device(given: JsonObject): Promise<DeviceId> {
    return knownDevice(await this.#source.registry(), given);
  }
}

function knownProduct(registry: Registry, productKey: string): void {
  if (registry.findProduct(productKey) !== undefined) return;
  const message = `productKey: "${productKey}": there is no such product; millrace product list shows them`;
  throw new OperationError("REGISTRY_MISSING", message);
}

/** The device that is named, if there is one. */
export function knownDevice(registry: Registry, given: JsonObject): DeviceId {
  const productKey = text(given, "productKey");
  const deviceName = text(given, "deviceName");
  knownProduct(registry, productKey);
  if (registry.findDevice(productKey, deviceName) === undefined) {
    const message = `deviceName: there is no device "${deviceName}" of product "${productKey}"; millrace device list ${productKey} shows them`;
    throw new OperationError("REGISTRY_MISSING", message);
  }
  return { productKey, deviceName };
}

export async function shadowCall(
  shadows: Shadows,
  name: "shadow.get" | "shadow.update",
  device: DeviceId,
  { message }: JsonObject,
): Promise<unknown> {
  if (name === "shadow.get") return shadows.get(device) ?? null;
  if (typeof message !== "object" || message === null || Array.isArray(message))
    throw bad("message is an object");
  return shadows.update(device, message as Parameters<Shadows["update"]>[1]);
}

async function* mapped<T>(items: AsyncIterable<T>, map: (item: T) => unknown): AsyncGenerator<unknown> {
  for await (const item of items) yield map(item);
}

async function* found(
  log: PlatformBroker["runLog"],
  query: RunLogQuery,
  reader: AsyncIterable<{ readonly id: number }> | undefined,
): AsyncGenerator<unknown> {
  let last = 0;
  for (const entry of await log.search(query)) {
    last = entry.id;
    yield entry;
  }
  if (reader === undefined) return;
  for await (const entry of reader) if (entry.id > last) yield entry;
}

const TEXTS = ["productKey", "messageId", "traceId", "businessType", "keyword"] as const;
const NUMBERS = ["code", "since", "until", "limit"] as const;

function logQuery(value: unknown): RunLogQuery {
  if (typeof value !== "object" || value === null) throw bad("query is an object");
  const given = value as JsonObject;
  const query: Record<string, unknown> = {};
  for (const name of TEXTS) if (given[name] !== undefined) query[name] = text(given, name);
  for (const name of NUMBERS) {
    const number = given[name];
    if (number === undefined) continue;
    if (typeof number !== "number" || !Number.isFinite(number)) throw bad(`query.${name} is a number`);
    query[name] = number;
  }
  if (given["success"] !== undefined) query["success"] = given["success"] === true;
  const device = given["device"] as JsonObject | undefined;
  if (device !== undefined)
    query["device"] = { productKey: text(device, "productKey"), deviceName: text(device, "deviceName") };
  return query;
}

function text(given: JsonObject, name: string): string {
  const value = given[name];
  if (typeof value !== "string") throw bad(`${name} is a text`);
  return value;
}

function bad(message: string): RequestRefusal {
  return new RequestRefusal("BAD_REQUEST", 0, message);
}

function topicsOf({ topics }: JsonObject): readonly string[] {
  if (!Array.isArray(topics) || !topics.every((topic) => typeof topic === "string"))
    throw bad("topics is a list of texts");
  return topics;
}
