// When a connection counts as half open.
import { expect, test } from "vitest";
import type { HostConnection, PlatformHost } from "../../../src/platform/contract/host.ts";
import { isHalfOpen } from "../../../src/platform/connections/online-device.ts";
import type { OnlineDevice } from "../../../src/platform/contract/service.ts";

const NOW = 1_000_000;
const DEVICE = { sessionKey: "pk/device1" } as OnlineDevice;

function judge(connection: Partial<HostConnection> | undefined): boolean {
  const sound = {
    level: 4,
    remoteAddress: "",
    connectedAt: 0,
    lastPacketAt: NOW,
    keepAlive: 60,
    broken: false,
  };
  const found = connection && ({ ...sound, ...connection } as HostConnection);
  const host = { connectionOf: () => found } as Partial<PlatformHost> as PlatformHost;
  return isHalfOpen(host, DEVICE, NOW);
}

test("[RRPC-5] none at all, a broken socket, or nothing for longer than a Keep Alive", () => {
  expect(judge({})).toBe(false);
  expect(judge(undefined)).toBe(true);
  expect(judge({ broken: true })).toBe(true);
  expect(judge({ lastPacketAt: NOW - 60_000 })).toBe(false);
  expect(judge({ lastPacketAt: NOW - 60_001 })).toBe(true);
  // Without a Keep Alive silence says nothing.
  expect(judge({ lastPacketAt: 0, keepAlive: 0 })).toBe(false);
});
