// Tags a device gives itself: thing/deviceinfo/update, delete, get. Kept in the registry, whose bounds hold; a request that
// changes nothing writes nothing.
import { ConfigError } from "../../../errors.ts";
import { type Device, type DeviceRegistry, Registry } from "../../registry/index.ts";
import { isObject, own } from "../../shared/json.ts";
import type { Route, Service } from "../../contract/service.ts";
import type { AlinkCall, AlinkDesk, AlinkOutcome } from "./alink-desk.ts";
import { tagNotice } from "../thing-model/thing-notices.ts";

type Tag = readonly [key: string, value: string];

const TAG_KEY = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
const BAD_PARAMS = { code: 460 } as const;

export class DeviceInfo implements Service {
  readonly routes: readonly Route[];
  readonly #desk: AlinkDesk;
  readonly #registry: DeviceRegistry;

  constructor(desk: AlinkDesk, registry: DeviceRegistry) {
    this.#desk = desk;
    this.#registry = registry;
    this.routes = [
      desk.route("thing/deviceinfo/update", (call) => this.#update(call)),
      desk.route("thing/deviceinfo/delete", (call) => this.#delete(call)),
      desk.route("thing/deviceinfo/get", (call) => this.#get(call)),
    ];
  }

  async #update(call: AlinkCall): Promise<AlinkOutcome> {
    const { params } = call.request;
    if (!Array.isArray(params) || params.length === 0) return BAD_PARAMS;
    const tags = new Map<string, string>();
    for (const entry of params) {
      const key = isObject(entry) ? own(entry, "attrKey") : undefined;
      const value = isObject(entry) ? own(entry, "attrValue") : undefined;
      if (typeof key !== "string" || !TAG_KEY.test(key) || typeof value !== "string") return BAD_PARAMS;
      tags.set(key, value);
    }
    const outcome = await this.#change(call, (before) => [...new Map([...before, ...tags])]);
    if (outcome.code !== 200) return outcome;
    return { ...outcome, up: () => [tagNotice(this.#desk.about(call), [...tags])] };
  }

  async #delete(call: AlinkCall): Promise<AlinkOutcome> {
    const { params } = call.request;
    if (!Array.isArray(params) || params.length === 0) return BAD_PARAMS;
    const keys = new Set(params.map((entry) => (isObject(entry) ? own(entry, "attrKey") : undefined)));
    if ([...keys].some((key) => typeof key !== "string")) return BAD_PARAMS;
    return this.#change(call, (before) => before.filter(([key]) => !keys.has(key)));
  }

  /** All tags, or those whose keys are asked for. */
  #get({ message, request }: AlinkCall): AlinkOutcome {
    const { params } = request;
    const keys = Array.isArray(params) && params.length > 0 ? new Set<unknown>(params) : undefined;
    const tags = this.#desk.known(message.device)?.tags ?? [];
    const data = tags
      .filter(([key]) => keys === undefined || keys.has(key))
      .map(([attrKey, attrValue]) => ({ attrKey, attrValue }));
    return { code: 200, data };
  }

  async #change(
    { message: { device } }: AlinkCall,
    edit: (before: readonly Tag[]) => readonly Tag[],
  ): Promise<AlinkOutcome> {
    const { productKey, deviceName } = device;
    // A registry of an embedder has no place for them.
    if (!(this.#registry instanceof Registry)) return { code: 500, message: "this registry keeps no tags" };
    const known: Device | undefined = this.#registry.findDevice(productKey, deviceName);
    if (known === undefined) return { code: 6100 };
    if (isSame(known.tags, edit(known.tags))) return { code: 200 };
    try {
      await this.#registry.updateDevice(productKey, deviceName, (before) => ({ tags: edit(before.tags) }));
      return { code: 200 };
    } catch (error) {
      // Too many, or one that is too long.
      if (error instanceof ConfigError) return { code: 460, message: error.message };
      throw error;
    }
  }
}

function isSame(one: readonly Tag[], other: readonly Tag[]): boolean {
  return (
    one.length === other.length &&
    one.every(([key, value], i) => other[i][0] === key && other[i][1] === value)
  );
}
