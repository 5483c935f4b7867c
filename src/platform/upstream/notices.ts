// What the platform itself says to the business side about devices: who came and went [STATUS-1], who was made, deleted,
// enabled or disabled [LIFE-1]. Bodies and topics only; who hears them is the feed's.
import type { Device } from "../registry/index.ts";

export interface StatusChange {
  readonly status: "online" | "offline";
  readonly device: Pick<Device, "productKey" | "deviceName"> & { readonly iotId?: string };
  /** ms since the epoch */
  readonly time: number;
  /** When the device was last heard of before: what consumers order by. */
  readonly lastTime: number;
  readonly clientIp: string;
}

export type LifecycleAction = "create" | "delete" | "enable" | "disable";

export interface Notice {
  readonly topic: string;
  readonly payload: Buffer;
}

export function statusNotice({ status, device, time, lastTime, clientIp }: StatusChange): Notice {
  const { productKey, deviceName, iotId } = device;
  return {
    topic: `/as/mqtt/status/${productKey}/${deviceName}`,
    payload: json({
      status,
      iotId,
      productKey,
      deviceName,
      time: chinaTime(time),
      utcTime: new Date(time).toISOString(),
      lastTime: chinaTime(lastTime),
      utcLastTime: new Date(lastTime).toISOString(),
      clientIp,
    }),
  };
}

export function lifecycleNotice(action: LifecycleAction, device: Device, time: number): Notice {
  const { productKey, deviceName, iotId, deviceSecret } = device;
  return {
    topic: `/${productKey}/${deviceName}/thing/lifecycle`,
    payload: json({
      action,
      iotId,
      productKey,
      deviceName,
      // Whoever is told of a new device may need to put the secret into it.
      deviceSecret: action === "create" ? deviceSecret : undefined,
      messageCreateTime: time,
    }),
  };
}

export interface NamedDevice {
  readonly iotId: string | undefined;
  readonly productKey: string;
  readonly deviceName: string;
}

export function topologyNotice(
  action: "add" | "delete",
  gateway: NamedDevice,
  devices: readonly NamedDevice[],
  time: number,
): Notice {
  return {
    topic: `/${gateway.productKey}/${gateway.deviceName}/thing/topo/lifecycle`,
    payload: json({
      action,
      gwIotId: gateway.iotId,
      gwProductKey: gateway.productKey,
      gwDeviceName: gateway.deviceName,
      devices,
      messageCreateTime: time,
    }),
  };
}

const EIGHT_HOURS = 8 * 3_600_000;

/** "yyyy-MM-dd HH:mm:ss.SSS" in UTC+8, as the platform writes it. */
function chinaTime(time: number): string {
  return new Date(time + EIGHT_HOURS).toISOString().replace("T", " ").slice(0, 23);
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
