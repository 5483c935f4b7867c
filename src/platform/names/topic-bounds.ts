// How long and how deep a topic of a device may be, and whose it is: read from the topic alone, no registry is asked.
import type { PlatformSettings } from "../settings/settings.ts";

/** Has a Topic Name or Filter more bytes or levels than it may have? */
export function isOversize(topic: string, { topics }: PlatformSettings): boolean {
  // The broker makes names of RRPC itself, around a topic that may be as long as any other.
  if (Buffer.byteLength(topic) > topics.maxBytes && !topic.startsWith("/ext/rrpc/")) return true; // [TOPIC-5]
  const levels = topic.split("/");
  return levels.length - 1 > topics.maxSlashes && namesAt(levels) < 2; // [TOPIC-6]
}

/** The device whose names stand in a topic, "productKey/deviceName"; undefined: in a topic of no one device. */
export function ownerIn(topic: string): string | undefined {
  const levels = topic.split("/");
  const at = namesAt(levels);
  return at === 0 || at + 1 >= levels.length ? undefined : `${levels[at]}/${levels[at + 1]}`;
}

/** What is counted as the retained messages of the device whose names stand in a topic [V5-5]. */
export function retainedFilters(topic: string): readonly string[] | undefined {
  const owner = ownerIn(topic);
  return owner === undefined ? undefined : [`/${owner}/#`, `/sys/${owner}/#`];
}

/** Level of the ProductKey before a DeviceName: 1 in a custom topic, more in a system topic [TOPIC-8], 0: none. */
function namesAt(levels: readonly string[]): number {
  if (levels[0] !== "") return 0;
  switch (levels[1]) {
    case "sys":
      return 2;
    case "shadow":
      return 3;
    case "ota":
      return 4;
    case "ext":
      if (levels[2] !== "rrpc") return 3;
      return levels[4] === "sys" ? 5 : 4;
    case "broadcast":
      return 0;
    default:
      return 1;
  }
}
