// Broadcasts of the server's side, the connections being stand-ins; over sockets see the behaviour tests.
import { expect, test } from "vitest";
import type { PushMessage } from "../../../src/platform/contract/service.ts";
import { Broadcasts } from "../../../src/platform/services/broadcast.ts";
import { DEFAULT_SETTINGS } from "../../../src/platform/settings/settings.ts";
import { MessageIds } from "../../../src/platform/shared/message-ids.ts";

test("[BCAST-1] devices of other products get nothing; who could not be sent to is not counted", async () => {
  const online = [
    ["a1ONE", "pump1", "session1"],
    ["a1TWO", "pump2", "session2"],
    ["a1ONE", "pump3", "session3"],
  ].map(([productKey, deviceName, sessionKey]) => ({ device: { productKey, deviceName }, sessionKey }));
  const pushed: [string, PushMessage, string, string?][] = [];
  const broadcasts = new Broadcasts({
    devices: {
      push: async ({ deviceName }, message, needs, sessionKey) => {
        pushed.push([deviceName, message, needs, sessionKey]);
        return deviceName === "pump3" ? "busy" : "sent";
      },
    },
    ids: new MessageIds(),
    settings: DEFAULT_SETTINGS.broadcast,
    online: () => online,
    publish: async () => {},
  });
  const { messageId, devices } = await broadcasts.send("a1ONE", Buffer.from("hello"));
  expect(devices).toBe(1);
  expect(pushed.map(([name, { topic }, ...how]) => [name, topic, ...how])).toEqual([
    ["pump1", `/sys/a1ONE/pump1/broadcast/request/${messageId}`, "always", "session1"],
    ["pump3", `/sys/a1ONE/pump3/broadcast/request/${messageId}`, "always", "session3"],
  ]);
});
