// What goes up of thing messages of a product with a thing model [UP-1]: topics without /sys, bodies with what the platform
// knows of the device. Values only; who hears them is the feed's. Names in items are data of strangers.
import type { DeviceId } from "../../names/user-name.ts";
import { type JsonObject, plainObject } from "../../shared/json.ts";
import type { Fault } from "./data-types.ts";
import type { Posted } from "./posts.ts";
import type { EventModel } from "./thing-model.ts";

export interface ThingNotice {
  readonly device: DeviceId;
  readonly topic: string;
  readonly payload: Buffer;
}

/** What bodies have in common. */
export interface NoticeOf {
  readonly device: DeviceId;
  readonly iotId: string | undefined;
  readonly deviceType: string;
  /** Of the request. */
  readonly requestId: string | number | undefined;
  /** ms since the epoch */
  readonly gmtCreate: number;
}

export interface Failed extends Posted {
  readonly fault: Fault;
}

/** `history`: what happened while the device was away goes up under topics of its own. */
export function propertyNotice(
  about: NoticeOf,
  items: readonly Posted[],
  failed: readonly Failed[],
  history: boolean,
): ThingNotice {
  return notice(about.device, `thing/event/property/${history ? "history/" : ""}post`, [
    ["deviceType", about.deviceType],
    ...identity(about),
    ["items", plainObject(items.map(({ id, value, time }) => [id, { value, time }] as const))],
    ["checkFailedData", plainObject(failed.map((one) => [one.id, failedData(one)] as const))],
  ]);
}

export function eventNotice(
  about: NoticeOf,
  event: EventModel | undefined,
  { id, value, time }: Posted,
  fault: Fault | undefined,
  history: boolean,
): ThingNotice {
  return notice(about.device, `thing/event/${id}/${history ? "history/" : ""}post`, [
    ["identifier", id],
    ["name", event?.name ?? id],
    ["type", event?.type ?? "info"],
    ["deviceType", about.deviceType],
    ...identity(about),
    ["value", fault === undefined ? value : {}],
    ["time", time],
    ["checkFailedData", fault === undefined ? {} : failedData({ id, value, time, fault })],
  ]);
}

/** The device's answer to what was set or called. */
export function downlinkReplyNotice(about: NoticeOf, topic: string, reply: JsonObject): ThingNotice {
  const { code, message, data } = plainObject(Object.entries(reply));
  return notice(about.device, "thing/downlink/reply/message", [
    ...identity(about),
    ["code", code ?? 200],
    ["message", message ?? (code === undefined || code === 200 ? "success" : "")],
    ["topic", topic],
    ["data", data ?? {}],
  ]);
}

/** Sub-devices a gateway has found. */
export function foundNotice(
  { device, iotId }: NoticeOf,
  found: readonly (DeviceId & { readonly iotId: string | undefined })[],
): ThingNotice {
  return notice(device, "thing/list/found", [
    ["gwIotId", iotId],
    ["gwProductKey", device.productKey],
    ["gwDeviceName", device.deviceName],
    [
      "devices",
      found.map(({ iotId: own, productKey, deviceName }) => ({ iotId: own, productKey, deviceName })),
    ],
  ]);
}

export function tagNotice(about: NoticeOf, tags: readonly (readonly [string, string])[]): ThingNotice {
  const { device, iotId, gmtCreate } = about;
  return notice(device, "thing/deviceinfo/update", [
    ["iotId", iotId],
    ["productKey", device.productKey],
    ["deviceName", device.deviceName],
    ["value", tags.map(([attrKey, attrValue]) => ({ attrKey, attrValue }))],
    ["messageCreateTime", gmtCreate],
  ]);
}

function notice(
  device: DeviceId,
  path: string,
  fields: readonly (readonly [string, unknown])[],
): ThingNotice {
  return {
    device,
    topic: `/${device.productKey}/${device.deviceName}/${path}`,
    payload: Buffer.from(JSON.stringify(plainObject(fields))),
  };
}

function identity({ device, iotId, requestId, gmtCreate }: NoticeOf): (readonly [string, unknown])[] {
  return [
    ["iotId", iotId],
    ["requestId", requestId],
    ["productKey", device.productKey],
    ["gmtCreate", gmtCreate],
    ["deviceName", device.deviceName],
  ];
}

function failedData({ value, time, fault }: Failed): object {
  return { value, time, code: fault.code, message: fault.message };
}
