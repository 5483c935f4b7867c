// What goes up to the business side [UP-1]: messages of devices, and the platform's notices about them. A type, and the
// JSON line a person reads.
import type { Properties } from "../../protocol/properties.ts";
import type { DeviceId } from "../names/user-name.ts";

/**
 * `data`: a message of a device. `status`: it came or went [STATUS-1]. `lifecycle`: it was made, deleted, enabled or disabled
 * [LIFE-1]. `topology`: sub-devices joined or left a gateway.
 */
export type UpstreamKind = "data" | "status" | "lifecycle" | "topology";

/** Never changed after it was offered. */
export interface UpstreamMessage {
  readonly kind: UpstreamKind;
  readonly device: DeviceId;
  /** Its own, or what the platform makes of it: `thing` messages lose their `/sys`. */
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  /** Of a 5.0 PUBLISH: User Properties in their order, Correlation Data as raw bytes. */
  readonly properties: Properties;
  /** Decimal, unique. */
  readonly messageId: string;
  /** ms since the epoch */
  readonly time: number;
}

/** Bytes a message counts in a reader's queue. */
export function costOf({ topic, payload, properties }: UpstreamMessage): number {
  let cost = 256 + topic.length + payload.length + (properties.correlationData?.length ?? 0);
  for (const [name, value] of properties.userProperties ?? []) cost += name.length + value.length;
  return cost;
}

/**
 * One line of JSON. The payload is text where it is UTF-8, `payloadBase64` otherwise; Correlation Data is Base64
 * [V5-8].
 */
export function upstreamLine(message: UpstreamMessage): string {
  const { kind, device, topic, payload, qos, properties, messageId, time } = message;
  const { correlationData, userProperties, ...others } = properties;
  return JSON.stringify({
    kind,
    productKey: device.productKey,
    deviceName: device.deviceName,
    topic,
    ...textOrBase64(payload),
    qos,
    messageId,
    generateTime: time,
    properties: {
      ...others,
      ...(correlationData && { correlationData: Buffer.from(correlationData).toString("base64") }),
      ...(userProperties && { userProperties }),
    },
  });
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOrBase64(payload: Buffer): { payload: string } | { payloadBase64: string } {
  try {
    return { payload: utf8.decode(payload) };
  } catch {
    return { payloadBase64: payload.toString("base64") };
  }
}
