// A client of the platform as services see it, made of what the policy knows of its session.
import type { Identity } from "../access/policy.ts";
import { type DeviceData, deviceOf } from "./device-data.ts";
import type { PlatformHost } from "./host.ts";
import type { OnlineDevice } from "./services/service.ts";

/** Where its connection came from. */
export function addressOf(identity: Identity): string {
  return deviceOf(identity).remoteAddress ?? "";
}

export function onlineDevice(identity: Identity, connectedAt: number): OnlineDevice {
  const { productKey, deviceName, extensions, userProperties }: DeviceData = deviceOf(identity);
  return {
    device: { productKey, deviceName },
    sessionKey: identity.sessionKey,
    extensions: extensions ?? new Map(),
    userProperties: userProperties ?? [],
    connectedAt,
  };
}

/** [RRPC-5] The socket has failed, or nothing came for a whole Keep Alive. */
export function isHalfOpen(host: PlatformHost, { sessionKey }: OnlineDevice, now: number): boolean {
  const connection = host.connectionOf(sessionKey);
  if (connection === undefined || connection.broken) return true;
  return connection.keepAlive > 0 && now - connection.lastPacketAt > connection.keepAlive * 1_000;
}
