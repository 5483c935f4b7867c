// What a post holds: values of properties and events with their times, of the device itself or, in what a gateway packs, of
// its sub-devices. Reads the forms there are and counts [LIMIT-7]; knows no thing model and keeps nothing.
import { isDeviceName, isProductKey, type DeviceId } from "../../names/user-name.ts";
import { isObject, type JsonObject, own } from "../../shared/json.ts";

export interface Posted {
  /** Of the property or event. */
  readonly id: string;
  readonly value: unknown;
  /** ms since the epoch: the device's, or when the message arrived. */
  readonly time: number;
}

export interface PostedData {
  readonly device: DeviceId;
  readonly properties: readonly Posted[];
  readonly events: readonly Posted[];
}

export interface PostLimits {
  readonly maxPostProperties: number;
  readonly maxPostEvents: number;
  readonly maxPostSubDevices: number;
}

/** Characters of the name of a property or event: it goes back where it does not fit, and up. */
const MAX_IDENTIFIER = 128;

/** Code of the reply where a post cannot be taken. */
export type PostDefect = 460 | 6106 | 6356 | 6357;

/** `thing/event/property/post`: one value each. */
export function readPropertyPost(device: DeviceId, params: unknown, now: number): PostedData | PostDefect {
  if (!isObject(params)) return 460;
  const properties = Object.entries(params).map(([id, value]) => single(id, value, now));
  if (properties.length === 0 || !areNamed(properties)) return 460;
  return { device, properties, events: [] };
}

/** `thing/event/{id}/post`: its parameters, bare or as `value` beside a `time`. */
export function readEventPost(
  device: DeviceId,
  id: string,
  params: unknown,
  now: number,
): PostedData | PostDefect {
  if (!isObject(params) || !isEventId(id)) return 460;
  return { device, properties: [], events: [single(id, params, now)] };
}

/** `thing/event/property/batch/post`: lists of values. */
export function readBatchPost(device: DeviceId, params: unknown, now: number): PostedData | PostDefect {
  return isObject(params) ? readLists(device, params, now) : 460;
}

/** `thing/event/property/pack/post`: the gateway's own data and its sub-devices'. */
export function readPackPost(device: DeviceId, params: unknown, now: number): PostedData[] | PostDefect {
  if (!isObject(params)) return 460;
  const mine = readLists(device, params, now);
  const subDevices = own(params, "subDevices") ?? [];
  if (typeof mine === "number" || !Array.isArray(subDevices)) return 460;
  const all = [mine];
  for (const entry of subDevices) {
    const theirs = readIdentified(entry, now);
    if (theirs === undefined) return 460;
    all.push(theirs);
  }
  return all;
}

/** `thing/event/property/history/post`: what happened while a device was away, each with its identity. */
export function readHistoryPost(params: unknown, now: number): PostedData[] | PostDefect {
  if (!Array.isArray(params)) return 460;
  const all: PostedData[] = [];
  for (const entry of params) {
    const theirs = readIdentified(entry, now);
    if (theirs === undefined) return 460;
    all.push(theirs);
  }
  return all;
}

/** Of a message of `sender`. undefined: within the limits [LIMIT-7]. */
export function checkCounts(
  all: readonly PostedData[],
  sender: DeviceId,
  limits: PostLimits,
): PostDefect | undefined {
  const properties = all.reduce((count, data) => count + data.properties.length, 0);
  if (properties > limits.maxPostProperties) return 6106;
  const events = all.reduce((count, data) => count + data.events.length, 0);
  if (events > limits.maxPostEvents) return 6356;
  const subDevices = all.filter(({ device }) => !isSame(device, sender)).length;
  return subDevices > limits.maxPostSubDevices ? 6357 : undefined;
}

export function isSame(one: DeviceId, other: DeviceId): boolean {
  return one.productKey === other.productKey && one.deviceName === other.deviceName;
}

function readIdentified(entry: unknown, now: number): PostedData | undefined {
  if (!isObject(entry)) return undefined;
  const device = readIdentity(own(entry, "identity"));
  if (device === undefined) return undefined;
  const data = readLists(device, entry, now);
  return typeof data === "number" ? undefined : data;
}

export function readIdentity(identity: unknown): DeviceId | undefined {
  if (!isObject(identity)) return undefined;
  const productKey = own(identity, "productKey");
  const deviceName = own(identity, "deviceName");
  if (typeof productKey !== "string" || typeof deviceName !== "string") return undefined;
  return isProductKey(productKey) && isDeviceName(deviceName) ? { productKey, deviceName } : undefined;
}

function readLists(device: DeviceId, from: JsonObject, now: number): PostedData | PostDefect {
  const properties = readMany(own(from, "properties"), now);
  const events = readMany(own(from, "events"), now);
  if (properties === undefined || events === undefined) return 460;
  const named = areNamed(properties) && events.every(({ id }) => isEventId(id));
  return named ? { device, properties, events } : 460;
}

function areNamed(posted: readonly Posted[]): boolean {
  return posted.every(({ id }) => id !== "" && id.length <= MAX_IDENTIFIER);
}

/** It becomes a level of a topic. */
function isEventId(id: string): boolean {
  return id.length <= MAX_IDENTIFIER && /^[^/+#\s\p{Cc}]+$/u.test(id);
}

/** An object of values or lists of them, or a list of such objects. */
function readMany(given: unknown, now: number): Posted[] | undefined {
  if (given === undefined) return [];
  const objects: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (!objects.every(isObject)) return undefined;
  return objects.flatMap((object) =>
    Object.entries(object).flatMap(([id, value]) =>
      Array.isArray(value) && value.length > 0 && value.every(isStamped)
        ? value.map((one) => single(id, one, now))
        : [single(id, value, now)],
    ),
  );
}

function single(id: string, value: unknown, now: number): Posted {
  if (!isStamped(value)) return { id, value, time: now };
  const time = own(value, "time");
  const stamped = typeof time === "number" && Number.isSafeInteger(time) && time >= 0;
  return { id, value: own(value, "value"), time: stamped ? time : now };
}

/** `{value, time}`: no other names, or it is a struct that happens to have such a field. */
function isStamped(value: unknown): value is JsonObject {
  if (!isObject(value) || !Object.hasOwn(value, "value")) return false;
  return Object.keys(value).every((key) => key === "value" || key === "time");
}
