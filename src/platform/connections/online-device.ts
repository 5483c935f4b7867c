// A client of the platform as services see it, made of what the policy knows of its session.
import type { Identity } from "../../access/policy.ts";
import { deviceOf, namesOf } from "../contract/device-data.ts";
import type { PlatformHost } from "../contract/host.ts";
import type { OnlineDevice } from "../contract/service.ts";

const NO_EXTENSIONS: OnlineDevice["extensions"] = new Map();
const NO_PROPERTIES: OnlineDevice["userProperties"] = [];

/** Where its connection came from. */
export function addressOf(identity: Identity): string {
  return deviceOf(identity).remoteAddress ?? "";
}

export function onlineDevice(identity: Identity, connectedAt: number): OnlineDevice {
  const { extensions = NO_EXTENSIONS, userProperties = NO_PROPERTIES } = deviceOf(identity);
  return {
    device: namesOf(identity),
    sessionKey: identity.sessionKey,
    extensions,
    userProperties,
    connectedAt,
  };
}

/** [RRPC-5] The socket has failed, or nothing came for a whole Keep Alive. */
export function isHalfOpen(host: PlatformHost, { sessionKey }: OnlineDevice, now: number): boolean {
  const connection = host.connectionOf(sessionKey);
  if (connection === undefined || connection.broken) return true;
  return connection.keepAlive > 0 && now - connection.lastPacketAt > connection.keepAlive * 1_000;
}
