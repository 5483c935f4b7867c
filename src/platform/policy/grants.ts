// What a device may publish and subscribe: the system topics every device has [TOPIC-8] and its product's classes
// [TOPIC-2]. Compiled once per product, the DeviceName put in while comparing: a device costs no memory here.
// Everything carries the device's own ProductKey and DeviceName, save the product's broadcast topics [TOPIC-1].
import { type LevelEquals, type Levels, levelsCover, splitLevels } from "../../access/topic-filters.ts";
import type { TopicClass } from "../names/topic-classes.ts";

interface Grant {
  readonly topic: string;
  readonly publish: boolean;
  readonly subscribe: boolean;
}

/** [TOPIC-8] in its order. {pk} and {dn} stand for the device's own names. */
export const SYSTEM_GRANTS: readonly Grant[] = [
  both("/sys/{pk}/{dn}/thing/#"),
  subscribe("/sys/{pk}/{dn}/rrpc/request/+"),
  publish("/sys/{pk}/{dn}/rrpc/response/+"),
  both("/ext/rrpc/+/{pk}/{dn}/#"), // [RRPC-2]
  both("/ext/rrpc/+/sys/{pk}/{dn}/#"),
  subscribe("/sys/{pk}/{dn}/broadcast/request/+"),
  subscribe("/broadcast/{pk}/#"), // [TOPIC-9]
  publish("/ext/ntp/{pk}/{dn}/request"),
  subscribe("/ext/ntp/{pk}/{dn}/response"),
  publish("/shadow/update/{pk}/{dn}"),
  subscribe("/shadow/get/{pk}/{dn}"),
  publish("/ota/device/inform/{pk}/{dn}"),
  publish("/ota/device/request/{pk}/{dn}"),
  publish("/ota/device/progress/{pk}/{dn}"),
  subscribe("/ota/device/upgrade/{pk}/{dn}"),
  ...["login", "logout", "batch_login", "batch_logout"].flatMap((call) => [
    publish(`/ext/session/{pk}/{dn}/combine/${call}`),
    subscribe(`/ext/session/{pk}/{dn}/combine/${call}_reply`),
  ]),
  subscribe("/ext/error/{pk}/{dn}"),
];

export interface ProductGrants {
  readonly publish: readonly Levels[];
  readonly subscribe: readonly Levels[];
}

export interface GrantOptions {
  /** Devices may publish on their product's broadcast topics [TOPIC-9]. */
  readonly broadcastPublish: boolean;
}

// No level of a topic can be mistaken for it: a DeviceName holds no brace, so it equals no literal "{dn}".
const DEVICE_NAME = "{dn}";

export function compileGrants(
  productKey: string,
  classes: readonly TopicClass[],
  options: GrantOptions,
): ProductGrants {
  const grants = [...SYSTEM_GRANTS, ...classes.map(classGrant)];
  if (options.broadcastPublish) grants.push(publish("/broadcast/{pk}/#"));
  const compile = (right: "publish" | "subscribe"): Levels[] =>
    grants
      .filter((grant) => grant[right])
      .map((grant) => splitLevels(grant.topic.replace("{pk}", productKey)));
  return { publish: compile("publish"), subscribe: compile("subscribe") };
}

/** May the device publish on this Topic Name? */
export function mayPublish(grants: ProductGrants, deviceName: string, topic: string): boolean {
  return isCovered(grants.publish, deviceName, splitLevels(topic));
}

/**
 * May the device subscribe this filter (or receive this topic)? One grant must cover the whole filter, so a wildcard
 * never stands for the ProductKey or DeviceName level [TOPIC-7].
 */
export function maySubscribe(grants: ProductGrants, deviceName: string, filter: string): boolean {
  return isCovered(grants.subscribe, deviceName, splitLevels(filter));
}

function isCovered(granted: readonly Levels[], deviceName: string, asked: Levels): boolean {
  const equals: LevelEquals = (level, other) => (level === DEVICE_NAME ? deviceName : level) === other;
  return granted.some((levels) => levelsCover(levels, asked, equals));
}

function classGrant({ suffix, permission }: TopicClass): Grant {
  const topic = `/{pk}/{dn}${suffix}`;
  return { topic, publish: permission !== "SUB", subscribe: permission !== "PUB" };
}

function both(topic: string): Grant {
  return { topic, publish: true, subscribe: true };
}

function publish(topic: string): Grant {
  return { topic, publish: true, subscribe: false };
}

function subscribe(topic: string): Grant {
  return { topic, publish: false, subscribe: true };
}
